"""The composition root: opens everything, owns the tasks and the signals, loads the config again.

The web server is the context around the TaskGroup of the collectors: a bug in a loop leaves the group, closes the
server and ends the process.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from exporter import __version__, config, plan
from exporter.clock import Clock, SystemClock
from exporter.collector import Collector
from exporter.config import Config, ConfigError, Target
from exporter.connection import connect
from exporter.directmail.transport import open_session
from exporter.exposition import Exposition
from exporter.metrics import FAMILIES
from exporter.publisher import Publisher
from exporter.state import StateFile
from exporter.store import Store
from exporter.telemetry import Telemetry
from exporter.watch import changes
from exporter.web.front import Front, Options
from exporter.web.server import Routes
from exporter.web.status import About, StatusPage

__all__ = ["App", "Options", "checked", "load"]

GRACE = 3.0
"""Seconds that calls in flight get when the process is told to end; everything is over within 5."""
GOLDEN = 0.6180339887
"""The golden ratio spreads any number of phases over a slot."""


def load(path: Path) -> Config:
    """Return the config in the file. Raise ConfigError with every mistake, the plan's included."""
    sound, problems = config.read(path)
    return checked(str(path), sound, problems)


def checked(source: str, sound: Config | None, problems: tuple[config.Problem, ...]) -> Config:
    """Return the config when neither it nor its plan has a problem. Raise ConfigError with all of them."""
    found = (*problems, *(plan.problems(sound) if sound else ()))
    if found or sound is None:
        raise ConfigError(source, found)
    return sound


@dataclass(slots=True)
class _Polled:
    """A target that is being polled."""

    target: Target
    collector: Collector
    task: asyncio.Task[None]


class App:
    """One running exporter."""

    def __init__(
        self,
        settings: Config,
        options: Options,
        *,
        clock: Clock | None = None,
        environment: Mapping[str, str] = os.environ,
        config_file: Path | None = None,
        auto_reload: bool = False,
    ) -> None:
        """`environment` may hold the credentials; `config_file` is what a reload reads, by itself with `auto_reload`.

        Raise ConfigError for a web configuration that cannot be used.
        """
        self._config = settings
        self._options = options
        self._clock = clock or SystemClock()
        self._environment = environment
        self._config_file = config_file
        self._auto_reload = auto_reload
        self._loaded_at = 0.0
        self._refused: tuple[config.Problem, ...] = ()
        self._log = structlog.get_logger()
        registry = CollectorRegistry()
        self._store = Store()
        self._exposition = Exposition(FAMILIES, registry)
        self._publisher = Publisher(self._store, self._exposition, self._clock)
        self._state = StateFile(settings.state_file, self._store, self._clock) if settings.state_file else None
        self._telemetry = Telemetry(registry, self._store.decreases, self._state)
        self._front = Front(options, self._clock)
        self._polled: dict[str, _Polled] = {}
        self._reloading = asyncio.Lock()
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """End the run in good order."""
        self._stopped.set()

    async def run(self, started: Callable[[list[str]], None] = lambda addresses: None) -> None:
        """Serve and poll until stopped; `started` is told the addresses.

        Raise BindError, StateError, or whatever a bug raises.
        """
        routes = Routes(
            exposition=self._exposition,
            unready=self._unready,
            status=StatusPage(
                self._about,
                lambda: {name: polled.collector for name, polled in self._polled.items()},
                self._store,
                self._clock,
                self._options.telemetry_path,
            ).answer,
            reload=self._reload_by_web if self._options.enable_lifecycle else None,
            telemetry_path=self._options.telemetry_path,
            max_requests=self._options.max_requests,
        )
        async with (
            self._kept(),
            open_session() as self._session,
            self._front.open(routes) as addresses,
            asyncio.TaskGroup() as self._tasks,
        ):
            with self._signals():
                own = [
                    self._tasks.create_task(work) for work in (self._publisher.run(), self._front.run(), self._watch())
                ]
                if self._state is not None:
                    own.append(self._tasks.create_task(self._state.run()))
                await self._follow(self._config)
                self._log.info("listening", addresses=",".join(addresses), version=__version__)
                started(addresses)
                await self._stopped.wait()
                self._log.info("stopping")
                await self._drain()
                for task in (*own, *(polled.task for polled in self._polled.values())):
                    task.cancel()

    @asynccontextmanager
    async def _kept(self) -> AsyncIterator[None]:
        """Know what the state file knows, and leave in it what is known in the end."""
        if self._state is None:
            yield
            return
        self._state.open()
        try:
            yield
        finally:
            await self._state.save()
            self._state.close()

    async def reload(self) -> tuple[config.Problem, ...]:
        """Load the config again and follow it; return what is wrong with it, and then nothing has changed."""
        if self._config_file is None:
            return ()
        async with self._reloading:
            try:
                settings = await asyncio.to_thread(load, self._config_file)
            except ConfigError as error:
                self._refused = error.problems
                self._telemetry.load_failed()
                for problem in error.problems:
                    self._log.error("config is refused, the old one stays", place=problem.place, problem=problem.text)
                return error.problems
            if settings.state_file != self._config.state_file:
                self._log.warning("state_file changes with a restart only", in_use=str(self._config.state_file))
            await self._follow(settings)
            self._log.info("config is reloaded")
            return ()

    async def _watch(self) -> None:
        """Reload whenever the content of the config has changed, until cancelled."""
        file = self._config_file
        if file is not None and self._auto_reload:
            async for _ in changes(lambda: (file,), {file: self._config.digest}, self._clock):
                await self.reload()

    async def _reload_by_web(self) -> str:
        return "\n".join(map(str, await self.reload()))

    async def _follow(self, settings: Config) -> None:
        """Poll and show what the config says. Targets that keep their account keep their budget and what is known."""
        self._config = settings
        targets = {target.name: target for target in settings.targets}
        known = set(self._polled)
        for name, polled in tuple(self._polled.items()):
            if name not in targets or _account(targets[name]) != _account(polled.target):
                polled.task.cancel()
                del self._polled[name]
        plans = [plan.make(settings, target) for target in settings.targets]
        gone = known - targets.keys()
        await self._publisher.show(plans, gone)
        for name in gone:
            self._telemetry.remove(name)
        for index, each in enumerate(plans):
            polled_on = self._polled.get(each.target.name)
            if polled_on is not None:
                polled_on.target = each.target
                await polled_on.collector.follow(each)
            else:
                self._poll(each, phase=(index * GOLDEN) % 1)
        self._loaded_at, self._refused = self._clock.time(), ()
        self._telemetry.loaded(self._loaded_at)

    def _poll(self, its_plan: plan.TargetPlan, phase: float) -> None:
        target = its_plan.target
        client, limiter = connect(
            target,
            self._session,
            self._clock,
            self._environment,
            observe=self._telemetry.observer(target.name),
            phase=phase,
        )

        def replan(pages_per_cell: float) -> plan.TargetPlan:
            polled = self._polled[target.name]
            revised = plan.make(self._config, polled.target, pages_per_cell=pages_per_cell)
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
        self._telemetry.add(target.name, collector)
        self._polled[target.name] = _Polled(target, collector, self._tasks.create_task(collector.run()))

    def _about(self) -> About:
        return About(
            __version__,
            str(self._config_file or "built in"),
            self._config.digest,
            self._loaded_at,
            tuple(map(str, self._refused)),
        )

    def _unready(self) -> str:
        """Return why a scrape would not have the whole picture yet."""
        waiting = {name: polled.collector.untried() for name, polled in self._polled.items()}
        return ", ".join(f"{name}: {count} combinations not tried yet" for name, count in waiting.items() if count)

    async def _drain(self) -> None:
        """Start no new reads and wait for those in flight, but not for long."""
        for polled in self._polled.values():
            polled.collector.stop()
        try:
            async with asyncio.timeout(GRACE):
                for polled in self._polled.values():
                    await polled.collector.finished()
        except TimeoutError:
            self._log.info("calls in flight are given up")

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT stop, SIGHUP reload."""
        loop = asyncio.get_running_loop()
        handlers: dict[signal.Signals, Callable[[], object]] = {
            signal.SIGTERM: self.stop,
            signal.SIGINT: self.stop,
            signal.SIGHUP: lambda: self._tasks.create_task(self.reload()),
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)


def _account(target: Target) -> tuple[object, ...]:
    """Return what makes a target the same account, asked in the same way."""
    return (
        target.endpoint,
        target.credentials,
        target.timezone,
        target.rate_limit_per_minute,
        target.timeout,
        target.page_size,
    )
