"""Sends one HTTP request, reads a bounded response, and translates foreign exceptions.

aiohttp's `trust_env` is off: it would read ~/.netrc and search proxies, in two threads, for every request.
That costs a millisecond of CPU, four times the request itself (measured), and a netrc entry would collide
with our Authorization header. The environment's proxy is found once instead (`proxies`).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp
from yarl import URL

from exporter.directmail import http_causes
from exporter.directmail.causes import Cause
from exporter.directmail.connections import Connector
from exporter.directmail.errors import NetworkError, RequestTimeout

LARGEST_BODY = 2 * 1024 * 1024
"""Bytes, unpacked. A full page of a thousand rows is a seventh of it."""
ENCODINGS = ("gzip", "deflate")
"""What is requested, whatever else is installed."""
WRAPPING = 16
"""JSON objects of a response beside its rows, at most."""


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    excess: str = ""
    """Why the body was not read to its end, "" where it was."""


@asynccontextmanager
async def open_session(listeners: Sequence[aiohttp.TraceConfig] = ()) -> AsyncIterator[aiohttp.ClientSession]:
    """Open the session that all clients share: pooled connections, no cookies. `listeners` hear of every request."""
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=Connector(),
        skip_auto_headers=("User-Agent", "Content-Type"),
        headers={
            "Accept": "application/json",
            "Accept-Encoding": ", ".join(ENCODINGS),
            "User-Agent": "directmail-exporter",
        },
        trace_configs=list(listeners),
    ) as session:
        yield session


async def post(
    session: aiohttp.ClientSession,
    url: URL,
    headers: Mapping[str, str],
    limits: aiohttp.ClientTimeout,
    proxy: str | None,
    most_rows: int | None = None,
) -> Reply:
    """Send an empty POST and return the reply, whatever its status; redirects are not followed.

    A body beyond LARGEST_BODY, or with more rows than `most_rows`, is not read to its end. Raise RequestTimeout or
    NetworkError.
    """
    try:
        async with session.post(
            url,
            headers=headers,
            timeout=limits,
            allow_redirects=False,
            proxy=proxy,
        ) as response:
            encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
            if encoding not in (*ENCODINGS, "identity"):
                raise _failed(http_causes.not_requested(encoding))
            return await _bounded(response, most_rows)
    except TimeoutError:
        raise RequestTimeout(f"no complete response within {limits.total:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # ValueError: addresses and encodings that aiohttp gives up on. The exception may hold the whole URL.
        raise _failed(http_causes.cause(error)) from None


def _failed(cause: Cause) -> NetworkError:
    return NetworkError(cause.text, advice=cause.advice)


async def _bounded(response: aiohttp.ClientResponse, most_rows: int | None) -> Reply:
    """Return the reply, with as much of the body as is accepted.

    A row is a JSON object. Where they begin is counted as they come: decoded, a row takes several times its text.
    """
    chunks, size, objects, excess = [], 0, 0, ""
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        objects += chunk.count(b"{")
        if size > LARGEST_BODY:
            excess = f"the response is larger than {LARGEST_BODY // 1024**2} MB"
        elif most_rows is not None and objects > most_rows + WRAPPING:
            excess = f"the response has more than {most_rows} rows, far more than requested"
        if excess:
            break
    return Reply(response.status, response.headers, b"" if excess else b"".join(chunks), excess)
