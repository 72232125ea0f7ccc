"""Keeps the records of one statistic of a target in step with the calendar, a slice at every step."""

from collections.abc import Callable, Iterator
from datetime import date
from functools import lru_cache, partial

from exporter.directmail.model import Key
from exporter.plan.calendar import day_end
from exporter.plan.schedule import STEP
from exporter.plan.target_plan import TargetPlan
from exporter.store.memory import Store


def setting_back(store: Store, plan: TargetPlan, now: float, by: float, show: Callable[[Key], None]) -> Iterator[None]:
    """Correct the times of reads after the clock was set back by some seconds to `now`; show what has changed.

    What other work shows between two steps was shown before.
    """
    day_ends = lru_cache(partial(day_end, zone=plan.target.timezone))
    for changed in store.setting_back(plan.target.name, plan.statistic, now, by, day_ends):
        if changed is not None:
            show(changed)
        yield


def pruning(store: Store, plan: TargetPlan, today: date) -> Iterator[None]:
    """Discard the days that nothing can request any more."""
    polled = set()
    for number, combination in enumerate(plan.combinations, 1):
        polled.add(combination.key)
        if number % STEP == 0:
            yield
    yield from store.pruning(plan.target.name, plan.statistic, today, polled)
