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


class _Board:
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
        self._boards: dict[str, _Board] = {}

    async def show(self, plans: Iterable[TargetPlan], gone: Iterable[str] = ()) -> None:
        """Show targets by these plans, and those that are gone no more, in one step."""
        boards = [self._begin(plan) for plan in plans]
        for board in boards:
            await self._put_all(board, board.plan.combinations)
        for board in boards:
            if board.pending is not None and self._is_shown(board):
                self._exposition.swap(board.plan.target.name, board.pending)
                board.pending = None
        for target in gone:
            self.hide(target)

    def hide(self, target: str) -> None:
        """Show a target no more."""
        self._boards.pop(target, None)
        self._exposition.drop(target)

    def replan(self, plan: TargetPlan) -> None:
        """Take over another plan for the same combinations and windows."""
        self._boards[plan.target.name].plan = plan

    def refresh(self, combination: Combination) -> None:
        """Show a combination as the store knows it now; one that is not shown is left alone."""
        board = self._boards.get(combination.target)
        if board is not None and combination in board.combinations:
            self._put(board, combination)

    async def run(self) -> None:
        """Slide windows at midnight and drop what has gone stale, until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Bring everything in step with the clock."""
        for board in tuple(self._boards.values()):
            now = self._clock.time()
            if not self._is_shown(board):  # hidden or replaced while another one was looked at
                continue
            if today(now, board.plan.target.timezone) != board.day:
                await self.show([board.plan])
            else:
                await self._put_all(board, [each for each, expiry in board.expiries.items() if expiry < now])

    def _begin(self, plan: TargetPlan) -> _Board:
        """Return a new board for the target, which takes in everything that is read from now on."""
        name, zone = plan.target.name, plan.target.timezone
        board = self._boards[name] = _Board(plan, today(self._clock.time(), zone))
        bounds = {window: window_bounds(window, board.day, zone) for window in plan.windows}
        # All keys at once: this is the order in which they are shown, whatever is read first.
        board.pending = {
            **dict.fromkeys(plan.combinations, ()),
            None: tables.bounds_block(name, bounds, plan.target.labels),
        }
        return board

    async def _put_all(self, board: _Board, combinations: Iterable[Combination]) -> None:
        started = perf_counter()
        for combination in combinations:
            if not self._is_shown(board):
                return
            self._put(board, combination)
            if perf_counter() - started > SLICE:
                await asyncio.sleep(0)
                started = perf_counter()

    def _is_shown(self, board: _Board) -> bool:
        """Whether the board is still the one of its target: another task may have had its turn."""
        return self._boards.get(board.plan.target.name) is board

    def _put(self, board: _Board, combination: Combination) -> None:
        record, plan = self._store.get(combination.key), board.plan
        board.expiries.pop(combination, None)
        stale = False
        if record.last_success_at is not None:
            expiry = record.last_success_at + plan.stale_after
            stale = expiry < self._clock.time()
            if not stale:
                board.expiries[combination] = expiry
        block = tables.block(
            combination,
            record,
            board.days,
            plan.target.labels,
            stale=stale,
            reported_rates=plan.reported_rates,
        )
        if board.pending is None:
            self._exposition.replace(combination.target, combination, block)
        else:
            board.pending[combination] = block
