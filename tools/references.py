"""`python -m tools.references` writes docs/metrics.md from the tables of metrics; `make docs` runs it."""

from collections.abc import Iterable, Iterator
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry

from exporter.commands import history_export
from exporter.config.queries import FILTER_KEYS
from exporter.directmail.answers import COUNTS, RATES
from exporter.directmail.model import RateSums, Totals
from exporter.metrics import tables, telemetry
from exporter.metrics.tables import Row, Sum

FILE = Path(__file__).parents[1] / "docs" / "metrics.md"
PROBE = Totals(2, 3, 5, 7, 11)
"""Counts that tell apart which of them a value is made of, ratios included."""
RATE_PROBE = RateSums(26.0, 34.0, 38.0, 46.0)
QUERY_LABELS = ("target", "query", *FILTER_KEYS)

HEAD = """# Metrics

<!-- Written by `make docs` from exporter/metrics/tables.py and exporter/metrics/telemetry.py. Edit those. -->

Every metric, with what its HELP text says. What the numbers mean, and what they do not: [semantics.md](semantics.md).

All values are polled: today's every `directmail_exporter_poll_interval_seconds`, ended days less often.
A scrape reads what is held and never calls the API.
A filter label is `""` where the query does not filter by it. The constant `labels` of a target come on top.
Series of different queries overlap: sum within one `query` only.
"""


class Entry(NamedTuple):
    """One metric as the reference shows it."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str
    source: str = ""
    """What of GetTrackList's answer it is made of."""


def text() -> str:
    """Return the whole of docs/metrics.md."""
    return "\n".join([HEAD, *_sections()]) + "\n"


def own() -> list[Entry]:
    """Return the exporter's own metrics, those that prometheus_client brings along left out."""
    registry = CollectorRegistry()
    telemetry.Telemetry(registry, {})
    found = []
    for collector in registry._collector_to_names:  # noqa: SLF001  there is no other way to a metric's labels
        for family in getattr(collector, "describe", list)():
            labels = getattr(family, "_labelnames", ()) or getattr(collector, "_labelnames", ())
            name = family.name + ("_total" if family.type == "counter" else "")
            found.append(Entry(name, family.type, tuple(labels), family.documentation))
    return sorted(each for each in found if each.name.startswith("directmail"))


def _sections() -> Iterator[str]:
    window = (*QUERY_LABELS, "window")
    gauges = [Entry(row.name, "gauge", window, row.help, source(row)) for row in tables.ROWS if not row.reported]
    reported = [Entry(row.name, "gauge", window, row.help, source(row)) for row in tables.ROWS if row.reported]
    counters = [
        Entry(row.name, "counter", QUERY_LABELS, row.help, f"`{COUNTS[PROBE.index(int(row.value(PROBE)))]}`")
        for row in tables.COUNTERS
    ]
    health = [Entry(row.name, "gauge", QUERY_LABELS, row.help) for row in tables.HEALTH]
    bounds = [Entry(row.name, "gauge", ("target", "window"), row.help) for row in tables.BOUNDS]
    days = [Entry(row.name, "gauge", QUERY_LABELS, row.help, source(row)) for row in history_export.DAY_ROWS]
    yield from _section(
        "Windows",
        "The sum over a window's days. Absent until every day of the window is known, and when the data is stale.",
        gauges,
    )
    yield from _section(
        "The API's own rates", "With `reported_rates: true` only. Their unit is not documented.", reported
    )
    yield from _section(
        "Observed growth",
        "Counters for `increase()` and `rate()`. The first read of a day counts only where the day began after the "
        "combination was first read; a count that goes down adds nothing.",
        counters,
    )
    yield from _section("Health of combinations", "There for every combination, whether it has data or not.", health)
    yield from _section("Bounds of windows", "Where the windows begin and end.", bounds)
    yield from _section(
        "History",
        "In the file that `backfill` writes, never in a scrape: each day's own counts, at the end of the day.",
        days,
    )
    yield from _section(
        "The exporter",
        "Its calls, its budget, its config. With the usual `process_*` and `python_*`, unless "
        "`--web.disable-exporter-metrics` is set.",
        own(),
    )


def _section(title: str, what: str, entries: Iterable[Entry]) -> Iterator[str]:
    entries = list(entries)
    shared = {each.labels for each in entries}
    yield f"## {title}\n\n{what}"
    if len(shared) == 1:
        yield f"\nLabels: {_labels(entries[0].labels)}."
    columns = {
        "metric": [f"`{each.name}`" for each in entries],
        "type": [each.type for each in entries],
        "from": [each.source for each in entries],
        "labels": [_labels(each.labels) if len(shared) > 1 else "" for each in entries],
        "HELP": [each.help.removesuffix(tables.POLLED).strip() for each in entries],
    }
    filled = {name: cells for name, cells in columns.items() if any(cells)}
    yield f"\n| {' | '.join(filled)} |\n|{' --- |' * len(filled)}"
    yield from (f"| {' | '.join(row)} |" for row in zip(*filled.values(), strict=True))
    yield ""


def _labels(labels: tuple[str, ...]) -> str:
    return ", ".join(f"`{label}`" for label in labels)


def source(row: Row) -> str:
    """Return which fields of the answer a row's value is made of, as the row itself tells of made-up ones."""
    value = row.value(Sum(PROBE, RATE_PROBE))
    for field, count in zip(COUNTS, PROBE, strict=True):
        if value == count:
            return f"`{field}`"
    for field, rates in zip(RATES, RATE_PROBE, strict=True):
        if rates is not None and value == rates / PROBE.emails:
            return f"`{field}`"
    pairs = permutations(zip(COUNTS, PROBE, strict=True), 2)
    over, under = next((over, under) for (over, top), (under, bottom) in pairs if value == top / bottom)
    return f"`{over}` / `{under}`"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
