"""Explains aiohttp's exceptions in the operator's terms."""

import re

import aiohttp
from aiohttp import http_exceptions

from exporter.directmail import causes
from exporter.directmail.causes import ENDPOINT, LATER, NO_PLACE, UNKNOWN, Cause, Place

_NOT_REQUESTED = re.compile(r"\((\w+)\)\. Please install")
_ENCODING = re.compile(r"[a-z-]{1,12}")


def cause(error: BaseException) -> Cause:
    """Return the cause of a request's exception."""
    found = (each for each in causes.inner(error) if isinstance(each, aiohttp.ClientConnectorError))
    failed = next(found, None)
    place = NO_PLACE
    if failed is not None:
        place = Place(failed.host, failed.port, isinstance(failed, aiohttp.ClientProxyConnectionError))
    return causes.cause(error, place, (_proxy, _response, _closed)) or UNKNOWN


def not_requested(encoding: str) -> Cause:
    """Return the cause where a response has a content encoding that was not requested; only a name is repeated."""
    name = f" {encoding}" if _ENCODING.fullmatch(encoding) else ""
    return Cause(f"the response has a content encoding{name} that was not requested", LATER)


def _proxy(error: BaseException, place: Place) -> Cause | None:
    return causes.rejected_by_proxy(error.status) if isinstance(error, aiohttp.ClientHttpProxyError) else None


def _response(error: BaseException, place: Place) -> Cause | None:
    if isinstance(error, http_exceptions.LineTooLong):
        return Cause("the response has a header that is too large", LATER)
    if isinstance(error, http_exceptions.ContentEncodingError):
        name = _NOT_REQUESTED.search(error.message)
        return not_requested(name[1]) if name else Cause("the response's compression is corrupt", LATER)
    if isinstance(error, http_exceptions.PayloadEncodingError):
        return Cause("the connection was closed before the response was complete", LATER)
    if isinstance(error, http_exceptions.BadHttpMessage):
        return Cause("the response is not valid HTTP", ENDPOINT)
    return None


def _closed(error: BaseException, place: Place) -> Cause | None:
    if isinstance(error, aiohttp.ClientPayloadError):
        return Cause("the connection was closed before the response was complete", LATER)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return Cause("the connection was closed before the response", LATER)
    return None
