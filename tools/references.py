"""`python -m tools.references` writes docs/metrics.md from the tables of metrics; `make docs` runs it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry

from exporter.config.queries import FILTER_KEYS
from exporter.metrics import account, tables, telemetry
from exporter.metrics.table import POLLED

FILE = Path(__file__).parents[1] / "docs" / "metrics.md"
QUERY_LABELS = ("target", "query", *FILTER_KEYS)

HEAD = """# Metrics

<!-- Written by `make docs` from the tables in exporter/metrics/. Edit those. -->

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
    """The fields of the API's answers that it is made of."""


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
    for name, table in tables.TABLES.items():
        of, rows = f"{name.capitalize()}: ", table.rows
        yield from _section(
            f"{of}windows",
            "The sum over a window's days. Absent until every day of the window is known, and when the data is stale.",
            [Entry(row.name, "gauge", window, row.help, row.source) for row in rows if not row.reported],
        )
        yield from _section(
            f"{of}the API's own rates",
            "With `reported_rates: true` only. Their unit is not documented.",
            [Entry(row.name, "gauge", window, row.help, row.source) for row in rows if row.reported],
        )
        yield from _section(
            f"{of}observed growth",
            "Counters for `increase()` and `rate()`. The first read of a day counts only where the day began after the "
            "combination was first read; a count that goes down adds nothing.",
            [Entry(row.name, "counter", QUERY_LABELS, row.help, row.source) for row in table.counters],
        )
    health = [Entry(row.name, "gauge", (*QUERY_LABELS, "statistic"), row.help) for row in tables.HEALTH]
    bounds = [Entry(row.name, "gauge", ("target", "window"), row.help) for row in tables.BOUNDS]
    yield from _section("Health of combinations", "There for every combination, whether it has data or not.", health)
    yield from _section("Bounds of windows", "Where the windows begin and end.", bounds)
    yield from _section(
        "The account and its domains",
        "With `account_interval` and `domains_interval` only. Held between two reads; absent when they fail for long.",
        [Entry(row.name, "gauge", ("target", *row.labels), row.help, row.source) for row in account.ROWS],
    )
    yield from _section(
        "The exporter",
        "Its calls, its budget, its config. With the usual `process_*` and `python_*`, unless "
        "`--web.disable-exporter-metrics` is set.",
        own(),
    )


def _section(title: str, what: str, entries: Iterable[Entry]) -> Iterator[str]:
    entries = list(entries)
    if not entries:
        return
    shared = {each.labels for each in entries}
    yield f"## {title}\n\n{what}"
    if len(shared) == 1:
        yield f"\nLabels: {_labels(entries[0].labels)}."
    columns = {
        "metric": [f"`{each.name}`" for each in entries],
        "type": [each.type for each in entries],
        "from": [each.source for each in entries],
        "labels": [_labels(each.labels) if len(shared) > 1 else "" for each in entries],
        "HELP": [each.help.removesuffix(POLLED).strip() for each in entries],
    }
    filled = {name: cells for name, cells in columns.items() if any(cells)}
    yield f"\n| {' | '.join(filled)} |\n|{' --- |' * len(filled)}"
    yield from (f"| {' | '.join(row)} |" for row in zip(*filled.values(), strict=True))
    yield ""


def _labels(labels: tuple[str, ...]) -> str:
    return ", ".join(f"`{label}`" for label in labels)


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
