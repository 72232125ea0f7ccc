"""Reads one window of some queries now; fresh data of the state file is not requested again.

Cells are requested as the exporter does, newest days first, each operation within its budget. It stops where further
requests are useless: a rejected key, a missing permission, no network.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import structlog

from exporter.clock import Clock
from exporter.collector.filter_support import FilterSupport
from exporter.config.model import Config, Target
from exporter.directmail.client import Client
from exporter.directmail.errors import (
    AuthError,
    DirectMailError,
    InvalidRequest,
    NetworkError,
    PermissionDenied,
    RequestTimeout,
)
from exporter.directmail.listing import OPERATIONS
from exporter.directmail.model import Key
from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.transport import open_session
from exporter.plan import calendar, selection
from exporter.plan.combinations import Combination
from exporter.plan.pacing import OLDEST_AGE
from exporter.plan.target_plan import TargetPlan
from exporter.store import snapshot
from exporter.store.discovered_values import DiscoveredValues
from exporter.store.memory import Cell, Store
from exporter.target_client import connect

EDGE = OLDEST_AGE - 1
"""Days before the last one of a window from which the API may reject a day for its age."""
_QUIET = structlog.wrap_logger(
    structlog.ReturnLogger(), wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
)
"""Log lines of a running exporter; here they are part of the result."""
Progress = Callable[[int, int, float], None]
"""Called with how many days of combinations are done, of how many, and about how many seconds the rest takes."""


@dataclass
class Part:
    """One statistic of a target, and the days that the window has in its zone."""

    plan: TargetPlan
    combinations: tuple[Combination, ...]
    """Those that are wanted."""
    days: tuple[date, ...]
    support: FilterSupport


@dataclass
class Reading:
    """The data and failures after all requests."""

    store: Store
    parts: list[Part] = field(default_factory=list)
    unread: set[tuple[Key, date]] = field(default_factory=set)
    """Cells that were to be requested and brought no response."""
    failures: dict[Key, tuple[DirectMailError, date]] = field(default_factory=dict)
    """Why a combination could not be read, and the day that was requested."""
    target_failures: dict[tuple[str, str], DirectMailError] = field(default_factory=dict)
    """By target and operation, "" for all of them: what ended the requests."""
    notes: list[str] = field(default_factory=list)
    """Remarks for the user on how it was read."""


class WindowReader:
    """One reading."""

    def __init__(
        self,
        settings: Config,
        clock: Clock,
        window: str,
        query: str | None = None,
        *,
        environment: Mapping[str, str] = os.environ,
        progress: Progress = lambda done, total, seconds: None,
    ) -> None:
        """Only one query is read where it is named."""
        self._settings = settings
        self._clock = clock
        self._window = window
        self._query = query
        self._environment = environment
        self._progress = progress
        self._discovered = DiscoveredValues()
        self._left: dict[tuple[str, str], int] = {}
        """Cells that are still to be requested, by target and operation."""
        self._spacing: dict[tuple[str, str], float] = {}
        """Seconds between two requests."""
        self._total = 0

    async def read(self) -> Reading:
        """Return what is known of the window after everything that is missing was requested once."""
        reading = Reading(Store())
        await self._read_state(reading)
        async with open_session() as session:
            clients = {
                each.name: connect(each, session, self._clock, self._environment) for each in self._settings.targets
            }
            for target in self._settings.targets:
                await self._list(target, clients[target.name], reading)
            reading.parts = self._parts(reading.store)
            missing = [(each, self._missing(each, reading.store)) for each in reading.parts]
            reading.unread = {(combination.key, day) for _, cells in missing for combination, day in cells}
            for each, cells in missing:
                place = (each.plan.target.name, each.plan.action)
                self._left[place] = len(cells)
                self._spacing[place] = clients[each.plan.target.name].limiters.of(each.plan.action).spacing
            self._total = len(reading.unread)
            self._step()
            async with asyncio.TaskGroup() as group:
                for each, cells in missing:
                    group.create_task(self._read(each, cells, clients[each.plan.target.name], reading))
        for each in reading.parts:
            for day in each.days:
                for combination in each.combinations:
                    if day in reading.store.get(combination.key).cells:
                        each.support.add_result(combination, day)
        return reading

    async def _read_state(self, reading: Reading) -> None:
        """Load the state file's data of the targets' current accounts."""
        path = self._settings.state_file
        if path is None:
            return
        try:
            contents = await snapshot.read(path)
        except snapshot.Unreadable as error:
            reading.notes.append(f"state_file: {path} cannot be read now ({error}); requesting everything")
            return
        contents.set_back(self._clock.time())
        own = {each.name for each in self._settings.targets if contents.accounts.get(each.name) == each.account}
        for key, record in contents.records.items():
            if key[0] in own:
                reading.store.restore(key, record)
        self._discovered.restore(row for row in contents.discovered if row[0] in own)

    async def _list(self, target: Target, client: Client, reading: Reading) -> None:
        """List the discovered values that the queries need; where that fails, those of the state file are used."""
        wanted = [query for query in target.queries if self._query in (None, query.name)]
        for key in dict.fromkeys(key for query in wanted for key in query.discovered):
            operation, requested_at = OPERATIONS[key], self._clock.time()
            if (target.name, "") in reading.target_failures:
                return
            try:
                found = await client.list_values(operation)
            except DirectMailError as error:
                scope = "" if _is_of_all(error) else operation.action
                reading.target_failures[target.name, scope] = error
            else:
                self._discovered.succeeded(target.name, key, found, requested_at)

    def _parts(self, store: Store) -> list[Part]:
        targets = self._settings.targets
        found = {
            each.name: selection.Discovered(self._discovered.values(each.name, each.discovered)) for each in targets
        }
        parts = []
        for plan in selection.plans(self._settings, found):
            wanted = [each for each in plan.combinations if self._query in (None, each.query)]
            order = {query.name: place for place, query in reversed([*enumerate(plan.target.queries)])}
            wanted.sort(key=lambda each: order[each.query])  # a plan has discovered combinations last
            today = calendar.today(self._clock.time(), plan.target.timezone)
            days = calendar.window_days(self._window, today)
            if wanted:
                parts.append(Part(plan, tuple(wanted), days, FilterSupport(plan, store, _QUIET)))
        return parts

    def _missing(self, part: Part, store: Store) -> list[tuple[Combination, date]]:
        """Return the cells that are to be requested, newest days first."""
        return [
            (combination, day)
            for day in reversed(part.days)
            for combination in part.combinations
            if not self._is_fresh(part.plan, store.get(combination.key).cells.get(day), day)
        ]

    def _is_fresh(self, plan: TargetPlan, cell: Cell | None, day: date) -> bool:
        """Return whether a cell is as new as a running exporter would have it."""
        if cell is None:
            return False
        now, zone = self._clock.time(), plan.target.timezone
        age = (calendar.today(now, zone) - day).days
        if age and cell.read_at < calendar.day_end(day, zone):
            return False
        return age == OLDEST_AGE or now < cell.read_at + plan.refresh(age)

    async def _read(
        self, part: Part, missing: Sequence[tuple[Combination, date]], client: Client, reading: Reading
    ) -> None:
        name, action = part.plan.target.name, part.plan.action
        limiter = client.limiters.of(action)
        if missing:  # the first response shows whether any other is worth its request
            await self._read_cell(part, *missing[0], client, reading)
        async with asyncio.TaskGroup() as requests:
            for combination, day in missing[1:]:
                await limiter.turn()
                if {(name, ""), (name, action)} & reading.target_failures.keys():
                    return
                if combination.key in reading.failures:
                    self._step((name, action))
                    continue
                requests.create_task(self._read_cell(part, combination, day, client, reading))
                await asyncio.sleep(0)

    async def _read_cell(
        self, part: Part, combination: Combination, day: date, client: Client, reading: Reading
    ) -> None:
        target, requested_at = part.plan.target, self._clock.time()
        try:
            result = await client.read(STATISTICS[combination.statistic], combination.filters, day)
        except DirectMailError as error:
            self._failed(part, combination, day, error, reading)
        else:
            cell = Cell(result.totals, None, requested_at)
            reading.store.put(combination.key, day, cell, day_start=calendar.day_start(day, target.timezone))
            reading.unread.discard((combination.key, day))
        self._step((target.name, part.plan.action))

    def _failed(
        self, part: Part, combination: Combination, day: date, error: DirectMailError, reading: Reading
    ) -> None:
        name, action = part.plan.target.name, part.plan.action
        if _is_of_all(error):
            reading.target_failures.setdefault((name, ""), error)
        elif isinstance(error, PermissionDenied):
            reading.target_failures.setdefault((name, action), error)
        else:
            if isinstance(error, InvalidRequest) and (part.days[-1] - day).days < EDGE:
                part.support.rejected(combination, error)
            reading.failures.setdefault(combination.key, (error, day))

    def _step(self, place: tuple[str, str] | None = None) -> None:
        """Report how far it is, after a cell of a target and operation."""
        if place is not None:
            self._left[place] -= 1
        seconds = max((count * self._spacing[each] for each, count in self._left.items()), default=0.0)
        self._progress(self._total - sum(self._left.values()), self._total, seconds)


def _is_of_all(error: DirectMailError) -> bool:
    """Return whether every further request to the target would fail in the same way."""
    return isinstance(error, AuthError | NetworkError | RequestTimeout)
