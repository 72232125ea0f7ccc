"""The windows of a target on one day, and which of them a record can show.

A closed day is known only by a read after its end. So after midnight a combination keeps the closed windows that it
showed until the day that ended was read again, but not forever. `today` is the new day at once.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from exporter.plan.calendar import day_end, day_start, window_bounds, window_days
from exporter.store.memory import Record

TODAY = "today"
_DAY = timedelta(days=1)


class Shown(NamedTuple):
    """What a record shows."""

    windows: Mapping[str, Sequence[date]]
    """The days of each window, oldest first."""
    is_held: bool
    """Whether its closed windows end a midnight earlier than the day has them."""


class Windows:
    """The windows of one target on one day."""

    def __init__(self, windows: Sequence[str], day: date, zone: ZoneInfo) -> None:
        self.day = day
        self.began_at = day_start(day, zone)
        """When the day began, seconds since the epoch."""
        self.ends_at = day_end(day, zone)
        self._sliding = _Days(windows, day, day, zone)
        self._held = _Days(windows, day, day - _DAY, zone)
        self._bounds = [
            {window: window_bounds(window, day if window == TODAY else closed_on, zone) for window in windows}
            for closed_on in (day, day - _DAY)
        ]

    def of(self, record: Record, *, may_hold: bool) -> Shown:
        """Return what a record can show, closed windows of the day before only with `may_hold`."""
        days, closed = self._sliding, self._sliding.closed(record)
        if not closed and may_hold:
            days, closed = self._held, self._held.closed(record)
        shown = days.shown[closed]
        cell = record.cells.get(self.day)
        if cell is not None and cell.read_at < self.began_at:  # by a clock that was ahead, before the day began
            shown = {window: each for window, each in shown.items() if window != TODAY}
        return Shown(shown, is_held=days is self._held and any(window != TODAY for window in shown))

    def bounds(self, *, held: bool) -> Mapping[str, tuple[float, float]]:
        """Return start and exclusive end of each window, where `held` of the closed ones that still are."""
        return self._bounds[held]


@lru_cache(maxsize=64)
def windows_on(windows: tuple[str, ...], day: date, zone: ZoneInfo) -> Windows:
    """Return the windows of all targets of a zone on one day: they are the same."""
    return Windows(windows, day, zone)


class _Days:
    """The days of all windows: `today` as it is on one day, the closed ones as they are on this or another day."""

    def __init__(self, windows: Sequence[str], day: date, closed_on: date, zone: ZoneInfo) -> None:
        days = {window: window_days(window, day if window == TODAY else closed_on) for window in windows}
        longest = max((len(each) for window, each in days.items() if window != TODAY), default=0)
        newest_first = [closed_on - age * _DAY for age in range(1, longest + 1)]
        self._ends = [(each, day_end(each, zone)) for each in newest_first]
        self.shown = [
            {window: each for window, each in days.items() if window == TODAY or len(each) <= length}
            for length in range(longest + 1)
        ]
        """The days of the windows for a record that knows so many closed days, up to the newest."""

    def closed(self, record: Record) -> int:
        """Return how many days up to the newest closed one were read after their end."""
        cells = record.cells
        for length, (day, end) in enumerate(self._ends):
            cell = cells.get(day)
            if cell is None or cell.read_at < end:
                return length
        return len(self._ends)
