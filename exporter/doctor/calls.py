"""Requests to one target, no more than MOST_CALLS for each statistic; what fails becomes a finding."""

from exporter.config.model import Target
from exporter.directmail import answers, listing
from exporter.directmail.client import Client, most_rows
from exporter.directmail.errors import DirectMailError, InvalidRequest, ParseError, Refused, ServerError
from exporter.directmail.listing import LARGEST_PAGE, OPERATIONS, Listing
from exporter.doctor.failures import explain, no_list
from exporter.doctor.findings import Answer, Finding, Question
from exporter.doctor.http_trace import Wire

MOST_CALLS = 10
MOST_FAILURES = 2
"""Answers that fail or make no sense; after them the rest would hardly tell more."""


class Enough(Exception):
    """More requests would tell nothing more."""


class Calls:
    """The requests to one target, and what was found so far."""

    def __init__(self, target: Target, client: Client, wire: Wire) -> None:
        self.findings: list[Finding] = []
        self.most = MOST_CALLS
        """How many requests may be made in all."""
        self._target = target
        self._client = client
        self._wire = wire
        self._failures = 0

    @property
    def left(self) -> int:
        """How many requests may still be made."""
        return self.most - self._wire.requests

    @property
    def credentials_expire_at(self) -> float | None:
        """When temporary credentials end, in seconds since the epoch; None for a key that does not."""
        return self._client.credentials_expire_at

    def find(self, check: str, level: str, text: str, mend: str = "", request_id: str = "") -> None:
        """Add a finding."""
        self.findings.append(Finding(check, level, text, mend, request_id))

    async def ask(self, question: Question, *, number: int = 1, size: int | None = None) -> Answer | None:
        """Return the answer, None where there is none; a refusal is a finding. Raise Enough as `attempt` does."""
        answer = await self.attempt(question, number=number, size=size)
        if isinstance(answer, InvalidRequest):
            self.findings.append(explain(answer, self._target, question))
            return None
        return answer

    async def attempt(
        self, question: Question, *, number: int = 1, size: int | None = None
    ) -> Answer | InvalidRequest | None:
        """Return the answer, the refusal of the question, or None where no call is left or the failure is a finding.

        Raise Enough for a failure that every further call would meet too.
        """
        if self.left <= 0:
            return None
        size = size or self._target.page_size
        statistic = question.statistic
        parameters = {
            "StartTime": question.start.isoformat(),
            "EndTime": question.end.isoformat(),
            **({"PageSize": str(size), "PageNumber": str(number)} if statistic.is_paged else {}),
            **{statistic.parameters[key]: value for key, value in question.filters._asdict().items() if value},
        }
        try:
            document = await self._client.call(statistic.action, parameters, most_rows(size))
            request_id = str(document["RequestId"])
            return Answer(question, answers.page(statistic, document, request_id), request_id)
        except InvalidRequest as error:
            return error
        except DirectMailError as error:
            self._failures += 1
            self.findings.append(explain(error, self._target, question))
            passes = isinstance(error, ServerError | ParseError) and error.retry_after is None
            if not passes or self._failures >= MOST_FAILURES:
                raise Enough from None
            return None

    async def values_of(self, key: str) -> listing.Page | None:
        """Return the first page of a filter's values; a failure is a finding and None.

        Raise Enough for a failure that every further call would meet too.
        """
        operation = OPERATIONS[key]
        try:
            document = await self._client.call(operation.action, Listing(operation, LARGEST_PAGE).parameters)
            return listing.page(operation, document, str(document["RequestId"]))
        except DirectMailError as error:
            self.findings.append(no_list(error, self._target, operation.action))
            if not isinstance(error, Refused | ServerError | ParseError):
                raise Enough from None
            return None
