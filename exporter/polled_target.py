"""One target that is polled: its client and tasks, and the values that a scrape and the status page read."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import structlog

from exporter.clock import Clock
from exporter.collector.account_reader import AccountReader
from exporter.collector.discovery import Discovery
from exporter.collector.loop import Collector
from exporter.collector.outages import Outages
from exporter.collector.round_robin import RoundRobin
from exporter.config.durations import format_duration
from exporter.config.model import Config, Target
from exporter.directmail.limiter import Limiter
from exporter.directmail.listing import Listed
from exporter.metrics.account_publisher import AccountPublisher
from exporter.metrics.publisher import Publisher
from exporter.metrics.telemetry import Telemetry
from exporter.plan import target_plan
from exporter.plan.target_plan import TargetPlan
from exporter.store.discovered_values import DiscoveredValues
from exporter.store.memory import Store
from exporter.target_client import connect


@dataclass(frozen=True, slots=True)
class Shared:
    """What all targets of a process share."""

    session: aiohttp.ClientSession
    tasks: asyncio.TaskGroup
    """Owns the tasks."""
    store: Store
    discovered: DiscoveredValues
    publisher: Publisher
    accounts: AccountPublisher
    telemetry: Telemetry
    clock: Clock
    environment: Mapping[str, str]
    """May hold the credentials."""
    following: asyncio.Lock
    """Locked while new plans are applied."""
    follow_discovery: Callable[[], Awaitable[None]]
    """Applies what discovery has found."""
    round_robin: RoundRobin


class _Work(Protocol):
    def run(self) -> Coroutine[Any, Any, None]: ...


class PolledTarget:
    """A target that is polled: a collector for each statistic, the discovery of filter values, and its account."""

    def __init__(self, target: Target, settings: Config, shared: Shared, phase: float) -> None:
        """`phase` is when its first call is made, as a share of the time between two. `follow` starts the tasks."""
        self.target = target
        self.polls: dict[str, Collector] = {}
        """The collectors by operation."""
        self._settings = settings
        self._shared = shared
        self._log = structlog.get_logger().bind(target=target.name)
        self._outages = Outages(shared.clock, self._log, lambda: self.subjects)
        self._client = connect(
            target,
            shared.session,
            shared.clock,
            shared.environment,
            observe=shared.telemetry.observer(target.name),
            retrying=self._outages.retrying,
            phase=phase,
        )
        self._account = AccountReader(
            target.name,
            self._client,
            shared.accounts.facts,
            shared.clock,
            self._outages,
            changed=lambda: shared.accounts.refresh(target.name),
        )
        self._discovery = Discovery(
            target.name,
            self._client,
            shared.discovered,
            shared.clock,
            self._outages,
            listed=self._listed,
            not_listed=self._account.not_listed,
        )
        self._tasks: dict[_Work, asyncio.Task[None]] = {}
        self._is_stopping = False

    @property
    def limiters(self) -> dict[str, Limiter]:
        """The limiters of every operation that the target may call."""
        return {action: self._client.limiters.of(action) for action in self.planned_requests}

    @property
    def planned_requests(self) -> dict[str, float]:
        """Calls a minute by operation in the steady state."""
        polled = {action: collector.plan.requests_per_minute for action, collector in self.polls.items()}
        return {**polled, **self._discovery.planned_requests(), **self._account.planned_requests()}

    @property
    def subjects(self) -> int:
        """How many things are requested: combinations, lists, the account and its domains."""
        combinations = sum(len(collector.plan.combinations) for collector in self.polls.values())
        return combinations + self._discovery.lists + self._account.requests

    @property
    def credentials_expire_at(self) -> float | None:
        """When the credentials expire, in seconds since the epoch; None where unknown."""
        return self._client.credentials_expire_at

    def pages_per_cell(self) -> dict[str, float]:
        """Return how many calls a cell takes on average, by statistic."""
        return {collector.plan.statistic: collector.plan.pages_per_cell for collector in self.polls.values()}

    def untried(self) -> str:
        """Return what has not been tried yet, "" for nothing."""
        combinations = sum(collector.untried() for collector in self.polls.values())
        counts = (self._discovery.untried(), "lists"), (combinations, "combinations")
        return ", ".join(f"{self.target.name}: {count} {what} not tried yet" for count, what in counts if count)

    async def follow(self, target: Target, plans: Sequence[TargetPlan], settings: Config) -> None:
        """Poll by these plans, one for each statistic, and no other statistic; the account stays the same."""
        self.target, self._settings = target, settings
        for work in (self._discovery, self._account):
            if work not in self._tasks:
                self._begin(work)
        await self._end([self.polls.pop(action) for action in self.polls.keys() - {each.action for each in plans}])
        for each in plans:
            await self._poll(each)
        self._shared.telemetry.add(target.name, self)
        self._account.follow(settings.account_interval, settings.domains_interval)
        self._discovery.follow(self._lists(settings.discovery_interval))

    async def follow_discovery(self, its_plan: TargetPlan) -> None:
        """Show and poll what discovery has found for one statistic."""
        collector = self.polls[its_plan.action]
        before = collector.plan
        if its_plan.combinations != before.combinations:
            await self._shared.publisher.show([its_plan])
            await collector.follow(its_plan)
        else:
            self._shared.publisher.replan(its_plan)
            collector.replan(its_plan)
        self._log_left_out(before.left_out, its_plan)

    def stop(self) -> None:
        """Start no new calls, and end those of discovery and of the account."""
        self._is_stopping = True
        for work in (self._discovery, self._account):
            if work in self._tasks:  # a reload may be ending the target
                self._tasks[work].cancel()
        for collector in self.polls.values():
            collector.stop()

    async def finished(self) -> None:
        """Return when no read is in flight."""
        for collector in tuple(self.polls.values()):
            await collector.finished()

    def cancel(self) -> None:
        """Cancel all tasks."""
        for task in self._tasks.values():
            task.cancel()

    async def end(self) -> None:
        """Cancel all tasks, and return when they have ended: results that arrive by then are still stored."""
        await self._end(tuple(self._tasks))

    def _begin(self, work: _Work) -> None:
        self._tasks[work] = self._shared.tasks.create_task(work.run())

    async def _end(self, works: Collection[_Work]) -> None:
        for work in works:
            self._tasks[work].cancel()
        for work in works:
            await asyncio.wait([self._tasks[work]])
            del self._tasks[work]  # not earlier: the end of the process may come meanwhile

    async def _poll(self, its_plan: TargetPlan) -> None:
        """Poll a statistic of the target by a plan, unless it was stopped while the plan was on its way."""
        if self._is_stopping:
            return
        collector = self.polls.get(its_plan.action)
        before = collector.plan if collector else None
        if its_plan != before:
            self._log_plan(its_plan)
        if collector is not None:
            await collector.follow(its_plan)
        else:
            collector = self.polls[its_plan.action] = Collector(
                its_plan,
                self._client,
                self._shared.store,
                self._shared.clock,
                self._outages,
                changed=self._shared.publisher.refresh,
                replan=self._replanned,
                round_robin=self._shared.round_robin,
            )
            self._begin(collector)
        self._log_left_out(before.left_out if before else 0, its_plan)

    def _replanned(self, now: TargetPlan, pages_per_cell: float) -> TargetPlan:
        """Return a statistic's plan for this mean of pages, and show by it."""
        if self._shared.following.locked():  # another plan is on its way
            return now
        revised = target_plan.make(
            self._settings, self.target, now.statistic, now.combinations, pages_per_cell, left_out=now.left_out
        )
        self._shared.publisher.replan(revised)
        return revised

    async def _listed(self, key: str, found: Listed, requested_at: float) -> None:
        known = self._shared.discovered.get(self.target.name, key).values
        self._account.listed(key, found, frozenset(known), requested_at)
        if key in self.target.discovered:
            await self._shared.follow_discovery()

    def _lists(self, discovery_interval: float) -> dict[str, float]:
        """Return the filters whose values are listed, and every how many seconds, for any user of them."""
        lists = dict.fromkeys(self.target.discovered, discovery_interval)
        for key, interval in self._account.lists.items():
            lists[key] = min(interval, lists.get(key, interval))
        return lists

    def _log_plan(self, its_plan: TargetPlan) -> None:
        self._log.info(
            "polling",
            statistic=its_plan.statistic,
            combinations=len(its_plan.combinations),
            known=sum(self._shared.store.find(item.key) is not None for item in its_plan.combinations),
            calls_per_minute=f"{its_plan.requests_per_minute:.1f}",
            poll_interval=format_duration(its_plan.poll_interval),
        )

    def _log_left_out(self, before: int, its_plan: TargetPlan) -> None:
        """Log how many combinations are left out, where that has changed."""
        log = self._log.bind(statistic=its_plan.statistic)
        if its_plan.left_out == before:
            return
        if its_plan.left_out:
            log.warning(
                "discovered combinations left out; keeping the oldest",
                left_out=its_plan.left_out,
                polled=len(its_plan.combinations),
                advice="Narrow include or exclude, or raise limit, max_series or rate_limit_per_minute.",
            )
        else:
            log.info("all discovered combinations polled again", polled=len(its_plan.combinations))
