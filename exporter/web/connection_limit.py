"""Bounds how many connections are open, and chooses which one is closed to make room for another."""

import asyncio
import resource
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol

import structlog

MOST_CONNECTIONS = 256
SHARE_OF_DESCRIPTORS = 4
"""One in so many file descriptors may be a connection of a client; the others are for the API, files and logs."""
SECONDS_BETWEEN_LINES = 60.0


class Client(Protocol):
    """A connection."""

    def abort(self) -> None:
        """Close it at once."""


class ConnectionLimit:
    """The open connections of a server, each either waiting (for a request, or a password check) or being answered.

    One connection too many closes the one that has waited longest, of the address that has most of them waiting. So
    one address with many connections does not keep others out. While all are being answered, the next has to wait.
    """

    def __init__(self, most: int, monotonic: Callable[[], float]) -> None:
        """`monotonic` is the clock for log lines, in seconds."""
        self._most = most
        self._monotonic = monotonic
        self._waiting: dict[Client, str] = {}
        """Addresses by connection, in the order in which they began to wait."""
        self._answering: dict[Client, str] = {}
        self._room = asyncio.Event()
        self._room.set()
        self._closed = 0
        self._logged_at = float("-inf")

    def clients(self) -> list[Client]:
        """Return all that are open."""
        return [*self._waiting, *self._answering]

    def __len__(self) -> int:
        return len(self._waiting) + len(self._answering)

    async def room(self) -> None:
        """Return when one more connection can be accepted."""
        await self._room.wait()

    def enter(self, client: Client, address: str) -> None:
        """Count a new connection as waiting; another one may be closed for it."""
        if len(self) >= self._most:
            self.close_one(f"limit of {self._most} connections")
        self._waiting[client] = address
        self._note_room()

    def close_one(self, reason: str) -> bool:
        """Close the connection that has waited longest, of the address with most of them; return whether one waits."""
        if is_one := bool(self._waiting):
            (busiest, _), *_ = Counter(self._waiting.values()).most_common(1)
            client = next(each for each, address in self._waiting.items() if address == busiest)
            self.leave(client)
            client.abort()
            self._closed += 1
        if (now := self._monotonic()) - self._logged_at >= SECONDS_BETWEEN_LINES:
            log = structlog.get_logger()
            log.warning("connection limit reached; closing idle connections", reason=reason, closed=self._closed)
            self._logged_at, self._closed = now, 0
        return is_one

    def answering(self, client: Client) -> None:
        """Note that a request is being answered."""
        if (address := self._waiting.pop(client, None)) is not None:
            self._answering[client] = address
            self._note_room()

    def waits(self, client: Client) -> None:
        """Note that the response is made, and the next request is waited for."""
        if (address := self._answering.pop(client, None)) is not None:
            self._waiting[client] = address
            self._note_room()

    def leave(self, client: Client) -> None:
        """Discard a connection that is closed."""
        self._waiting.pop(client, None)
        self._answering.pop(client, None)
        self._note_room()

    def _note_room(self) -> None:
        if self._waiting or len(self._answering) < self._most:
            self._room.set()
        else:
            self._room.clear()


def most_connections(descriptors: int) -> int:
    """Return how many connections a process may have open that has so many file descriptors."""
    if descriptors == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, descriptors // SHARE_OF_DESCRIPTORS))


def client_address(name: object) -> str:
    """Return what identifies a client in a socket's peer name: an IPv4 address, or an IPv6 network of 64 bits."""
    if not isinstance(name, tuple):
        return ""  # a Unix socket
    address: IPv4Address | IPv6Address = ip_address(str(name[0]).partition("%")[0])
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return str(IPv6Address(int(address) >> 64 << 64))
        address = address.ipv4_mapped
    return str(address)
