"""Writes the windows of past days as an exporter would have shown them: OpenMetrics for promtool, line by line.

Of each day the closed windows are known, as the API counts them now, late opens included. Values that cannot be
known afterwards are absent: `today` as it grew, the observed counters, health. Memory does not grow with the file.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from exporter.metrics import tables
from exporter.metrics.history import END, whole_file
from exporter.metrics.negotiation import OPENMETRICS
from exporter.metrics.table import GaugeRow
from exporter.metrics.text_format import Family, family_head, label_text, number
from exporter.metrics.windows import TODAY
from exporter.plan import calendar
from exporter.plan.combinations import Combination
from exporter.plan.target_plan import TargetPlan
from exporter.store.memory import Store

VALUE = 12
"""Characters of a value, about: counts have less, ratios more."""


class Interrupted(Exception):
    """The writing was interrupted; there is no file."""


class Sizes(NamedTuple):
    """What a file comes to when every day can be read."""

    series: int
    size: int
    """Bytes, about."""


class _Day(NamedTuple):
    """A day on which windows were shown, and the moments of its samples, as they are written."""

    day: date
    moments: Sequence[str]


@dataclass(frozen=True)
class Past:
    """What an exporter with these plans would have shown up to `now` (seconds since the epoch), every `step` seconds.

    `days` closed days are known at most. `labels` are what a Prometheus adds itself (job, instance).
    """

    plans: Sequence[TargetPlan]
    store: Store
    now: float
    step: int
    days: int
    labels: Mapping[str, str]

    def sizes(self) -> Sizes:
        """Return how large the file is when every day is known."""
        series = size = 0
        for row, plans in self._families:
            for each in plans:
                lengths = self._window_lengths(each.target.timezone)
                for window in _closed(each):
                    labels = [len(self._text(each, item, window)) for item in each.combinations]
                    series += len(labels)
                    size += lengths[window] * sum(len(row.name) + length + VALUE + 13 for length in labels)
        return Sizes(series, size)

    async def write(self, output: Path, stopped: asyncio.Event, notify: Callable[[int], None]) -> None:
        """Write the file, whole or not at all; `notify` is called with the number of bytes, and other tasks get a turn.

        Raise OSError, and Interrupted once stopped.
        """
        written = 0
        with whole_file(output) as file:
            for text in self.lines():
                written += file.write(text)
                notify(written)
                await asyncio.sleep(0)
                if stopped.is_set():
                    raise Interrupted

    def lines(self) -> Iterator[str]:
        """Yield the text in pieces: family by family, as OpenMetrics wants it, each series from its oldest sample."""
        for row, plans in self._families:
            heading = family_head(Family(row.name, row.help, "gauge"), OPENMETRICS).decode()
            for each in plans:
                for combination in each.combinations:
                    for text in self._series(each, combination, row):
                        yield heading + text
                        heading = ""
        yield from self._bounds()
        yield END

    @cached_property
    def _families(self) -> list[tuple[GaugeRow, list[TargetPlan]]]:
        """The metrics, each with the plans that have it."""
        return [
            (row, plans)
            for statistic, table in tables.TABLES.items()
            for row in table.rows
            if (
                plans := [
                    each
                    for each in self.plans
                    if each.statistic == statistic and (each.reported_rates or not row.reported)
                ]
            )
        ]

    @cached_property
    def _days(self) -> dict[ZoneInfo, list[_Day]]:
        """The days of every zone, oldest first; the last is today."""
        found = {}
        for zone in {each.target.timezone for each in self.plans}:
            today = calendar.today(self.now, zone)
            days = [today - timedelta(days=age) for age in reversed(range(self.days))]
            found[zone] = [_Day(day, self._moments(day, zone)) for day in days]
        return found

    def _moments(self, day: date, zone: ZoneInfo) -> list[str]:
        """Return a day's multiples of the step. The last moment is now: the first scrape comes soon after."""
        start, end, last = calendar.day_start(day, zone), calendar.day_end(day, zone), int(self.now)
        moments = range(int(-(-start // self.step) * self.step), int(min(end, last)), self.step)
        return [f"{at}\n" for at in (*moments, *([last] if last < end else []))]

    def _window_lengths(self, zone: ZoneInfo) -> dict[str, int]:
        """Return how many samples a series of each window has."""
        counts = [len(each.moments) for each in self._days[zone]]
        return {
            window: sum(counts[len(calendar.window_ages(window)) - 1 :])
            for window in {window for each in self.plans for window in _closed(each)}
        }

    def _text(self, each: TargetPlan, combination: Combination, window: str) -> str:
        """Return a series' labels; those that are "" are left out: to Prometheus it is the same."""
        own = tables.labels_of(combination, each.target.labels)
        labels = {**own, "window": window, **self.labels}
        return label_text({name: value for name, value in labels.items() if value})

    def _series(self, each: TargetPlan, combination: Combination, row: GaugeRow) -> Iterator[str]:
        """Yield the lines of a combination's series, a window and a day at a time."""
        record, zone = self.store.get(combination.key), each.target.timezone
        if record.is_withheld:
            return
        ends = {day: calendar.day_end(day, zone) for day in record.cells}
        closed = {day for day, cell in record.cells.items() if cell.read_at >= ends[day]}
        for window in _closed(each):
            start = f"{row.name}{self._text(each, combination, window)} "
            for day, moments in self._days[zone]:
                days = calendar.window_days(window, day)
                total = tables.add_up(record, days) if closed.issuperset(days) else None
                value = None if total is None else row.value(total)
                if value is not None:
                    yield _lines(start, value, moments)

    def _bounds(self) -> Iterator[str]:
        """Yield the bounds of each target's windows."""
        targets = {each.target.name: each for each in self.plans}
        for row in tables.BOUNDS if targets else ():
            yield family_head(Family(row.name, row.help, "gauge"), OPENMETRICS).decode()
            for name, each in targets.items():
                for window in each.windows:
                    labels = label_text({**each.target.labels, "target": name, "window": window, **self.labels})
                    for day, moments in self._days[each.target.timezone]:
                        bounds = calendar.window_bounds(window, day, each.target.timezone)
                        yield _lines(f"{row.name}{labels} ", bounds[row.index], moments)


def _closed(each: TargetPlan) -> list[str]:
    return [window for window in each.windows if window != TODAY]


def _lines(start: str, value: float, moments: Sequence[str]) -> str:
    """Return a line for each moment."""
    before = f"{start}{number(value)} "
    return before + before.join(moments) if moments else ""
