"""Defines a table of metrics: one row each, with its family and the function of its value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from exporter.directmail.statistics.statistic import RateSums, Ratio, Statistic, Totals
from exporter.store.memory import Record

POLLED = "Polled from the API."


class WindowSum(NamedTuple):
    """The cells of a window added up."""

    totals: Totals
    rates: RateSums | None


@dataclass(frozen=True, slots=True)
class GaugeRow:
    """A gauge of a window, None for no sample."""

    name: str
    help: str
    value: Callable[[WindowSum], float | None]
    source: str
    """The fields of the API that it comes from, as documentation shows them."""
    reported: bool = False
    """Whether it is exported with `reported_rates: true` only."""


@dataclass(frozen=True, slots=True)
class CounterRow:
    """A counter of observed growth."""

    name: str
    help: str
    value: Callable[[Totals], float]
    source: str


@dataclass(frozen=True, slots=True)
class HealthRow:
    """A gauge of a combination's health."""

    name: str
    help: str
    value: Callable[[Record, bool], float | None]
    """Of the record, and whether it shows no data."""


@dataclass(frozen=True, slots=True)
class BoundRow:
    """A gauge of a window's bounds."""

    name: str
    help: str
    index: int
    """Which of the two bounds."""


@dataclass(frozen=True, slots=True)
class Table:
    """The metrics of one statistic."""

    statistic: Statistic
    rows: tuple[GaugeRow, ...]
    counters: tuple[CounterRow, ...]


def table(
    statistic: Statistic,
    prefix: str,
    suffix: str,
    *,
    counts: Mapping[str, str],
    ratios: Mapping[str, str],
) -> Table:
    """Return the metrics of a statistic: a gauge and a counter for each count, a gauge for each ratio and rate.

    A count's gauge is `<prefix><count><suffix>`, its counter `<prefix>observed_<count><suffix>_total`. `counts` and
    `ratios` have the beginning of each HELP text, by name.
    """
    fields = dict(zip(statistic.names, statistic.fields, strict=True))
    rows = (
        *(_count(statistic, name, f"{prefix}{name}{suffix}", counts[name]) for name in statistic.names),
        *(_ratio(statistic, pair, f"{prefix}{name}", ratios[name]) for name, pair in statistic.ratios.items()),
        *(
            _reported(place, rate.field, f"{prefix}reported_{name}_rate", fields[statistic.names[0]])
            for place, (name, rate) in enumerate(statistic.rates.items())
        ),
    )
    counters = (_observed(statistic, name, f"{prefix}observed_{name}{suffix}_total", counts[name]) for name in fields)
    return Table(statistic, rows, tuple(counters))


def _count(statistic: Statistic, count: str, name: str, what: str) -> GaugeRow:
    place = statistic.names.index(count)
    field = statistic.fields[place]
    text = f"{what}, sum over the window ({field}). {POLLED}"
    return GaugeRow(name, text, lambda window: window.totals[place], f"`{field}`")


def _ratio(statistic: Statistic, pair: Ratio, name: str, what: str) -> GaugeRow:
    part, whole = (statistic.names.index(count) for count in pair)

    def value(window: WindowSum) -> float | None:
        below = window.totals[whole]
        return window.totals[part] / below if below else None

    text = f"{what}, over the window. Computed from polled counts; absent when the denominator is 0."
    return GaugeRow(name, text, value, f"`{statistic.fields[part]}` / `{statistic.fields[whole]}`")


def _reported(place: int, field: str, name: str, base: str) -> GaugeRow:
    def value(window: WindowSum) -> float | None:
        summed = window.rates[place] if window.rates else None
        return summed / window.totals[0] if summed is not None and window.totals[0] else None

    text = f"{field} as reported, in the API's unit: mean over the window weighted by {base}. {POLLED}"
    return GaugeRow(name, text, value, f"`{field}`, weighted by `{base}`", reported=True)


def _observed(statistic: Statistic, count: str, name: str, what: str) -> CounterRow:
    place = statistic.names.index(count)
    field = statistic.fields[place]
    text = f"{what} ({field}): growth observed between polls, regardless of send date. {POLLED}"
    return CounterRow(name, text, lambda observed: observed[place], f"`{field}`")
