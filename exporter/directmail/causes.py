"""Why no usable answer came over the wire, in the operator's words, and what to do about it.

The exceptions of every library end in those of Python, OpenSSL and the HTTP parser. So what they wrap is looked for,
not what they are called. Nothing of a remote text, a URL or a user of a proxy gets into the words.
"""

import os
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import NamedTuple

import aiohttp
from aiohttp import http_exceptions

_LATER = "If it stays, look at proxies and firewalls on the way."
_ENDPOINT = "Check the endpoint: its scheme, its port, and proxies on the way."
_PROXY = "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY, and that the proxy allows the endpoint."
_UNKNOWN_ISSUER = (18, 19, 20, 21)
"""OpenSSL's codes (X509_V_ERR) where nobody who is trusted has signed."""
_WRONG_TIME = (9, 10)
_WRONG_NAME = (62, 64)
_NOT_REQUESTED = re.compile(r"\((\w+)\)\. Please install")
_ENCODING = re.compile(r"[a-z-]{1,12}")
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")


class Cause(NamedTuple):
    """What is said about it."""

    text: str
    advice: str


UNKNOWN = Cause("the connection failed", _LATER)


class _Place(NamedTuple):
    """Where a connection was to lead, "" where the exception does not say."""

    host: str = ""
    port: int | None = None
    is_proxy: bool = False

    def __str__(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f": {'proxy ' if self.is_proxy else ''}{shown}:{self.port}" if shown else ""


def cause(error: BaseException) -> Cause | None:
    """Return what an exception comes from, None where that is not known."""
    found = list(_inner(error))
    place = next((_place(each) for each in found if isinstance(each, aiohttp.ClientConnectorError)), _Place())
    for explain in _EXPLANATIONS:
        for each in reversed(found):
            if (known := explain(each, place)) is not None:
                return known
    return None


def _inner(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and all that it was raised for, each before what caused it."""
    seen, waiting = set[int](), [error]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        context = None if each.__suppress_context__ else each.__context__
        others = (context, each.__cause__, getattr(each, "reason", None), *each.args)
        waiting += [other for other in others if isinstance(other, BaseException)]


def _place(error: aiohttp.ClientConnectorError) -> _Place:
    return _Place(error.host, error.port, isinstance(error, aiohttp.ClientProxyConnectionError))


def _certificate(error: BaseException, place: _Place) -> Cause | None:
    reason = getattr(error, "verify_message", "") if isinstance(error, ssl.SSLCertVerificationError) else ""
    if not reason:
        return None
    code = getattr(error, "verify_code", 0)
    if code in _UNKNOWN_ISSUER:
        advice = _trust()
    elif code in _WRONG_TIME:
        advice = (
            "Check this machine's clock. If it is right, the certificate of the endpoint, or of a proxy that opens "
        )
        advice += "TLS, has to be renewed."
    elif code in _WRONG_NAME:
        advice = "Check the target's endpoint, and look for a proxy that answers in the API's place."
    else:
        advice = (
            "The certificate itself has to be issued anew, by whoever runs the endpoint or the proxy that opens TLS."
        )
    return Cause(f"certificate not trusted: {_small(reason.rstrip('.'))}", advice)


def _trust() -> str:
    """Return what makes an authority trusted, and not what was done already."""
    file = os.environ.get("SSL_CERT_FILE")
    if file is None:
        return (
            "Look for a proxy that opens TLS. Add the authority that signed the certificate to this machine's, or name "
            "a PEM file with it and all others in SSL_CERT_FILE and start again (docs/troubleshooting.md)."
        )
    if not os.access(file, os.R_OK):
        return f"SSL_CERT_FILE names {file}, which cannot be read. Correct it and start again."
    return f"Add the authority that signed the certificate to {file}, which SSL_CERT_FILE names, and start again."


def _name(error: BaseException, place: _Place) -> Cause | None:
    if not isinstance(error, socket.gaierror):
        return None
    of = f": {place.host}" if place.host else ""
    if error.errno == socket.EAI_AGAIN:
        return Cause(f"name lookup failed{of}", "No name server answered: check name resolution on this machine.")
    return Cause(f"name not found{of}", "Check region or endpoint, proxies, and name resolution on this machine.")


def _proxy(error: BaseException, place: _Place) -> Cause | None:
    status = error.status if isinstance(error, aiohttp.ClientHttpProxyError) else 0
    if isinstance(error, OSError) and (tunnel := _TUNNEL.search(str(error))):
        status = int(tunnel[1])
    if not status:
        return None
    advice = "Give the proxy's user and password in HTTPS_PROXY: http://user:password@host:port."
    return Cause(f"the proxy rejected the connection with HTTP {status}", advice if status == 407 else _PROXY)


def _tls(error: BaseException, place: _Place) -> Cause | None:
    if not isinstance(error, ssl.SSLError) or not isinstance(error.reason, str):
        return None
    reason = error.reason.replace("_", " ").lower()
    return Cause(f"TLS failed: {reason}", _ENDPOINT)


def _http(error: BaseException, place: _Place) -> Cause | None:
    if isinstance(error, http_exceptions.LineTooLong):
        return Cause("the answer has a header that is too large", _LATER)
    if isinstance(error, http_exceptions.ContentEncodingError):
        if (name := _NOT_REQUESTED.search(error.message)) is not None:
            return not_requested(name[1])
        return Cause("the answer's compression is damaged", _LATER)
    if isinstance(error, http_exceptions.PayloadEncodingError):
        return Cause("the connection was closed before the answer was complete", _LATER)
    if isinstance(error, http_exceptions.BadHttpMessage):
        return Cause(
            "the answer is not valid HTTP", "Check the endpoint: its scheme, its port, and proxies on the way."
        )
    return None


def not_requested(encoding: str) -> Cause:
    """Return the cause where an answer comes in a content encoding that was not requested; only a name is repeated."""
    name = f" {encoding}" if _ENCODING.fullmatch(encoding) else ""
    return Cause(f"the answer comes in a content encoding{name} that was not requested", _LATER)


def _system(error: BaseException, place: _Place) -> Cause | None:
    if not isinstance(error, OSError) or isinstance(error, ssl.SSLError):
        return None
    if not error.errno:
        return Cause("no answer in time", _LATER) if isinstance(error, TimeoutError) else None
    text = f"{_small(os.strerror(error.errno))}{place}"
    return Cause(text, _PROXY if place.is_proxy else "Check region or endpoint, `vpc` and firewalls.")


def _closed(error: BaseException, place: _Place) -> Cause | None:
    if isinstance(error, aiohttp.ClientPayloadError):
        return Cause("the connection was closed before the answer was complete", _LATER)
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError | ssl.SSLError):
        return Cause("the connection was closed before the answer came", _LATER)
    return None


def _address(error: BaseException, place: _Place) -> Cause | None:
    if isinstance(error, ValueError):
        return Cause("the address cannot be used", "Check the target's endpoint, and HTTPS_PROXY and HTTP_PROXY.")
    return None


def _small(text: str) -> str:
    """Return a text as the part of a sentence: without its capital, unless that is an abbreviation's."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


_EXPLANATIONS: tuple[Callable[[BaseException, _Place], Cause | None], ...] = (
    *(_certificate, _name, _proxy, _tls, _http, _system, _closed, _address),
)
"""The more they say the earlier."""
