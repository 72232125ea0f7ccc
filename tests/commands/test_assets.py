"""`assets` writes what an error message, a page or a rule file sends people to."""

from pathlib import Path

import pytest

from exporter.commands import assets
from tests.support.command_line import run

ROOT = Path(__file__).parents[2]


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_config_rules_dashboards_and_units_are_written_as_they_are(tmp_path: Path) -> None:
    """All but the exceptions of the dashboards' linter, which the project needs."""
    result = run("assets", "--output", str(tmp_path / "new" / "folder"))
    found = written(tmp_path / "new" / "folder")
    assert (result.exit_code, result.output) == (0, f"{len(found)} files written to {tmp_path / 'new' / 'folder'}\n")
    folders = {
        "prometheus": ROOT / "prometheus",
        "grafana": ROOT / "grafana",
        "grafana-v2": ROOT / "deploy" / "grafana",
        "perses": ROOT / "deploy" / "perses",
        "systemd": ROOT / "deploy" / "systemd",
    }
    sources = {f"{name}/{key}": text for name, folder in folders.items() for key, text in written(folder).items()}
    del sources["grafana/.lint"]
    assert found == sources | {"config.example.yaml": (ROOT / "config.example.yaml").read_bytes()}
    assert {"prometheus/tests/account_test.yml", "grafana/provisioning/dashboards/directmail.yml"} <= set(found)


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    first, second = (run("assets", "--output", str(tmp_path)) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0)


def test_a_file_that_was_changed_is_kept_unless_it_is_forced(tmp_path: Path) -> None:
    """Nothing else is written either: half of a new version would be worse."""
    mine = tmp_path / "prometheus" / "directmail-alerts.rules.yml"
    mine.parent.mkdir()
    mine.write_text("groups: []\n")
    result = run("assets", "--output", str(tmp_path))
    assert result.exit_code == 1
    assert result.output == f"nothing written: {mine} would be overwritten; use --force or another folder\n"
    assert written(tmp_path) == {"prometheus/directmail-alerts.rules.yml": b"groups: []\n"}
    assert run("assets", "--output", str(tmp_path), "--force").exit_code == 0
    assert mine.read_bytes() == (ROOT / "prometheus" / mine.name).read_bytes()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("assets", "--output", str(tmp_path / "file" / "below"))
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1)
    assert "cannot be written: Not a directory" in result.output


def test_no_folder_is_a_wrong_flag() -> None:
    result = run("assets")
    assert result.exit_code == 2
    assert "Missing option '--output'" in result.output


@pytest.mark.parametrize("name", ["config.example.yaml", "prometheus/x.rules.yml"])
def test_in_a_package_they_lie_beside_the_code(tmp_path: Path, name: str) -> None:
    path = tmp_path / "exporter" / "assets" / name
    path.parent.mkdir(parents=True)
    path.write_text("")
    assert list(assets.files(tmp_path / "exporter")) == [(Path(name), path)]
