"""Addresses of HTTP servers as settings name them."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """Where an HTTP server is."""

    scheme: str
    host: str
    """A name in ASCII and lower case, or an IP address."""
    port: int | None
    is_bare: bool
    """Whether there is nothing else: no user, path or query."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port is not None else "")

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def is_readable_by_others(self) -> bool:
        """Whether what is sent crosses a network in clear."""
        return self.scheme == "http" and not self.is_loopback


def parse(value: object) -> Address | None:
    """Return the address that is written as `http[s]://host[:port]...`, None for anything else."""
    if not isinstance(value, str) or re.search(r"[\s\\]", value):
        return None
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
        if "[" in parts.netloc:
            host = str(ipaddress.IPv6Address(host))
        elif not _HOST.fullmatch(host):
            return None
        host.encode("ascii").decode("idna")
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or port == 0 or "%" in host:
        return None
    is_bare = parts.path in ("", "/") and "@" not in parts.netloc and not (parts.query or parts.fragment)
    return Address(parts.scheme, host, port, is_bare)


def may_hold_secrets(value: object) -> bool:
    """Return whether a text has the marks of a user, parameters or a fragment: a message does not repeat it."""
    return isinstance(value, str) and re.search("[@?#]", value) is not None
