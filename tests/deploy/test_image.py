"""The image, built and run for real: what it holds, and that the smallest rights are enough for it."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter import __version__
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.server import KEY_ID, SECRET, Simulator
from tests.support.certificates import Authority
from tests.support.containers import BASE, IMAGE, NEXT, Engine, engine
from tests.support.processes import PATIENCE, free_port, get, until
from tools import project

pytestmark = [pytest.mark.image, pytest.mark.usefixtures("machine_clock")]

REVISION = "0123abc"
CREATED = "2026-11-25T21:54:02Z"
MEGABYTE = 1_000_000
LOCKED = (
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--volume=/dev/null:/usr/bin/dash",
    "--volume=/dev/null:/usr/bin/bash",
)
"""Nothing can be written, nothing is allowed, and there is no shell."""
CORE = ("tests/config", "tests/plan", "tests/metrics")
ELSEWHERE = (
    "--ignore=tests/config/test_shards.py",  # programs
    "--deselect=tests/metrics/test_history.py::test_promtool_makes_blocks_of_it",
)
"""What the tests of the core leave out on other Pythons: what needs more than one process."""


@pytest.fixture(scope="module")
def built(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The image of this tree."""
    tool: Callable[[str], Path] = request.getfixturevalue("tool")
    with engine(tool) as each:
        each.make_base()
        each.build(REVISION=REVISION, VERSION=__version__, CREATED=CREATED)
        yield each


def mounted(folder: Path, url: str, *more: str) -> list[str]:
    """Write a config that polls this URL once in an hour; return the flags that bring it into a container."""
    folder.chmod(0o755)
    for name, text in {
        "access_key_id": KEY_ID,
        "access_key_secret": SECRET,
        "config.yaml": (
            "poll_interval: 1h\nwindows: [today]\nstate_file: /var/lib/directmail-exporter/state.db\n"
            f"targets:\n  - name: shop\n    endpoint: {url}\n    rate_limit_per_minute: 6000\n"
            "    credentials:\n      access_key_id_file: /etc/directmail-exporter/access_key_id\n"
            "      access_key_secret_file: /etc/directmail-exporter/access_key_secret\n"
            "    queries: [{name: account}]\n"
        ),
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
    return [f"--volume={folder}:/etc/directmail-exporter:ro", *more]


def patient(box: Engine) -> tuple[str, str]:
    """Return the flags that give the image's health check a minute: the machine may be busy."""
    _, *check = box.inspect(IMAGE)["Healthcheck"]["Test"]  # after CMD
    return f"--health-cmd={json.dumps(check)}", "--health-timeout=60s"


async def address(box: Engine, container: str) -> str:
    """Return where the exporter in a container listens."""
    async with asyncio.timeout(2 * PATIENCE):
        while True:
            log = await asyncio.to_thread(box.run, "podman", "logs", container)
            for word in log.stderr.split():
                if word.startswith("addresses="):
                    return word.removeprefix("addresses=")
            await asyncio.sleep(0.1)


def test_the_image_has_labels_and_the_command_that_runs_it(built: Engine) -> None:
    image = built.inspect(IMAGE)
    settings = image["Config"]
    urls = project.project()["urls"]
    prefix = "org.opencontainers.image."
    assert {key.removeprefix(prefix): value for key, value in settings["Labels"].items() if prefix in key} == {
        "title": "directmail-exporter",
        "authors": "The directmail-exporter authors",
        "vendor": "directmail-exporter",
        "ref.name": __version__,
        "description": "Opens and clicks, deliveries, quota and domains of Alibaba Cloud Direct Mail for Prometheus",
        "licenses": "Apache-2.0",
        "version": __version__,
        "revision": REVISION,
        "created": CREATED,
        "url": urls["Homepage"],
        "source": urls["Source"],
        "documentation": urls["Documentation"],
        "base.name": f"docker.io/library/{BASE}",
    }
    assert settings["User"] == "65534:65534"
    assert settings["StopSignal"] == "SIGTERM"
    assert settings["Entrypoint"] == ["directmail-exporter"]
    assert image["Healthcheck"]["Test"] == ["CMD", "directmail-exporter", "healthcheck"]


def test_it_adds_less_than_60_megabytes_to_its_base(built: Engine) -> None:
    assert built.size(IMAGE) - built.size(f"docker.io/library/{BASE}") < 60 * MEGABYTE


@pytest.mark.parametrize(
    ("command", "output"),
    [
        pytest.param(
            ["directmail-exporter", "--version"],
            f"directmail-exporter {__version__} (revision {REVISION})\n",
            id="the-program-knows-its-commit",
        ),
        pytest.param(
            ["python", "-c", "import alibabacloud_credentials, sys; print(*sys.version_info[:2], sep='.')"],
            f"{BASE.partition(':')[2].partition('-')[0]}\n",
            id="the-extra-ram-is-there-and-python-is-that-of-the-tag",
        ),
        pytest.param(
            [
                "python",
                "-c",
                "from importlib import util; print([n for n in ('pip', 'hatchling') if util.find_spec(n)])",
            ],
            "[]\n",
            id="nothing-that-only-builds",
        ),
        pytest.param(
            [
                "python",
                "-c",
                "import exporter.app, pathlib; print(pathlib.Path(exporter.app.__cached__).exists())",
            ],
            "True\n",
            id="compiled-because-a-read-only-root-keeps-nothing",
        ),
    ],
)
def test_what_is_inside(built: Engine, command: list[str], output: str) -> None:
    entry, *arguments = command
    ended = built.run("podman", "run", "--rm", *LOCKED, f"--entrypoint={entry}", IMAGE, *arguments)
    assert ended.stdout == output


async def test_the_smallest_rights_are_enough_and_the_state_outlives_the_container(
    built: Engine, tmp_path: Path
) -> None:
    """Health turns green, numbers are scraped, SIGTERM ends with 0; the next container has them without a request."""
    api = Simulator(behaviour=Behaviour(calls_per_minute=100_000))
    volume = f"directmail-exporter-test-{os.getpid()}"
    listen = f"--env=DIRECTMAIL_EXPORTER_LISTEN_ADDRESS=127.0.0.1:{free_port()}"
    flags = [*LOCKED, *patient(built), listen, f"--volume={volume}:/var/lib/directmail-exporter"]
    try:
        async with api.listen() as url:
            arguments = (*flags, *mounted(tmp_path, url))
            with built.container(*arguments) as name:
                where = await address(built, name)
                await until(f"http://{where}/metrics", "directmail_track_emails{")
                assert await health(built, name) == (0, "healthy")
                assert await stopped(built, name) == 0
        with built.container(*arguments) as name:
            _, text = await get(f"http://{await address(built, name)}/metrics")
            assert "directmail_track_emails{" in text
            assert await stopped(built, name) == 0
    finally:
        built.run("podman", "volume", "rm", "--force", volume)


def test_the_state_folder_is_writable_for_any_user_of_group_0(built: Engine) -> None:
    """OpenShift runs an image as a user that it makes up, in group 0."""
    arguments = [*LOCKED, "--user=1000680000:0", "--entrypoint=python", IMAGE]
    code = "open('/var/lib/directmail-exporter/x', 'w').close()"
    volume = f"directmail-exporter-test-{os.getpid()}"
    try:
        mount = f"--volume={volume}:/var/lib/directmail-exporter"
        built.run("podman", "run", "--rm", mount, *arguments, "-c", code)
    finally:
        built.run("podman", "volume", "rm", "--force", volume)


async def test_health_turns_green_behind_tls_and_a_password(built: Engine, tmp_path: Path) -> None:
    for secret in Authority(tmp_path).issue("server"):
        secret.chmod(0o644)
    web = tmp_path / "web.yml"
    web.write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
        "basic_auth_users: {alice: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG}\n"
    )
    web.chmod(0o644)
    listen = f"--env=DIRECTMAIL_EXPORTER_LISTEN_ADDRESS=127.0.0.1:{free_port()}"
    arguments = (
        *LOCKED,
        *patient(built),
        listen,
        "--tmpfs=/var/lib/directmail-exporter",
        *mounted(tmp_path, "http://127.0.0.1:1"),
    )
    command = (
        "--config.file=/etc/directmail-exporter/config.yaml",
        "--web.config.file=/etc/directmail-exporter/web.yml",
    )
    with built.container(*arguments, command=command) as name:
        await address(built, name)
        assert await health(built, name) == (0, "healthy")


async def test_health_turns_red_where_nothing_listens(built: Engine, tmp_path: Path) -> None:
    """The demo listens on another port than the health check uses."""
    arguments = (
        *LOCKED,
        *patient(built),
        f"--env=DIRECTMAIL_EXPORTER_LISTEN_ADDRESS=127.0.0.1:{free_port()}",
        "--health-retries=1",
        "--health-start-period=0s",
    )
    with built.container(*arguments, command=("demo", "--listen=127.0.0.1:0")) as name:
        await address(built, name)
        status, verdict = await health(built, name)
        assert status == 1
        assert verdict != "healthy"
        assert await stopped(built, name) == 0


async def test_it_builds_and_runs_on_the_newest_python_too(built: Engine) -> None:
    """Debian's testing is not what the image is for, but it tells early what the next Python breaks."""
    image = f"{IMAGE}-next"
    await asyncio.to_thread(built.make_base, NEXT)
    await asyncio.to_thread(built.build, image, BASE=NEXT)
    with built.container(*LOCKED, command=("demo", "--listen=127.0.0.1:0"), image=image) as name:
        where = await address(built, name)
        text = await until(f"http://{where}/metrics", "directmail_track_emails{")
        assert f'python_version="{NEXT.partition(":")[2].partition("-")[0]}.' in text
        assert await stopped(built, name) == 0


@pytest.mark.parametrize("base", [BASE, NEXT])
def test_the_core_passes_its_own_tests_on_newer_pythons(base: str, built: Engine) -> None:
    """With the packages that are pinned, as wheels for that Python, which `make image-test` fetches."""
    built.make_base(base)
    ended = built.test(base, "-n2", "--dist=worksteal", "--maxfail=10", "-rfE", *CORE, *ELSEWHERE)
    assert ended.returncode == 0, "\n".join((ended.stderr + ended.stdout).splitlines()[-60:])


async def health(box: Engine, container: str) -> tuple[int, str]:
    """Run the health check as an engine does; return its status and what the engine makes of it."""
    checked = await asyncio.to_thread(box.run, "podman", "healthcheck", "run", container, check=False)
    known = await asyncio.to_thread(box.inspect, container)
    return checked.returncode, known["State"]["Health"]["Status"]


async def stopped(box: Engine, container: str) -> int:
    """Stop a container with SIGTERM and return its exit status."""
    await asyncio.to_thread(box.run, "podman", "stop", "--time=60", container)
    return int((await asyncio.to_thread(box.inspect, container))["State"]["ExitCode"])
