"""`python -m tools.references` writes docs/metrics.md and docs/metrics.json from the tables of metrics.

`make docs` runs it.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry

from exporter.config.queries import FILTER_KEYS
from exporter.metrics import account, tables, telemetry
from tools.artefacts import ROOT, write

FOLDER = ROOT / "docs"
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

SHARED = (
    r" \((?:\w+(?:, )?)+\)(?=[,.:])",
    r"^Rcpt\w+ as reported.*",
    r",(?: sum)? over the window",
    r": growth observed between polls, regardless of send date",
    r" Computed from polled counts; absent when the denominator is 0\.",
    r" Polled from the API\.",
    r" Polled every \w+_interval\.",
    r", 1 or 0",
    r", in Unix seconds",
)
"""What many HELP texts share; the page says it once: the API's fields have a column, the rest is in HEAD."""

HEAD = """# Metrics

<!-- Written by `make docs` from the tables in exporter/metrics/. Edit those. -->

Every metric with its HELP text. [semantics.md](semantics.md) explains the values.
[metrics.json](metrics.json) has types, units and complete texts for programs.

- All values are polled. A scrape reads memory and never calls the API.
- A *combination* is one set of filter values of a query; a *cell* is one combination on one day.
- The *filter labels* are {filters}.
  One is `""` if the query does not set that filter. A target's constant `labels` are added.
- Series of different queries overlap: sum within one `query` only.
- `_total` marks counters, `_duration_seconds` a histogram; all others are gauges.
- *Whether* is 1 or 0. A timestamp is in Unix seconds.
- Metrics are stable unless marked experimental ([stability.md](stability.md)).
"""
WINDOWS = """Gauges are sums over a window's days, and ratios of these sums. They are absent until every day is known,
when the data is stale, or when the denominator is 0. The `observed` counters count growth between polls, regardless of
send date ([semantics.md](semantics.md#observed-counters)).

Labels: `target`, `query`, filter labels; gauges also `window`."""


class Entry(NamedTuple):
    """One metric as the reference shows it."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str
    source: str = ""
    """The fields of the API's responses that it is made of, as Markdown."""

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
    has_labels: bool = False
    """Whether the labels differ and have a column; otherwise `what` names them."""


def text() -> str:
    """Return the whole of docs/metrics.md."""
    head = HEAD.format(filters=_labels(FILTER_KEYS))
    return "\n".join([head, *(line for section in _sections() for line in _lines(section))]) + "\n"


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
        counts = [Entry(row.name, "gauge", window, row.help, row.source) for row in table.rows if not row.reported]
        rates = [Entry(row.name, "gauge", window, row.help, row.source) for row in table.rows if row.reported]
        growth = [Entry(row.name, "counter", QUERY_LABELS, row.help, row.source) for row in table.counters]
        yield Section(
            name.capitalize(),
            WINDOWS if name == next(iter(tables.TABLES)) else "As for engagement.",
            [*counts, *growth],
        )
        yield Section(
            f"{name.capitalize()}: the API's own rates",
            "With `reported_rates: true` only; experimental. Means over the window, in the API's undocumented unit. "
            "Labels as above.",
            rates,
        )
    yield Section(
        "Health of combinations",
        "Exported with or without data. Labels: `target`, `query`, filter labels, `statistic`.",
        [Entry(row.name, "gauge", (*QUERY_LABELS, "statistic"), row.help) for row in tables.HEALTH],
    )
    yield Section(
        "Bounds of windows",
        "Labels: `target`, `window`.",
        [Entry(row.name, "gauge", ("target", "window"), row.help) for row in tables.BOUNDS],
    )
    yield Section(
        "The account and its domains",
        "Polled every `account_interval`, `directmail_domain_verified` every `domains_interval`. Kept between reads; "
        "absent when reads fail for too long.",
        [Entry(row.name, "gauge", ("target", *row.labels), row.help, row.source) for row in account.ROWS],
        has_labels=True,
    )
    yield Section(
        "The exporter",
        "`process_*` and `python_*` are exported too, unless `--web.disable-exporter-metrics` is set.",
        own(),
        has_labels=True,
    )


def _lines(section: Section) -> Iterator[str]:
    if not section.entries:
        return
    yield f"## {section.title}\n\n{section.what}"
    alike: dict[tuple[str, str], list[Entry]] = {}
    for each in section.entries:
        key = (_short(each.help), each.source) if each.source else (each.help, each.name)
        alike.setdefault(key, []).append(each)
    rows = [entries[0] for entries in alike.values()]
    marked = {each.name for each in section.entries if each.stability != STABLE}
    if len(marked) == len(section.entries):
        marked = set()
    columns = {
        "metric": [
            ", ".join(f"`{each.name}`{f' ({each.stability})' if each.name in marked else ''}" for each in entries)
            for entries in alike.values()
        ],
        "labels": [_labels(each.labels) if section.has_labels else "" for each in rows],
        "from": [each.source for each in rows],
        "HELP": [_short(each.help) for each in rows],
    }
    filled = {name: cells for name, cells in columns.items() if any(cells)}
    yield f"\n| {' | '.join(filled)} |\n|{' --- |' * len(filled)}"
    yield from (f"| {' | '.join(row)} |" for row in zip(*filled.values(), strict=True))
    yield ""


def _short(text: str) -> str:
    """Return a HELP text without what many share."""
    for pattern in SHARED:
        text = re.sub(pattern, "", text)
    return text.strip()


def _labels(labels: tuple[str, ...]) -> str:
    return ", ".join(f"`{label}`" for label in labels)


if __name__ == "__main__":
    write({PAGE: text(), CATALOGUE: catalogue()})
