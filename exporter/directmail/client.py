"""The API client: signed calls over one shared session, retried where that helps, pages put together.

What goes wrong comes out as a DirectMailError and as nothing else; `transport` translates foreign exceptions.
"""

import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from exporter.clock import Clock
from exporter.directmail import answers, signing
from exporter.directmail.answers import Row
from exporter.directmail.classification import failure, is_failure
from exporter.directmail.credentials import Credentials, Provider
from exporter.directmail.decoding import decode, request_id_of, text_of
from exporter.directmail.errors import AuthError, DirectMailError, ParseError, Throttled
from exporter.directmail.limiter import Limiter
from exporter.directmail.listing import Listed, Listing, Operation
from exporter.directmail.model import PARAMETERS, Filters, RateSums, Totals
from exporter.directmail.paging import Pages
from exporter.directmail.redaction import clean, cleaned, may_hold
from exporter.directmail.transport import Reply, environment_proxy, open_session, post

__all__ = ["Answer", "Client", "open_session"]

VERSION = "2015-11-23"
TRACK = "GetTrackList"
ATTEMPTS = 3
FIRST_PAUSE = 1.0
"""Seconds before the second attempt, about; doubled for each further one."""
RESTARTS = 2
"""How often a cell or a list is read anew when it changes between two pages."""
LIST_PAUSE = 1.5
"""Slots of the limiter between two pages of a list: one of them is for whoever waits."""

Observer = Callable[[str, float, str | None], None]
"""Told of every HTTP request: its action, its seconds, and the reason of its failure."""

_Read = TypeVar("_Read")


class Answer(NamedTuple):
    """What GetTrackList says of one day and one set of filters, all pages together."""

    totals: Totals
    rates: RateSums
    pages: int
    """Pages that it took, those of lists that changed meanwhile included."""
    request_id: str
    """Of the last page."""
    rows: Sequence[Row] = ()


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
        attempts: int = ATTEMPTS,
    ) -> None:
        """`endpoint` is `https://host[:port]`, `timeout` the seconds that one HTTP request may take."""
        self._session = session
        self._endpoint = endpoint
        self._host = _host(URL(endpoint))
        self._proxy = environment_proxy(URL(endpoint))
        self._provider = provider
        self._limiter = limiter
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._page_size = page_size
        self._observe = observe
        self._random = rng or random.Random()
        self._attempts = attempts

    @property
    def credentials_expire_at(self) -> float | None:
        """When the credentials in use expire, in seconds since the epoch; None where nobody knows."""
        return self._provider.expires_at

    async def track(self, filters: Filters, day: date) -> Answer:
        """Return the day's counts for these filters.

        Raise DirectMailError unless every page arrived and made sense.
        """
        parameters = {
            "StartTime": day.isoformat(),
            "EndTime": day.isoformat(),
            "PageSize": str(self._page_size),
        }
        parameters.update({name: value for name, value in zip(PARAMETERS, filters, strict=True) if value})
        asked = 0
        for _ in range(RESTARTS + 1):
            pages = Pages()
            while (number := pages.wanted) is not None:
                await self._call(TRACK, {**parameters, "PageNumber": str(number)}, pages.take)
            asked += pages.asked
            if not pages.changed:
                totals, rates = answers.summed(pages.items, pages.request_id)
                return Answer(totals, rates, asked, pages.request_id, pages.items)
        raise ParseError("rows came and went between the pages", request_id=pages.request_id)

    async def list_values(self, operation: Operation) -> Listed:
        """Return everything that an operation lists.

        Between two pages others may have a slot, so that a long list holds up no polling. Raise DirectMailError
        unless every page arrived and made sense.
        """
        asked = 0
        for _ in range(RESTARTS + 1):
            listing = Listing(operation, self._page_size)
            while listing.wanted is not None:
                if asked:
                    await self._clock.sleep(LIST_PAUSE * self._limiter.spacing)
                await self._call(operation.action, listing.parameters, listing.take)
                asked += 1
            if not listing.changed:
                return listing.result(asked)
        raise ParseError("items came and went between the pages", request_id=listing.request_id)

    async def call(self, action: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Return the answer's JSON object, its RequestId always a string.

        Raise DirectMailError after the last attempt, or at once for a refusal.
        """
        return await self._call(action, parameters, lambda document: document)

    async def _call(self, action: str, parameters: Mapping[str, str], read: Callable[[dict[str, Any]], _Read]) -> _Read:
        """Return what `read` makes of the answer. A ParseError that it raises is a failure of the request."""
        attempt = 0
        while True:
            attempt += 1
            credentials = await self._provider.get()
            try:
                return await self._attempt(action, parameters, credentials, read)
            except DirectMailError as error:
                if attempt >= self._attempts or not (error.retry or await self._renewed(error, credentials)):
                    raise
                if error.retry_after is None and not isinstance(error, Throttled):  # else the limiter waits
                    await self._clock.sleep(FIRST_PAUSE * 2 ** (attempt - 1) * self._random.uniform(0.5, 1.5))

    async def _renewed(self, error: DirectMailError, used: Credentials) -> bool:
        """Whether the credentials that were refused have been replaced meanwhile."""
        if not isinstance(error, AuthError):
            return False
        self._provider.refused()
        return await self._provider.get() != used

    async def _attempt(
        self,
        action: str,
        parameters: Mapping[str, str],
        credentials: Credentials,
        read: Callable[[dict[str, Any]], _Read],
    ) -> _Read:
        """Send one signed request and tell the limiter and the observer how it went."""
        granted_at = await self._limiter.acquire()
        started = self._clock.monotonic()
        reason: str | None = None
        try:
            result = await self._send(action, parameters, credentials, read)
        except DirectMailError as error:
            reason = error.reason
            if isinstance(error, Throttled):
                self._limiter.throttled(error.retry_after, granted_at)
            elif error.retry_after is not None:
                self._limiter.hold(error.retry_after)
            raise
        else:
            self._limiter.succeeded()
            return result
        finally:
            self._observe(action, self._clock.monotonic() - started, reason)

    async def _send(
        self,
        action: str,
        parameters: Mapping[str, str],
        credentials: Credentials,
        read: Callable[[dict[str, Any]], _Read],
    ) -> _Read:
        query = signing.canonical_query(parameters)
        url = URL(f"{self._endpoint}/?{query}", encoded=True)
        headers = self._headers(action, query, credentials)
        reply = await post(self._session, url, headers, self._timeout, self._proxy)
        return _understood(action, reply, credentials.secrets(), self._clock.time(), read)

    def _headers(self, action: str, query: str, credentials: Credentials) -> dict[str, str]:
        signed = {
            "host": self._host,
            "x-acs-action": action,
            "x-acs-content-sha256": signing.EMPTY_SHA256,
            "x-acs-date": time.strftime(signing.DATE_FORMAT, time.gmtime(self._clock.time())),
            "x-acs-signature-nonce": uuid.uuid4().hex,
            "x-acs-version": VERSION,
        }
        if credentials.security_token:
            signed["x-acs-accesskey-id"] = credentials.access_key_id
            signed["x-acs-security-token"] = credentials.security_token
        key, secret = credentials.access_key_id, credentials.access_key_secret
        signed["Authorization"] = signing.authorization(key, secret, "POST", query, signed)
        return signed


def _understood(
    action: str,
    reply: Reply,
    secrets: Sequence[str],
    now: float,
    read: Callable[[dict[str, Any]], _Read],
) -> _Read:
    """Return what `read` makes of an answer that is no failure. Raise the DirectMailError that any other is."""
    headers = CIMultiDict(reply.headers)
    headers["x-acs-request-id"] = clean(headers.get("x-acs-request-id", ""), secrets)
    text, document = text_of(reply.body), dict[str, Any]()
    try:
        document = decode(text)
        if may_hold(text, secrets):
            document = cleaned(document, secrets)
    except ParseError as error:
        if reply.status == HTTPStatus.OK:
            error.status, error.request_id = reply.status, request_id_of({}, headers)
            raise
    if reply.status != HTTPStatus.OK or is_failure(document):
        raise failure(action, reply.status, document, headers, now)
    document["RequestId"] = request_id_of(document, headers)
    return read(document)


def _host(url: URL) -> str:
    """Return the Host header as aiohttp sends it: with the port where it is not the default one."""
    host = f"[{url.host}]" if url.host and ":" in url.host else url.host or ""
    return host if url.is_default_port() else f"{host}:{url.port}"
