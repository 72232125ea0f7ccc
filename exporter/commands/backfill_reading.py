"""Reads past days within the call budget, and writes them for promtool.

Days that are in the state file, read after their end, are not requested again.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import aiohttp
import structlog

from exporter.clock import MINUTE, Clock
from exporter.collector.filter_support import FilterSupport
from exporter.commands.backfill_file import Interrupted, Past
from exporter.config.model import Config, Target
from exporter.directmail.client import Client
from exporter.directmail.errors import AuthError, DirectMailError, InvalidRequest, PermissionDenied
from exporter.directmail.limiter import Limiter
from exporter.directmail.listing import OPERATIONS
from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.transport import open_session
from exporter.plan import calendar, selection, target_plan
from exporter.plan.combinations import Combination, named
from exporter.plan.pacing import OLDEST_AGE
from exporter.plan.selection import Discovered
from exporter.plan.target_plan import TargetPlan
from exporter.store.discovered_values import DiscoveredValues
from exporter.store.memory import Cell, Store
from exporter.store.state_file import StateFile
from exporter.target_client import connect

STEP = 300
"""Seconds between two samples: as far as Prometheus looks back by default."""


class Forecast(NamedTuple):
    """The forecast of a run."""

    calls: int
    known: int
    """Days of combinations that the state file has."""
    seconds: float
    """How long reading takes within the budget, about."""
    series: int
    size: int
    """Bytes of the file, about."""


@dataclass(slots=True)
class _Reading:
    """The progress of one operation of a target."""

    limiter: Limiter
    left: int


@dataclass
class Progress:
    """The progress of a run, in days of combinations."""

    known: int = 0
    total: int = 0
    read: int = 0
    failed: int = 0
    missing: int = 0
    """Days that are not known in the end, but should be."""
    written: int | None = None
    """Bytes of the file so far, None before it is written."""
    is_complete: bool = False
    """Whether the file is there."""
    operations: list[_Reading] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Days that were not tried."""
        return self.total - self.read - self.failed

    @property
    def seconds_left(self) -> float:
        """Seconds that reading takes within what the limiters allow now, about."""
        return max((each.left * MINUTE / each.limiter.allowed_per_minute for each in self.operations), default=0.0)


class Backfill:
    """One run over the past of a config's targets."""

    def __init__(
        self,
        settings: Config,
        clock: Clock,
        *,
        days: int = OLDEST_AGE,
        step: int = STEP,
        query: str | None = None,
        labels: Mapping[str, str] | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """`days` closed days are read, of one query where it is named; a sample is written every `step` seconds.

        `labels` are what a Prometheus adds to what it scrapes.
        """
        self._settings = settings
        self._clock = clock
        self._environment = environment
        self._log = structlog.get_logger()
        self.store = Store()
        self._discovered = DiscoveredValues()
        self._state = (
            StateFile(settings.state_file, self.store, clock, self._discovered) if settings.state_file else None
        )
        self._query = query
        self._labels = labels or {}
        self._step = step
        self._plans: list[TargetPlan] = []
        self._ages = range(1, days + 1)
        self._rejected: set[str] = set()
        """Targets whose key the API rejected."""
        self._supports: dict[tuple[str, str], FilterSupport] = {}
        """By target and statistic."""
        self._beyond: set[tuple[Combination, date]] = set()
        """Days that are too old for the API, though not for its documentation."""
        self._now = clock.time()
        """Which days are closed."""
        self.progress = Progress()

    async def run(
        self, output: Path, stopped: asyncio.Event, started: Callable[[Forecast], None] = lambda forecast: None
    ) -> Progress:
        """Read what is not known yet, until stopped, and write everything that is known.

        `started` is called with the forecast before the first day is requested. If nothing is known at the end, no
        file is written. Stopped again while it is written, there is none either. Raise StateError and OSError.
        """
        async with self._state.opened() if self._state else nullcontext():
            for target in self._settings.targets:
                if self.store.claim(target.name, target.account):
                    self._discovered.discard(target.name)
            async with open_session() as session, asyncio.TaskGroup() as group:
                reading = group.create_task(self._read_all(session, started))
                others: list[asyncio.Task[object]] = [group.create_task(stopped.wait())]
                if self._state is not None:
                    others.append(group.create_task(self._state.run()))
                await asyncio.wait([reading, *others], return_when=asyncio.FIRST_COMPLETED)
                for task in (reading, *others):
                    task.cancel()
            self._plans = self._plans or self._make_plans()  # stopped while it was listing
        stopped.clear()
        progress = self.progress
        progress.missing = sum(self._is_wanted(each, *cell) for each in self._plans for cell in self._missing(each))
        if progress.known or progress.read or not progress.total:
            progress.written = 0
            try:
                await self.past().write(output, stopped, self._wrote)
            except Interrupted:
                return progress
            progress.is_complete = True
        return progress

    def past(self) -> Past:
        """Return the past as it is known now."""
        now, days = self._clock.time(), len(self._ages)
        return Past(self._plans, self.store, now, self._step, days, self._labels)

    def _wrote(self, size: int) -> None:
        self.progress.written = size

    def _missing(self, each: TargetPlan) -> Iterator[tuple[Combination, date]]:
        """Yield the cells that were not read since their day ended, newest days first."""
        zone = each.target.timezone
        today = calendar.today(self._now, zone)
        for day in (today - timedelta(days=age) for age in self._ages):
            for combination in each.combinations:
                cell = self.store.get(combination.key).cells.get(day)
                if cell is None or cell.read_at < calendar.day_end(day, zone):
                    yield combination, day

    def _is_wanted(self, each: TargetPlan, combination: Combination, day: date) -> bool:
        """Whether a cell is one that the API should have."""
        support = self._supports.get((each.target.name, each.statistic))
        return (combination, day) not in self._beyond and (support is None or support.is_supported(combination))

    async def _read_all(self, session: aiohttp.ClientSession, started: Callable[[Forecast], None]) -> None:
        clients = {
            target.name: connect(target, session, self._clock, self._environment) for target in self._settings.targets
        }
        async with asyncio.TaskGroup() as lists:
            for target in self._settings.targets:
                lists.create_task(self._discover(target, clients[target.name]))
        self._plans = self._make_plans()
        progress = self.progress
        readings = []
        for each in self._plans:
            reading = _Reading(clients[each.target.name].limiters.of(each.action), sum(1 for _ in self._missing(each)))
            progress.total += reading.left
            progress.known += len(each.combinations) * len(self._ages) - reading.left
            readings.append((each, reading))
        progress.operations = [reading for _, reading in readings]
        sizes = self.past().sizes()
        started(Forecast(progress.total, progress.known, progress.seconds_left, sizes.series, sizes.size))
        async with asyncio.TaskGroup() as targets:
            for target in self._settings.targets:
                if target.name not in self._rejected:
                    its = [(each, reading) for each, reading in readings if each.target.name == target.name]
                    targets.create_task(self._read_target(target, its, clients[target.name]))

    async def _discover(self, target: Target, client: Client) -> None:
        """List the target's discovered values once; where that fails, those that the state file knows are used."""
        for key in target.discovered:
            operation, requested_at = OPERATIONS[key], self._clock.time()
            try:
                found = await client.list_values(operation)
            except AuthError as error:
                self._reject(target, error)
                return
            except DirectMailError as error:
                log = self._log.bind(target=target.name, filter=key, action=operation.action)
                log.warning("list failing; using the values of the state file", **error.facts())
            else:
                self._discovered.succeeded(target.name, key, found, requested_at)

    def _make_plans(self) -> list[TargetPlan]:
        """Return the plan of every target, of one query where it is named."""
        settings, targets = self._settings, self._settings.targets
        found = {each.name: Discovered(self._discovered.values(each.name, each.discovered)) for each in targets}
        plans = selection.plans(settings, found)
        for each in plans:
            if each.left_out:
                left_out, kept = each.left_out, len(each.combinations)
                self._log.warning(
                    "discovered combinations left out", target=each.target.name, left_out=left_out, kept=kept
                )
        if self._query is None:
            return plans
        wanted = [[item for item in each.combinations if item.query == self._query] for each in plans]
        return [
            target_plan.make(settings, each.target, each.statistic, kept)
            for each, kept in zip(plans, wanted, strict=True)
        ]

    async def _read_target(self, target: Target, plans: list[tuple[TargetPlan, _Reading]], client: Client) -> None:
        """Read all days of a target; a key that is rejected ends it at once."""
        try:
            async with asyncio.TaskGroup() as group:
                for each, reading in plans:
                    group.create_task(self._read_plan(each, reading, client))
        except* AuthError as errors:
            self._reject(target, _first(errors))

    def _reject(self, target: Target, error: DirectMailError) -> None:
        self._rejected.add(target.name)
        self._log.error("target failing; skipping the rest of its days", target=target.name, **error.facts())

    def _deny(self, each: TargetPlan, error: DirectMailError) -> None:
        log = self._log.bind(target=each.target.name, action=each.action)
        log.error("operation failing; skipping the rest of its days", **error.facts())

    async def _read_plan(self, each: TargetPlan, reading: _Reading, client: Client) -> None:
        """Read the missing days of an operation; a permission that is missing ends it at once."""
        log = self._log.bind(target=each.target.name, statistic=each.statistic)
        support = FilterSupport(each, self.store, log)
        self._supports[each.target.name, each.statistic] = support
        try:
            async with asyncio.TaskGroup() as reads:
                for combination, day in self._missing(each):
                    if not support.is_supported(combination):
                        reading.left -= 1
                        self.progress.total -= 1
                        continue
                    await reading.limiter.turn()
                    reads.create_task(self._read(each, combination, day, client, support, reading))
                    await asyncio.sleep(0)
        except* PermissionDenied as errors:
            self._deny(each, _first(errors))

    async def _read(
        self,
        each: TargetPlan,
        combination: Combination,
        day: date,
        client: Client,
        support: FilterSupport,
        reading: _Reading,
    ) -> None:
        """Read one day of a combination. Raise AuthError and PermissionDenied."""
        requested_at = self._clock.time()
        try:
            result = await client.read(STATISTICS[each.statistic], combination.filters, day)
        except DirectMailError as error:
            if isinstance(error, AuthError | PermissionDenied) and not error.retry:
                raise
            reading.left -= 1
            self.progress.failed += 1
            today = calendar.today(self._now, each.target.timezone)
            if isinstance(error, InvalidRequest) and (today - day).days >= OLDEST_AGE:
                self._beyond.add((combination, day))
            elif not (isinstance(error, InvalidRequest) and support.rejected(combination, error)[0]):
                self._log.warning(
                    "day read failing",
                    target=each.target.name,
                    statistic=each.statistic,
                    day=day.isoformat(),
                    **named(combination),
                    **error.facts(),
                )
            return
        reading.left -= 1
        rates = result.rates if each.reported_rates else None
        day_start = calendar.day_start(day, each.target.timezone)
        self.store.put(combination.key, day, Cell(result.totals, rates, requested_at), day_start=day_start)
        support.add_result(combination, day)
        self.progress.read += 1


def _first(errors: BaseExceptionGroup[DirectMailError]) -> DirectMailError:
    """Return one of the errors of a group."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, DirectMailError)
    return error
