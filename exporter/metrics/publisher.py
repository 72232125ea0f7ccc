"""Keeps the exposition in step with the store and the calendar.

A read replaces one block. At midnight in a target's zone all of its windows slide at once: the new blocks are built
aside, a few milliseconds at a time, and swapped in together, so that no scrape sees half of it.
"""

import asyncio
from collections.abc import Hashable, Iterable
from datetime import date
from time import perf_counter

from exporter.clock import Clock
from exporter.metrics import tables
from exporter.metrics.exposition import Block, Exposition
from exporter.plan.calendar import today, window_bounds, window_days
from exporter.plan.combinations import Combination
from exporter.plan.target_plan import TargetPlan
from exporter.store.memory import Store

SLICE = 0.002
"""Seconds of rendering between two breaths of the event loop."""
LOOK_EVERY = 1.0
"""Seconds between two looks at the calendar and at what has gone stale."""


class _TargetView:
    """One target as it is shown on one day."""

    def __init__(self, plan: TargetPlan, day: date) -> None:
        self.plan = plan
        self.day = day
        self.days = {window: window_days(window, day) for window in plan.windows}
        self.combinations = frozenset(plan.combinations)
        self.expiries: dict[Combination, float] = {}
        """When the combinations that have data lose it."""
        self.pending: dict[Hashable, Block] | None = {}
        """The blocks while they are built; None once they are shown."""


class Publisher:
    """Shows what the store knows of all targets."""

    def __init__(self, store: Store, exposition: Exposition, clock: Clock) -> None:
        self._store = store
        self._exposition = exposition
        self._clock = clock
        self._views: dict[str, _TargetView] = {}

    async def show(self, plans: Iterable[TargetPlan], gone: Iterable[str] = ()) -> None:
        """Show targets by these plans, and those that are gone no more, in one step."""
        views = [self._begin(plan) for plan in plans]
        for view in views:
            await self._put_all(view, view.plan.combinations)
        for view in views:
            if view.pending is not None and self._is_shown(view):
                self._exposition.swap(view.plan.target.name, view.pending)
                view.pending = None
        for target in gone:
            self.hide(target)

    def hide(self, target: str) -> None:
        """Show a target no more."""
        self._views.pop(target, None)
        self._exposition.drop(target)

    def replan(self, plan: TargetPlan) -> None:
        """Take over another plan for the same combinations and windows."""
        self._views[plan.target.name].plan = plan

    def refresh(self, combination: Combination) -> None:
        """Show a combination as the store knows it now; one that is not shown is left alone."""
        view = self._views.get(combination.target)
        if view is not None and combination in view.combinations:
            self._put(view, combination)

    async def run(self) -> None:
        """Slide windows at midnight and drop what has gone stale, until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Bring everything in step with the clock."""
        for view in tuple(self._views.values()):
            now = self._clock.time()
            if not self._is_shown(view):  # hidden or replaced while another one was looked at
                continue
            if today(now, view.plan.target.timezone) != view.day:
                await self.show([view.plan])
            else:
                await self._put_all(view, [each for each, expiry in view.expiries.items() if expiry < now])

    def _begin(self, plan: TargetPlan) -> _TargetView:
        """Return a new view for the target, which takes in everything that is read from now on."""
        name, zone = plan.target.name, plan.target.timezone
        view = self._views[name] = _TargetView(plan, today(self._clock.time(), zone))
        bounds = {window: window_bounds(window, view.day, zone) for window in plan.windows}
        # All keys at once: this is the order in which they are shown, whatever is read first.
        view.pending = {
            **dict.fromkeys(plan.combinations, ()),
            None: tables.bounds_block(name, bounds, plan.target.labels),
        }
        return view

    async def _put_all(self, view: _TargetView, combinations: Iterable[Combination]) -> None:
        started = perf_counter()
        for combination in combinations:
            if not self._is_shown(view):
                return
            self._put(view, combination)
            if perf_counter() - started > SLICE:
                await asyncio.sleep(0)
                started = perf_counter()

    def _is_shown(self, view: _TargetView) -> bool:
        """Whether the view is still the one of its target: another task may have had its turn."""
        return self._views.get(view.plan.target.name) is view

    def _put(self, view: _TargetView, combination: Combination) -> None:
        record, plan = self._store.get(combination.key), view.plan
        view.expiries.pop(combination, None)
        stale = False
        if record.last_success_at is not None:
            expiry = record.last_success_at + plan.stale_after
            stale = expiry < self._clock.time()
            if not stale:
                view.expiries[combination] = expiry
        block = tables.block(
            combination,
            record,
            view.days,
            plan.target.labels,
            stale=stale,
            reported_rates=plan.reported_rates,
        )
        if view.pending is None:
            self._exposition.replace(combination.target, combination, block)
        else:
            view.pending[combination] = block
