"""Flags, sub-commands, exit statuses, and what a mistake looks like."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter import __revision__, __version__
from exporter.simulator import faults, incidents
from exporter.web.sockets import BindError, split_address
from tests.support.command_line import run
from tests.support.processes import get, program, until
from tests.support.programs import KEYS

ROOT = Path(__file__).parents[2]
EXAMPLE = str(ROOT / "config.example.yaml")


@pytest.mark.parametrize("written", ["version", "--version"])
def test_the_version_is_printed(written: str) -> None:
    assert run(written).output == f"directmail-exporter {__version__} (revision {__revision__})\n"


@pytest.mark.parametrize("level", ["warn", "warning", "WARN", "Info"])
def test_a_log_level_may_be_written_as_others_write_it(level: str) -> None:
    assert run("--log.level", level, "version").exit_code == 0


@pytest.mark.parametrize("command", ["demo", "simulate"])
def test_help_lists_what_can_go_wrong(command: str) -> None:
    text = run(command, "--help").output
    assert all(f"  {name} " in text and kind.what[:20] in text for name, kind in incidents.NAMES.items())
    assert all(f"  {name} " in text and what[:20] in text for name, what in faults.NAMES.items())


def test_help_names_every_flag_of_the_contract() -> None:
    text = run("--help").output
    for flag in (
        "--config.file",
        "--config.check",
        "--web.listen-address",
        "--web.telemetry-path",
        "--web.enable-lifecycle",
        "--web.max-requests",
        "--web.disable-exporter-metrics",
        "--log.level",
        "--log.format",
        "--version",
    ):
        assert flag in text
    for command in ("demo", "simulate"):
        assert command in text


def test_a_check_prints_the_plan_and_ends_well() -> None:
    result = run("--config.file", EXAMPLE, "--config.check", environment=KEYS)
    assert result.exit_code == 0
    for words in (
        "combinations",
        "series",
        "cells",
        "calls a minute",
        "calls a day",
        "poll interval",
        "30d filled after",
    ):
        assert words in result.output


def test_a_check_prints_long_times_as_durations(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    senders = ", ".join(f"s{number}@mail.example.com" for number in range(490))
    path.write_text(
        "targets:\n  - name: a\n    region: us-east-1\n    rate_limit_per_minute: 30\n    queries:\n"
        f"      - {{name: by-sender, account_name: [{senders}]}}\n"
        "      - {name: by-sender, account_name: other@mail.example.com}\n"
    )
    result = run("--config.file", str(path), "--config.check", environment=KEYS)
    assert result.exit_code == 0, result.output
    assert re.search(r"  30d filled after +about [\dd]*\d+h\d+m\n", result.output)
    assert result.output.endswith("  query by-sender: 491 combinations\n")


def test_a_check_shows_the_calls_of_account_and_domains_and_the_limit_of_each_operation(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "account_interval: 1h\ndomains_interval: 6h\ntargets:\n  - name: a\n    region: us-east-1\n    queries:\n"
        "      - name: account\n"
    )
    result = run("--config.file", str(path), "--config.check", environment=KEYS)
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "account DescAccountSummary, QueryMailAddressByParam, every 1h" in lines
    assert "domains QueryDomainByParam, and DescDomain for each domain, every 6h" in lines
    assert "their limits 30 calls a minute of each operation, 10 of DescAccountSummary and DescDomain" in lines


def test_a_check_of_discovery_shows_what_limits_allow_and_that_values_are_unknown(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "windows: [today]\nmax_series: 200\ntargets:\n  - name: a\n    region: us-east-1\n    queries:\n"
        "      - name: account\n      - name: tags\n        account_name: {discover: true, limit: 3}\n"
        "        tag_name: {discover: true}\n        esp: [gmail.com, others]\n"
    )
    result = run("--config.file", str(path), "--config.check", environment=KEYS)
    assert result.exit_code == 0
    for words in (
        "QueryMailAddressByParam, QueryTagByParam, every 1h",
        "unknown until it runs",
        "9 more combinations; any others are left out",
        "at most 1200 combinations by its limits (3 of account_name, 200 of tag_name)",
    ):
        assert words in result.output


class TestACheckWithoutAKey:
    TARGET = "  - {{name: {}, region: us-east-1, queries: [{{name: account}}]{}}}\n"

    def checked(self, path: Path, *targets: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
        """Return the status of a check of these targets, and what it says on stderr."""
        path.write_text("targets:\n" + "".join(targets))
        result = run("--config.file", str(path), "--config.check", environment=environment)
        assert "calls a minute" in result.stdout, "the plan is printed all the same"
        return result.exit_code, result.stderr

    def test_it_is_an_error_in_one_line(self, tmp_path: Path) -> None:
        path = tmp_path / "config.yaml"
        status, output = self.checked(path, self.TARGET.format("a", ""))
        assert status == 1
        assert output == (
            f"{path}: targets[0].credentials: no credentials: ALIBABA_CLOUD_ACCESS_KEY_ID and "
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET are not both set. Set both variables, or write files in the target's "
            "credentials.\n"
        )

    def test_several_targets_without_one_are_still_one_line(self, tmp_path: Path) -> None:
        targets = (self.TARGET.format(name, "") for name in "abc")
        status, output = self.checked(tmp_path / "config.yaml", *targets)
        assert (status, len(output.splitlines())) == (1, 1)
        assert output.endswith(" 2 more targets lack it too.\n")

    def test_half_a_key_is_none(self, tmp_path: Path) -> None:
        half = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAI4x"}
        status, output = self.checked(tmp_path / "config.yaml", self.TARGET.format("a", ""), environment=half)
        assert status == 1
        assert "are not both set" in output

    def test_an_empty_key_file_is_none(self, tmp_path: Path) -> None:
        for name in ("id", "secret"):
            (tmp_path / name).write_text("key" if name == "id" else "\n")
        files = f", credentials: {{access_key_id_file: {tmp_path}/id, access_key_secret_file: {tmp_path}/secret}}"
        path = tmp_path / "config.yaml"
        status, output = self.checked(path, self.TARGET.format("a", files))
        assert status == 1
        assert f"targets[0].credentials: no credentials: {tmp_path}/secret is empty" in output
        (tmp_path / "secret").write_text("secret")
        assert self.checked(path, self.TARGET.format("a", files)) == (0, "")

    def test_services_that_issue_credentials_are_not_called(self, tmp_path: Path) -> None:
        role = ", credentials: {type: ecs_ram_role, role_name: exporter}"
        assert self.checked(tmp_path / "config.yaml", self.TARGET.format("a", role)) == (0, "")


def test_a_broken_config_is_one_line_a_mistake_and_status_1(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("windows: [8d, 32d]\ntargets:\n  - name: a b\n    region: mars\n    queries: [{name: q}]\n")
    result = run("--config.file", str(path))
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["windows[1]", "targets[0].name", "targets[0].region"]
    assert all(line.startswith(f"{path}: ") for line in lines)


def test_a_broken_web_config_is_reported_in_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text("basic_auth_users: {alice: plain}\n")
    result = run("--config.file", EXAMPLE, "--web.config.file", str(path))
    assert result.exit_code == 1
    assert result.output.startswith(f"{path}: basic_auth_users.alice: is not a bcrypt hash; make one with htpasswd")


def test_mistakes_of_the_plan_are_reported_together_with_those_of_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "max_series: 10\ntargets:\n  - name: a\n    region: us-east-1\n    queries: [{name: q}]\n"
        "  - name: b\n    region: mars\n    queries: [{name: q}]\n"
    )
    result = run("--config.file", str(path))
    assert "targets[1].region" in result.output
    assert "max_series: the queries would expose" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--no-such-flag"], id="unknown-flag"),
        pytest.param(["--log.level", "loud"], id="unknown-level"),
        pytest.param(["--web.max-requests", "-1"], id="fewer-than-no-requests"),
        pytest.param(["simulate", "--timezone", "Mars/Phobos"], id="unknown-zone"),
        pytest.param(["simulate", "--fault", "gremlins"], id="unknown-fault"),
        pytest.param(["demo", "--incident", "alien_spam"], id="unknown-incident"),
        pytest.param(["demo", "--timezone", "Mars/Phobos"], id="unknown-zone-of-the-demo"),
        pytest.param(["demo", "--speed", "0"], id="speed-0"),
        pytest.param(["demo", "--days", "3"], id="days-without-history"),
        pytest.param(["no-such-command"], id="unknown-command"),
    ],
)
def test_wrong_flags_are_status_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        (["--config.file", EXAMPLE, "--web.listen-address"], ""),
        (
            ["demo", "--listen"],
            '; --listen 127.0.0.1:0 uses a free port, as in: make demo ARGS="--listen 127.0.0.1:0"',
        ),
        (["simulate", "--listen"], ""),
    ],
)
def test_a_port_in_use_is_one_line_and_status_1(command: list[str], advice: str) -> None:
    with socket.socket() as in_use:
        in_use.bind(("127.0.0.1", 0))
        in_use.listen()
        address = f"127.0.0.1:{in_use.getsockname()[1]}"
        ended = subprocess.run(
            [sys.executable, "-m", "exporter", *command, address],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == f"cannot listen on {address}: address already in use{advice}"
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "path",
    [
        "metrics",
        "",
        "/",
        "//",
        "/a/",
        "/-/healthy",
        "/-/reload",
        "/-/x",
        "/{",
        "/{x}",
        "/a b?c#d",
        "/a%20b",
        "/../x",
        "/.",
    ],
)
def test_a_path_that_cannot_be_scraped_is_a_wrong_flag(path: str) -> None:
    result = run("--config.file", EXAMPLE, "--config.check", f"--web.telemetry-path={path}")
    assert result.exit_code == 2
    assert "write one such as /metrics" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("path", ["/metrics", "/a/b", "/.well-known", "/~x_1.2-3", "/..."])
def test_a_path_that_can_be_scraped_is_accepted(path: str) -> None:
    assert (
        run("--config.file", EXAMPLE, "--config.check", f"--web.telemetry-path={path}", environment=KEYS).exit_code == 0
    )


@pytest.mark.parametrize("flag", ["--config.file", "--web.config.file"])
def test_a_file_that_may_not_be_read_is_one_line_and_status_1(
    flag: str, tool: Callable[[str], Path], tmp_path: Path
) -> None:
    path = tmp_path / "file.yaml"
    path.touch(mode=0o000)
    rights = [tool("setpriv"), "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    given = {"--config.file": EXAMPLE, flag: str(path)}
    command = [sys.executable, "-m", "exporter", *(f"{name}={value}" for name, value in given.items())]
    ended = subprocess.run([*rights, *command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"{path}: file: cannot be read: Permission denied")


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("init", ["--endpoint", "http://127.0.0.1:1", "--output", "closed/x.yaml"]),
        ("doctor", ["--record", "closed/recording"]),
        ("backfill", ["--output", "closed/x.om", "--label", "job=mail", "--label", "instance="]),
        ("demo", ["--history", "closed/x.om"]),
    ],
)
def test_a_folder_that_is_not_writable_is_reported_before_any_request(
    command: str, flags: list[str], tool: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "closed").mkdir(mode=0o555)
    (tmp_path / "config.yaml").write_text(
        "targets: [{name: shop, endpoint: 'http://127.0.0.1:1', queries: [{name: account}]}]"
    )
    rights = [tool("setpriv"), "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    started = [*rights, sys.executable, "-m", "exporter", command, *flags]
    environment = {**os.environ, **KEYS, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(started, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert ended.returncode == 1
    (line,) = (ended.stdout + ended.stderr).splitlines()
    assert line.endswith("closed cannot be written to")


@pytest.mark.parametrize("command", ["show", "doctor"])
def test_a_result_that_cannot_be_written_is_one_line_and_status_1(command: str, tmp_path: Path) -> None:
    """A report that cron sends to a full disk is not taken for a good one."""
    path = tmp_path / "config.yaml"
    path.write_text("targets: [{name: shop, endpoint: 'http://127.0.0.1:1', queries: [{name: account}]}]")
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "exporter", command, "--config.file", str(path)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=ROOT,
            env={**os.environ, **KEYS},
        )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "stdout cannot be written to: No space left on device"
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1", "127.0.0.1:port", "[::1", "[::1]"])
def test_an_invalid_address_is_rejected_with_an_example(address: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "exporter", "--config.file", EXAMPLE, "--web.listen-address", address],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert ended.returncode == 1
    assert "write host:port, [v6 address]:port or :port" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("address", "port"), [("127.0.0.1:99999", "99999"), ("127.0.0.1:http", "http"), (":-1", "-1"), ("[::1]:x", "x")]
)
def test_an_address_with_an_invalid_port_is_rejected(address: str, port: str) -> None:
    with pytest.raises(
        BindError, match=re.escape(f"cannot listen on {address}: {port!r} is not a port from 0 to 65535")
    ):
        split_address(address)


async def test_a_reader_of_the_demo_who_leaves_does_not_end_it() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exporter", "demo", "--listen", "127.0.0.1:0"),
        stdout=writer,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stderr is not None
    await process.stderr.readuntil(b"msg=listening")
    address = re.search(r"addresses=(\S+)", (await process.stderr.readline()).decode())[1]
    assert "directmail_up" in await until(f"http://{address}/metrics", "directmail_up")
    process.terminate()
    _, errors = await process.communicate()
    os.close(writer)
    assert (process.returncode, b"Traceback" in errors) == (0, False), errors.decode()


async def test_the_simulator_answers_until_it_is_ended() -> None:
    async with program("simulate", "--listen", "127.0.0.1:0") as simulator:
        url = (await simulator.line_with("GetTrackList:")).split()[1]
        for variable, value in KEYS.items():
            await simulator.line_with(f"export {variable}={value}")
        status, text = await get(url)
        assert (status, "IncompleteSignature" in text) == (400, True)
        assert await simulator.end() == 0


def test_starting_loads_nothing_that_it_may_not_need() -> None:
    loaded = "[m for m in sys.modules if m.startswith('exporter.simulator')]"
    code = f"import sys, exporter.commands.main, exporter.app; print({loaded})"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ
    )
    assert ended.stdout.strip() == "[]"


def test_a_command_that_neither_serves_nor_writes_a_state_file_loads_no_server_and_no_database() -> None:
    code = (
        "import asyncio, sys; from exporter.commands import doctor, exit_status, init; "
        "exit_status.run(asyncio.sleep(0)); print({'exporter.web', 'bcrypt', 'sqlite3'} & sys.modules.keys())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ
    )
    assert ended.stdout.strip() == "set()"
