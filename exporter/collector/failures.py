"""The failures of one statistic of a target: how often, when to retry, and which line to log.

A failure is retried with back-off. A day that the API rejects for its date is not: it is requested again after the next
midnight, and so are the older days of its combination.
"""

import random
from collections.abc import Callable, Iterable
from datetime import date
from functools import partial

from structlog.typing import FilteringBoundLogger

from exporter.clock import HOUR, Clock
from exporter.collector.backoff import back_off
from exporter.collector.earlier_days import EarlierDays
from exporter.config.durations import format_duration
from exporter.directmail.classification import is_about_dates
from exporter.directmail.errors import DirectMailError, InvalidRequest
from exporter.plan.combinations import Combination, named
from exporter.plan.pacing import OLDEST_AGE
from exporter.plan.schedule import Slot
from exporter.store.memory import Store

FIRST_BACKOFF, SHORTEST_LIMIT, LONGEST_LIMIT = 15.0, 60.0, 900.0
"""Seconds until the second try; the limits of the longest time between two, which is the poll interval."""
ADVICE = (
    "The API may not keep days that old. Windows that need them are absent until newer days have filled them; each "
    "combination requests them again once a day. Remove the longer windows from the config to save that."
)
"""For days that are rejected."""


class Failures:
    """The failures of one statistic of a target."""

    def __init__(self, store: Store, clock: Clock, log: FilteringBoundLogger, rng: random.Random) -> None:
        self._store = store
        self._clock = clock
        self._log = log
        self._random = rng
        self._in_a_row: dict[Slot, int] = {}
        self._reported: set[Combination] = set()
        """Combinations that are logged as failing."""
        self._rejected: dict[Combination, date] = {}
        """The newest day of each combination that was rejected since midnight."""
        self._failing_days = EarlierDays(log, clock, "days failing", "days recovered")
        self._rejected_days = EarlierDays(log, clock, "older days rejected", "older days readable again", ADVICE)

    def count(self, slot: Slot) -> int:
        """Count a failure of a cell, and return how many it had in a row."""
        failures = self._in_a_row[slot] = self._in_a_row.get(slot, 0) + 1
        return failures

    def ended(self, slot: Slot) -> None:
        """Reset the failures of a cell that was read."""
        self._in_a_row.pop(slot, None)
        self._failing_days.read(slot)
        self._rejected_days.read(slot)

    def dropped(self, slot: Slot) -> None:
        """Discard the failures of a cell that is not read any more."""
        self._in_a_row.pop(slot, None)
        self._failing_days.discard(slot)
        self._rejected_days.discard(slot)

    def backoff(self, failures: int, poll_interval: float, *, is_rejected_day: bool = False) -> float:
        """Return the seconds until a cell that failed so often is tried again: doubled each time, and jittered."""
        limit = HOUR if is_rejected_day else min(max(poll_interval, SHORTEST_LIMIT), LONGEST_LIMIT)
        return back_off(failures, min(FIRST_BACKOFF, poll_interval), limit, self._random, 0.2)

    def rejects_day(self, slot: Slot, error: DirectMailError, age: int) -> bool:
        """Note the failure of a day of that age where the API rejects the day itself; return whether it does.

        Yesterday may just not be there yet.
        """
        if not isinstance(error, InvalidRequest) or age < 2:
            return False
        if age >= OLDEST_AGE:
            # The API considers this day too old. The windows that need it are complete tomorrow.
            self._log.debug("day is too old for the API", **named(slot.combination), day=slot.day.isoformat())
            return True
        if not (is_about_dates(error.code) and self._store.get(slot.combination.key).is_supported):
            return False
        self._rejected[slot.combination] = max(slot.day, self._rejected.get(slot.combination, slot.day))
        self._failing_days.discard(slot)
        self._rejected_days.add(slot, error)
        return True

    def is_wanted(self, slot: Slot) -> bool:
        """Return whether a cell is to be read: not before the next midnight if it or a newer one was rejected."""
        rejected = self._rejected.get(slot.combination)
        if rejected is None or slot.day > rejected:
            return True
        self._rejected_days.add_unrequested(slot.day)
        return False

    def line(self, slot: Slot, error: DirectMailError, failures: int, *, of_today: bool) -> Callable[[], None] | None:
        """Return a function that logs the failure, None where it is already logged."""
        if of_today:
            is_new = slot.combination not in self._reported
            return partial(self._report, slot.combination, error) if is_new else None
        if self._store.get(slot.combination.key).last_attempt_ok is False:
            return None  # a line for days of a failing combination would add nothing
        self._failing_days.add(slot, error)
        return self.report_due if failures == 1 else None

    def report_due(self) -> None:
        """Log what is due about the days before today."""
        self._failing_days.report_due()
        self._rejected_days.report_due()

    def recovered(self, combination: Combination) -> None:
        """Log the recovery of a combination that is logged as failing; called before the success is stored."""
        if combination in self._reported:
            self._reported.discard(combination)
            before = self._store.get(combination.key).last_success_at
            after = "first success" if before is None else format_duration(self._clock.time() - before)
            self._log.info("query combination recovered", **named(combination), after=after)

    def keep(self, combinations: Iterable[Combination]) -> None:
        """Keep only the failures of these combinations."""
        kept = frozenset(combinations)
        self._reported &= kept
        self._keep(lambda slot: slot.combination in kept)
        self._rejected = {each: day for each, day in self._rejected.items() if each in kept}

    def outage_began(self) -> None:
        """Note that nothing can be read, which is logged as that."""
        self._failing_days.settle()

    def begin_day(self, oldest: date) -> tuple[Combination, ...]:
        """Discard the days before one; return the combinations of which rejected days are requested again now."""
        self._keep(lambda slot: slot.day >= oldest)
        again, self._rejected = tuple(self._rejected), {}
        return again

    def _keep(self, stays: Callable[[Slot], bool]) -> None:
        self._in_a_row = {slot: count for slot, count in self._in_a_row.items() if stays(slot)}
        self._failing_days.keep(stays)
        self._rejected_days.keep(stays)

    def _report(self, combination: Combination, error: DirectMailError) -> None:
        self._reported.add(combination)
        self._log.warning("query combination failing", **named(combination), **error.facts())
