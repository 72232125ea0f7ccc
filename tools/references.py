"""`python -m tools.references` writes docs/metrics.md and docs/metrics.json from the tables of metrics.

`make docs` runs it.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry

from exporter.config.queries import FILTER_KEYS
from exporter.metrics import account, tables, telemetry
from exporter.metrics.table import POLLED

FOLDER = Path(__file__).parents[1] / "docs"
PAGE, CATALOGUE = FOLDER / "metrics.md", FOLDER / "metrics.json"
QUERY_LABELS = ("target", "query", *FILTER_KEYS)
STABLE, EXPERIMENTAL = "stable", "experimental"
EXPERIMENTS = ("directmail_track_reported_", "directmail_exporter_reported_rate_", "directmail_exporter_implausible_")
"""How the names of experimental metrics begin: they follow what the API's documentation leaves open."""
OWN = "exporter"
"""The source of what no field of the API has."""
UNITS = {
    "_per_minute": "requests per minute",
    "_ratio": "ratio",
    "_seconds": "seconds",
    "_emails": "emails",
    "_emails_remaining": "emails",
    "_opens": "opens",
    "_clicks": "clicks",
    "_level": "levels",
    "_level_max": "levels",
    "_requests": "requests",
    "_errors": "requests",
    "_cells": "cells",
    "_combinations_dropped": "combinations",
    "_decreases": "decreases",
    "_counts": "cells",
    "_mismatches": "cells",
    "_lines_dropped": "lines",
    "_values": "values",
}
"""By the end of a name, `_total` left out. What has none of them is 1 or 0, or in a unit that is not documented."""

HEAD = """# Metrics

<!-- Written by `make docs` from the tables in exporter/metrics/. Edit those. -->

Every metric with its HELP text. How to read the values: [semantics.md](semantics.md).

All values are polled: today's every `directmail_exporter_poll_interval_seconds`, ended days less often.
A scrape reads the values in memory and never calls the API.

A *combination* is one set of filter values of a query: one sender, one sender and provider.
A *cell* is one combination on one day.
A filter label is `""` if the query does not set that filter. The constant `labels` of a target are added to these.
Series of different queries overlap: sum within one `query` only.

[metrics.json](metrics.json) has the same for programs: name, type, unit, labels, source, stability and HELP text.
Metrics are stable unless marked; [stability.md](stability.md) says what that means.
"""


class Entry(NamedTuple):
    """One metric as the reference shows it."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str
    source: str = ""
    """The fields of the API's answers that it is made of, as Markdown."""

    @property
    def unit(self) -> str:
        """The unit, "" where there is none or it is not documented."""
        name = self.name.removesuffix("_total")
        return next((unit for end, unit in UNITS.items() if name.endswith(end)), "")

    @property
    def stability(self) -> str:
        """What docs/stability.md promises of it."""
        return EXPERIMENTAL if self.name.startswith(EXPERIMENTS) else STABLE


class Section(NamedTuple):
    """Metrics that belong together."""

    title: str
    what: str
    entries: Sequence[Entry]


def text() -> str:
    """Return the whole of docs/metrics.md."""
    return "\n".join([HEAD, *(line for section in _sections() for line in _lines(section))]) + "\n"


def catalogue() -> str:
    """Return the whole of docs/metrics.json: every metric, for programs."""
    metrics = [
        {
            "name": each.name,
            "type": each.type,
            "unit": each.unit,
            "labels": each.labels,
            "source": each.source.replace("`", "") or OWN,
            "stability": each.stability,
            "help": each.help,
        }
        for section in _sections()
        for each in section.entries
    ]
    return json.dumps({"metrics": metrics}, indent=2, ensure_ascii=False) + "\n"


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


def _sections() -> Iterator[Section]:
    window = (*QUERY_LABELS, "window")
    for name, table in tables.TABLES.items():
        of, rows = f"{name.capitalize()}: ", table.rows
        yield Section(
            f"{of}windows",
            "Sums over a window's days. Absent until every day of the window is known, and when the data is stale.",
            [Entry(row.name, "gauge", window, row.help, row.source) for row in rows if not row.reported],
        )
        yield Section(
            f"{of}the API's own rates",
            "With `reported_rates: true` only. Their unit is not documented.",
            [Entry(row.name, "gauge", window, row.help, row.source) for row in rows if row.reported],
        )
        yield Section(
            f"{of}observed growth",
            "Counters for `increase()` and `rate()`. The first read of a day counts only if the day began after the "
            "combination's first read. A count that decreases adds nothing.",
            [Entry(row.name, "counter", QUERY_LABELS, row.help, row.source) for row in table.counters],
        )
    yield Section(
        "Health of combinations",
        "Exported for every combination, with or without data.",
        [Entry(row.name, "gauge", (*QUERY_LABELS, "statistic"), row.help) for row in tables.HEALTH],
    )
    yield Section(
        "Bounds of windows",
        "Start and end of each window.",
        [Entry(row.name, "gauge", ("target", "window"), row.help) for row in tables.BOUNDS],
    )
    yield Section(
        "The account and its domains",
        "With `account_interval` and `domains_interval` only. Kept between reads; absent when reads fail for too long.",
        [Entry(row.name, "gauge", ("target", *row.labels), row.help, row.source) for row in account.ROWS],
    )
    yield Section(
        "The exporter",
        "Its requests, budget and config. The usual `process_*` and `python_*` are exported too, unless "
        "`--web.disable-exporter-metrics` is set.",
        own(),
    )


def _lines(section: Section) -> Iterator[str]:
    entries = section.entries
    if not entries:
        return
    shared = {each.labels for each in entries}
    yield f"## {section.title}\n\n{section.what}"
    if len(shared) == 1:
        yield f"\nLabels: {_labels(entries[0].labels)}."
    columns = {
        "metric": [f"`{each.name}`" for each in entries],
        "type": [each.type for each in entries],
        "from": [each.source for each in entries],
        "labels": [_labels(each.labels) if len(shared) > 1 else "" for each in entries],
        "stability": [each.stability if each.stability != STABLE else "" for each in entries],
        "HELP": [each.help.removesuffix(POLLED).strip() for each in entries],
    }
    filled = {name: cells for name, cells in columns.items() if any(cells)}
    yield f"\n| {' | '.join(filled)} |\n|{' --- |' * len(filled)}"
    yield from (f"| {' | '.join(row)} |" for row in zip(*filled.values(), strict=True))
    yield ""


def _labels(labels: tuple[str, ...]) -> str:
    return ", ".join(f"`{label}`" for label in labels)


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
    CATALOGUE.write_text(catalogue(), encoding="utf-8")
