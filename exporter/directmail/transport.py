"""One HTTP request: what is sent, a bounded read of what comes back, and no foreign exception.

aiohttp's `trust_env` is off: it reads ~/.netrc and the proxies anew in two threads for every request, which costs
five times the CPU of the request itself (measured, see benchmarks), and a netrc entry would collide with our
Authorization header. The proxy is found once instead.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from exporter.directmail.errors import NetworkError, ParseError, RequestTimeout

LARGEST_BODY = 4 * 1024 * 1024
"""Bytes, unpacked. A full page of a thousand rows is a tenth of it."""


class Proxy(NamedTuple):
    """Where the requests go instead of to the endpoint; both None for straight to it."""

    url: URL | None
    auth: aiohttp.BasicAuth | None


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open the session that all clients share: pooled connections, no cookies."""
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=256, keepalive_timeout=90),
        skip_auto_headers=("User-Agent", "Content-Type"),
        headers={"Accept": "application/json", "User-Agent": "directmail-exporter"},
    ) as session:
        yield session


def environment_proxy(endpoint: URL) -> Proxy:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for the endpoint."""
    found = getproxies().get(endpoint.scheme)
    if not found or proxy_bypass(endpoint.authority):
        return Proxy(None, None)
    url = URL(found if "://" in found else f"http://{found}")
    auth = aiohttp.BasicAuth(url.user, url.password or "") if url.user else None
    return Proxy(url.with_user(None), auth)


async def post(
    session: aiohttp.ClientSession,
    url: URL,
    headers: Mapping[str, str],
    timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own, which ends the reading of the body too
    proxy: Proxy,
) -> Reply:
    """Send an empty POST and return the reply, whatever its status; redirects are not followed.

    Raise RequestTimeout, NetworkError, or ParseError for a body beyond LARGEST_BODY.
    """
    try:
        async with session.post(
            url,
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
            proxy=proxy.url,
            proxy_auth=proxy.auth,
        ) as response:
            return Reply(response.status, response.headers, await _bounded(response))
    except TimeoutError:
        raise RequestTimeout(f"no complete answer within {timeout.total:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # ValueError: addresses and encodings that aiohttp gives up on. The cause's text may hold the whole URL.
        raise NetworkError(f"the connection failed: {type(error).__name__}") from None


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """Return the body. Raise ParseError for one that is too large, without reading the rest."""
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > LARGEST_BODY:
            raise ParseError(
                f"the answer is larger than {LARGEST_BODY // 1024**2} MB", status=response.status
            )
    return b"".join(chunks)
