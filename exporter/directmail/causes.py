"""Explains why no response arrived, in the operator's terms, with a fix.

Exceptions of all libraries wrap those of Python and OpenSSL, so these are searched. No remote text, URL or proxy
user is repeated.
"""

import os
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

LATER = "If it persists, check proxies and firewalls on the path."
ENDPOINT = "Check the endpoint's scheme and port, and proxies on the path."
_PROXY = "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY, and that the proxy allows the endpoint."
_UNKNOWN_ISSUER = (18, 19, 20, 21)
"""OpenSSL's codes (X509_V_ERR) for a certificate without a trusted issuer."""
_WRONG_TIME = (9, 10)
_WRONG_NAME = (62, 64)
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")


class Cause(NamedTuple):
    """The explanation of a failure."""

    text: str
    advice: str
    is_unreachable: bool = False
    """Whether no server was reached."""


class Place(NamedTuple):
    """The destination of a connection, "" where unknown."""

    host: str = ""
    port: int | None = None
    is_proxy: bool = False

    def __str__(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f": {'proxy ' if self.is_proxy else ''}{shown}:{self.port}" if shown else ""


Explanation = Callable[[BaseException, Place], Cause | None]
"""Returns the cause where it knows an exception."""

UNKNOWN = Cause("the connection failed", LATER)
NO_PLACE = Place()


def cause(error: BaseException, place: Place = NO_PLACE, others: Sequence[Explanation] = ()) -> Cause | None:
    """Return the cause of an exception, None if unknown.

    `others` explain exceptions that Python does not have; they come after the more specific ones.
    """
    found = list(inner(error))
    for explain in (_certificate, _name, _tunnel, _tls, *others, _system, _closed, _address):
        for each in reversed(found):
            if (known := explain(each, place)) is not None:
                return known
    return None


def inner(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and all that it was raised for, each before what caused it."""
    seen, waiting = set[int](), [error]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        context = None if each.__suppress_context__ else each.__context__
        wrapped = (context, each.__cause__, getattr(each, "reason", None), *each.args)
        waiting += [other for other in wrapped if isinstance(other, BaseException)]


def rejected_by_proxy(status: int) -> Cause:
    """Return the cause where a proxy answers a CONNECT with another status than 200."""
    advice = "Give the proxy's user and password in HTTPS_PROXY: http://user:password@host:port."
    return Cause(f"the proxy rejected the connection with HTTP {status}", advice if status == 407 else _PROXY)


def _certificate(error: BaseException, place: Place) -> Cause | None:
    reason = getattr(error, "verify_message", "") if isinstance(error, ssl.SSLCertVerificationError) else ""
    if not reason:
        return None
    code = getattr(error, "verify_code", 0)
    if code in _UNKNOWN_ISSUER:
        advice = _trust()
    elif code in _WRONG_TIME:
        advice = "Check this machine's clock. If it is right, the operator of the endpoint, or of a proxy that "
        advice += "intercepts TLS, must renew the certificate."
    elif code in _WRONG_NAME:
        advice = "Check the target's endpoint, and look for a proxy that responds instead of the API."
    else:
        advice = "The operator of the endpoint, or of a proxy that intercepts TLS, must have the certificate reissued."
    return Cause(f"certificate not trusted: {_small(reason.rstrip('.'))}", advice)


def _trust() -> str:
    """Return what makes an authority trusted, and not what was done already."""
    file = os.environ.get("SSL_CERT_FILE")
    if file is None:
        return (
            "Look for a proxy that intercepts TLS. Add the authority that signed the certificate to this machine's, or "
            "name a PEM file with it and all others in SSL_CERT_FILE and restart (docs/troubleshooting.md)."
        )
    if not os.access(file, os.R_OK):
        return f"SSL_CERT_FILE names {file}, which cannot be read. Correct it and restart."
    return f"Add the authority that signed the certificate to {file}, which SSL_CERT_FILE names, and restart."


def _name(error: BaseException, place: Place) -> Cause | None:
    if not isinstance(error, socket.gaierror):
        return None
    of = f": {place.host}" if place.host else ""
    if error.errno == socket.EAI_AGAIN:
        return Cause(f"name lookup failed{of}", "No DNS server responded: check name resolution on this machine.", True)
    return Cause(f"name not found{of}", "Check region or endpoint, proxies, and name resolution on this machine.", True)


def _tunnel(error: BaseException, place: Place) -> Cause | None:
    tunnel = _TUNNEL.search(str(error)) if isinstance(error, OSError) else None
    return rejected_by_proxy(int(tunnel[1])) if tunnel else None


def _tls(error: BaseException, place: Place) -> Cause | None:
    if not isinstance(error, ssl.SSLError) or not isinstance(error.reason, str):
        return None
    return Cause(f"TLS failed: {error.reason.replace('_', ' ').lower()}", ENDPOINT)


def _system(error: BaseException, place: Place) -> Cause | None:
    if not isinstance(error, OSError) or isinstance(error, ssl.SSLError):
        return None
    if not error.errno:
        return Cause("no response in time", LATER, True) if isinstance(error, TimeoutError) else None
    text = f"{_small(os.strerror(error.errno))}{place}"
    return Cause(text, _PROXY if place.is_proxy else "Check region or endpoint, `vpc` and firewalls.", True)


def _closed(error: BaseException, place: Place) -> Cause | None:
    if isinstance(error, ConnectionError | ssl.SSLError):
        return Cause("the connection was closed before the response", LATER)
    return None


def _address(error: BaseException, place: Place) -> Cause | None:
    if isinstance(error, ValueError):
        return Cause("the address cannot be used", "Check the target's endpoint, and HTTPS_PROXY and HTTP_PROXY.")
    return None


def _small(text: str) -> str:
    """Return a text as the part of a sentence: without its capital, unless that is an abbreviation's."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
