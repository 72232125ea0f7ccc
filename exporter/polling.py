"""The targets that are polled: their tasks, and the plans that they and the exposition follow.

A plan changes with the config and with what discovery finds. Either way it is followed in the same few steps, one
change at a time: shown first, then polled.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import aiohttp
import structlog

from exporter.clock import Clock
from exporter.collector.discovery import Discovery
from exporter.collector.loop import Collector
from exporter.collector.target_client import connect
from exporter.config.model import Config, Target
from exporter.directmail.client import Client
from exporter.directmail.limiter import Limiter
from exporter.metrics.publisher import Publisher
from exporter.metrics.telemetry import Telemetry
from exporter.plan import selection, target_plan
from exporter.plan.selection import Found
from exporter.plan.target_plan import TargetPlan
from exporter.store.discovered_values import Catalogue
from exporter.store.memory import Store

GRACE = 3.0
"""Seconds that calls in flight get when the process is told to end; everything is over within 5."""
GOLDEN = 0.6180339887
"""The golden ratio spreads any number of phases over a slot."""


@dataclass(slots=True)
class _Polled:
    """A target that is being polled."""

    target: Target
    collector: Collector
    discovery: Discovery
    tasks: tuple[asyncio.Task[None], ...]
    """Of the discovery and of the collector."""
    left_out: int = 0
    """Combinations that were told to be left out."""

    def cancel(self) -> None:
        for task in self.tasks:
            task.cancel()


class Polling:
    """All targets of one process."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        publisher: Publisher,
        telemetry: Telemetry,
        clock: Clock,
        environment: Mapping[str, str],
    ) -> None:
        """`environment` may hold the credentials."""
        self._store = store
        self._catalogue = catalogue
        self._publisher = publisher
        self._telemetry = telemetry
        self._clock = clock
        self._environment = environment
        self._log = structlog.get_logger()
        self._polled: dict[str, _Polled] = {}
        self._following = asyncio.Lock()
        self._is_followed = False
        self._is_draining = False

    def open(self, session: aiohttp.ClientSession, tasks: asyncio.TaskGroup) -> None:
        """Take the session for the calls and the group that owns the tasks; before anything is followed."""
        self._session = session
        self._tasks = tasks

    @property
    def collectors(self) -> dict[str, Collector]:
        """The targets' collectors, by name."""
        return {name: polled.collector for name, polled in self._polled.items()}

    def unready(self) -> str:
        """Return why a scrape would not have the whole picture yet, "" when it has."""
        if not self._is_followed:
            return "no target is polled yet"
        waiting = []
        for name, polled in self._polled.items():
            for count, what in ((polled.discovery.untried(), "lists"), (polled.collector.untried(), "combinations")):
                if count:
                    waiting.append(f"{name}: {count} {what} not tried yet")
        return ", ".join(waiting)

    async def follow(self, settings: Config) -> None:
        """Poll and show what the config says. Targets that keep their account keep their budget and what is known."""
        async with self._following:
            targets = {target.name: target for target in settings.targets}
            # What a config may make fail comes before the first change.
            plans = await self._plans(settings)
            kept = self._kept(settings)
            connected = {
                name: self._connect(target, phase=(index * GOLDEN) % 1)
                for index, (name, target) in enumerate(targets.items())
                if name not in kept
            }
            self._settings = settings
            gone = self._polled.keys() - targets.keys()
            await self._end(polled for name, polled in self._polled.items() if name not in kept)
            for target in settings.targets:
                if self._store.claim(target.name, target.account):
                    self._catalogue.forget(target.name)
                    self._log.warning(
                        "target now points at another account; discarding its stored data", target=target.name
                    )
            await self._publisher.show(plans, gone)
            for name in gone:
                self._telemetry.remove(name)
            for each in plans:
                if self._is_draining:
                    return
                known = self._polled.get(each.target.name)
                if known is not None:
                    known.target = each.target
                    await known.collector.follow(each)
                else:
                    known = self._poll(each, *connected[each.target.name])
                self._telemetry.add(each.target.name, known.collector)
                self._tell_of_left_out(each)
                known.discovery.follow(each.target.discovered, settings.discovery_interval)
            self._is_followed = True

    def _kept(self, settings: Config) -> set[str]:
        """Return the targets that are polled and that a config leaves the same accounts."""
        polled = {name: _account(polled.target) for name, polled in self._polled.items()}
        return {target.name for target in settings.targets if polled.get(target.name) == _account(target)}

    async def _end(self, targets: Iterable[_Polled]) -> None:
        """Poll these no more, and return when that is over: an answer that has come by then is still taken in."""
        ending = tuple(targets)
        for polled in ending:
            polled.cancel()
        for polled in ending:
            await asyncio.wait(polled.tasks)
            del self._polled[polled.target.name]

    async def drain(self) -> None:
        """Start no new calls and wait for the reads in flight, but not for long; then end everything.

        A config that is being followed meanwhile starts no target any more.
        """
        self._is_draining = True
        ending = tuple(self._polled.values())
        for polled in ending:
            polled.tasks[0].cancel()
            polled.collector.stop()
        try:
            async with asyncio.timeout(GRACE):
                for polled in ending:
                    await polled.collector.finished()
        except TimeoutError:
            self._log.info("calls in flight are given up")
        for polled in ending:
            polled.cancel()

    async def _plans(self, settings: Config) -> list[TargetPlan]:
        """Return how every target is to be polled by what is known now; in a thread, it may be thousands of values."""
        pages_per_cell = {name: self._polled[name].collector.plan.pages_per_cell for name in self._kept(settings)}
        found = {
            target.name: Found(
                self._catalogue.values(target.name, target.discovered),
                self._catalogue.pages(target.name, target.discovered),
                pages_per_cell.get(target.name, 1.0),
            )
            for target in settings.targets
            if self._store.accounts.get(target.name, target.account) == target.account
        }
        return await asyncio.to_thread(selection.plans, settings, found)

    async def _take_up(self) -> None:
        """Follow what discovery has found."""
        async with self._following:
            for each in await self._plans(self._settings):
                polled = self._polled[each.target.name]
                if each.combinations != polled.collector.plan.combinations:
                    await self._publisher.show([each])
                    await polled.collector.follow(each)
                else:
                    self._publisher.replan(each)
                    polled.collector.replan(each)
                self._tell_of_left_out(each)

    def _tell_of_left_out(self, each: TargetPlan) -> None:
        polled, log = self._polled[each.target.name], self._log.bind(target=each.target.name)
        if each.left_out == polled.left_out:
            return
        polled.left_out = each.left_out
        if each.left_out:
            log.warning(
                "discovered combinations are left out, the oldest are kept",
                left_out=each.left_out,
                polled=len(each.combinations),
                advice="Narrow include or exclude, or raise limit, max_series or rate_limit_per_minute.",
            )
        else:
            log.info("no discovered combination is left out any more", polled=len(each.combinations))

    def _connect(self, target: Target, phase: float) -> tuple[Client, Limiter]:
        observe = self._telemetry.observer(target.name)
        return connect(target, self._session, self._clock, self._environment, observe=observe, phase=phase)

    def _poll(self, its_plan: TargetPlan, client: Client, limiter: Limiter) -> _Polled:
        target = its_plan.target

        def replan(pages_per_cell: float) -> TargetPlan:
            polled = self._polled[target.name]
            now = polled.collector.plan
            if self._following.locked():  # another plan is on its way
                return now
            revised = target_plan.make(
                self._settings,
                polled.target,
                now.combinations,
                pages_per_cell,
                list_calls=now.list_calls,
                left_out=now.left_out,
            )
            self._publisher.replan(revised)
            return revised

        collector = Collector(
            its_plan,
            client,
            limiter,
            self._store,
            self._clock,
            changed=self._publisher.refresh,
            replan=replan,
        )
        discovery = Discovery(target.name, client, self._catalogue, self._clock, listed=self._take_up)
        tasks = (self._tasks.create_task(discovery.run()), self._tasks.create_task(collector.run()))
        polled = self._polled[target.name] = _Polled(target, collector, discovery, tasks)
        return polled


def _account(target: Target) -> tuple[object, ...]:
    """Return what makes a target the same account, asked in the same way."""
    return (
        target.account,
        target.endpoint,
        target.credentials,
        target.rate_limit_per_minute,
        target.timeout,
        target.page_size,
    )
