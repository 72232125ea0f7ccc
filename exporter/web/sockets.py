"""Listening sockets: bound to addresses, or handed over by systemd."""

import errno
import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

FIRST_FD = 3
"""The first file descriptor that systemd hands over (sd_listen_fds(3))."""
BACKLOG = 128
COUNT = re.compile(r"[1-9][0-9]{0,3}")
NOT_HERE = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""A name resolves to an address that this machine does not have, such as ::1 in many containers."""


class BindError(Exception):
    """An address cannot be listened on; the text is one line for the operator."""


Resolve = Callable[..., Iterable[tuple[int, int, int, str, Any]]]
"""As socket.getaddrinfo."""


def bind(addresses: Sequence[str], resolve: Resolve = socket.getaddrinfo) -> list[socket.socket]:
    """Return sockets that listen on `host:port` addresses; `:10058` is every interface. Raise BindError."""
    if not addresses:
        raise BindError("no address to listen on; write host:port, [v6 address]:port or :port")
    bound: list[socket.socket] = []
    try:
        for address in addresses:
            host, port = split_address(address)
            try:
                bound += _bind(host, port, resolve)
            except (OSError, UnicodeError) as error:
                raise cannot_listen(address, error) from None
    except BindError:
        _close(bound)
        raise
    return bound


def from_systemd(environment: Mapping[str, str], pid: int) -> list[socket.socket]:
    """Return the sockets that systemd hands over to this process. Raise BindError where it does not."""
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(pid) or not COUNT.fullmatch(count):
        raise BindError("--web.systemd-socket: systemd passed no socket; start the service through its socket unit")
    handed: list[socket.socket] = []
    try:
        handed.extend(_handed(number) for number in range(FIRST_FD, FIRST_FD + int(count)))
    except BindError:
        _close(handed)
        raise
    return handed


def split_address(address: str) -> tuple[str | None, int]:
    """Return host and port of `host:port`, `[v6]:port` or `:port`. Raise BindError for anything else."""
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if port is None or parts.path or parts.query or parts.fragment or parts.username:
        given = address.rpartition(":")[2]
        is_port = ":" not in address or given.endswith("]") or (given.isdecimal() and int(given[:6]) < 65536)
        why = "" if is_port else f"{given!r} is not a port from 0 to 65535; "
        shown = address if address.strip() else repr(address)
        raise BindError(f"cannot listen on {shown}: {why}write host:port, [v6 address]:port or :port")
    return host, port


def cannot_listen(address: str, error: OSError | UnicodeError) -> BindError:
    """Return the error for an address that the system rejects."""
    number = 0 if isinstance(error, UnicodeError | socket.gaierror) else error.errno or 0
    why = os.strerror(number).lower() if number in errno.errorcode else "unknown host"
    return BindError(f"cannot listen on {address}: {why}")


def shown(listening: socket.socket) -> str:
    """Return where a socket listens: `host:port`, or the path of a Unix socket."""
    name: Any = listening.getsockname()
    if isinstance(name, str):
        return name
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bind(host: str | None, port: int, resolve: Resolve) -> list[socket.socket]:
    """Return a socket for each address of a host; one is enough where the machine does not have the others."""
    if host is None or host == "::":
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both or host else socket.AF_INET
        return [socket.create_server((host or "", port), family=family, backlog=BACKLOG, dualstack_ipv6=both)]
    found = resolve(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    missing = OSError()
    for kind, name in dict.fromkeys((kind, name) for kind, _, _, _, name in found):
        try:
            bound.append(socket.create_server(name, family=kind, backlog=BACKLOG))
        except OSError as error:
            if error.errno not in NOT_HERE:
                _close(bound)
                raise
            missing = error
    if not bound:
        raise missing
    return bound


def _handed(number: int) -> socket.socket:
    try:
        handed = socket.socket(fileno=number)
        listens = handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        listens = 0
    if not listens:
        why = f"file descriptor {number} is not a listening socket; write ListenStream= and no Accept= in the unit"
        raise BindError(f"--web.systemd-socket: {why}")
    handed.setblocking(False)
    handed.set_inheritable(False)
    return handed


def _close(sockets: Sequence[socket.socket]) -> None:
    for each in sockets:
        each.close()
