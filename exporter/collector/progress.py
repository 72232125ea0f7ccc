"""Logs once when a window is complete: every combination has all of its days."""

import asyncio
from collections.abc import Mapping
from datetime import date

from structlog.typing import FilteringBoundLogger

from exporter.config.durations import format_duration
from exporter.plan.calendar import day_end, window_days
from exporter.plan.combinations import Combination
from exporter.plan.schedule import STEP
from exporter.plan.target_plan import TargetPlan
from exporter.store.memory import Store


class Progress:
    """The windows of one statistic of a target."""

    def __init__(self, store: Store, log: FilteringBoundLogger, now: float) -> None:
        self._store = store
        self._log = log
        self._began_at = now
        self._complete: set[str] = set()
        self._reads = 0
        """Since the windows were last checked."""

    def count_read(self) -> None:
        """Count a cell that was read."""
        self._reads += 1

    async def update_if_due(self, plan: TargetPlan, today: date, now: float, *, is_idle: bool) -> None:
        """Update after as many reads as there are combinations, and after any where nothing is to be read now."""
        if self._reads >= len(plan.combinations) or (self._reads and is_idle):
            await self.update(plan, today, now)

    async def update(self, plan: TargetPlan, today: date, now: float) -> None:
        """Log the windows that have become complete."""
        self._reads = 0
        for window in plan.windows:
            if window in self._complete:
                continue
            days = window_days(window, today)
            closed_at = {day: day_end(day, plan.target.timezone) if day < today else 0.0 for day in days}
            if complete := await self._count_complete(plan.combinations, closed_at):
                self._complete.add(window)
                after = format_duration(now - self._began_at)
                self._log.info("window complete", window=window, combinations=complete, after=after)

    async def _count_complete(self, combinations: tuple[Combination, ...], closed_at: Mapping[date, float]) -> int:
        """Return how many have all of the days, read when they were over; 0 where any that can be shown has not."""
        complete = 0
        for number, combination in enumerate(combinations, 1):
            record = self._store.get(combination.key)
            if record.is_supported and not record.is_withheld:
                complete += 1
                if not all((cell := record.cells.get(day)) and cell.read_at >= at for day, at in closed_at.items()):
                    return 0
            if number % STEP == 0:
                await asyncio.sleep(0)
        return complete
