"""The composition root: opens everything, owns the tasks and the signals.

The web server is the context around the TaskGroup of the collectors: a bug in a loop leaves the group, closes the
server and ends the process.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from exporter import __version__
from exporter.clock import Clock, SystemClock
from exporter.config.checking import Problem
from exporter.config.model import Config
from exporter.config.shards import WHOLE, Shard
from exporter.directmail.transport import open_session
from exporter.metrics import account, tables, target_rows
from exporter.metrics.account_publisher import AccountPublisher
from exporter.metrics.exposition import Exposition
from exporter.metrics.publisher import Publisher
from exporter.metrics.telemetry import Telemetry
from exporter.polling import Polling
from exporter.process import garbage, signals, systemd
from exporter.reload import Reloader, load
from exporter.store.account_facts import AccountFacts
from exporter.store.discovered_values import DiscoveredValues
from exporter.store.memory import Store
from exporter.store.state_file import StateFile
from exporter.web.routes import Routes
from exporter.web.server import Options, WebServer
from exporter.web.status import About, StatusPage


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
        process_metrics: bool = True,
    ) -> None:
        """`environment` may hold the credentials; a reload reads `config_file`, on any change of it with `auto_reload`.

        `settings` is the whole config; only the targets of `shard` run. Without `process_metrics`, process_* and
        python_* are left out.

        Raise ConfigError for a web configuration that cannot be used.
        """
        self._config = settings
        self._options = options
        self._clock = clock or SystemClock()
        self._config_file = config_file
        self._auto_reload = auto_reload
        self._shard = shard
        self._loaded_at = 0.0
        self._log = structlog.get_logger()
        self._stopped = asyncio.Event()
        registry = CollectorRegistry()
        families = (*tables.families(), *account.FAMILIES, *target_rows.FAMILIES)
        self._exposition = Exposition(families, registry)
        self._store, self._discovered = Store(), DiscoveredValues()
        self._publisher = Publisher(self._store, self._exposition, self._clock)
        self._accounts = AccountPublisher(AccountFacts(), self._exposition, self._clock)
        self._state = self._made_state_file()
        self._telemetry = Telemetry(
            registry,
            self._store.decreases,
            self._state,
            self._discovered,
            shard,
            exposition=self._exposition,
            of_process=process_metrics,
        )
        self._polling = Polling(
            self._store,
            self._discovered,
            self._publisher,
            self._accounts,
            self._telemetry,
            self._clock,
            environment,
        )
        self._reloader = self._made_reloader(config_file) if config_file else None
        self._web = WebServer(options, self._clock)
        self._routes = self._made_routes()

    def _made_state_file(self) -> StateFile | None:
        path = self._config.state_file
        if path is None:
            return None
        return StateFile(path, self._store, self._clock, self._discovered, written=self._publisher.refresh)

    def _made_reloader(self, config_file: Path) -> Reloader:
        return Reloader(
            config_file,
            self._config,
            load=lambda path: load(path, self._shard),
            follow=self._follow,
            loaded=self._loaded,
            failed=self._telemetry.load_failed,
            clock=self._clock,
        )

    def _made_routes(self) -> Routes:
        status = StatusPage(
            self._about,
            lambda: self._polling.targets,
            self._store,
            self._clock,
            self._options.telemetry_path,
            self._discovered,
            self._accounts.facts,
        )
        return Routes(
            exposition=self._exposition,
            unready=self._polling.unready,
            status=status.render,
            reload=self._reload_by_web if self._options.enable_lifecycle else None,
            telemetry_path=self._options.telemetry_path,
            max_requests=self._options.max_requests,
        )

    def stop(self) -> None:
        """Shut down gracefully."""
        self._stopped.set()

    async def run(self, started: Callable[[list[str]], None] = lambda addresses: None) -> None:
        """Serve and poll until stopped; `started` is called with the addresses.

        Raise BindError or StateError; any other exception is a bug.
        """
        reloader = self._reloader
        loop = asyncio.get_running_loop()
        with garbage.short_pauses(), signals.handled(loop, self.stop, reloader.request if reloader else self.stop):
            async with (
                self._state.opened() if self._state else nullcontext(),
                open_session() as session,
                self._web.open(self._routes) as addresses,
                asyncio.TaskGroup() as tasks,
            ):
                self._polling.open(session, tasks)
                works = (
                    self._publisher.run(),
                    self._accounts.run(),
                    self._telemetry.run(self._clock),
                    garbage.run(self._clock.sleep),
                    self._web.run(),
                )
                own = [tasks.create_task(work) for work in works]
                if self._state is not None:
                    own.append(tasks.create_task(self._state.run()))
                await self._follow(self._config)
                self._loaded()
                if reloader is not None:
                    own.append(tasks.create_task(reloader.run()))
                    if self._auto_reload:
                        own.append(tasks.create_task(reloader.watch()))
                self._log.info("listening", addresses=",".join(addresses), version=__version__, shard=str(self._shard))
                systemd.notify(systemd.READY)
                started(addresses)
                await self._stopped.wait()
                self._log.info("stopping")
                systemd.notify(systemd.STOPPING)
                await self._polling.drain()
                for task in own:
                    task.cancel()

    async def reload(self) -> tuple[Problem, ...]:
        """Load the config again and apply it. Return its problems; with any, nothing has changed."""
        return await self._reloader.reload() if self._reloader else ()

    async def _reload_by_web(self) -> str:
        return "\n".join(map(str, await self.reload()))

    async def _follow(self, settings: Config) -> None:
        await self._polling.follow(settings.of(self._shard))
        in_use = self._state.path if self._state else None
        if settings.state_file not in (in_use, self._config.state_file):
            self._log.warning("state_file change needs a restart", in_use=str(in_use))
        self._config = settings
        garbage.freeze()

    def _loaded(self) -> None:
        self._loaded_at = self._clock.time()
        self._telemetry.loaded(self._loaded_at)

    def _about(self) -> About:
        return About(
            __version__,
            str(self._config_file or "built in").encode(errors="backslashreplace").decode(),
            self._config.digest,
            self._loaded_at,
            tuple(map(str, self._reloader.problems)) if self._reloader else (),
            self._shard,
            len(self._config.targets),
        )
