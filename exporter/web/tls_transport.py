"""TLS between a client's socket and its connection.

asyncio's own TLS has a buffer of 256 KiB for every connection, so a thousand clients that never finish their handshake
take half a gigabyte; and it closes a connection without the alert that says why a handshake failed.
"""

import asyncio
import ssl
from contextlib import suppress
from typing import Any

import structlog

from exporter.web.connections import Connection

READ = 64 * 1024
"""Bytes that are decrypted at a time."""
LOOKS_LIKE_HTTP = (b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO")
SPEAKS_TLS = "Client sent an HTTP request to an HTTPS server."
"""What Go's servers take for HTTP, and what they answer."""


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """The protocol of a client's socket, and the transport of its connection once the handshake is complete."""

    _socket: asyncio.Transport

    def __init__(self, connection: Connection, context: ssl.SSLContext) -> None:
        super().__init__()
        self._connection = connection
        self._context = context
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._is_first = True
        self._is_open = False
        self._is_closing = False
        self._is_paused = False

    # The protocol of the socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._socket = transport
        self._connection.opened(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        self._connection.closed()
        if self._is_open:
            self._connection.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        is_first, self._is_first = self._is_first, False
        if self._is_closing:
            return
        if is_first and data.startswith(LOOKS_LIKE_HTTP):
            self._socket.write(f"HTTP/1.0 400 Bad Request\r\n\r\n{SPEAKS_TLS}\n".encode())
            self.close()
            return
        self._incoming.write(data)
        if self._is_open or self._shake_hands():
            self._read()

    def eof_received(self) -> None:
        if self._is_open:
            self._connection.eof_received()

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()

    # The transport of the connection: what HTTP needs of one.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        match name:
            case "sslcontext":
                return self._context
            case "peercert":
                return self._tls.getpeercert()
        return self._socket.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._is_closing or self._socket.is_closing()

    def pause_reading(self) -> None:
        self._is_paused = True
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        self._is_paused = False
        self._socket.resume_reading()
        asyncio.get_running_loop().call_soon(self._read)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._socket.set_write_buffer_limits(high, low)

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        rest = memoryview(data)
        try:
            while rest and not self.is_closing():
                rest = rest[self._tls.write(rest) :]
                self._flush()
        except ssl.SSLError as error:
            self._fail(error)

    def close(self) -> None:
        """Close when everything that was written is sent. The client's own farewell is not waited for."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._is_open:
            with suppress(ssl.SSLError):  # the client has yet to say farewell, or has broken the protocol
                self._tls.unwrap()
            self._flush()
        self._socket.close()

    def abort(self) -> None:
        self._is_closing = True
        self._socket.abort()

    def _shake_hands(self) -> bool:
        """Continue the handshake; return whether it is complete now."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            self._fail(error)
            return False
        self._flush()
        self._is_open = True
        self._connection.connection_made(self)
        return True

    def _read(self) -> None:
        """Hand on what the client has sent."""
        try:
            while not (self._is_paused or self._is_closing):
                if data := self._tls.read(READ):
                    self._connection.data_received(data)
                else:
                    self._connection.eof_received()
                    self.close()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            self._fail(error)

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._socket.write(data)

    def _fail(self, error: ssl.SSLError) -> None:
        """Send the alert that OpenSSL has made of an error, and close."""
        structlog.get_logger().debug("TLS failed", reason=error.reason, during="use" if self._is_open else "handshake")
        self._flush()
        self._is_closing = True
        self._socket.close()
