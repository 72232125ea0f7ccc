"""The rows of combinations that the status page shows: which they are, their counts, rates and last thirty days."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from exporter.clock import Clock
from exporter.collector.states import STATES, QueryStates
from exporter.directmail.statistics.statistic import Ratio, Statistic, Totals
from exporter.plan import calendar
from exporter.plan.combinations import Combination
from exporter.plan.pacing import OLDEST_AGE
from exporter.store.memory import Cell, Record, Store
from exporter.web import sparkline

WEEK = "7d"
"""The window of closed days that today's rates are shown beside."""


class Matches(NamedTuple):
    """The combinations of one query that are shown."""

    query: QueryStates
    places: Sequence[int] | None
    """The members that a search found, None for all."""
    counts: Sequence[int]
    """How many of them have each of STATES."""


def found(queries: Iterable[QueryStates], hits: Mapping[QueryStates, Sequence[int]] | None) -> list[Matches]:
    """Return what is shown of queries; `hits` are the members that a search found."""
    if hits is None:
        return [Matches(query, None, query.counts) for query in queries]
    return [Matches(query, places, query.counts_of(places)) for query in queries if (places := hits[query])]


def size(found: Iterable[Matches], state: str) -> int:
    """Return how many combinations of a state there are, of any state for ""."""
    wanted = [code for code, each in enumerate(STATES) if state in ("", each)]
    return sum(its.counts[code] for its in found for code in wanted)


def cut(found: Iterable[Matches], state: str, begin: int, end: int) -> list[tuple[str, Combination]]:
    """Return some of the combinations with their states, the most urgent states first; only those are checked."""
    chosen: list[tuple[str, Combination]] = []
    for code, each in enumerate(STATES):
        for its in found if state in ("", each) else ():
            count = its.counts[code]
            if begin < count:
                chosen += [(each, member) for member in its.query.slice(each, begin, end, its.places)]
            begin, end = max(begin - count, 0), end - count
            if end <= 0:
                return chosen
    return chosen


class Rows:
    """Makes rows of one statistic; days are reckoned once for each time zone."""

    def __init__(self, statistic: Statistic, store: Store, clock: Clock) -> None:
        self._statistic = statistic
        self._store = store
        self._clock = clock
        self._drawn = [statistic.names.index(name) for name in statistic.drawn]
        self._shares = {label: statistic.ratios[name] for label, name in statistic.shares.items()}
        self._days: dict[ZoneInfo, tuple[list[date], list[tuple[date, float]]]] = {}

    def row(self, combination: Combination, state: str, zone: ZoneInfo) -> dict[str, Any]:
        """Return what the page shows of a combination."""
        record = self._store.get(combination.key)
        days, week = self._days_of(zone)
        cells = {} if record.is_withheld else record.cells
        totals = [cell.totals if (cell := cells.get(day)) else None for day in days]
        known = [each for each in totals if each is not None]
        top = max((each[place] for each in known for place in self._drawn), default=0)
        closed = _sum(cells, week)
        return {
            "combination": combination,
            "state": state,
            "age": None if state == "unsupported" else age(record, self._clock),
            "failure": record.failure,
            "is_withheld": record.is_withheld and state != "unsupported",
            "today": totals[-1],
            "places": dict.fromkeys((0, *self._drawn)),
            "shares": {
                label: (self._ratio(totals[-1], ratio), self._ratio(closed, ratio))
                for label, ratio in self._shares.items()
            },
            "days": len(known),
            "top": top,
            "lines": [
                list(sparkline.lines([None if each is None else each[place] for each in totals], top))
                for place in self._drawn
            ],
        }

    def _ratio(self, totals: Totals | None, ratio: Ratio) -> float | None:
        """Return a ratio of counts, None where there is nothing to divide by."""
        if totals is None:
            return None
        part, whole = (totals[self._statistic.names.index(name)] for name in ratio)
        return part / whole if whole else None

    def _days_of(self, zone: ZoneInfo) -> tuple[list[date], list[tuple[date, float]]]:
        """Return the last thirty-one days, oldest first, and the closed days of the week with their ends."""
        if zone not in self._days:
            today = calendar.today(self._clock.time(), zone)
            days = [today - timedelta(days=age) for age in range(OLDEST_AGE - 1, -1, -1)]
            week = [(day, calendar.day_end(day, zone)) for day in calendar.window_days(WEEK, today)]
            self._days[zone] = days, week
        return self._days[zone]


def age(record: Record, clock: Clock) -> float | None:
    """Return the seconds since a combination was read, None where it was not."""
    return None if record.last_success_at is None else clock.time() - record.last_success_at


def _sum(cells: Mapping[date, Cell], days: Sequence[tuple[date, float]]) -> Totals | None:
    """Return the summed counts of closed days, None unless each was read after its end."""
    known = [cell.totals for day, end in days if (cell := cells.get(day)) is not None and cell.read_at >= end]
    return tuple(map(sum, zip(*known, strict=True))) if len(known) == len(days) else None
