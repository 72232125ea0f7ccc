"""Which alerts fire over a history, when, and which of them are notified."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp

from tools.stack.prometheus import Prometheus
from tools.stack.rules import Alert

SETTLED = 0.5
"""Seconds in which an Alertmanager processes what it was sent."""
BATCH = 500
"""Alerts in one request."""


@dataclass(frozen=True, eq=False)
class Firing:
    """An alert that fires, from when until when (seconds since the epoch, the end exclusive)."""

    alert: str
    severity: str
    labels: Mapping[str, str]
    since: float
    until: float

    @property
    def title(self) -> str:
        return f"{self.alert.removeprefix('DirectMail')} {self.severity}"

    @property
    def world(self) -> str:
        return self.labels.get("target", "")


async def firings(server: Prometheus, alerts: Iterable[Alert], start: float, end: float, step: float) -> list[Firing]:
    """Return what fires between two moments when rules are evaluated every `step` seconds, as Prometheus does it."""
    async with asyncio.TaskGroup() as group:
        requested = [
            (alert, group.create_task(server.query_range(alert.expression, start, end, step))) for alert in alerts
        ]
    found = []
    for alert, response in requested:
        for series in response.result():
            labels = {name: value for name, value in series["metric"].items() if name != "__name__"}
            moments = [float(at) for at, _ in series["values"]]
            for since, until in episodes(moments, step, alert.waits, alert.keeps):
                found.append(Firing(alert.name, alert.severity, labels, since, until))
    return found


def episodes(moments: Sequence[float], step: float, waits: float, keeps: float) -> list[tuple[float, float]]:
    """Return when an alert fires whose expression has a value at these moments, evaluated every `step` seconds.

    It fires when the expression held for `waits` seconds, and continues for `keeps` seconds after it held last
    (Prometheus' `for` and `keep_firing_for`).
    """
    found: list[tuple[float, float]] = []
    held_since = before = float("-inf")
    for now in moments:
        fires_still = bool(found) and now <= found[-1][1]
        if now - before > step * 1.5:
            held_since = now
        before = now
        if fires_still or now - held_since >= waits:
            until = now + step + keeps
            if fires_still:
                found[-1] = (found[-1][0], until)
            else:
                found.append((now, until))
    return found


async def notified(alertmanager: str, found: Sequence[Firing]) -> dict[Firing, float]:
    """Return since when each firing is not inhibited, for those that ever are: by a real Alertmanager's own rules.

    Every moment at which something changes in a world is shown to it as a world of its own, all of them at once.
    """
    moments: dict[str, tuple[float, list[Firing]]] = {}
    for world in {each.world for each in found}:
        there = [each for each in found if each.world == world]
        for now in sorted({each.since for each in there} | {each.until for each in there}):
            firing = [each for each in there if each.since <= now < each.until]
            moments[f"{world}@{now:.0f}"] = (now, firing)
    posted: dict[frozenset[tuple[str, str]], tuple[float, Firing]] = {}
    for place, (now, firing) in moments.items():
        for each in firing:
            shown = {**each.labels, "alertname": each.alert, "severity": each.severity, "target": place}
            posted[frozenset((name, value) for name, value in shown.items() if value)] = (now, each)
    notified_at: dict[Firing, float] = {}
    for document in await _shown(alertmanager, [dict(labels) for labels in posted]):
        labels = frozenset(document["labels"].items())
        if document["status"]["inhibitedBy"] or labels not in posted:
            continue
        now, each = posted[labels]
        notified_at[each] = min(notified_at.get(each, now), now)
    return notified_at


async def _shown(alertmanager: str, alerts: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Send alerts with these labels and return them as the Alertmanager shows them."""
    ends = datetime.fromtimestamp(4_000_000_000, UTC).isoformat()
    url = f"{alertmanager}/api/v2/alerts"
    async with aiohttp.ClientSession() as session:
        for first in range(0, len(alerts), BATCH):
            batch = [{"labels": labels, "endsAt": ends} for labels in alerts[first : first + BATCH]]
            async with session.post(url, json=batch) as response:
                response.raise_for_status()
        await asyncio.sleep(SETTLED)
        async with session.get(url) as response:
            documents: list[dict[str, Any]] = await response.json()
    return documents
