"""The rules: their unit tests by promtool; rules, thresholds, runbooks and routing that belong together."""

import re
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from exporter.metrics import tables
from tests.support.own_metrics import own_metrics
from tools import project

ROOT = Path(__file__).parents[2]
RULES = ROOT / "prometheus"
CASES = sorted((RULES / "tests").glob("*.yml"))
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()
ALERTING = (ROOT / "docs" / "alerting.md").read_text()


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


GROUPS = {
    group["name"]: group["rules"]
    for path in (RULES / "directmail-recording.rules.yml", RULES / "directmail-alerts.rules.yml")
    for group in load(path)["groups"]
}
EVERY_RULE = [rule for rules in GROUPS.values() for rule in rules]
ALERTS = [rule for rule in EVERY_RULE if "alert" in rule]
ALERT_NAMES = {rule["alert"] for rule in ALERTS}
EXPORTED = own_metrics() | {family.name for family in tables.FAMILIES}
EXIST = EXPORTED | {rule["record"] for rule in EVERY_RULE if "record" in rule}
THRESHOLDS = {rule["labels"]["threshold"]: rule["expr"] for rule in GROUPS["directmail.thresholds"]}
ROUTING = load(RULES / "alertmanager.yml")


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_rules_do_what_their_unit_tests_say(path: Path, tool: Callable[[str], Path]) -> None:
    run(tool("promtool"), "test", "rules", path)


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
    for path in CASES:
        for test in load(path)["tests"]:
            for check in test["promql_expr_test"]:
                if name := re.search(r'alertname="(\w+)"', check["expr"]):
                    yield Case(name[1], f"{path.stem}: {test['name']}: {check['expr']}", bool(check["exp_samples"]))


@pytest.mark.parametrize("alert", sorted(ALERT_NAMES))
def test_each_alert_is_seen_to_fire_and_twice_to_be_silent(alert: str) -> None:
    seen: defaultdict[bool, set[str]] = defaultdict(set)
    for case in cases():
        if case.alert == alert:
            seen[case.fires].add(case.series)
    assert len(seen[True]) >= 1
    assert len(seen[False]) >= 2


def test_unit_tests_name_only_alerts_that_exist() -> None:
    assert {case.alert for case in cases()} <= ALERT_NAMES


def test_the_unit_tests_evaluate_all_groups_in_their_order() -> None:
    orders = {tuple(load(path).get("group_eval_order", ())) for path in CASES}
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


def test_the_alert_on_missing_thresholds_knows_how_many_there_are() -> None:
    (alert,) = (rule for rule in ALERTS if rule["alert"] == "DirectMailThresholdsMissing")
    assert alert["expr"].endswith(f"< {len(THRESHOLDS)}")


def test_each_threshold_is_documented_with_its_value() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", ALERTING, re.MULTILINE))
    assert {name: f"vector({value})" for name, value in table.items()} == THRESHOLDS


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_an_alert_says_what_happened_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
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


PLACE = GROUPS["directmail.engagement"][0]["annotations"]["description"].split(":")[0]


@pytest.mark.parametrize("rule", GROUPS["directmail.engagement"], ids=lambda rule: f"{rule['alert']}-{rule['for']}")
def test_an_alert_on_a_stream_names_every_filter_of_the_stream(rule: dict[str, Any]) -> None:
    assert rule["annotations"]["description"].startswith(PLACE)
    assert set(re.findall(r"\$labels\.(\w+)", PLACE)) == {
        "target", "account_name", "tag_name", "dedicated_ip", "dedicated_ip_pool_id", "config_set_id",
    }  # fmt: skip


def test_each_alert_has_its_runbook_and_no_other_has() -> None:
    assert set(re.findall(r"^## (DirectMail\w+)$", RUNBOOKS, re.MULTILINE)) == ALERT_NAMES


def test_runbooks_ask_only_for_metrics_that_exist() -> None:
    assert {name.removesuffix("_bucket") for name in mentioned(RUNBOOKS)} - EXIST == set()


def test_alerts_that_must_be_acted_on_now_are_the_few_that_the_documentation_says() -> None:
    critical = {rule["alert"] for rule in ALERTS if rule["labels"]["severity"] == "critical"}
    rows = re.findall(r"^\| \[(DirectMail\w+)\]\(\S+\) \| ([\w, ]+) \|", ALERTING, re.MULTILINE)
    assert {name for name, _ in rows} == ALERT_NAMES
    assert {name for name, severity in rows if "critical" in severity} == critical


def test_alertmanager_takes_the_config(tool: Callable[[str], Path]) -> None:
    run(tool("amtool"), "check-config", RULES / "alertmanager.yml")


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        pytest.param(["alertname=DirectMailTrackingBroken", "severity=critical"], "on-call", id="critical"),
        pytest.param(["alertname=DirectMailApiErrors", "severity=warning"], "email-operations", id="warning"),
        pytest.param(["alertname=DirectMailClickRateDrop", "severity=info"], "daily-digest", id="info"),
        pytest.param(["alertname=NodeDown", "severity=critical"], "other-alerts", id="somebody else's"),
    ],
)
def test_an_alert_goes_where_its_severity_says(labels: list[str], receiver: str, tool: Callable[[str], Path]) -> None:
    found = run(tool("amtool"), "config", "routes", "test", f"--config.file={RULES / 'alertmanager.yml'}", *labels)
    assert found.split() == [receiver]


def matchers(rule: dict[str, Any], side: str) -> Iterator[str]:
    """The alert names that one side of an inhibition is about, as a regular expression."""
    for matcher in rule[f"{side}_matchers"]:
        if found := re.fullmatch(r'alertname=~?"(.+)"', matcher):
            yield found[1]


@pytest.mark.parametrize("side", ["source", "target"])
def test_every_word_of_an_inhibition_speaks_of_an_alert(side: str) -> None:
    for rule in ROUTING["inhibit_rules"]:
        (pattern,) = matchers(rule, side)
        prefix, words, suffix = re.fullmatch(r"(\w+?)(?:\((.+)\))?(\.\+)?", pattern).groups()  # type: ignore[union-attr]
        for word in (words or "").split("|"):
            assert any(re.fullmatch(prefix + word + (suffix or ""), name) for name in ALERT_NAMES), prefix + word


def test_being_blind_mutes_every_alert_on_opens_clicks_and_volume_and_no_other() -> None:
    (pattern,) = matchers(ROUTING["inhibit_rules"][0], "target")
    muted = {name for name in ALERT_NAMES if re.fullmatch(pattern, name)}
    assert muted == {rule["alert"] for rule in GROUPS["directmail.engagement"]}
