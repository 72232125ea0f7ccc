"""The targets that are polled, and the plans that they and the exposition follow.

A plan changes with the config and with what discovery finds. Either way it is applied in the same steps, one change
at a time: shown first, then polled.
"""

import asyncio
from collections.abc import Collection, Mapping
from itertools import groupby

import aiohttp
import structlog

from exporter.clock import Clock
from exporter.collector.round_robin import RoundRobin
from exporter.config.model import Config
from exporter.directmail.limiter import GOLDEN
from exporter.metrics.account_publisher import AccountPublisher
from exporter.metrics.publisher import Publisher
from exporter.metrics.telemetry import Telemetry
from exporter.plan import selection
from exporter.plan.selection import Discovered
from exporter.plan.target_plan import TargetPlan
from exporter.polled_target import PolledTarget, Shared
from exporter.store.discovered_values import DiscoveredValues
from exporter.store.memory import Store

GRACE = 3.0
"""Seconds that calls in flight get when the process is stopping; everything is over within 5."""
PARTS = ("region or endpoint", "time zone")
"""Of what identifies a target's account (`config.Target.account`)."""
CONNECTED = 10
"""Targets that are connected before other work runs: about a millisecond."""


class Polling:
    """All targets of one process."""

    def __init__(
        self,
        store: Store,
        discovered: DiscoveredValues,
        publisher: Publisher,
        accounts: AccountPublisher,
        telemetry: Telemetry,
        clock: Clock,
        environment: Mapping[str, str],
    ) -> None:
        """`environment` may hold the credentials."""
        self._store = store
        self._discovered = discovered
        self._publisher = publisher
        self._accounts = accounts
        self._telemetry = telemetry
        self._clock = clock
        self._environment = environment
        self._log = structlog.get_logger()
        self._shared: Shared | None = None
        """What the targets share; None until `open`."""
        self._settings: Config | None = None
        """The config that is followed; None until the first."""
        self._polled: dict[str, PolledTarget] = {}
        self._shown: set[tuple[str, str]] = set()
        """Targets and statistics that the exposition shows."""
        self._following = asyncio.Lock()
        self._is_followed = False
        self._is_draining = False

    def open(self, session: aiohttp.ClientSession, tasks: asyncio.TaskGroup) -> None:
        """Set the session for the calls and the group that owns the tasks; before `follow`."""
        self._shared = Shared(
            session=session,
            tasks=tasks,
            store=self._store,
            discovered=self._discovered,
            publisher=self._publisher,
            accounts=self._accounts,
            telemetry=self._telemetry,
            clock=self._clock,
            environment=self._environment,
            following=self._following,
            follow_discovery=self._follow_discovery,
            round_robin=RoundRobin(),
        )

    @property
    def targets(self) -> Mapping[str, PolledTarget]:
        """The targets that are polled, by name."""
        return self._polled

    def unready(self) -> str:
        """Return why a scrape would be incomplete, "" when it is complete."""
        if not self._is_followed:
            return "no target polled yet"
        return ", ".join(filter(None, (polled.untried() for polled in self._polled.values())))

    async def follow(self, settings: Config) -> None:
        """Poll and show what the config names. Targets of the same account keep their budget and data."""
        async with self._following:
            # Steps that may fail come before the first change.
            kept = self._kept(settings)
            plans = await self._plans(settings, kept)
            connected = await self._connected(settings, kept)
            self._settings = settings
            gone = self._polled.keys() - {target.name for target in settings.targets}
            await self._end([name for name in self._polled if name not in kept])
            await self._claim(settings)
            places = {(each.target.name, each.statistic) for each in plans}
            await self._publisher.show(plans, self._shown - places)
            self._shown = places
            for name in gone:
                self._telemetry.remove(name)
                self._accounts.facts.discard(name)
            self._accounts.follow(settings)
            by_target = {name: tuple(own) for name, own in groupby(plans, lambda each: each.target.name)}
            for target in settings.targets:
                if self._is_draining:
                    return
                if target.name in connected:
                    self._polled[target.name] = connected[target.name]
                await self._polled[target.name].follow(target, by_target.get(target.name, ()), settings)
                await asyncio.sleep(0)
            self._is_followed = True

    async def drain(self) -> None:
        """Start no new calls and wait for the reads in flight, but not for long; then end everything.

        A config that is being followed meanwhile starts no target any more.
        """
        self._is_draining = True
        ending = tuple(self._polled.values())
        for polled in ending:
            polled.stop()
        try:
            async with asyncio.timeout(GRACE):
                for polled in ending:
                    await polled.finished()
        except TimeoutError:
            self._log.info("cancelling calls in flight")
        for polled in ending:
            polled.cancel()

    def _kept(self, settings: Config) -> set[str]:
        """Return the polled targets whose account a config does not change."""
        polled = {name: polled.target.connection for name, polled in self._polled.items()}
        return {target.name for target in settings.targets if polled.get(target.name) == target.connection}

    async def _plans(self, settings: Config, kept: Collection[str]) -> list[TargetPlan]:
        """Return every target's plans, one target after another, by the values found so far.

        `kept` are the polled targets that stay. Runs in a thread: there may be thousands.
        """
        found = {
            target.name: Discovered(
                self._discovered.values(target.name, target.discovered),
                self._polled[target.name].pages_per_cell() if target.name in kept else {},
            )
            for target in settings.targets
            if self._store.accounts.get(target.name, target.account) == target.account
        }
        return await asyncio.to_thread(selection.plans, settings, found)

    async def _connected(self, settings: Config, kept: Collection[str]) -> dict[str, PolledTarget]:
        """Return the targets that are not polled yet, by name."""
        assert self._shared is not None
        connected = {}
        for index, target in enumerate(settings.targets):
            if target.name not in kept:
                connected[target.name] = PolledTarget(target, settings, self._shared, phase=(index * GOLDEN) % 1)
            if index % CONNECTED == 0:
                await asyncio.sleep(0)
        return connected

    async def _end(self, names: Collection[str]) -> None:
        """Stop polling these, and return when that is done: results that arrive by then are still stored."""
        for name in names:
            self._polled[name].cancel()
        for name in names:
            await self._polled[name].end()
            del self._polled[name]

    async def _claim(self, settings: Config) -> None:
        """Discard what is stored of targets that point at another account now."""
        for target in settings.targets:
            before = self._store.accounts.get(target.name, "")
            if self._store.claim(target.name, target.account):
                self._discovered.discard(target.name)
                self._accounts.facts.discard(target.name)
                parts = zip(PARTS, before.split(), target.account.split(), strict=True)
                changed = [part for part, was, now in parts if was != now]
                self._log.warning(
                    f"target has another {' and '.join(changed)}; discarding its stored data",
                    target=target.name,
                    was=before,
                    now=target.account,
                )
                await asyncio.sleep(0)

    async def _follow_discovery(self) -> None:
        """Apply what discovery has found."""
        async with self._following:
            assert self._settings is not None
            for each in await self._plans(self._settings, self._polled.keys()):
                await self._polled[each.target.name].follow_discovery(each)
