"""A webhook that Alertmanager calls, and the alerts that it received."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Receiver:
    """What arrived, in the order of arrival."""

    alerts: list[dict[str, Any]] = field(default_factory=list)
    """Alerts as Alertmanager writes them, with `receiver`: who they were routed to."""
    address: str = ""
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, name: str, status: str, **labels: str) -> dict[str, Any]:
        """Return the first alert of that name, status (`firing` or `resolved`) and labels, when it has arrived."""
        while True:
            for each in self.of(name, status, **labels):
                return each
            await self.more()

    async def more(self) -> None:
        """Return when something more arrives."""
        self._arrived.clear()
        await self._arrived.wait()

    def of(self, name: str, status: str, **labels: str) -> list[dict[str, Any]]:
        """Return what arrived of an alert with that status so far; a label that is "" is one that it does not have."""
        wanted = {"alertname": name, **labels}.items()
        return [
            each
            for each in self.alerts
            if each["status"] == status and all(each["labels"].get(key, "") == value for key, value in wanted)
        ]

    async def take(self, request: web.Request) -> web.Response:
        document = await request.json()
        self.alerts += [{**each, "receiver": document["receiver"]} for each in document["alerts"]]
        self._arrived.set()
        return web.Response()


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """Listen on loopback."""
    made = Receiver()
    app = web.Application()
    app.router.add_post("/{name}", made.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.address = f"127.0.0.1:{runner.addresses[0][1]}"
        yield made
    finally:
        await runner.cleanup()
