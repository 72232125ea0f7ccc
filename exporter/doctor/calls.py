"""Makes requests to one target, at most `most`; failures become findings."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from exporter.config.model import Target
from exporter.directmail import listing, responses
from exporter.directmail.classification import is_about_account
from exporter.directmail.client import Client, most_rows
from exporter.directmail.errors import (
    DirectMailError,
    InvalidRequest,
    ParseError,
    PermissionDenied,
    Rejected,
    ServerError,
    Throttled,
)
from exporter.directmail.listing import LARGEST_PAGE, OPERATIONS, Listing
from exporter.doctor.failures import account_rejected, explain, not_needed, too_fast, unread
from exporter.doctor.findings import Finding, Response, StatisticRequest
from exporter.doctor.http_trace import HttpTrace

MOST_CALLS = 10
"""Requests for each statistic."""
MOST_FAILURES = 2
"""Failed or invalid responses after which further requests would show little more."""


Made = TypeVar("Made")


class Enough(Exception):
    """Further requests would show nothing more."""


class Calls:
    """The requests to one target, and what was found so far."""

    def __init__(self, target: Target, client: Client, trace: HttpTrace, needed: Sequence[str]) -> None:
        """`needed` are the operations that the config requires."""
        self.findings: list[Finding] = []
        self.begun = 0
        """How many findings there were before those of the current statistic."""
        self.most = MOST_CALLS
        """How many requests may be made in all."""
        self.needed = needed
        self.denied: list[str] = []
        """Operations that the key may not call, and that the config does not need."""
        self._lists: dict[str, listing.ListPage | None] = {}
        self._target = target
        self._client = client
        self._trace = trace
        self._failures = 0

    @property
    def left(self) -> int:
        """How many requests may still be made."""
        return self.most - self._trace.requests

    @property
    def credentials_expire_at(self) -> float | None:
        """When temporary credentials end, in seconds since the epoch; None for a key that does not."""
        return self._client.credentials_expire_at

    def find(self, check: str, level: str, text: str, fix: str = "", request_id: str = "") -> None:
        """Add a finding."""
        self.findings.append(Finding(check, level, text, fix, request_id))

    async def request(self, request: StatisticRequest, *, number: int = 1, size: int | None = None) -> Response | None:
        """Return the response, None where there is none; a rejection is a finding. Raise Enough as `attempt` does."""
        response = await self.attempt(request, number=number, size=size)
        if isinstance(response, InvalidRequest):
            self.findings.append(explain(response, self._target, request))
            return None
        return response

    async def attempt(
        self, request: StatisticRequest, *, number: int = 1, size: int | None = None
    ) -> Response | InvalidRequest | None:
        """Return the response, the rejection of the request, or None where no call is left or the failure is a finding.

        Raise Enough for a failure that every further call would have too.
        """
        if self.left <= 0:
            return None
        size = size or self._target.page_size
        statistic = request.statistic
        parameters = statistic.request(request.filters, request.start, request.end, page=number, size=size)
        try:
            document = await self._client.call(statistic.action, parameters, most_rows(size))
            request_id = str(document["RequestId"])
            return Response(request, responses.page(statistic, document, request_id), request_id)
        except InvalidRequest as error:
            return error
        except DirectMailError as error:
            self._failures += 1
            self.findings.append(explain(error, self._target, request))
            passes = isinstance(error, ServerError | ParseError) and error.retry_after is None
            if not passes or self._failures >= MOST_FAILURES:
                raise Enough from None
            return None

    async def values_of(self, key: str) -> listing.ListPage | None:
        """Return the first page of a filter's values, which is requested once; a failure is a finding and None.

        Raise Enough for a failure that every further call would have too.
        """
        if key not in self._lists:
            operation = OPERATIONS[key]
            self._lists[key] = await self.read(
                operation.action,
                Listing(operation, LARGEST_PAGE).parameters,
                lambda document: listing.page(operation, document, str(document["RequestId"])),
            )
        return self._lists[key]

    async def read(
        self, action: str, parameters: Mapping[str, str], make: Callable[[dict[str, Any]], Made]
    ) -> Made | None:
        """Return what is made of an operation's answer; a failure is a finding, or is noted in `denied`, and None.

        Raise Enough for a failure that every further call would have too.
        """
        if self.left <= 0:
            return None
        is_needed = action in self.needed
        try:
            return make(await self._client.call(action, parameters))
        except DirectMailError as error:
            if isinstance(error, Throttled):
                self.findings.append(too_fast(error))
            elif is_about_account(error.code):
                self.findings.append(account_rejected(error))
                raise Enough from None
            elif is_needed:
                self.findings.append(unread(error, action, self.needed, self._target))
            elif isinstance(error, PermissionDenied):
                self.denied.append(action)
            else:
                self.findings.append(not_needed(error, action))
            if not isinstance(error, Rejected | ServerError | ParseError):
                raise Enough from None
            return None
