"""The connections to the API and the lookup of its names, as aiohttp wants them."""

import asyncio
import socket
from functools import partial
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey

from exporter.directmail.threads import in_own_thread

MOST_CONNECTIONS = 256
KEPT = 90.0
"""Seconds that a connection is kept without a request."""


class Connector(aiohttp.TCPConnector):
    """Keeps connections for the next request, except those with unrequested bytes."""

    def __init__(self) -> None:
        super().__init__(limit=MOST_CONNECTIONS, keepalive_timeout=KEPT, resolver=_Resolver())
        made: type[ResponseHandler] = _Connection
        self._factory = partial(made, loop=asyncio.get_running_loop())

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        super()._release(key, protocol, should_close=should_close)
        if isinstance(protocol, _Connection):
            protocol.is_idle = True


class _Connection(ResponseHandler):
    """A connection that closes when bytes come between two requests.

    aiohttp would parse and keep them, and use an unrequested response for the next request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.is_idle = False

    def set_response_params(self, **parameters: Any) -> None:
        """Expect a response: a request is about to be sent."""
        self.is_idle = False
        super().set_response_params(**parameters)

    def data_received(self, data: bytes) -> None:
        if self.is_idle and data:  # aiohttp calls it without any when it continues reading
            self.close()
        else:
            super().data_received(data)


class _Resolver(AbstractResolver):
    """Looks names up as the system does, in threads that nothing else waits for."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        lookup = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=found,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found, _, protocol, _, address in await in_own_thread(lookup)
        ]

    async def close(self) -> None:
        """Nothing is open."""
