"""Our rule files and their unit tests as they are written, and promtool around them."""

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "prometheus"
UNIT_TESTS = sorted((RULES / "tests").glob("*.yml"))


def load(path: Path) -> Any:
    """Return what a YAML file has."""
    return yaml.load(path.read_text(), Loader=yaml.CSafeLoader)


GROUPS: dict[str, list[dict[str, Any]]] = {
    group["name"]: group["rules"]
    for path in (RULES / "directmail-recording.rules.yml", RULES / "directmail-alerts.rules.yml")
    for group in load(path)["groups"]
}
EVERY_RULE = [rule for rules in GROUPS.values() for rule in rules]
ALERTS = [rule for rule in EVERY_RULE if "alert" in rule]
ALERT_NAMES = {rule["alert"] for rule in ALERTS}
ON_MAIL = [*GROUPS["directmail.engagement"], *GROUPS["directmail.delivery"]]
"""The alerts on opens, clicks, volume and delivery, each of which has filters."""


NAME = re.compile(r"[a-zA-Z_:][\w:]*")


def regarded(case: dict[str, Any]) -> set[str]:
    """Return the alerts and records that the result of a file of unit tests depends on, through whatever rules.

    All of them where it looks at alerts without saying which.
    """
    written = [
        text
        for test in case["tests"]
        for text in (
            *(check["expr"] for check in test.get("promql_expr_test", ())),
            *(check["alertname"] for check in test.get("alert_rule_test", ())),
        )
    ]
    if any("ALERTS" in text and not re.search(r'alertname="', text) for text in written):
        return {name_of(rule) for rule in EVERY_RULE}
    found: set[str] = set()
    mentioned = {name for text in written for name in NAME.findall(text)}
    while mentioned - found:
        found |= mentioned
        mentioned = {name for rule in EVERY_RULE if name_of(rule) in found for name in NAME.findall(rule["expr"])}
    return found


def name_of(rule: dict[str, Any]) -> str:
    """Return the name of an alert or of what is recorded."""
    return str(rule.get("alert") or rule["record"])


def with_less(path: Path, folder: Path) -> dict[str, Any]:
    """Return a file of unit tests with only the rules that its result depends on, which are written into `folder`.

    Most of promtool's time is for alerts that no line of the file looks at.
    """
    case: dict[str, Any] = load(path)
    needed = regarded(case)
    files = []
    for name in case["rule_files"]:
        rules = load(path.parent / name)
        for group in rules["groups"]:
            group["rules"] = [rule for rule in group["rules"] if name_of(rule) in needed]
        files.append(folder / f"needed.{Path(name).name}")
        files[-1].write_text(yaml.safe_dump(rules, sort_keys=False, width=10_000_000))
    return {**case, "rule_files": [str(file) for file in files]}


def run(*command: str | Path) -> str:
    """Return what a program prints; it must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
