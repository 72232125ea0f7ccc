"""What pyproject.toml says of the project is said alike everywhere."""

import shutil
import subprocess
from pathlib import Path

from tools import manifests, project

ROOT = Path(__file__).parents[2]
OURS = "https://example.com/directmail-exporter"


def tracked() -> list[Path]:
    """Return the files of the project, without what is built or cached."""
    known = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return [ROOT / name for name in known.stdout.splitlines() if (ROOT / name).is_file()]


def test_every_place_shows_the_addresses_of_pyproject() -> None:
    made = project.files()
    assert {path: path.read_text() for path in made} == made, "run make manifests"


def test_another_address_reaches_every_place(tmp_path: Path) -> None:
    """The address of the project is written in one place."""
    places = {*project.files(), ROOT / "pyproject.toml"}
    for path in places:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    about = tmp_path / "pyproject.toml"
    assert OURS in about.read_text()
    about.write_text(about.read_text().replace(OURS, "https://git.example.org/mail"))
    made = project.files(tmp_path)
    assert {path.relative_to(tmp_path) for path in made} | {Path("pyproject.toml")} == {
        path.relative_to(ROOT) for path in places
    }
    for path, text in made.items():
        assert OURS not in text, path
        assert "https://git.example.org/mail" in text, path


def test_the_address_is_in_no_other_file() -> None:
    known = {*project.files(), *manifests.files(), ROOT / "pyproject.toml", Path(__file__)}
    found = {path for path in tracked() if OURS in path.read_bytes().decode(errors="ignore")}
    assert found <= known


def test_every_address_of_the_project_begins_alike() -> None:
    urls = project.project()["urls"].values()
    assert all(url.startswith(OURS) for url in urls)
