"""Listening sockets: bound to addresses, or handed over by systemd."""

import errno
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

FIRST_FD = 3
"""The first file descriptor that systemd hands over (sd_listen_fds(3))."""
BACKLOG = 128


class BindError(Exception):
    """An address cannot be listened on; the text is one line for the operator."""


def bind(addresses: Sequence[str]) -> list[socket.socket]:
    """Return sockets that listen on `host:port` addresses; `:10058` is every interface. Raise BindError."""
    bound: list[socket.socket] = []
    try:
        for address in addresses:
            host, port = split_address(address)
            try:
                bound += _bind(host, port)
            except OSError as error:
                raise cannot_listen(address, error) from None
    except BindError:
        for each in bound:
            each.close()
        raise
    return bound


def from_systemd(environment: Mapping[str, str], pid: int) -> list[socket.socket]:
    """Return the sockets that systemd hands over to this process. Raise BindError where it does not."""
    if environment.get("LISTEN_PID") != str(pid) or not environment.get("LISTEN_FDS", "").isdigit():
        raise BindError("--web.systemd-socket: systemd passed no socket; start the service through its socket unit")
    handed = [socket.socket(fileno=FIRST_FD + number) for number in range(int(environment["LISTEN_FDS"]))]
    for each in handed:
        each.setblocking(False)
        each.set_inheritable(False)
    return handed


def split_address(address: str) -> tuple[str | None, int]:
    """Return host and port of `host:port`, `[v6]:port` or `:port`. Raise BindError for anything else."""
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if port is None or parts.path or parts.query or parts.username:
        given = address.rpartition(":")[2]
        is_port = ":" not in address or given.endswith("]") or (given.isdecimal() and int(given[:6]) < 65536)
        why = "" if is_port else f"{given!r} is not a port from 0 to 65535; "
        raise BindError(f"cannot listen on {address}: {why}write host:port, [v6 address]:port or :port")
    return host, port


def cannot_listen(address: str, error: OSError) -> BindError:
    """Return the error for an address that the system refuses."""
    known = error.errno in errno.errorcode and not isinstance(error, socket.gaierror)
    why = os.strerror(error.errno or 0).lower() if known else "the host is not known"
    return BindError(f"cannot listen on {address}: {why}")


def shown(listening: socket.socket) -> str:
    """Return where a socket listens: `host:port`, or the path of a Unix socket."""
    name: Any = listening.getsockname()
    if isinstance(name, str):
        return name
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bind(host: str | None, port: int) -> list[socket.socket]:
    if host is None:
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        return [socket.create_server(("", port), family=family, backlog=BACKLOG, dualstack_ipv6=both)]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    names = dict.fromkeys((family, name[:2]) for family, _, _, _, name in found)
    return [socket.create_server(name, family=family, backlog=BACKLOG) for family, name in names]
