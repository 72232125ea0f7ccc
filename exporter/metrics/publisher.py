"""Keeps the exposition in step with the store and the calendar.

A read replaces one block. At midnight in a target's zone the new blocks are built aside, a few at a time, and swapped
in together, so that no scrape sees half of it. From then on each combination's closed windows slide with its own read
of the day that ended, and the bounds with the last of them.
"""

import asyncio
import math
from collections.abc import Hashable, Iterable

from exporter.clock import Clock
from exporter.directmail.model import Key
from exporter.metrics import tables
from exporter.metrics.exposition import Exposition
from exporter.metrics.text_format import Block
from exporter.metrics.windows import Windows, windows_on
from exporter.plan.calendar import today
from exporter.plan.combinations import Combination
from exporter.plan.target_plan import TargetPlan
from exporter.store.memory import Record, Store

STEP = 5
"""Combinations that are rendered before other work runs: about a millisecond."""
CHECK_EVERY = 1.0
"""Seconds between two checks of the calendar and of stale data."""
SHORTEST_SLEEP = 0.001
JUMP = 1.0
"""Seconds that the wall clock is ahead of the monotonic one at once: it was set, or the machine slept."""


_Place = tuple[str, str]
"""(target, statistic)."""
_BOUNDS = "bounds"
"""The section of a target's window bounds, which all of its statistics share, instead of a statistic's."""


class _View:
    """One statistic of a target as it is shown on one day."""

    def __init__(self, plan: TargetPlan, windows: Windows) -> None:
        self.plan = plan
        self.windows = windows
        self.combinations = {combination.key: combination for combination in plan.combinations}
        self.expiries: dict[Combination, float] = {}
        """When the combinations lose something that they show (monotonic seconds)."""
        self.held: set[Combination] = set()
        """Those whose closed windows are still those of the day before."""
        # All keys at once: this is the order in which they are shown, whatever is read first.
        self.pending: dict[Hashable, Block] | None = dict.fromkeys(plan.combinations, ())
        """The blocks while they are built; None once they are shown."""
        self.place = plan.target.name, plan.statistic


class Publisher:
    """Renders the records of all targets."""

    def __init__(self, store: Store, exposition: Exposition, clock: Clock) -> None:
        self._store = store
        self._exposition = exposition
        self._clock = clock
        self._views: dict[_Place, _View] = {}
        self._bounds: dict[str, tuple[Windows, bool]] = {}
        """The windows of each target whose bounds are shown, and whether those of the day before are."""
        self._ahead = clock.time() - clock.monotonic()
        """Seconds that the wall clock was ahead of the monotonic one."""
        self._rendered = 0
        """Combinations since other work last had its turn: many small views are one large one."""

    async def show(self, plans: Iterable[TargetPlan], gone: Iterable[_Place] = ()) -> None:
        """Show statistics of targets by these plans, and remove those that are gone, in one step."""
        gone = tuple(gone)
        views = []
        for plan in plans:
            views.append(self._begin(plan))
            await self._put_all(views[-1], plan.combinations)
        for view in views:
            if view.pending is not None and self._is_shown(view):
                self._exposition.swap(view.place, tables.families_of(view.plan.statistic), view.pending)
                view.pending = None
        for place in gone:
            self._views.pop(place, None)
            self._exposition.drop(place)
        for target in {view.place[0] for view in views} | {target for target, _ in gone}:
            self._put_bounds(target)

    def replan(self, plan: TargetPlan) -> None:
        """Replace the plan by one for the same combinations and windows."""
        self._views[plan.target.name, plan.statistic].plan = plan

    def refresh(self, key: Key) -> None:
        """Update the combination of that key from the store, if it is shown."""
        view = self._views.get(key[:2])
        if view is not None and key in view.combinations:
            self._put(view, view.combinations[key])
            self._put_bounds(key[0])

    async def run(self) -> None:
        """Slide windows at midnight and drop what has gone stale, until cancelled."""
        while True:
            await self.update()
            midnight = min((view.windows.ends_at for view in self._views.values()), default=math.inf)
            await self._clock.sleep(max(min(midnight - self._clock.time(), CHECK_EVERY), SHORTEST_SLEEP))

    async def update(self) -> None:
        """Update everything that depends on the clock."""
        ahead = self._clock.time() - self._clock.monotonic()
        jumped, self._ahead = ahead - self._ahead > JUMP, ahead
        for view in tuple(self._views.values()):
            if not self._is_shown(view):  # hidden or replaced while another one was checked
                continue
            if today(self._clock.time(), view.plan.target.timezone) != view.windows.day:
                target = view.plan.target.name
                await self.show([each.plan for each in self._views.values() if each.place[0] == target])
            else:
                now = self._clock.monotonic()
                await self._put_all(view, [each for each, expiry in view.expiries.items() if jumped or expiry < now])
                self._put_bounds(view.place[0])

    def _begin(self, plan: TargetPlan) -> _View:
        """Return a new view, which is updated by every read from now on."""
        zone = plan.target.timezone
        windows = windows_on(plan.windows, today(self._clock.time(), zone), zone)
        view = _View(plan, windows)
        self._views[view.place] = view
        return view

    async def _put_all(self, view: _View, combinations: Iterable[Combination]) -> None:
        for combination in combinations:
            if not self._is_shown(view):
                return
            self._put(view, combination)
            self._rendered += 1
            if self._rendered >= STEP:
                self._rendered = 0
                await asyncio.sleep(0)

    def _is_shown(self, view: _View) -> bool:
        """Whether the view is still shown: another task may have replaced it meanwhile."""
        return self._views.get(view.place) is view

    def _put(self, view: _View, combination: Combination) -> None:
        record, plan = self._store.get(combination.key), view.plan
        age = record.age(self._clock)
        fresh_for = math.inf if age is None else plan.stale_after - age
        hold_for = view.windows.began_at + plan.stale_after - self._clock.time()
        shown = view.windows.of(record, may_hold=hold_for >= 0)
        counters_for = self._counters_for(record, plan)
        view.expiries.pop(combination, None)
        view.held.discard(combination)
        if age is not None and fresh_for >= 0:
            lasting = [
                fresh_for,
                *([hold_for] if shown.is_held else []),
                *([counters_for] if counters_for >= 0 else []),
            ]
            view.expiries[combination] = self._clock.monotonic() + min(lasting)
            if shown.is_held:
                view.held.add(combination)
        block = tables.block(
            combination,
            record,
            shown.windows,
            plan.target.labels,
            stale=fresh_for < 0,
            counters=counters_for >= 0,
            reported_rates=plan.reported_rates,
        )
        if view.pending is None:
            self._exposition.replace(view.place, combination, block)
        else:
            view.pending[combination] = block

    def _counters_for(self, record: Record, plan: TargetPlan) -> float:
        """Return for how many seconds the counters can be shown as they are, less than 0 for not any more.

        Growth that cannot be written is held back, and so the counters are like any value that is not renewed.
        """
        since = self._store.unwritable_since
        if since is None or record.observed == record.counted:
            return math.inf
        return since + plan.stale_after - self._clock.monotonic()

    def _put_bounds(self, target: str) -> None:
        """Show the bounds of a target's windows.

        Those of the closed ones slide when no combination of any statistic shows the day before any more.
        """
        views = [view for name in tables.TABLES if (view := self._views.get((target, name))) and view.pending is None]
        if not views:
            if target in self._bounds and not any(name == target for name, _ in self._views):
                del self._bounds[target]
                self._exposition.drop((target, _BOUNDS))
            return
        newest = max(views, key=lambda view: view.windows.day)
        is_held = any(view.held or view.windows.day < newest.windows.day for view in views)
        if self._bounds.get(target) != (newest.windows, is_held):
            self._bounds[target] = newest.windows, is_held
            bounds = newest.windows.bounds(held=is_held)
            block = tables.bounds_block(target, bounds, newest.plan.target.labels)
            self._exposition.swap((target, _BOUNDS), tables.families_of_bounds(), {None: block})
