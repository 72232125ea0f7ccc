"""The rules: their unit tests by promtool; rules, thresholds and runbooks that belong together."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.support.boards import matchers, selectors
from tests.support.own_metrics import CATALOGUE, all_metrics
from tests.support.rule_files import (
    ALERT_NAMES,
    ALERTS,
    EVERY_RULE,
    GROUPS,
    ON_MAIL,
    ROOT,
    RULES,
    UNIT_TESTS,
    load,
    name_of,
    regarded,
    run,
    with_less,
)
from tools import project

RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()
ALERTING = (ROOT / "docs" / "alerting.md").read_text()
EXPORTED = all_metrics()
EXIST = EXPORTED | {rule["record"] for rule in EVERY_RULE if "record" in rule}
EXIST_BY_RULE = {name_of(rule) for rule in EVERY_RULE}
THRESHOLDS = {rule["labels"]["threshold"]: rule["expr"] for rule in GROUPS["directmail.thresholds"]}


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_rules_pass_their_unit_tests(path: Path, tool: Callable[[str], Path], tmp_path: Path) -> None:
    """`promtool test rules prometheus/tests/*.yml` runs them with every rule."""
    case = tmp_path / path.name
    case.write_text(yaml.safe_dump(with_less(path, tmp_path), sort_keys=False, width=10_000_000))
    run(tool("promtool"), "test", "rules", case)


def test_a_rule_is_left_out_only_where_nothing_depends_on_it() -> None:
    """Alerts that a test queries stay, with what they compare; all stay where it queries any alert."""
    case = load(RULES / "tests" / "tracking_test.yml")
    needed = regarded(case) & EXIST_BY_RULE
    assert {"DirectMailTrackingBroken", "DirectMailClickTrackingBroken", "directmail:threshold"} <= needed
    assert "DirectMailVolumeSpike" not in needed
    for rule in EVERY_RULE:
        if name_of(rule) in needed:
            assert mentioned(rule["expr"]) & EXIST_BY_RULE <= needed
    any_alert = {"tests": [{"promql_expr_test": [{"expr": "count(ALERTS)"}]}]}
    assert regarded(any_alert) == EXIST_BY_RULE


def test_the_rules_and_the_config_that_loads_them_are_sound(tool: Callable[[str], Path]) -> None:
    checked = run(tool("promtool"), "check", "config", RULES / "prometheus.yml")
    assert f"{len(ALERTS)} rules found" in checked
    assert f"{len(EVERY_RULE) - len(ALERTS)} rules found" in checked


class Case(NamedTuple):
    alert: str
    series: str
    fires: bool


def cases() -> Iterator[Case]:
    """What the unit tests look at: an alert for some series of one test, and whether it fires."""
    for path in UNIT_TESTS:
        for test in load(path)["tests"]:
            for check in test["promql_expr_test"]:
                if name := re.search(r'alertstate="firing",alertname="(\w+)"', check["expr"]):
                    yield Case(name[1], f"{path.stem}: {test['name']}: {check['expr']}", bool(check["exp_samples"]))


@pytest.mark.parametrize("alert", sorted(ALERT_NAMES))
def test_each_alert_has_a_test_that_fires_and_two_that_do_not(alert: str) -> None:
    seen: defaultdict[bool, set[str]] = defaultdict(set)
    for case in cases():
        if case.alert == alert:
            seen[case.fires].add(case.series)
    assert len(seen[True]) >= 1
    assert len(seen[False]) >= 2


def test_unit_tests_name_only_alerts_that_exist() -> None:
    assert {case.alert for case in cases()} <= ALERT_NAMES


def test_the_unit_tests_evaluate_all_groups_in_their_order() -> None:
    orders = {tuple(load(path).get("group_eval_order", ())) for path in UNIT_TESTS}
    assert orders == {tuple(GROUPS), ()}


def mentioned(text: str) -> set[str]:
    return set(re.findall(r"[\w:]*directmail_[\w:]+", text))


def test_rules_use_only_metrics_that_exist() -> None:
    used = {name for rule in EVERY_RULE for name in mentioned(rule["expr"])}
    assert used - EXIST == set()


def test_each_threshold_is_used_and_each_that_is_used_exists() -> None:
    used = {
        name for rule in EVERY_RULE for name in re.findall(r'directmail:threshold\{threshold="(\w+)"\}', rule["expr"])
    }
    assert used == set(THRESHOLDS)


def test_the_alert_on_missing_thresholds_counts_all_of_them() -> None:
    (alert,) = (rule for rule in ALERTS if rule["alert"] == "DirectMailThresholdsMissing")
    assert alert["expr"].endswith(f"< {len(THRESHOLDS)}")


def test_each_threshold_is_documented_with_its_value() -> None:
    written = set(re.findall(r"`(\w+)` \(([\d.]+)\)", ALERTING))
    assert {(name, f"vector({value})") for name, value in written} == set(THRESHOLDS.items())


def test_each_alert_is_documented_with_the_thresholds_it_uses() -> None:
    """`history_days` is explained once, for all of them."""
    for rule in ALERTS:
        (row,) = (line for line in ALERTING.splitlines() if line.startswith(f"| [{rule['alert']}]"))
        used = set(re.findall(r'directmail:threshold\{threshold="(\w+)"\}', rule["expr"])) - {"history_days"}
        assert used <= set(re.findall(r"`(\w+)` \(", row)), rule["alert"]


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_an_alert_has_summary_severity_and_runbook(rule: dict[str, Any]) -> None:
    notes = rule["annotations"]
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert notes.keys() == {"summary", "description", "runbook_url", "dashboard_url"}
    assert "{{" not in notes["summary"]
    assert "{{" in notes["description"] or rule["alert"] == "DirectMailExporterAbsent"
    runbooks = project.project()["urls"]["Documentation"] + "/runbooks.md"
    assert notes["runbook_url"] == f"{runbooks}#{rule['alert'].lower()}"
    assert notes["dashboard_url"] in {
        "https://grafana.example.com/d/directmail-engagement",
        "https://grafana.example.com/d/directmail-exporter",
    }


PLACE = ON_MAIL[0]["annotations"]["description"].split(":")[0]


@pytest.mark.parametrize("rule", ON_MAIL, ids=lambda rule: f"{rule['alert']}-{rule['for']}")
def test_an_alert_on_a_stream_names_every_filter_of_the_stream(rule: dict[str, Any]) -> None:
    assert rule["annotations"]["description"].startswith(PLACE)
    assert set(re.findall(r"\$labels\.(\w+)", PLACE)) == {
        "target", "account_name", "tag_name", "dedicated_ip", "dedicated_ip_pool_id", "config_set_id",
    }  # fmt: skip


def test_each_alert_has_its_runbook_and_no_other_has() -> None:
    assert set(re.findall(r"^## (DirectMail\w+)$", RUNBOOKS, re.MULTILINE)) == ALERT_NAMES


def test_runbooks_use_only_metrics_that_exist() -> None:
    assert {name.removesuffix("_bucket") for name in mentioned(RUNBOOKS)} - EXIST == set()


def test_critical_alerts_are_the_few_that_the_documentation_lists() -> None:
    critical = {rule["alert"] for rule in ALERTS if rule["labels"]["severity"] == "critical"}
    rows = re.findall(r"^\| \[(DirectMail\w+)\]\(\S+\) \| ([\w, ]+) \|", ALERTING, re.MULTILINE)
    assert {name for name, _ in rows} == ALERT_NAMES
    assert {name for name, severity in rows if "critical" in severity} == critical


def test_rules_select_only_by_labels_that_the_metric_has() -> None:
    """`job` and `instance` are Prometheus' own."""
    unknown = {
        (selector.name, label)
        for rule in EVERY_RULE
        for selector, _ in selectors(rule["expr"])
        if selector.name in CATALOGUE
        for label in matchers(selector)
        if label not in {*CATALOGUE[selector.name]["labels"], "job", "instance"}
    }
    assert unknown == set()
