"""What `make release` builds: the same bytes wherever and whenever. `make package-test` runs it."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from exporter import __version__
from exporter.commands import assets

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache"
EPOCH = 1764108842
PAGE = (ROOT / "docs" / "verify.md").read_text()

pytestmark = pytest.mark.package


def build(tree: Path, output: Path, umask: int = -1, **environment: str) -> Path:
    """Build the release of a tree as another process; return the folder."""
    command = [sys.executable, "-m", "tools.release", "--output", output]
    tools = ["--wheels", CACHE / "wheels", "--cyclonedx", CACHE / "sbom" / "bin" / "cyclonedx-py"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH), **environment}
    ended = subprocess.run(
        [*command, *tools], cwd=tree, env=environment, umask=umask, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return output


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build the release here and elsewhere, both at once."""
    names = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    known = subprocess.run(names, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    folder = tmp_path_factory.mktemp("release")
    before = os.umask(0o077)
    try:
        for name in reversed(known):
            if (ROOT / name).is_file():
                copy = folder / "tree" / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, copy)
    finally:
        os.umask(before)
    elsewhere = {"TZ": "Asia/Shanghai", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    with ThreadPoolExecutor() as pool:
        first = pool.submit(build, ROOT, folder / "here")
        second = pool.submit(build, folder / "tree", folder / "elsewhere", 0o077, **elsewhere)
    return first.result(), second.result()


@pytest.fixture
def built(twice: tuple[Path, Path]) -> Path:
    return twice[0]


def test_another_place_time_zone_and_umask_give_the_same_bytes(twice: tuple[Path, Path]) -> None:
    here, elsewhere = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in twice)
    assert here == elsewhere


def test_a_release_has_all_its_parts(built: Path) -> None:
    assert {path.name for path in built.iterdir()} == {
        "SHA256SUMS",
        f"directmail-exporter-{__version__}.cdx.json",
        f"directmail-exporter-{__version__}.tgz",
        f"directmail-exporter-assets-{__version__}.tar.gz",
        f"directmail_exporter-{__version__}-py3-none-any.whl",
        f"directmail_exporter-{__version__}.tar.gz",
    }


def test_every_file_in_an_archive_is_nobodys_and_of_the_time_of_the_commit(built: Path) -> None:
    archives = [path for path in built.iterdir() if path.suffix in (".gz", ".tgz")]
    assert len(archives) == 3
    for path in archives:
        with tarfile.open(path) as tar:
            assert {(each.uid, each.gid, each.uname, each.gname) for each in tar} == {(0, 0, "", "")}
            assert {each.mtime for each in tar} == {EPOCH}


def test_the_tarball_has_what_the_command_writes(built: Path) -> None:
    with tarfile.open(built / f"directmail-exporter-assets-{__version__}.tar.gz") as tar:
        packed = {each.name.partition("/")[2] for each in tar}
    assert packed == {name.as_posix() for name, _ in assets.files()}


def test_the_chart_is_packed_as_helm_packs_one(built: Path) -> None:
    with tarfile.open(built / f"directmail-exporter-{__version__}.tgz") as tar:
        about = tar.extractfile("directmail-exporter/Chart.yaml")
        assert about is not None
        assert yaml.safe_load(about)["version"] == __version__


def test_the_bill_of_materials_has_every_dependency_with_version_and_licence(built: Path) -> None:
    bom = json.loads((built / f"directmail-exporter-{__version__}.cdx.json").read_text())
    pinned = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert {each["purl"] for each in bom["components"]} == {f"pkg:pypi/{name}@{version}" for name, version in pinned}
    assert all(each["licenses"] for each in bom["components"])
    itself = bom["metadata"]["component"]
    assert itself["purl"] == f"pkg:pypi/directmail-exporter@{__version__}"
    direct = next(each["dependsOn"] for each in bom["dependencies"] if each["ref"] == itself["bom-ref"])
    assert any(name.startswith("aiohttp==") for name in direct)
    assert "file:" not in json.dumps(bom)


def test_the_bill_of_materials_is_valid(built: Path) -> None:
    """By CycloneDX's own schema, strictly."""
    code = (
        "import sys; from cyclonedx.schema import SchemaVersion; from cyclonedx.validation import json;"
        "print(json.JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()))"
    )
    bom = (built / f"directmail-exporter-{__version__}.cdx.json").read_text()
    command = [CACHE / "sbom" / "bin" / "python", "-c", code]
    checked = subprocess.run(command, input=bom, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "None\n"), checked.stderr


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    command = [sys.executable, "-m", "tools.release", "--output", tmp_path, "--wheels", CACHE, "--cyclonedx", "x"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "is not empty" in ended.stderr


class TestSigning:
    def test_without_a_key_it_names_the_one_it_needs(self) -> None:
        ended = subprocess.run(["make", "sign"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert ended.returncode != 0
        assert "ssh-keygen -t ed25519" in ended.stdout

    def test_what_is_signed_passes_the_commands_of_the_page_and_what_was_changed_does_not(
        self, built: Path, tmp_path: Path
    ) -> None:
        folder, key = tmp_path / "dist", tmp_path / "key"
        shutil.copytree(built, folder)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        (recipe,) = re.findall(r"^\t(ssh-keygen -Y sign .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
        subprocess.run(shlex.split(recipe.replace("$(KEY)", str(key))), cwd=tmp_path, check=True, capture_output=True)
        (folder / "release-signers").write_text(f"release@directmail-exporter {key.with_suffix('.pub').read_text()}")
        commands = re.findall(r"^    (sha256sum -c [^#\n]*|ssh-keygen -Y verify .*)$", PAGE, re.MULTILINE)
        assert len(commands) == 2
        for command in commands:
            subprocess.run(command, shell=True, cwd=folder, check=True, capture_output=True)
        with (folder / "SHA256SUMS").open("a") as file:
            file.write("0" * 64 + f"  {next(folder.glob('*.whl')).name}\n")
        for command in commands:
            assert subprocess.run(command, shell=True, cwd=folder, check=False, capture_output=True).returncode != 0
