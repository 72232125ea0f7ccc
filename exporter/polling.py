"""The targets that are polled: their tasks, and the plans that they and the exposition follow.

A plan changes with the config and with what discovery finds. Either way it is applied in the same steps, one change
at a time: shown first, then polled.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import aiohttp
import structlog

from exporter.clock import Clock
from exporter.collector.account_reader import AccountReader
from exporter.collector.discovery import Discovery
from exporter.collector.loop import Collector
from exporter.collector.outages import Outages
from exporter.collector.target_client import connect
from exporter.collector.turns import Turns
from exporter.config.durations import format_duration
from exporter.config.model import Config, Target
from exporter.directmail.client import Client
from exporter.directmail.limiter import GOLDEN
from exporter.directmail.listing import Listed
from exporter.metrics.account_publisher import AccountPublisher
from exporter.metrics.publisher import Publisher
from exporter.metrics.telemetry import Telemetry
from exporter.plan import selection, target_plan
from exporter.plan.selection import Found
from exporter.plan.target_plan import TargetPlan
from exporter.polled_target import Poll, PolledTarget
from exporter.store.account_facts import AccountFacts
from exporter.store.discovered_values import Catalogue
from exporter.store.memory import Store

GRACE = 3.0
"""Seconds that calls in flight get when the process is stopping; everything is over within 5."""
CONNECTED = 10
"""Targets that are connected before other work runs: about a millisecond."""


class Accounts(NamedTuple):
    """The facts of the accounts, and their publisher."""

    facts: AccountFacts
    publisher: AccountPublisher


class Polling:
    """All targets of one process."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        publisher: Publisher,
        accounts: Accounts,
        telemetry: Telemetry,
        clock: Clock,
        environment: Mapping[str, str],
    ) -> None:
        """`environment` may hold the credentials."""
        self._accounts = accounts
        self._store = store
        self._catalogue = catalogue
        self._publisher = publisher
        self._telemetry = telemetry
        self._clock = clock
        self._environment = environment
        self._log = structlog.get_logger()
        self._polled: dict[str, PolledTarget] = {}
        self._shown: set[tuple[str, str]] = set()
        """Targets and statistics that the exposition shows."""
        self._turns = Turns()
        self._following = asyncio.Lock()
        self._is_followed = False
        self._is_draining = False

    def open(self, session: aiohttp.ClientSession, tasks: asyncio.TaskGroup) -> None:
        """Set the session for the calls and the group that owns the tasks; before `follow`."""
        self._session = session
        self._tasks = tasks

    @property
    def targets(self) -> Mapping[str, PolledTarget]:
        """The targets that are polled, by name."""
        return self._polled

    def unready(self) -> str:
        """Return why a scrape would be incomplete, "" when it is complete."""
        if not self._is_followed:
            return "no target polled yet"
        waiting = []
        for name, polled in self._polled.items():
            untried = sum(poll.collector.untried() for poll in polled.running.values())
            for count, what in ((polled.discovery.untried(), "lists"), (untried, "combinations")):
                if count:
                    waiting.append(f"{name}: {count} {what} not tried yet")
        return ", ".join(waiting)

    async def follow(self, settings: Config) -> None:
        """Poll and show what the config names. Targets of the same account keep their budget and data."""
        async with self._following:
            targets = {target.name: target for target in settings.targets}
            # Steps that may fail come before the first change.
            kept = self._kept(settings)
            plans = await self._plans(settings, kept)
            connected = {}
            for index, (name, target) in enumerate(targets.items()):
                if name not in kept:
                    connected[name] = self._connect(target, phase=(index * GOLDEN) % 1)
                if index % CONNECTED == 0:
                    await asyncio.sleep(0)
            self._settings = settings
            gone = self._polled.keys() - targets.keys()
            await self._end(polled for name, polled in self._polled.items() if name not in kept)
            for target in settings.targets:
                if self._store.claim(target.name, target.account):
                    self._catalogue.discard(target.name)
                    self._accounts.facts.discard(target.name)
                    self._log.warning(
                        "target now points at another account; discarding its stored data", target=target.name
                    )
                    await asyncio.sleep(0)
            places = {(each.target.name, each.statistic) for each in plans}
            await self._publisher.show(plans, self._shown - places)
            self._shown = places
            for name in gone:
                self._telemetry.remove(name)
                self._accounts.facts.discard(name)
            self._accounts.publisher.follow(settings)
            by_target = {name: tuple(own) for name, own in groupby(plans, lambda each: each.target.name)}
            for target in settings.targets:
                if self._is_draining:
                    return
                polled = self._polled.get(target.name) or self._open(target, connected[target.name])
                polled.target = target
                await self._poll(polled, by_target.get(target.name, ()))
                self._telemetry.add(target.name, polled)
                polled.account.follow(settings.account_interval, settings.domains_interval)
                polled.discovery.follow(polled.lists(settings.discovery_interval))
                await asyncio.sleep(0)
            self._is_followed = True

    def _kept(self, settings: Config) -> set[str]:
        """Return the polled targets whose account a config does not change."""
        polled = {name: polled.target.connection for name, polled in self._polled.items()}
        return {target.name for target in settings.targets if polled.get(target.name) == target.connection}

    async def _poll(self, polled: PolledTarget, plans: Sequence[TargetPlan]) -> None:
        """Poll a target by these plans, one for each statistic, and no other statistic of it."""
        ending = [polled.running.pop(name) for name in polled.running.keys() - {each.statistic for each in plans}]
        for poll in ending:
            poll.task.cancel()
        if ending:
            await asyncio.wait([poll.task for poll in ending])
        for each in plans:
            known = polled.running.get(each.statistic)
            if known is None or known.collector.plan != each:
                self._log_plan(each)
            if known is not None:
                await known.collector.follow(each)
            else:
                known = polled.running[each.statistic] = self._start(polled, each)
            self._log_left_out(known, each)

    async def _end(self, targets: Iterable[PolledTarget]) -> None:
        """Stop polling these, and return when that is done: results that arrive by then are still stored."""
        ending = tuple(targets)
        for polled in ending:
            polled.cancel()
        for polled in ending:
            await asyncio.wait(polled.tasks())
            del self._polled[polled.target.name]

    async def drain(self) -> None:
        """Start no new calls and wait for the reads in flight, but not for long; then end everything.

        A config that is being followed meanwhile starts no target any more.
        """
        self._is_draining = True
        ending = tuple(self._polled.values())
        collectors = [poll.collector for polled in ending for poll in polled.running.values()]
        for task in (task for polled in ending for task in polled.others):
            task.cancel()
        for collector in collectors:
            collector.stop()
        try:
            async with asyncio.timeout(GRACE):
                for collector in collectors:
                    await collector.finished()
        except TimeoutError:
            self._log.info("cancelling calls in flight")
        for polled in ending:
            polled.cancel()

    async def _plans(self, settings: Config, kept: Collection[str]) -> list[TargetPlan]:
        """Return every target's plans, one target after another, by the values found so far.

        `kept` are the polled targets that stay. Runs in a thread: there may be thousands.
        """
        found = {
            target.name: Found(
                self._catalogue.values(target.name, target.discovered),
                self._polled[target.name].pages_per_cell() if target.name in kept else {},
            )
            for target in settings.targets
            if self._store.accounts.get(target.name, target.account) == target.account
        }
        return await asyncio.to_thread(selection.plans, settings, found)

    async def _follow_discovery(self) -> None:
        """Apply what discovery has found."""
        async with self._following:
            for each in await self._plans(self._settings, self._polled.keys()):
                poll = self._polled[each.target.name].running[each.statistic]
                if each.combinations != poll.collector.plan.combinations:
                    await self._publisher.show([each])
                    await poll.collector.follow(each)
                else:
                    self._publisher.replan(each)
                    poll.collector.replan(each)
                self._log_left_out(poll, each)

    def _log_plan(self, each: TargetPlan) -> None:
        self._log.info(
            "polling",
            target=each.target.name,
            statistic=each.statistic,
            combinations=len(each.combinations),
            known=sum(self._store.find(item.key) is not None for item in each.combinations),
            calls_per_minute=f"{each.requests_per_minute:.1f}",
            poll_interval=format_duration(each.poll_interval),
        )

    def _log_left_out(self, poll: Poll, each: TargetPlan) -> None:
        log = self._log.bind(target=each.target.name, statistic=each.statistic)
        if each.left_out == poll.left_out:
            return
        poll.left_out = each.left_out
        if each.left_out:
            log.warning(
                "discovered combinations left out; keeping the oldest",
                left_out=each.left_out,
                polled=len(each.combinations),
                advice="Narrow include or exclude, or raise limit, max_series or rate_limit_per_minute.",
            )
        else:
            log.info("all discovered combinations polled again", polled=len(each.combinations))

    def _connect(self, target: Target, phase: float) -> Client:
        observe = self._telemetry.observer(target.name)
        return connect(target, self._session, self._clock, self._environment, observe=observe, phase=phase)

    def _open(self, target: Target, client: Client) -> PolledTarget:
        """Return a target with its discovery, of which no statistic is polled yet."""
        outages = Outages(self._clock, self._log.bind(target=target.name), lambda: polled.subjects)
        client.retrying = outages.retrying
        account = AccountReader(
            target.name,
            client,
            self._accounts.facts.of(target.name),
            self._clock,
            outages,
            changed=lambda: self._accounts.publisher.refresh(target.name),
        )

        async def listed(key: str, found: Listed, requested_at: float) -> None:
            account.listed(key, found, frozenset(self._catalogue.get(target.name, key).values), requested_at)
            if key in polled.target.discovered:
                await self._follow_discovery()

        discovery = Discovery(
            target.name,
            client,
            self._catalogue,
            self._clock,
            outages,
            listed=listed,
            not_listed=account.not_listed,
        )
        tasks = tuple(self._tasks.create_task(work) for work in (discovery.run(), account.run()))
        polled = self._polled[target.name] = PolledTarget(target, client, outages, discovery, account, tasks)
        return polled

    def _start(self, polled: PolledTarget, its_plan: TargetPlan) -> Poll:
        """Poll one more statistic of a target."""

        def replan(pages_per_cell: float) -> TargetPlan:
            now = polled.running[its_plan.statistic].collector.plan
            if self._following.locked():  # another plan is on its way
                return now
            revised = target_plan.make(
                self._settings,
                polled.target,
                now.statistic,
                now.combinations,
                pages_per_cell,
                left_out=now.left_out,
            )
            self._publisher.replan(revised)
            return revised

        collector = Collector(
            its_plan,
            polled.client,
            self._store,
            self._clock,
            polled.outages,
            changed=self._publisher.refresh,
            replan=replan,
            turns=self._turns,
        )
        return Poll(collector, self._tasks.create_task(collector.run()))
