"""Sockets that answer over HTTP: connections with limits and deadlines, TLS that can change, the end in good order."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from exporter.web.routes import SECURITY_HEADERS
from exporter.web.sockets import BACKLOG, shown

SHUTDOWN_SECONDS = 2.0
"""How long scrapes may take to finish when the server closes."""
FIRST_REQUEST_SECONDS = 10.0
"""How long a client may take for the TLS handshake, and then from connecting to the end of its first headers."""
IDLE_SECONDS = 75.0
"""How long a connection may take for each further request."""
LONGEST_LINE = 8190
"""Bytes of the request line, and of a header."""
MOST_HEADERS = 128
LINGERING_SECONDS = 1.0
"""How long the body of a request that is answered already is taken in."""


class _Connection(web.RequestHandler):
    """One client: hung up on when it dawdles, refused in our words when it makes no sense."""

    __slots__ = ("_deadline",)

    def __init__(self, manager: web.Server, first_request_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=LINGERING_SECONDS,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
            max_headers=MOST_HEADERS,
        )
        self._deadline = loop.call_later(first_request_seconds, self.force_close)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.has_asked()
        super().connection_lost(exc)

    def has_asked(self) -> None:
        """Note that a request has come; from now on aiohttp's own deadline for idle connections holds."""
        self._deadline.cancel()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what is no request, or what a bug left unanswered: no word of what was sent, no banner."""
        self.has_asked()
        log = structlog.get_logger()
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("a page failed; please report this", path=request.path, exc_info=exc)
        else:
            log.debug("request refused", status=status, why=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was under way")
        text = f"{status} {HTTPStatus(status).phrase}\n"
        response = web.Response(status=status, text=text, headers=SECURITY_HEADERS)
        response.force_close()
        return response


@web.middleware
async def _in_time(request: web.Request, handler: Handler) -> web.StreamResponse:
    if isinstance(request.protocol, _Connection):
        request.protocol.has_asked()
    return await handler(request)


class Listener:
    """A server that listens. Its TLS context can be replaced while it runs."""

    def __init__(self, server: web.Server, sockets: Sequence[socket.socket], patience: float) -> None:
        self._server = server
        self._sockets = sockets
        self._patience = patience
        self._open: list[asyncio.Server] = []
        self.addresses = [shown(each) for each in sockets]

    async def use(self, tls: ssl.SSLContext | None) -> None:
        """Take new connections with this context, None for plain HTTP; those that are open stay as they are."""
        before, self._open = self._open, []
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            self._open.append(
                await loop.create_server(
                    lambda: _Connection(self._server, self._patience),
                    sock=each.dup(),
                    ssl=tls,
                    ssl_handshake_timeout=self._patience if tls else None,
                    backlog=BACKLOG,
                )
            )
        for server in before:
            server.close()

    def close(self) -> None:
        """Take no more connections."""
        for server in self._open:
            server.close()


@asynccontextmanager
async def serve(
    app: web.Application,
    sockets: Sequence[socket.socket],
    tls: ssl.SSLContext | None = None,
    *,
    first_request_seconds: float = FIRST_REQUEST_SECONDS,
) -> AsyncIterator[Listener]:
    """Answer on these sockets, which are closed in the end."""
    app.middlewares.insert(0, _in_time)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    async with AsyncExitStack() as stack:
        for each in sockets:
            stack.enter_context(each)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        assert runner.server is not None
        listening = Listener(runner.server, sockets, first_request_seconds)
        stack.callback(listening.close)
        await listening.use(tls)
        yield listening
