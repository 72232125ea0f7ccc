"""The API client: signed calls over one shared session, retried where that helps, pages put together.

What goes wrong comes out as a DirectMailError and as nothing else; foreign exceptions are translated in `_send`.
"""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, NamedTuple

import aiohttp
from yarl import URL

from exporter.clock import Clock
from exporter.directmail import answers, signing
from exporter.directmail.credentials import Credentials, Provider
from exporter.directmail.errors import (
    AuthError,
    DirectMailError,
    NetworkError,
    ParseError,
    RequestTimeout,
    Throttled,
)
from exporter.directmail.limiter import Limiter
from exporter.directmail.model import PARAMETERS, Filters, RateSums, Totals
from exporter.directmail.paging import Pages

VERSION = "2015-11-23"
TRACK = "GetTrackList"
ATTEMPTS = 3
FIRST_PAUSE = 1.0
"""Seconds before the second attempt, about; doubled for each further one."""
LARGEST_BODY = 4 * 1024 * 1024
"""Bytes. A full page of a thousand rows is a tenth of it."""
RESTARTS = 2
"""How often a cell is read anew when its rows change between two pages."""

Observer = Callable[[str, float, str | None], None]
"""Told of every HTTP request: its action, its seconds, and the reason of its failure."""


class Answer(NamedTuple):
    """What GetTrackList says of one day and one set of filters, all pages together."""

    totals: Totals
    rates: RateSums
    pages: int
    """HTTP answers that it took."""
    request_id: str
    """Of the last page."""


@asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open the session that all clients share. Proxies are taken from the environment (HTTPS_PROXY and the like)."""
    async with aiohttp.ClientSession(
        trust_env=True,
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=256, keepalive_timeout=90),
        skip_auto_headers=("User-Agent", "Content-Type"),
        headers={"Accept": "application/json", "User-Agent": "directmail-exporter"},
    ) as session:
        yield session


class Client:
    """Calls one account's API."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: str,
        provider: Provider,
        limiter: Limiter,
        clock: Clock,
        *,
        timeout: float,
        page_size: int,
        observe: Observer,
        rng: random.Random | None = None,
    ) -> None:
        """`endpoint` is `https://host[:port]`, `timeout` the seconds that one HTTP request may take."""
        self._session = session
        self._endpoint = endpoint
        self._host = _host(URL(endpoint))
        self._provider = provider
        self._limiter = limiter
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._page_size = page_size
        self._observe = observe
        self._random = rng or random.Random()

    async def track(self, filters: Filters, day: date) -> Answer:
        """Return the day's counts for these filters. Raise DirectMailError unless every page arrived and made sense."""
        parameters = {
            "StartTime": day.isoformat(),
            "EndTime": day.isoformat(),
            "PageSize": str(self._page_size),
        }
        parameters.update({name: value for name, value in zip(PARAMETERS, filters, strict=True) if value})
        for _ in range(RESTARTS + 1):
            pages = Pages()
            while (number := pages.wanted) is not None:
                document = await self.call(TRACK, {**parameters, "PageNumber": str(number)})
                request_id = answers.request_id_of(document, {})
                pages.add(answers.page(document, request_id), request_id)
            if not pages.changed:
                totals, rates = answers.summed(pages.rows, pages.request_id)
                return Answer(totals, rates, pages.asked, pages.request_id)
        raise ParseError("rows came and went between the pages", request_id=pages.request_id)

    async def call(self, action: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Return the answer's JSON object. Raise DirectMailError after the last attempt, or at once for a refusal."""
        attempt = 0
        while True:
            attempt += 1
            credentials = await self._provider.get()
            try:
                return await self._attempt(action, parameters, credentials)
            except DirectMailError as error:
                if attempt >= ATTEMPTS or not (error.retry or await self._renewed(error, credentials)):
                    raise
                if not isinstance(error, Throttled):  # for those the limiter waits
                    await self._clock.sleep(FIRST_PAUSE * 2 ** (attempt - 1) * self._random.uniform(0.5, 1.5))

    async def _renewed(self, error: DirectMailError, used: Credentials) -> bool:
        """Whether the credentials that were refused have been replaced meanwhile."""
        if not isinstance(error, AuthError):
            return False
        self._provider.refused()
        return await self._provider.get() != used

    async def _attempt(
        self, action: str, parameters: Mapping[str, str], credentials: Credentials
    ) -> dict[str, Any]:
        """Send one signed request and tell the limiter and the observer how it went."""
        await self._limiter.acquire()
        started = self._clock.monotonic()
        reason: str | None = None
        try:
            document = await self._send(action, parameters, credentials)
        except DirectMailError as error:
            reason = error.reason
            if isinstance(error, Throttled):
                self._limiter.throttled(error.retry_after)
            raise
        else:
            self._limiter.succeeded()
            return document
        finally:
            self._observe(action, self._clock.monotonic() - started, reason)

    async def _send(
        self, action: str, parameters: Mapping[str, str], credentials: Credentials
    ) -> dict[str, Any]:
        query = signing.canonical_query(parameters)
        url = URL(f"{self._endpoint}/?{query}", encoded=True)
        try:
            async with self._session.post(
                url,
                headers=self._headers(action, query, credentials),
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                body = await _bounded(response)
                status, headers = response.status, response.headers
        except TimeoutError:
            raise RequestTimeout(
                f"no complete answer within {self._timeout.total:g} s",
                advice="Look at the network between here and the endpoint, or raise the target's timeout.",
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # ValueError: headers or encodings that aiohttp gives up on. The cause's text may hold the whole URL.
            raise NetworkError(
                f"the connection failed: {type(error).__name__}",
                advice="Look at name resolution, the proxy and the network between here and the endpoint.",
            ) from None
        try:
            document = answers.decode(body, headers.get("x-acs-request-id", "")[:64])
        except ParseError:
            if status == 200:
                raise
            document = {}
        if status != 200 or ("Code" in document and "data" not in document):
            raise answers.failure(action, status, document, headers, self._clock.time())
        document.setdefault("RequestId", headers.get("x-acs-request-id", ""))
        return document

    def _headers(self, action: str, query: str, credentials: Credentials) -> dict[str, str]:
        signed = {
            "host": self._host,
            "x-acs-action": action,
            "x-acs-content-sha256": signing.EMPTY_SHA256,
            "x-acs-date": answers.moment(self._clock.time()),
            "x-acs-signature-nonce": uuid.uuid4().hex,
            "x-acs-version": VERSION,
        }
        if credentials.security_token:
            signed["x-acs-accesskey-id"] = credentials.access_key_id
            signed["x-acs-security-token"] = credentials.security_token
        key, secret = credentials.access_key_id, credentials.access_key_secret
        signed["Authorization"] = signing.authorization(key, secret, "POST", query, signed)
        return signed


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """Return the body. Raise ParseError for one that is too large, without reading the rest."""
    chunks, size = [], 0
    async for chunk in response.content.iter_chunked(65_536):
        chunks.append(chunk)
        size += len(chunk)
        if size > LARGEST_BODY:
            raise ParseError(
                f"the answer is larger than {LARGEST_BODY // 1024**2} MB",
                request_id=response.headers.get("x-acs-request-id", "")[:64],
                status=response.status,
            )
    return b"".join(chunks)


def _host(url: URL) -> str:
    """Return the Host header as aiohttp sends it: with the port where it is not the default one."""
    host = f"[{url.host}]" if url.host and ":" in url.host else url.host or ""
    return host if url.is_default_port() else f"{host}:{url.port}"
