"""Our rule files: as they are, by pass for a backfill, and with time running faster."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from exporter.config.durations import parse_duration
from tools.artefacts import ROOT

FOLDER = ROOT / "prometheus"
RECORDING, ALERTS = FOLDER / "directmail-recording.rules.yml", FOLDER / "directmail-alerts.rules.yml"
SECOND_PASS = ("directmail.ratios",)
"""Groups that need what the others record."""
PROMETHEUS, ALERTMANAGER = FOLDER / "prometheus.yml", FOLDER / "alertmanager.yml"
WAITS = ("group_wait", "group_interval", "repeat_interval")
IN_EXPRESSION = re.compile(r"(?:(?<=\[)|(?<=:)(?=\d+[smhdwy]\])|(?<=offset ))(?:\d+(?:ms|[smhdwy]))+")
"""A duration in PromQL: a range, the step of a subquery, an offset."""


@dataclass(frozen=True)
class Alert:
    """An alert rule, durations in seconds."""

    name: str
    group: str
    expression: str
    severity: str
    waits: float
    """How long the expression must hold."""
    keeps: float
    """How long it keeps firing after that."""


def alerts() -> Iterator[Alert]:
    """Yield our alert rules."""
    for group, rule in ((each["name"], rule) for each in _groups(ALERTS) for rule in each["rules"]):
        yield Alert(
            rule["alert"],
            group,
            rule["expr"],
            rule["labels"]["severity"],
            seconds(rule.get("for", "0s")),
            seconds(rule.get("keep_firing_for", "0s")),
        )


def passes(folder: Path) -> list[Path]:
    """Write the recording rules as files for a backfill, which sees what it records only in its next pass."""
    groups = _groups(RECORDING)
    parts = ([each for each in groups if (each["name"] in SECOND_PASS) == late] for late in (False, True))
    return [_write(folder / f"pass-{number}.rules.yml", part) for number, part in enumerate(parts, 1)]


def seconds(text: str) -> float:
    """Return the seconds of a Prometheus duration such as `1h30m`, or `0s`."""
    return 0.0 if text == "0s" else parse_duration(text)


def _groups(path: Path) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load(path.read_text())["groups"]
    return groups


def _write(path: Path, groups: list[dict[str, Any]]) -> Path:
    path.write_text(yaml.safe_dump({"groups": groups}, sort_keys=False))
    return path


def scaled(folder: Path, speed: float, offset: float) -> list[Path]:
    """Write both rule files for a world whose clock runs `speed` times as fast as Prometheus' own.

    Every duration is divided by the speed, and `time()` is the world's: Prometheus' time multiplied by the speed,
    plus `offset` (what the world's clock shows at Prometheus' time 0). Nothing else is changed.
    """
    clock = f"({offset:.3f} + time() * {speed:g})"
    written = []
    for path in (RECORDING, ALERTS):
        groups = _groups(path)
        for group in groups:
            group["interval"] = shorter("1m", speed)
            for rule in group["rules"]:
                rule["expr"] = IN_EXPRESSION.sub(lambda match: shorter(match[0], speed), rule["expr"])
                rule["expr"] = rule["expr"].replace("time()", clock)
                for key in ("for", "keep_firing_for"):
                    if key in rule:
                        rule[key] = shorter(rule[key], speed)
        written.append(_write(folder / path.name, groups))
    return written


def routes(receiver: str, speed: float = 1.0) -> str:
    """Return our Alertmanager's config with its webhooks at another address (`host:port`) and shorter waits."""
    document = yaml.safe_load(ALERTMANAGER.read_text())
    pending = [document["route"]]
    while pending:
        route = pending.pop()
        pending += route.get("routes", [])
        route.update({key: shorter(route[key], speed) for key in WAITS if key in route})
    for each in document["receivers"]:
        for webhook in each.get("webhook_configs", []):
            webhook["url"] = f"http://{receiver}/{each['name']}"
    return str(yaml.safe_dump(document, sort_keys=False))


def shorter(duration: str, speed: float) -> str:
    """Return a Prometheus duration divided by a speed, in whole milliseconds."""
    return f"{max(1, round(seconds(duration) / speed * 1000))}ms"
