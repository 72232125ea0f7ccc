"""The composition root: opens everything, owns the tasks and the signals, loads the config again.

The web server is the context around the TaskGroup of the collectors: a bug in a loop leaves the group, closes the
server and ends the process.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from exporter import __version__
from exporter.clock import Clock, SystemClock
from exporter.config.checking import ConfigError, Problem
from exporter.config.model import Config
from exporter.config.shards import WHOLE, Shard
from exporter.directmail.transport import open_session
from exporter.metrics.exposition import Exposition
from exporter.metrics.publisher import Publisher
from exporter.metrics.tables import FAMILIES
from exporter.metrics.telemetry import Telemetry
from exporter.plan.validation import checked, load
from exporter.polling import Polling
from exporter.store.discovered_values import Catalogue
from exporter.store.memory import Store
from exporter.store.state_file import StateFile
from exporter.watch import changes
from exporter.web.routes import Routes
from exporter.web.server import Options, WebServer
from exporter.web.status import About, StatusPage

__all__ = ["App", "Options", "checked", "load"]


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
        shard: Shard = WHOLE,
    ) -> None:
        """`environment` may hold the credentials; `config_file` is what a reload reads, by itself with `auto_reload`.

        Of the config, which is the whole one, it runs the part of `shard`.

        Raise ConfigError for a web configuration that cannot be used.
        """
        self._config = settings
        self._options = options
        self._clock = clock or SystemClock()
        self._config_file = config_file
        self._auto_reload = auto_reload
        self._shard = shard
        self._loaded_at = 0.0
        self._refused: tuple[Problem, ...] = ()
        self._log = structlog.get_logger()
        registry = CollectorRegistry()
        self._store = Store()
        self._exposition = Exposition(FAMILIES, registry)
        self._publisher = Publisher(self._store, self._exposition, self._clock)
        self._catalogue = Catalogue()
        self._state = (
            StateFile(
                settings.state_file,
                self._store,
                self._clock,
                self._catalogue,
                written=self._publisher.refresh_key,
            )
            if settings.state_file
            else None
        )
        self._telemetry = Telemetry(registry, self._store.decreases, self._state, self._catalogue, shard)
        self._web = WebServer(options, self._clock)
        self._polling = Polling(
            self._store, self._catalogue, self._publisher, self._telemetry, self._clock, environment
        )
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
            unready=self._polling.unready,
            status=StatusPage(
                self._about,
                lambda: self._polling.collectors,
                self._store,
                self._clock,
                self._options.telemetry_path,
                self._catalogue,
            ).answer,
            reload=self._reload_by_web if self._options.enable_lifecycle else None,
            telemetry_path=self._options.telemetry_path,
            max_requests=self._options.max_requests,
        )
        async with (
            self._kept(),
            open_session() as session,
            self._web.open(routes) as addresses,
            asyncio.TaskGroup() as self._tasks,
        ):
            self._polling.open(session, self._tasks)
            with self._signals():
                own = [
                    self._tasks.create_task(work) for work in (self._publisher.run(), self._web.run(), self._watch())
                ]
                if self._state is not None:
                    own.append(self._tasks.create_task(self._state.run()))
                await self._follow(self._config)
                self._log.info("listening", addresses=",".join(addresses), version=__version__, shard=str(self._shard))
                started(addresses)
                await self._stopped.wait()
                self._log.info("stopping")
                await self._polling.drain()
                for task in own:
                    task.cancel()

    @asynccontextmanager
    async def _kept(self) -> AsyncIterator[None]:
        """Know what the state file knows, and leave in it what is known in the end."""
        if self._state is None:
            yield
            return
        await self._state.open()
        try:
            yield
        finally:
            await self._state.close()

    async def reload(self) -> tuple[Problem, ...]:
        """Load the config again and follow it; return what is wrong with it, and then nothing has changed."""
        if self._config_file is None:
            return ()
        async with self._reloading:
            try:
                settings = await asyncio.to_thread(load, self._config_file, self._shard)
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
        self._config = settings
        await self._polling.follow(settings.of(self._shard))
        self._loaded_at, self._refused = self._clock.time(), ()
        self._telemetry.loaded(self._loaded_at)

    def _about(self) -> About:
        return About(
            __version__,
            str(self._config_file or "built in"),
            self._config.digest,
            self._loaded_at,
            tuple(map(str, self._refused)),
            self._shard,
            len(self._config.targets),
        )

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
