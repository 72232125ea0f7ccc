"""Days before today that cannot be read although today can: one log line when that begins, one when it is over."""

from collections.abc import Callable, Iterable
from datetime import date

from structlog.typing import FilteringBoundLogger

from exporter.clock import Clock
from exporter.config.durations import format_duration
from exporter.directmail.errors import DirectMailError
from exporter.plan.schedule import Slot

HOLD = 60.0
"""Seconds for which a line waits for further days and combinations, which usually fail or work likewise."""


class EarlierDays:
    """The days of one statistic of a target that cannot be read for one kind of reason."""

    def __init__(self, log: FilteringBoundLogger, clock: Clock, begins: str, ends: str, advice: str = "") -> None:
        """`begins` and `ends` are the events that are logged; `advice` replaces the errors' own."""
        self._log = log
        self._clock = clock
        self._begins, self._ends = begins, ends
        self._advice = advice
        self._failing: dict[Slot, DirectMailError] = {}
        self._also: set[date] = set()
        """Days that are not requested, because a newer one cannot be read."""
        self._changed_at = 0.0
        """When the first began to fail or the last was read, monotonic."""
        self._began_at = 0.0
        self._is_reported = False

    def add(self, slot: Slot, error: DirectMailError) -> None:
        """Note that a day of a combination cannot be read."""
        if not self._failing:
            self._changed_at = self._clock.monotonic()
            if not self._is_reported:
                self._began_at = self._changed_at
        self._failing[slot] = error

    def add_unrequested(self, day: date) -> None:
        """Note that a day is not requested."""
        self._also.add(day)

    def read(self, slot: Slot) -> None:
        """Note that a day was read."""
        if self._failing.pop(slot, None) is not None and not self._failing:
            self._changed_at = self._clock.monotonic()

    def discard(self, slot: Slot) -> None:
        """Discard a day without a word: whether it can be read is no longer requested."""
        if self._failing.pop(slot, None) is not None:
            self._is_reported &= bool(self._failing)

    def keep(self, stays: Callable[[Slot], bool]) -> None:
        """Discard all others without a word."""
        self._failing = {slot: error for slot, error in self._failing.items() if stays(slot)}
        self._is_reported &= bool(self._failing)

    def settle(self) -> None:
        """Discard what is not logged yet: it belongs to something that is logged otherwise."""
        if not self._is_reported:
            self._failing.clear()

    def report_due(self) -> None:
        """Log that days cannot be read, or can be read again, once that has lasted a minute."""
        if bool(self._failing) == self._is_reported or self._clock.monotonic() - self._changed_at < HOLD:
            return
        self._is_reported = bool(self._failing)
        if self._is_reported:
            error = next(reversed(self._failing.values()))
            facts = error.facts() | ({"advice": self._advice} if self._advice else {})
            combinations = len({slot.combination for slot in self._failing})
            days = {slot.day for slot in self._failing} | self._also
            self._log.warning(self._begins, **_span(days), combinations=combinations, **facts)
        else:
            self._log.info(self._ends, after=format_duration(self._changed_at - self._began_at))
        self._also.clear()


def _span(days: Iterable[date]) -> dict[str, object]:
    """Return the fields of a log line that say which days."""
    known = sorted(days)
    return {"oldest_day": known[0].isoformat(), "newest_day": known[-1].isoformat(), "days": len(known)}
