"""History for promtool: past days read within the budget and written as OpenMetrics with timestamps.

For the end of each day: the gauges of the windows that end with it. They are as the API counts them now, late
opens included. `promtool tsdb create-blocks-from openmetrics` makes blocks of the file.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import aiohttp
import structlog

from exporter.clock import Clock
from exporter.collector.target_client import connect
from exporter.config.model import Config, Target
from exporter.directmail.client import Client
from exporter.directmail.errors import DirectMailError, InvalidRequest
from exporter.directmail.listing import OPERATIONS
from exporter.directmail.statistics.known import STATISTICS
from exporter.directmail.transport import open_session
from exporter.metrics import tables
from exporter.metrics.exposition import Family
from exporter.metrics.history import History
from exporter.metrics.table import Row
from exporter.plan import calendar, selection, target_plan
from exporter.plan.combinations import Combination, describe
from exporter.plan.pacing import OLDEST_AGE
from exporter.plan.selection import Found
from exporter.plan.target_plan import TargetPlan
from exporter.store.discovered_values import Catalogue
from exporter.store.memory import Cell, Store
from exporter.store.state_file import StateFile

_Question = tuple[Combination, date]


@dataclass
class Progress:
    """How far it is; `told` hears of every step."""

    total: int
    told: Callable[["Progress"], None]
    read: int = 0
    failed: int = 0

    def step(self, *, ok: bool) -> None:
        """Note that a day of a combination was read, or could not be."""
        self.read += ok
        self.failed += not ok
        self.told(self)


class Backfill:
    """One run over the past of a config's targets."""

    def __init__(
        self,
        settings: Config,
        clock: Clock,
        *,
        days: int = OLDEST_AGE,
        query: str | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """`days` closed days are read, of one query where it is named."""
        self._settings = settings
        self._clock = clock
        self._environment = environment
        self._log = structlog.get_logger()
        self.store = Store()
        self._catalogue = Catalogue()
        self._state = (
            StateFile(settings.state_file, self.store, clock, self._catalogue) if settings.state_file else None
        )
        self._query = query
        self._plans: list[TargetPlan] = []
        self._ages = range(1, days + 1)

    async def run(self, output: Path, told: Callable[[Progress], None], stopped: asyncio.Event) -> Progress:
        """Read what is not known yet, until stopped, and write everything that is known. Raise StateError."""
        if self._state is not None:
            await self._state.open()
        try:
            for target in self._settings.targets:
                if self.store.claim(target.name, target.account):
                    self._catalogue.forget(target.name)
            progress = Progress(0, told)
            async with open_session() as session, asyncio.TaskGroup() as group:
                reading = group.create_task(self._read_all(session, progress))
                others: list[asyncio.Task[object]] = [group.create_task(stopped.wait())]
                if self._state is not None:
                    others.append(group.create_task(self._state.run()))
                await asyncio.wait([reading, *others], return_when=asyncio.FIRST_COMPLETED)
                for task in (reading, *others):
                    task.cancel()
            self._plans = self._plans or self._make_plans()  # stopped while it was listing
        finally:
            if self._state is not None:
                await self._state.close()
        self.history().write(output)
        return progress

    def _missing(self, each: TargetPlan) -> Iterator[_Question]:
        """Yield the cells that were not read since their day ended, newest days first."""
        zone = each.target.timezone
        today = calendar.today(self._clock.time(), zone)
        for day in (today - timedelta(days=age) for age in self._ages):
            for combination in each.combinations:
                cell = self.store.get(combination.key).cells.get(day)
                if cell is None or cell.read_at < calendar.day_end(day, zone):
                    yield combination, day

    async def _read_all(self, session: aiohttp.ClientSession, progress: Progress) -> None:
        clients = {
            target.name: connect(target, session, self._clock, self._environment) for target in self._settings.targets
        }
        async with asyncio.TaskGroup() as lists:
            for target in self._settings.targets:
                lists.create_task(self._discover(target, clients[target.name]))
        self._plans = self._make_plans()
        missing = [(each, list(self._missing(each))) for each in self._plans]
        progress.total = sum(len(cells) for _, cells in missing)
        async with asyncio.TaskGroup() as plans:
            for each, cells in missing:
                plans.create_task(self._read_plan(each, cells, clients[each.target.name], progress))

    async def _discover(self, target: Target, client: Client) -> None:
        """List the target's discovered values once; where that fails, those that the state file knows are used."""
        for key in target.discovered:
            operation, asked_at = OPERATIONS[key], self._clock.time()
            try:
                found = await client.list_values(operation)
            except DirectMailError as error:
                self._log.warning(
                    "list failed; using the values of the state file",
                    target=target.name,
                    filter=key,
                    action=operation.action,
                    **error.facts(),
                )
            else:
                self._catalogue.succeeded(target.name, key, found, asked_at)

    def _make_plans(self) -> list[TargetPlan]:
        """Return the plan of every target, of one query where it is named."""
        settings, targets = self._settings, self._settings.targets
        found = {each.name: Found(self._catalogue.values(each.name, each.discovered)) for each in targets}
        plans = selection.plans(settings, found)
        for each in plans:
            if each.left_out:
                left_out, kept = each.left_out, len(each.combinations)
                self._log.warning(
                    "discovered combinations are left out", target=each.target.name, left_out=left_out, kept=kept
                )
        if self._query is None:
            return plans
        wanted = [[item for item in each.combinations if item.query == self._query] for each in plans]
        return [
            target_plan.make(settings, each.target, each.statistic, kept)
            for each, kept in zip(plans, wanted, strict=True)
        ]

    async def _read_plan(
        self, each: TargetPlan, missing: Iterable[_Question], client: Client, progress: Progress
    ) -> None:
        limiter, statistic = client.limiters.of(each.action), STATISTICS[each.statistic]
        today = calendar.today(self._clock.time(), each.target.timezone)

        async def read(combination: Combination, day: date) -> None:
            asked_at = self._clock.time()
            try:
                answer = await client.read(statistic, combination.filters, day)
            except DirectMailError as error:
                at_the_edge = isinstance(error, InvalidRequest) and (today - day).days >= OLDEST_AGE
                if not at_the_edge:
                    text = describe(combination.filters)
                    self._log.warning("day could not be read", combination=text, day=day.isoformat(), error=str(error))
                progress.step(ok=False)
                return
            rates = answer.rates if each.reported_rates else None
            day_start = calendar.day_start(day, each.target.timezone)
            self.store.put(combination.key, day, Cell(answer.totals, rates, asked_at), day_start=day_start)
            progress.step(ok=True)

        async with asyncio.TaskGroup() as reads:
            for combination, day in missing:
                await limiter.turn()
                reads.create_task(read(combination, day))
                await asyncio.sleep(0)

    def history(self) -> History:
        """Return the past as it is known, each series from the oldest day to the newest."""
        polled = {each.statistic for each in self._plans}
        rows = [
            (statistic, row)
            for statistic, table in tables.TABLES.items()
            for row in table.rows
            if statistic in polled and (self._settings.reported_rates or not row.reported)
        ]
        past = History([Family(row.name, row.help, "gauge") for _, row in rows])
        for statistic, row in rows:
            for each in (each for each in self._plans if each.statistic == statistic):
                for combination in each.combinations:
                    self._add(past, each, combination, row)
        return past

    def _add(self, past: History, each: TargetPlan, combination: Combination, row: Row) -> None:
        target = each.target
        record = self.store.get(combination.key)
        today = calendar.today(self._clock.time(), target.timezone)
        labels = tables.labels_of(combination, target.labels)
        ends = {day: calendar.day_end(day, target.timezone) for day in record.cells}
        closed = {day for day, cell in record.cells.items() if cell.read_at >= ends[day]}
        for window in (window for window in each.windows if window != "today"):
            series = past.series(row.name, {**labels, "window": window})
            for day in (today - timedelta(days=age) for age in reversed(self._ages)):
                days = calendar.window_days(window, day + timedelta(days=1))
                total = tables.add_up(record, days) if closed.issuperset(days) else None
                value = None if total is None else row.value(total)
                if value is not None:
                    series.add(ends[day], value)
