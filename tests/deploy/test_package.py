"""What users install: wheel and sdist, in a clean environment, outside the tree. `make package-test` runs it."""

import asyncio
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Mapping
from email.parser import HeaderParser
from pathlib import Path

import pytest

from exporter import __version__
from exporter.commands import assets
from tests.support.processes import get
from tests.support.programs import KEYS

ROOT = Path(__file__).parents[2]
WHEELS = ROOT / ".cache" / "wheels"
"""Wheels of requirements.txt, which `make package-test` fetches."""
PATIENCE = 60.0

pytestmark = pytest.mark.package


def run(*command: str | Path, cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """Return what a command prints; it has to end well."""
    env = {**os.environ, **(environment or {})}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=env)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build the wheel and the sdist of the tree."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", folder, cwd=ROOT)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="session")
def wheel_of_sdist(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel that an installer makes of the sdist."""
    folder = tmp_path_factory.mktemp("rebuilt")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation")
    run(*pip, "--wheel-dir", folder, built[1], cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def installed(wheel_of_sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install it with what its metadata requires; return the folder of the commands."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder / "venv")
    commands = folder / "venv" / "bin"
    pip = (sys.executable, "-m", "pip", "--python", commands / "python")
    run(*pip, "install", "--quiet", "--no-index", "--find-links", WHEELS, wheel_of_sdist, cwd=folder)
    run(*pip, "check", cwd=folder)
    return commands


def content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as file:
        return {name: file.read(name) for name in file.namelist()}


def test_the_wheel_holds_the_program_and_nothing_else(built: tuple[Path, Path]) -> None:
    found = set(content(built[0]))
    source = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "exporter").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"exporter/py.typed", "exporter/web/status.html"} <= source
    carried = {str(Path("exporter") / "assets" / name) for name, _ in assets.files()}
    assert {name for name in found if ".dist-info/" not in name} == source | carried


def test_the_sdist_makes_the_same_wheel(built: tuple[Path, Path], wheel_of_sdist: Path) -> None:
    assert content(built[0]) == content(wheel_of_sdist)


def test_the_sdist_holds_what_a_clone_holds(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[1]) as file:
        found = {name.partition("/")[2] for name in file.getnames()}
    itself = "tests/deploy/test_package.py"
    for name in ("Makefile", "config.example.yaml", "CHANGELOG.md", "docs/scaling.md", itself):
        assert name in found
    assert not any(name.startswith((".venv", ".cache", ".git/", "dist/")) for name in found)


def test_the_metadata_describes_the_project(built: tuple[Path, Path]) -> None:
    name = f"directmail_exporter-{__version__}.dist-info/METADATA"
    reported = HeaderParser().parsestr(content(built[0])[name].decode())
    assert reported["Name"] == "directmail-exporter"
    assert reported["Version"] == __version__
    assert reported["Requires-Python"] == ">=3.11"
    urls = dict(line.split(", ") for line in reported.get_all("Project-URL", []))
    assert urls == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    assert reported["License-Expression"] == "Apache-2.0"
    assert "ram" in reported.get_all("Provides-Extra", [])
    assert str(reported.get_payload()).startswith("# directmail-exporter")


def test_the_command_and_the_module_print_the_version(installed: Path, tmp_path: Path) -> None:
    for command in ((installed / "directmail-exporter",), (installed / "python", "-m", "exporter")):
        assert run(*command, "--version", cwd=tmp_path).startswith(f"directmail-exporter {__version__} ")


def test_it_runs_from_where_it_is_installed(installed: Path, tmp_path: Path) -> None:
    code = "import exporter; print(exporter.__file__)"
    assert Path(run(installed / "python", "-c", code, cwd=tmp_path).strip()).is_relative_to(installed.parent)


def test_the_example_of_the_sdist_passes_its_check(built: tuple[Path, Path], installed: Path, tmp_path: Path) -> None:
    with tarfile.open(built[1]) as file:
        example = file.extractfile(f"directmail_exporter-{__version__}/config.example.yaml")
        assert example is not None
        (tmp_path / "config.yaml").write_bytes(example.read())
    assert "calls a minute" in run(installed / "directmail-exporter", "--config.check", cwd=tmp_path, environment=KEYS)


def test_the_assets_of_the_package_are_those_of_the_tree(installed: Path, tmp_path: Path) -> None:
    run(installed / "directmail-exporter", "assets", "--output", tmp_path / "out", cwd=tmp_path)
    written = {
        path.relative_to(tmp_path / "out"): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert written == {name: path.read_bytes() for name, path in assets.files()}


async def test_the_demo_can_be_scraped_and_opened_in_a_browser(installed: Path, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        installed / "directmail-exporter",
        *("demo", "--listen", "127.0.0.1:0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            line = ""
            while not (url := re.search(r"(http://\S+)/metrics", line)):
                line = (await process.stdout.readline()).decode()
            text = ""
            while 'directmail_track_emails{account_name=""' not in text:
                _, text = await get(f"{url[1]}/metrics")
            status, page = await get(f"{url[1]}/")
            process.terminate()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert f'directmail_exporter_build_info{{python_version="{sys.version.split()[0]}"' in text
    assert (status, "<h1>directmail-exporter</h1>" in page) == (200, True)
