"""Runs the web server: sockets, routes and security, which follows its file."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from exporter.clock import Clock
from exporter.config.checking import ConfigError
from exporter.watch import changes, digests
from exporter.web import sockets, webconfig
from exporter.web.authentication import Security
from exporter.web.listener import serve
from exporter.web.routes import Routes, make_app
from exporter.web.webconfig import WebConfig


@dataclass(frozen=True, slots=True)
class Options:
    """The command line's options of the server."""

    listen_addresses: tuple[str, ...] = (":10058",)
    telemetry_path: str = "/metrics"
    max_requests: int = 40
    """Scrapes at a time, 0 for no limit."""
    enable_lifecycle: bool = False
    config_file: Path | None = None
    """File with TLS, passwords and headers, in the format of Prometheus' exporter-toolkit."""
    systemd_socket: bool = False
    """Whether systemd hands over the sockets, instead of `listen_addresses`."""


class WebServer:
    """The open web side of one process."""

    def __init__(self, options: Options, clock: Clock) -> None:
        """Raise ConfigError for a web configuration that cannot be used."""
        self._options = options
        self._clock = clock
        self._log = structlog.get_logger()
        file = options.config_file
        self._known = digests(webconfig.files(file)) if file is not None else {}
        self._security = Security(webconfig.read(file) if file is not None else WebConfig(), clock)

    @asynccontextmanager
    async def open(self, routes: Routes) -> AsyncIterator[list[str]]:
        """Serve these routes and yield the addresses. Raise BindError."""
        listening = (
            sockets.from_systemd(os.environ, os.getpid())
            if self._options.systemd_socket
            else sockets.bind(self._options.listen_addresses)
        )
        app = make_app(routes, self._security)
        async with serve(app, listening, self._security.settings.tls) as self._listening:
            with closing(self._security):  # first, for requests wait for it
                yield self._listening.addresses

    async def run(self) -> None:
        """Accept connections, and follow the file and those that it names, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listening.run())
            tasks.create_task(self._watch())

    async def _watch(self) -> None:
        file = self._options.config_file
        if file is not None:
            async for _ in changes(partial(webconfig.files, file), self._known, self._clock):
                await self._follow(file)

    async def _follow(self, file: Path) -> None:
        """Read the file again; an invalid one changes nothing."""
        try:
            settings = await asyncio.to_thread(webconfig.read, file)
        except ConfigError as error:
            for problem in error.problems:
                self._log.error(
                    "web config reload failed; keeping the previous one", place=problem.place, problem=problem.text
                )
            return
        except Exception as error:  # noqa: BLE001  a bug in loading a config must not end what runs well
            self._log.error("web config reload failed; keeping the previous one; please report this", exc_info=error)
            return
        self._security.use(settings)
        self._listening.tls = settings.tls
        self._log.info("web config reloaded", tls=settings.tls is not None, users=len(settings.users))
