"""What is asked of a target, in which order, and when it is enough: at most MOST_CALLS requests, none of them twice."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

from exporter.clock import Clock
from exporter.collector.target_client import connect
from exporter.config.durations import format_duration
from exporter.config.model import Config, Target
from exporter.directmail import answers, listing
from exporter.directmail.client import Client, most_rows
from exporter.directmail.errors import DirectMailError, InvalidRequest, ParseError, Refused, ServerError
from exporter.directmail.listing import LARGEST_PAGE, OPERATIONS, Listing
from exporter.directmail.model import PARAMETERS, Filters
from exporter.directmail.ram_policy import TRACK
from exporter.directmail.transport import open_session
from exporter.doctor import checks
from exporter.doctor.failures import explain, no_list
from exporter.doctor.findings import NOTE, OK, PROBLEM, Answer, Finding, Question
from exporter.doctor.http_trace import Wire
from exporter.doctor.report import Report
from exporter.plan import calendar, selection, target_plan
from exporter.plan.combinations import configured, describe
from exporter.plan.pacing import MINUTE, OLDEST_AGE

MOST_CALLS = 10
MOST_FAILURES = 2
"""Answers that fail or make no sense; after them the rest would hardly tell more."""
WEEK = 7
"""Days of the longest question, today included (GetTrackList's documentation: at most 7)."""


def longest(settings: Config) -> str:
    """Return, for people who wait, how many calls are made and about how long they take."""
    if not settings.targets:
        return "No target of the config falls to this shard: there is nothing to ask."
    slowest = min(target.rate_limit_per_minute for target in settings.targets)
    takes = format_duration(MOST_CALLS * MINUTE / slowest)
    return f"At most {MOST_CALLS} calls a target; at {slowest:g} a minute they take about {takes}."


async def examine(settings: Config, clock: Clock, environment: Mapping[str, str] = os.environ) -> list[Report]:
    """Return what is found at every target, in the config's order. Failures of the API are findings."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_examine(settings, target, clock, environment)) for target in settings.targets]
    return [task.result() for task in tasks]


async def _examine(settings: Config, target: Target, clock: Clock, environment: Mapping[str, str]) -> Report:
    wire = Wire(clock)
    async with open_session([wire.listener]) as session:
        client, _ = connect(target, session, clock, environment, attempts=1)
        examination = _Examination(settings, target, client, clock, wire)
        await examination.run()
    return Report(target.name, target.endpoint, wire.requests, tuple(examination.findings))


class _Enough(Exception):
    """Asking on would tell nothing more."""


class _Examination:
    """One target's."""

    def __init__(self, settings: Config, target: Target, client: Client, clock: Clock, wire: Wire) -> None:
        self._settings = replace(settings, targets=(target,))
        self._target = target
        self._plan = target_plan.make(settings, target)
        self._client = client
        self._clock = clock
        self._wire = wire
        self._now = clock.time()
        self._today = calendar.today(self._now, self._target.timezone)
        self._span = (self._today - timedelta(days=WEEK - 1), self._today)
        self._asked: dict[Filters, Answer | None] = {}
        """Filters that were asked for the span; None where that brought no answer."""
        self._failures = 0
        self.findings: list[Finding] = []

    async def run(self) -> None:
        try:
            await self._ask_all()
        except _Enough:
            self._find("coverage", NOTE, "The rest was not tried.", "Mend the problem and run the doctor again.")
        if self._wire.answers:
            self.findings.insert(0, checks.clock(self._wire.ahead))
            self.findings.append(checks.speed(self._wire.slowest, self._target.timeout))

    async def _ask_all(self) -> None:
        zone = self._target.timezone
        today = await self._first()
        whole = await self._week()
        closed = self._today - timedelta(days=1)
        if whole is not None:
            closed = checks.newest_closed_day(whole, self._today, zone)
        day = await self._ask(Question(closed, closed))
        await self._lists()
        for filters in self._shapes():
            await self._ask_part(filters, spare=3)  # the three questions below
        tomorrow = await self._tomorrow()
        await self._edge()
        second = await self._second_page(whole)
        for filters in self._senders():
            await self._ask_part(filters, spare=0)
        self._left_out()

        days = [each for each in (today, day) if each is not None]
        found = [each for each in (*days, *self._asked.values()) if each is not None]
        if whole is not None and days:
            self.findings.append(checks.one_day(whole, days, zone))
        if calendar.today(self._clock.time(), zone) == self._today:  # past midnight tomorrow has mail by right
            self.findings.append(checks.timezone(zone, self._now, days, tomorrow))
        if any(each.has_mail for each in found) or whole is None:
            self.findings += [checks.freshness(found, self._clock.time()), checks.rates(found)]
            if (odd := checks.counts(found)) is not None:
                self.findings.append(odd)
        else:
            self.findings.append(checks.no_mail(whole))
        if days:
            self.findings.append(checks.page_size(self._target.page_size, days[-1]))
        if whole is not None:
            self.findings.append(checks.pages(found, whole, second))

    async def _first(self) -> Answer | None:
        """Ask for the account's today: the question that shows whether anything works."""
        question = Question(self._today, self._today)
        answer = await self._try(question)
        if isinstance(answer, InvalidRequest):
            if not _is_of_dates(answer):
                self.findings.append(explain(answer, self._target, question))
                raise _Enough
            text = f"The API does not take {self._today}, today in {self._target.timezone} ({answer.code})."
            mend = "Set timezone to where Direct Mail's day begins, or this machine's clock."
            self._find("timezone", PROBLEM, text, mend, answer.request_id)
        if answer is not None:
            self._find("access", OK, f"The key is accepted and may call {TRACK}.{self._end_of_key()}")
        return answer if isinstance(answer, Answer) else None

    def _end_of_key(self) -> str:
        """Return, for temporary credentials, until when they last."""
        at = self._client.credentials_expire_at
        return "" if at is None else f" It is a temporary one, renewed before {checks.utc(at)}."

    async def _week(self) -> Answer | None:
        """Ask for a week, and go on with yesterday where the API takes no week."""
        answer = await self._try(Question(*self._span))
        start, end = self._span
        if isinstance(answer, InvalidRequest):
            text = f"The API takes no question from {start} to {end} ({answer.code})."
            self._find("span", NOTE, text, "Nothing to do: the exporter asks day by day.", answer.request_id)
            self._span = (self._today - timedelta(days=1),) * 2
            return None
        if answer is not None:
            self._find("span", OK, f"A question about {WEEK} days answers, {start} to {end}: the longest documented.")
        self._asked[Filters()] = answer
        return answer

    async def _lists(self) -> None:
        """Ask every operation that discovery needs for one page: each has a permission of its own.

        What a page brings is planned with, as the exporter does: shapes that it has only then are asked too.
        """
        listed = {}
        for key in self._target.discovered[: self._left]:
            operation = OPERATIONS[key]
            try:
                document = await self._client.call(operation.action, Listing(operation, LARGEST_PAGE).parameters)
                found = listing.page(operation, document, str(document["RequestId"]))
            except DirectMailError as error:
                self.findings.append(no_list(error, self._target, operation.action))
                if not isinstance(error, Refused | ServerError | ParseError):
                    raise _Enough from None
            else:
                count = len(found.names) if found.total is None else found.total
                self._find("discovery", OK, f"{operation.action} answers: {count} values for {key}.")
                listed[key] = {name: self._now for name in found.names if listing.is_usable(name)}
        (self._plan,) = selection.plans(self._settings, {self._target.name: selection.Found(listed)})

    async def _tomorrow(self) -> Answer | None:
        day = self._today + timedelta(days=1)
        answer = await self._try(Question(day, day))
        return answer if isinstance(answer, Answer) else None

    async def _edge(self) -> None:
        """Ask for the oldest day, where a window needs it: the 30 days may be meant to the second."""
        if OLDEST_AGE not in self._plan.ages:
            return
        day = self._today - timedelta(days=OLDEST_AGE)
        answer = await self._try(Question(day, day))
        if isinstance(answer, InvalidRequest):
            text = f"The API does not take {day}, {OLDEST_AGE} days ago ({answer.code})."
            mend = f"Nothing to do: after a first start the window {OLDEST_AGE}d is complete a day later."
            self._find("edge", NOTE, text, mend, answer.request_id)
        elif answer is not None:
            self._find("edge", OK, f"The API takes {day}, {OLDEST_AGE} days ago.")

    async def _second_page(self, whole: Answer | None) -> Answer | None:
        """Ask for the rest of the week's rows, on a second page made by a smaller page size where one holds all."""
        if whole is None or len(whole.page.rows) < 2:
            return None
        rows = len(whole.page.rows)
        has_more = (whole.page.total or 0) > rows
        return await self._ask(whole.question, number=2, size=self._target.page_size if has_more else -(-rows // 2))

    async def _ask_part(self, filters: Filters, spare: int) -> None:
        """Ask for filters while more than `spare` calls are left, and compare with what has fewer of them."""
        if filters in self._asked or self._left <= spare:
            return
        alone = Filters(account_name=filters.account_name)
        if alone != Filters() and alone in self._asked and self._asked[alone] is None:
            self._asked[filters] = None  # the sender alone brought no answer, and what was wrong is told
            return
        part = self._asked[filters] = await self._ask(Question(*self._span, filters))
        if part is None:
            return
        if filters != alone and alone not in self._asked and self._left > spare:
            beside = self._asked[alone] = await self._ask(Question(*self._span, alone))
            if beside is not None:
                self.findings.append(checks.filtered(beside, self._asked.get(Filters())))
        whole = self._asked.get(alone) if filters != alone else None
        self.findings.append(checks.filtered(part, whole or self._asked.get(Filters())))

    def _shapes(self) -> Iterator[Filters]:
        """Yield one combination for each set of filter keys, senders alone first, of senders with mail if possible."""
        by_keys: dict[tuple[bool, ...], list[Filters]] = {}
        for combination in self._plan.combinations:
            by_keys.setdefault(_keys(combination.filters), []).append(combination.filters)
        for keys in sorted(by_keys, key=sum):
            if any(keys):
                yield next((each for each in by_keys[keys] if self._has_mail(each.account_name)), by_keys[keys][0])

    def _has_mail(self, sender: str) -> bool:
        answer = self._asked.get(Filters(account_name=sender))
        return answer is not None and answer.has_mail

    def _senders(self) -> list[Filters]:
        """Return the senders that the config names and that were not asked for yet."""
        named = {each.filters.account_name: None for each in configured(self._target) if each.filters.account_name}
        asked = {filters.account_name for filters in self._asked}
        return [Filters(account_name=sender) for sender in named if sender not in asked]

    def _left_out(self) -> None:
        left = [filters.account_name for filters in self._senders()]
        kinds = [describe(filters) for filters in self._shapes() if _keys(filters) not in map(_keys, self._asked)]
        for names, what in ((left, "sender"), (kinds, "breakdown")):
            if names:
                more = f" and {len(names) - 1} more" if len(names) > 1 else ""
                text = f"{MOST_CALLS} calls were too few for {what} {names[0]}{more}."
                self._find("coverage", NOTE, text, "The exporter's log and directmail_query_success tell of them.")

    @property
    def _left(self) -> int:
        return MOST_CALLS - self._wire.requests

    async def _ask(self, question: Question, *, number: int = 1, size: int | None = None) -> Answer | None:
        """Return the answer; a refusal is a finding and None."""
        answer = await self._try(question, number=number, size=size)
        if isinstance(answer, InvalidRequest):
            self.findings.append(explain(answer, self._target, question))
            return None
        return answer

    async def _try(
        self, question: Question, *, number: int = 1, size: int | None = None
    ) -> Answer | InvalidRequest | None:
        """Return the answer, the refusal of the question, or None where no call is left or the failure is told.

        Raise _Enough for a failure that every further call would meet too.
        """
        if self._left <= 0:
            return None
        size = size or self._target.page_size
        named = {name: value for name, value in zip(PARAMETERS, question.filters, strict=True) if value}
        parameters = {
            "StartTime": question.start.isoformat(),
            "EndTime": question.end.isoformat(),
            "PageSize": str(size),
            "PageNumber": str(number),
            **named,
        }
        try:
            document = await self._client.call(TRACK, parameters, most_rows(size))
            request_id = str(document["RequestId"])
            return Answer(question, answers.page(document, request_id), request_id)
        except InvalidRequest as error:
            return error
        except DirectMailError as error:
            self._failures += 1
            self.findings.append(explain(error, self._target, question))
            passes = isinstance(error, ServerError | ParseError) and error.retry_after is None
            if not passes or self._failures >= MOST_FAILURES:
                raise _Enough from None
            return None

    def _find(self, check: str, level: str, text: str, mend: str = "", request_id: str = "") -> None:
        self.findings.append(Finding(check, level, text, mend, request_id))


def _keys(filters: Filters) -> tuple[bool, ...]:
    """Return which filters are set: combinations that share them have one shape."""
    return tuple(map(bool, filters))


def _is_of_dates(error: InvalidRequest) -> bool:
    return error.code.startswith(("InvalidDate", "InvalidStartTime", "InvalidEndTime", "InvalidBetweenTime"))
