"""Accepts connections on listening sockets, with TLS that can change, and closes them in good order."""

import asyncio
import errno
import os
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from exporter.process import http_drain
from exporter.web.connection_limit import ConnectionLimit, most_connections
from exporter.web.connections import Connection, Timeouts, add_middlewares
from exporter.web.sockets import shown
from exporter.web.tls_transport import TlsTransport

DEFAULT_TIMEOUTS = Timeouts()
SHUTDOWN_SECONDS = 2.0
"""How long scrapes may take to finish when the server closes."""
PAUSE_SECONDS = 0.2
"""How long no connection is accepted when there are no file descriptors or memory, and none can be made free."""
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
CLIENT_LEFT = frozenset(
    {
        errno.ECONNABORTED,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENONET,
        errno.ENOPROTOOPT,
        errno.EOPNOTSUPP,
        errno.EPERM,
        errno.EPROTO,
    }
)
"""Errors of accept(2) for a connection that ended before it was accepted, or that a firewall forbids."""


class Listener:
    """Listening sockets that are accepted from."""

    def __init__(
        self,
        server: web.Server,
        sockets: Sequence[socket.socket],
        tls: ssl.SSLContext | None,
        limit: ConnectionLimit,
        timeouts: Timeouts,
    ) -> None:
        """Begin to accept."""
        self.tls = tls
        """The context for new connections, None for plain HTTP; those that are open stay as they are."""
        self.addresses = [shown(each) for each in sockets]
        self._server = server
        self._limit = limit
        self._timeouts = timeouts
        self._accepting = [asyncio.create_task(self._accept(each)) for each in sockets]

    async def run(self) -> None:
        """Accept until cancelled. Unexpected exceptions are raised."""
        await asyncio.gather(*self._accepting)

    async def close(self) -> None:
        """Accept no more, and end handshakes that are under way."""
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        for client in self._limit.clients():
            if isinstance(client, Connection) and client.is_shaking_hands:
                client.abort()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                await _readable(listening)
                accepted, _ = listening.accept()
            except BlockingIOError:  # the client has left, or another process was faster
                continue
            except OSError as error:
                if error.errno in EXHAUSTED:
                    await self._make_room(error)
                elif error.errno not in CLIENT_LEFT:
                    raise
                continue
            accepted.setblocking(False)
            try:
                await self._limit.room()
            except asyncio.CancelledError:
                accepted.close()
                raise
            await loop.connect_accepted_socket(self._protocol, accepted)

    async def _make_room(self, error: OSError) -> None:
        """Close a connection for the next one; where none is idle, wait until one ends."""
        is_room = self._limit.close_one(os.strerror(error.errno or 0).lower())
        await asyncio.sleep(0 if is_room else PAUSE_SECONDS)

    def _protocol(self) -> asyncio.BaseProtocol:
        connection = Connection(self._server, self._limit, self._timeouts)
        return TlsTransport(connection, self.tls) if self.tls else connection


@asynccontextmanager
async def serve(
    app: web.Application,
    sockets: Sequence[socket.socket],
    tls: ssl.SSLContext | None = None,
    *,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    most: int | None = None,
) -> AsyncIterator[Listener]:
    """Serve on these sockets, which are closed at the end; `most` connections may be open at a time."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = ConnectionLimit(most or most_connections(descriptors), asyncio.get_running_loop().time)
    add_middlewares(app, limit)
    http_drain.end_requests(app, SHUTDOWN_SECONDS)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    async with AsyncExitStack() as stack:
        for each in sockets:
            each.setblocking(False)
            stack.enter_context(each)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        assert runner.server is not None
        listening = Listener(runner.server, sockets, tls, limit, timeouts)
        stack.push_async_callback(listening.close)
        yield listening


async def _readable(sock: socket.socket) -> None:
    """Return when a client waits.

    The loop's sock_accept, cancelled in the turn in which a client comes, logs an InvalidStateError with its traceback.
    """
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def note() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(sock, note)
    try:
        await ready
    finally:
        loop.remove_reader(sock)
