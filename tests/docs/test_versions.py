"""The table of versions says what the files say."""

import re
import tomllib
from pathlib import Path

import yaml

from tests.support.containers import BASE, NEXT
from tests.support.kubernetes_schemas import VERSIONS

ROOT = Path(__file__).parents[2]
ROWS = {
    cells[0].partition(",")[0]: cells
    for line in (ROOT / "docs" / "versions.md").read_text().splitlines()
    if line.startswith("| ")
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}
TESTED, NAMED, LEAST = 1, 3, 4


def minor(text: str) -> str:
    """Return the first version in a text, without its patch."""
    found = re.search(r"(\d+\.\d+)", text)
    assert found is not None
    return found[1]


def test_what_is_named_is_what_compose_starts() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for program in ("Prometheus", "Alertmanager", "Grafana"):
        assert minor(ROWS[program][NAMED]) == minor(services[program.lower()]["image"])


def test_every_python_is_in_the_metadata_and_the_bases_are_those_of_the_image() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    supported = [name.rpartition(" ")[2] for name in classifiers if re.search(r":: 3\.\d+$", name)]
    assert supported == ["3.11", "3.12", "3.13", "3.14"]
    for base in (BASE, NEXT):
        assert minor(base) in ROWS["Python"][TESTED]
    assert minor(ROWS["Python"][NAMED]) == minor(BASE)


def test_kubernetes_is_checked_against_the_versions_of_the_table() -> None:
    assert all(version in ROWS["Kubernetes"][TESTED] for version in VERSIONS)
    assert ROWS["Kubernetes"][LEAST] == VERSIONS[0]


def test_grafanas_least_version_is_the_one_that_the_dashboards_name() -> None:
    dashboard = (ROOT / "grafana" / "directmail-engagement.json").read_text()
    assert f'"version": "{minor(ROWS["Grafana"][LEAST])}.0"' in dashboard


def test_the_dashboards_types_are_of_the_versions_of_the_table() -> None:
    packages = dict(re.findall(r"  (\S+)@(\S+)$", (ROOT / "requirements-schema.txt").read_text(), re.MULTILINE))
    assert minor(packages["@grafana/schema"]) == minor(ROWS["Grafana"][NAMED])
    assert f"{minor(packages['@grafana/schema'])} (`v2`)" in ROWS["Grafana"][TESTED]
    assert f"({minor(packages['@perses-dev/core'])})" in ROWS["Perses"][TESTED]


def test_types_are_checked_for_the_newest_python() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    (newest,) = re.findall(r"mypy --python-version (\S+)", (ROOT / "Makefile").read_text())
    assert [name.rpartition(" ")[2] for name in classifiers if re.search(r":: 3\.\d+$", name)][-1] == newest
