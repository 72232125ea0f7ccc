"""The page on what is stable, and the catalogue of metrics that it points to."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from exporter.metrics import account, tables
from tests.support.own_metrics import CATALOGUE
from tests.support.rule_files import ALERTS, RULES
from tools import references

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "stability.md").read_text()
TRUE_OR_FALSE = re.compile(r"\b1 or 0\b|^Always 1")


def test_the_catalogue_matches_the_code() -> None:
    assert (ROOT / "docs" / "metrics.json").read_text() == references.catalogue(), "run make docs"


def test_the_catalogue_has_every_metric_once_with_its_type_and_help() -> None:
    listed = [each["name"] for each in json.loads(references.catalogue())["metrics"]]
    assert len(listed) == len(set(listed))
    for family in (*tables.families(), *account.FAMILIES):
        entry = CATALOGUE[family.name]
        assert (entry["type"], entry["help"]) == (family.type, family.help)
    assert {entry.name for entry in references.own()} <= set(listed)


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_number_has_its_unit_and_what_is_true_or_false_has_none(name: str) -> None:
    """The API's own rates have none either: theirs is not documented."""
    entry = CATALOGUE[name]
    has_none = bool(TRUE_OR_FALSE.search(entry["help"])) or "in the API's unit" in entry["help"]
    assert bool(entry["unit"]) != has_none, entry
    if entry["unit"] == "seconds":
        assert name.removesuffix("_total").endswith("_seconds")


def test_each_metric_has_a_stability_and_the_page_names_those_that_may_change() -> None:
    assert {each["stability"] for each in CATALOGUE.values()} == {"stable", "experimental"}, "one is deprecated: say so"
    assert "Nothing is deprecated now." in PAGE
    (entry,) = re.findall(r"^- .*stability `experimental`(?:.*\n(?!- ))*", PAGE, re.MULTILINE)
    named = tuple(re.findall(r"`(directmail_\w+_)\*`", entry))
    assert named == references.EXPERIMENTS
    for name, each in CATALOGUE.items():
        assert (each["stability"] == "experimental") == name.startswith(named)


def test_no_alert_rests_on_a_metric_that_may_change() -> None:
    experimental = {name for name, each in CATALOGUE.items() if each["stability"] == "experimental"}
    assert experimental
    assert [rule["alert"] for rule in ALERTS if any(name in rule["expr"] for name in experimental)] == []


def test_the_lines_that_find_unknown_metrics_find_them(tmp_path: Path) -> None:
    """Only a name that does not exist is printed of a rule file that has one."""
    lines = [line[4:] for line in PAGE.splitlines() if line.startswith("    ")]
    assert lines[0].startswith("jq -r '.metrics[].name' docs/metrics.json | sort")
    (tmp_path / "known.txt").write_text("".join(f"{name}\n" for name in sorted(CATALOGUE)))
    (tmp_path / "my-rules.yml").write_text(
        "expr: rate(directmail_track_observed_opens_total[5m]) > directmail_track_oopens\n"
        "expr: rate(directmail_exporter_api_request_duration_seconds_bucket[5m])\n"
    )
    assert _output(lines[1], tmp_path) == "directmail_track_oopens\n"
    (tmp_path / "my-rules.yml").write_text((RULES / "directmail-alerts.rules.yml").read_text())
    assert _output(lines[1], tmp_path) == ""


def _output(command: str, folder: Path) -> str:
    environment = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=folder, env=environment, check=True
    )
    return done.stdout
