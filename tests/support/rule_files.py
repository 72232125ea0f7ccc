"""Our rule files and their unit tests as they are written, and promtool around them."""

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


def run(*command: str | Path) -> str:
    """Return what a program prints; it must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
