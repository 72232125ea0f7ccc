"""Images and containers without an engine's daemon: buildah and podman on a stand-in base that is made here and kept.

The base is what BASE in the Dockerfile names, made by debootstrap of the same Debian, whose Python is of the same minor
version. It lies with the layers of the build in the user's cache, so that a second run costs seconds. Needs root.
"""

import fcntl
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BASE = re.findall(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[0]
IMAGE = "localhost/directmail-exporter:test"
NEXT = "python:3.14-slim-testing"
"""The base with the newest Python that the project names: Debian's testing has it."""
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "directmail-exporter" / "image"
UNNEEDED = ("dev", "usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache/apt", "var/lib/apt/lists")
PATIENCE = 300.0
"""Seconds after which a program that should have ended is given up; a cold base takes about 40."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The tools, with a storage of their own; the machine's images and containers are not touched."""

    tool: Callable[[str], Path]
    environment: dict[str, str]

    def run(self, name: str, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a tool and return its result; with `check` it must succeed."""
        command = [self.tool(name), *arguments]
        ended = subprocess.run(
            command,
            env={**os.environ, **self.environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert not check or ended.returncode == 0, f"{name} {' '.join(map(str, arguments))}\n{ended.stderr}"
        return ended

    def inspect(self, name: str) -> dict[str, Any]:
        """Return what podman knows of an image or a container."""
        found: list[dict[str, Any]] = json.loads(self.run("podman", "inspect", name).stdout)
        return found[0]

    def make_base(self, base: str = BASE) -> None:
        """Make a stand-in base unless it is there."""
        if self.run("podman", "image", "exists", f"docker.io/library/{base}", check=False).returncode == 0:
            return
        suite = base.rpartition("-")[2]
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            root, archive = Path(folder) / "root", Path(folder) / "root.tar"
            packages = "python3,python3-venv,ca-certificates"
            self.run("debootstrap", "--variant=minbase", f"--include={packages}", suite, root)
            leave_out = [f"--exclude=./{path}" for path in UNNEEDED]
            self.run("tar", "--create", "--file", archive, "--directory", root, *leave_out, ".")
            self.run("podman", "import", "--quiet", archive, f"docker.io/library/{base}")

    def build(self, image: str = IMAGE, **arguments: str) -> None:
        """Build the Dockerfile as an image. pip takes the machine's authorities and index."""
        pip = CACHE / "pip.conf"
        pip.write_text(_pip_settings())
        mounts = [f"--volume={AUTHORITIES}:{AUTHORITIES}:ro", f"--volume={pip}:/etc/pip.conf:ro"]
        values = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        # The health check is Docker's: the OCI format has none.
        self.run(
            "buildah", "build", "--layers", "--format=docker", "--pull-never", *mounts, *values, f"--tag={image}", "."
        )

    def size(self, name: str) -> int:
        """Return the bytes of an image, unpacked."""
        return int(self.inspect(name)["Size"])

    def test(self, base: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run tests of this tree, which is not written to, by a base's own Python and without a network."""
        python = base.partition(":")[2].partition("-")[0]
        command = (
            "python3 -m venv /tmp/venv; "
            "/tmp/venv/bin/pip install --quiet --no-index --no-deps /wheels/*.whl; "
            'exec /tmp/venv/bin/python -m pytest -p no:cacheprovider "$@"'
        )
        return self.run(
            *("podman", "run", "--rm", "--network=none", "--workdir=/src"),
            *(f"--volume={ROOT}:/src:ro", f"--volume={ROOT / '.cache' / f'wheels-{python}'}:/wheels:ro"),
            *("--env=PYTHONPYCACHEPREFIX=/tmp/compiled", "--env=HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis"),
            "--env=ALIBABA_CLOUD_ECS_METADATA_DISABLED=true",
            *(f"docker.io/library/{base}", "sh", "-ec", command, "sh", *arguments),
            check=False,
        )

    @contextmanager
    def container(self, *arguments: str, command: tuple[str, ...] = (), image: str = IMAGE) -> Iterator[str]:
        """Run an image in the background; yield the container's name. It is removed in the end."""
        started = self.run("podman", "run", "--detach", *arguments, image, *command)
        name = started.stdout.strip()
        try:
            yield name
        finally:
            self.run("podman", "rm", "--force", "--time=0", "--volumes", name)


@contextmanager
def engine(tool: Callable[[str], Path]) -> Iterator[Engine]:
    """Set up the tools; one run at a time has the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (CACHE / "containers.conf").write_text(
            '[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=10000:10000"]\nnetns = "host"\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n'
            f'tmp_dir = "{CACHE / "run" / "libpod"}"\n'
        )
        (CACHE / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{CACHE / "storage"}"\nrunroot = "{CACHE / "run"}"\n'
        )
        environment = {
            "CONTAINERS_CONF": str(CACHE / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(CACHE / "storage.conf"),
            "BUILDAH_ISOLATION": "chroot",
        }
        each = Engine(tool, environment)
        each.run("podman", "rm", "--all", "--force", "--time=0")  # what a run left behind that was cut short
        try:
            yield each
        finally:
            each.run("podman", "image", "prune", "--force", "--filter=until=168h")


def _pip_settings() -> str:
    """Return a pip.conf with the machine's authorities, and its index where one is configured that is not a folder."""
    lines = ["[global]", f"cert = {AUTHORITIES}"]
    for key in ("index-url", "extra-index-url", "trusted-host"):
        known = subprocess.run(
            ["pip", "config", "get", f"global.{key}"], capture_output=True, text=True, check=False
        ).stdout.strip()
        value = os.environ.get(f"PIP_{key.replace('-', '_').upper()}", known)
        if value and "file:" not in value:
            lines.append(f"{key} = {value}")
    return "\n".join(lines) + "\n"
