"""The API client: signed calls over one shared session, retried where that helps, pages put together.

Every failure is a DirectMailError; `transport` translates foreign exceptions.
"""

import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from http import HTTPStatus
from typing import Any, Generic, NamedTuple, TypeVar

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from exporter.clock import Clock
from exporter.directmail import responses, signing
from exporter.directmail.classification import failure, is_failure
from exporter.directmail.credentials import Credentials, Provider
from exporter.directmail.decoding import decode, request_id_of, text_of
from exporter.directmail.errors import AuthError, DirectMailError, ParseError, Throttled
from exporter.directmail.limiter import Limiters
from exporter.directmail.listing import Listed, Listing, Operation
from exporter.directmail.model import Filters
from exporter.directmail.paging import Pages
from exporter.directmail.proxies import environment_proxy
from exporter.directmail.redaction import clean, cleaned, may_hold
from exporter.directmail.responses import Row
from exporter.directmail.statistics.statistic import RateSums, Statistic, Totals
from exporter.directmail.threads import off_the_loop
from exporter.directmail.transport import Reply, post

VERSION = "2015-11-23"
ATTEMPTS = 3
FIRST_PAUSE = 1.0
"""Seconds before the second attempt, about; doubled for each further one."""
RESTARTS = 2
"""How often a cell or a list is read again when it changes between two pages."""

SMALL_BODY = 64 * 1024
"""Bytes, about 200 rows, that are decoded and read in about a millisecond: more than that holds the loop too long."""
MANY_ROWS = 2000
"""Rows that are added up in about a millisecond."""
MOST_ROWS = 1000
"""Rows of a page that are always accepted: the API may have a page size of its own."""

Observer = Callable[[str, float, str | None], None]
"""Called for every HTTP request: its action, its seconds, and the reason of its failure."""
Recorder = Callable[[str, Mapping[str, str], Reply | None], None]
"""Called for every HTTP request: its action, its parameters, and the reply as it came, None where none came."""
Retrying = Callable[[str, DirectMailError], None]
"""Called with the action when a request has failed for the first time and is going to be made again."""

_Read = TypeVar("_Read")


class Result(NamedTuple):
    """The counts of one day and one set of filters, all pages together."""

    totals: Totals
    rates: RateSums
    pages: int
    """Pages that were requested, with those of lists that changed meanwhile."""
    request_id: str
    """Of the last page."""
    rows: Sequence[Row] = ()


class _Request(NamedTuple, Generic[_Read]):
    """What is requested, and how the response is read."""

    action: str
    parameters: Mapping[str, str]
    read: Callable[[dict[str, Any]], _Read]
    """Converts the response, perhaps in a thread. A ParseError that it raises is a failed request."""
    most_rows: int | None = None
    """How many rows are accepted, None for any number."""


class Client:
    """Calls one account's API."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: str,
        provider: Provider,
        limiters: Limiters,
        clock: Clock,
        *,
        timeout: float,
        page_size: int,
        observe: Observer,
        record: Recorder | None = None,
        retrying: Retrying = lambda action, error: None,
        rng: random.Random | None = None,
        attempts: int = ATTEMPTS,
    ) -> None:
        """`endpoint` is `https://host[:port]`, `timeout` the seconds that one HTTP request may take."""
        self._session = session
        self._endpoint = endpoint
        self._host = _host(URL(endpoint))
        self._proxy = environment_proxy(endpoint)
        self._provider = provider
        self.limiters = limiters
        """The rate limiters, one for each operation."""
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._page_size = page_size
        self._most_rows = most_rows(page_size)
        self._observe = observe
        self._record = record
        self._random = rng or random.Random()
        self._attempts = attempts
        self._retrying = retrying

    @property
    def credentials_expire_at(self) -> float | None:
        """When the credentials in use expire, in seconds since the epoch; None where unknown."""
        return self._provider.expires_at

    async def read(self, statistic: Statistic, filters: Filters, day: date) -> Result:
        """Return the day's counts of a statistic for these filters, which it must know.

        Raise DirectMailError unless every page arrived and made sense.
        """
        sent = 0
        for _ in range(RESTARTS + 1):
            pages = Pages(statistic)
            while (number := pages.wanted) is not None:
                parameters = statistic.request(filters, day, day, page=number, size=self._page_size)
                await self._call(_Request(statistic.action, parameters, pages.take, self._most_rows))
            sent += pages.sent
            if not pages.changed:
                add_up = partial(responses.summed, statistic, pages.items, pages.request_id)
                totals, rates = add_up() if len(pages.items) <= MANY_ROWS else await off_the_loop(add_up)
                return Result(totals, rates, sent, pages.request_id, pages.items)
        raise ParseError("rows changed between pages", request_id=pages.request_id)

    async def list_values(self, operation: Operation) -> Listed:
        """Return everything that an operation lists. Raise DirectMailError unless every page arrived and made sense."""
        sent = 0
        for _ in range(RESTARTS + 1):
            listing = Listing(operation, self._page_size)
            while listing.wanted is not None:
                await self._call(_Request(operation.action, listing.parameters, listing.take))
                sent += 1
            if not listing.changed:
                return listing.result(sent)
        raise ParseError("items changed between pages", request_id=listing.request_id)

    async def call(self, action: str, parameters: Mapping[str, str], most_rows: int | None = None) -> dict[str, Any]:
        """Return the response's JSON object, its RequestId always a string; None accepts any number of rows.

        Raise DirectMailError after the last attempt, or at once for a rejection.
        """
        return await self._call(_Request(action, parameters, lambda document: document, most_rows))

    async def _call(self, request: _Request[_Read]) -> _Read:
        """Return the result of a request, which is retried where that may help."""
        attempt = 0
        while True:
            attempt += 1
            credentials = await self._provider.get()
            try:
                return await self._attempt(request, credentials)
            except DirectMailError as error:
                if attempt >= self._attempts or not (error.retry or await self._renewed(error, credentials)):
                    raise
                if attempt == 1:
                    self._retrying(request.action, error)
                if error.retry_after is None and not isinstance(error, Throttled):  # else the limiter waits
                    await self._clock.sleep(FIRST_PAUSE * 2 ** (attempt - 1) * self._random.uniform(0.5, 1.5))

    async def _renewed(self, error: DirectMailError, used: Credentials) -> bool:
        """Whether the credentials that were rejected have been replaced meanwhile."""
        if not isinstance(error, AuthError):
            return False
        self._provider.rejected()
        return await self._provider.get() != used

    async def _attempt(self, request: _Request[_Read], credentials: Credentials) -> _Read:
        """Send one signed request and report its outcome to the limiter and the observer."""
        limiter = self.limiters.of(request.action)
        granted_at = await limiter.acquire()
        started = self._clock.monotonic()
        reason: str | None = None
        try:
            result = await self._send(request, credentials)
        except DirectMailError as error:
            reason = error.reason
            if isinstance(error, Throttled):
                limiter.throttled(error.retry_after, granted_at)
            elif error.retry_after is not None:
                limiter.hold(error.retry_after)
            raise
        else:
            limiter.succeeded()
            return result
        finally:
            self._observe(request.action, self._clock.monotonic() - started, reason)

    async def _send(self, request: _Request[_Read], credentials: Credentials) -> _Read:
        query = signing.canonical_query(request.parameters)
        url = URL(f"{self._endpoint}/?{query}", encoded=True)
        headers = self._headers(request.action, query, credentials)
        reply: Reply | None = None
        try:
            reply = await post(self._session, url, headers, self._timeout, self._proxy, request.most_rows)
        finally:
            if self._record is not None:
                self._record(request.action, request.parameters, reply)
        understand = partial(_understood, request, reply, credentials.secrets(), self._clock.time())
        return understand() if len(reply.body) <= SMALL_BODY else await off_the_loop(understand)

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


def most_rows(requested: int) -> int:
    """Return how many rows a page may have when so many were requested; more are an error."""
    return max(MOST_ROWS, 2 * requested)


def _understood(request: _Request[_Read], reply: Reply, secrets: Sequence[str], now: float) -> _Read:
    """Return the content of a good reply. Raise the DirectMailError of any other.

    What readers raise over a value that they did not foresee is a ParseError too: no answer ends the process.
    """
    try:
        return _content(request, reply, secrets, now)
    except (ArithmeticError, RecursionError, ValueError) as error:
        raise ParseError(f"the response cannot be read: {type(error).__name__}", status=reply.status) from None


def _content(request: _Request[_Read], reply: Reply, secrets: Sequence[str], now: float) -> _Read:
    """Return the content of a good reply. Raise the DirectMailError of any other."""
    headers = CIMultiDict(reply.headers)
    headers["x-acs-request-id"] = clean(headers.get("x-acs-request-id", ""), secrets)
    text, document = text_of(reply.body), dict[str, Any]()
    try:
        if reply.excess:
            raise ParseError(reply.excess)
        document = decode(text)
        if may_hold(text, secrets):
            document = cleaned(document, secrets)
    except ParseError as error:
        if reply.status == HTTPStatus.OK:
            error.status, error.request_id = reply.status, request_id_of({}, headers)
            raise
    if reply.status != HTTPStatus.OK or is_failure(document):
        raise failure(request.action, reply.status, document, headers, now)
    document["RequestId"] = request_id_of(document, headers)
    return request.read(document)


def _host(url: URL) -> str:
    """Return the Host header as aiohttp sends it: with the port where it is not the default one."""
    host = f"[{url.host}]" if url.host and ":" in url.host else url.host or ""
    return host if url.is_default_port() else f"{host}:{url.port}"
