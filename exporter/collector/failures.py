"""The failures of one statistic of a target: how often, when to retry, and which line to log."""

import random
from collections.abc import Callable, Iterable
from datetime import date
from functools import partial

from structlog.typing import FilteringBoundLogger

from exporter.clock import Clock
from exporter.collector.backoff import back_off
from exporter.config.durations import format_duration
from exporter.directmail.errors import DirectMailError
from exporter.plan.combinations import Combination, named
from exporter.plan.schedule import Slot
from exporter.store.memory import Store

FIRST_BACKOFF, SHORTEST_LIMIT, LONGEST_LIMIT = 15.0, 60.0, 900.0
"""Seconds until the second try; the limits of the longest time between two, which is the poll interval."""


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

    def count(self, slot: Slot) -> int:
        """Count a failure of a cell, and return how many it had in a row."""
        failures = self._in_a_row[slot] = self._in_a_row.get(slot, 0) + 1
        return failures

    def ended(self, slot: Slot) -> None:
        """Reset the failures of a cell that was read."""
        self._in_a_row.pop(slot, None)

    def backoff(self, failures: int, poll_interval: float) -> float:
        """Return the seconds until a cell that failed so often is tried again: doubled each time, and jittered."""
        limit = min(max(poll_interval, SHORTEST_LIMIT), LONGEST_LIMIT)
        return back_off(failures, min(FIRST_BACKOFF, poll_interval), limit, self._random, 0.2)

    def line(self, slot: Slot, error: DirectMailError, failures: int, *, of_today: bool) -> Callable[[], None] | None:
        """Return a function that logs the failure, None where it is already logged."""
        if of_today:
            is_new = slot.combination not in self._reported
            return partial(self._report, slot.combination, error) if is_new else None
        if failures > 1 or self._store.get(slot.combination.key).last_attempt_ok is False:
            return None  # a line for each day of a failing combination would add nothing
        facts = {**named(slot.combination), "day": slot.day.isoformat(), **error.facts()}
        return partial(self._log.warning, "day failing", **facts)

    def recovered(self, combination: Combination) -> None:
        """Log the recovery of a combination that is logged as failing; called before the success is stored."""
        if combination in self._reported:
            self._reported.discard(combination)
            before = self._store.get(combination.key).last_success_at
            after = "first success" if before is None else format_duration(self._clock.time() - before)
            self._log.info("query combination recovered", **named(combination), after=after)

    def keep(self, combinations: Iterable[Combination]) -> None:
        """Keep only these among the combinations that are logged as failing."""
        self._reported.intersection_update(combinations)

    def discard(self, oldest: date) -> None:
        """Discard the days before one."""
        self._in_a_row = {slot: count for slot, count in self._in_a_row.items() if slot.day >= oldest}

    def _report(self, combination: Combination, error: DirectMailError) -> None:
        self._reported.add(combination)
        self._log.warning("query combination failing", **named(combination), **error.facts())
