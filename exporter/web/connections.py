"""A client's connection: its deadlines, its place within the limit, and its response to what is not a request."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from exporter.web.connection_limit import ConnectionLimit, client_address
from exporter.web.routes import CHUNK, SECURITY_HEADERS

LONGEST_LINE = 8190
"""Bytes of the request line, and of a header."""
MOST_HEADERS = 128
LINGERING_SECONDS = 1.0
"""How long the body of a request that is already answered is read."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that a client may take."""

    first_request: float = 10.0
    """From connecting to the end of its first headers, the TLS handshake included."""
    next_request: float = 75.0
    """For each further request on an open connection."""
    response: float = 30.0
    """For reading a response, from its first byte."""


class Connection(web.RequestHandler):
    """One client's connection: closes it when the client takes too long, and counts it within the limit."""

    __slots__ = ("_deadline", "_is_answering", "_limit", "_socket", "_timeouts")

    def __init__(self, manager: web.Server, limit: ConnectionLimit, timeouts: Timeouts) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=timeouts.next_request,
            lingering_time=LINGERING_SECONDS,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
            max_headers=MOST_HEADERS,
        )
        self._limit = limit
        self._timeouts = timeouts
        self._socket: asyncio.Transport | None = None
        self._is_answering = False
        self._deadline = loop.call_later(timeouts.first_request, self.abort)

    def opened(self, transport: asyncio.Transport) -> None:
        """Count the connection; `transport` is the socket's, below TLS where there is any."""
        self._socket = transport
        self._limit.enter(self, client_address(transport.get_extra_info("peername")))

    def closed(self) -> None:
        """Count the connection no more."""
        self._deadline.cancel()
        self._limit.leave(self)

    def abort(self) -> None:
        """Close at once, and drop what is unsent."""
        if self._socket is not None:
            self._socket.abort()

    @property
    def is_shaking_hands(self) -> bool:
        """Whether the TLS handshake is not complete yet."""
        return self._socket is not None and self.transport is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._socket is None:
            self.opened(transport)
        transport.set_write_buffer_limits(high=CHUNK)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.closed()
        super().connection_lost(exc)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Suspend the deadline until `begins_response`; between requests aiohttp has one of its own."""
        self._deadline.cancel()
        self._is_answering = True
        try:
            yield
        finally:
            self._is_answering = False

    def begins_response(self) -> None:
        """Note that a response is about to be sent."""
        self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(self._timeouts.response, self._close_unless_sent)

    def _close_unless_sent(self) -> None:
        if self._socket is not None and (self._is_answering or self._socket.get_write_buffer_size()):
            structlog.get_logger().debug("client reads the response too slowly; closing the connection")
            self.abort()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Respond to an invalid request, or after a bug, without repeating what was sent."""
        self.begins_response()
        log = structlog.get_logger()
        if isinstance(exc, ConnectionError) and (request.transport is None or request.transport.is_closing()):
            log.debug("client disconnected before the response was complete", path=request.path)
            raise exc
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("page failed; please report this", path=request.path, exc_info=exc)
        else:
            log.debug("request rejected", status=status, why=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("a response was in progress")
        text = f"{status} {HTTPStatus(status).phrase}\n"
        response = web.Response(status=status, text=text, headers=SECURITY_HEADERS)
        response.force_close()
        return response


def add_middlewares(app: web.Application, limit: ConnectionLimit) -> None:
    """Add the middlewares that keep the deadlines of connections, and their places within the limit.

    The deadline ends when a request has come; the connection counts as waiting until the request is accepted.
    """

    @web.middleware
    async def deadline(request: web.Request, handler: Handler) -> web.StreamResponse:
        with _connection(request).answering():
            return await handler(request)

    @web.middleware
    async def accepted(request: web.Request, handler: Handler) -> web.StreamResponse:
        limit.answering(_connection(request))
        try:
            return await handler(request)
        finally:
            limit.waits(_connection(request))

    async def response_begins(request: web.Request, response: web.StreamResponse) -> None:
        _connection(request).begins_response()

    app.middlewares.insert(0, deadline)
    app.middlewares.append(accepted)
    app.on_response_prepare.append(response_begins)


def _connection(request: web.BaseRequest) -> Connection:
    assert isinstance(request.protocol, Connection)
    return request.protocol
