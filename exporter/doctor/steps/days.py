"""Requests about the whole account: today, a week, single days, the edges of what the API answers."""

from datetime import timedelta

from exporter.directmail.classification import is_about_dates
from exporter.directmail.errors import InvalidRequest
from exporter.directmail.model import Filters
from exporter.doctor.calls import Calls, Enough
from exporter.doctor.checks.days import newest_closed_day
from exporter.doctor.evidence import WEEK, Evidence
from exporter.doctor.failures import explain
from exporter.doctor.findings import NOTE, OK, PROBLEM, Response, StatisticRequest
from exporter.doctor.wording import utc
from exporter.plan.pacing import OLDEST_AGE


async def today(calls: Calls, evidence: Evidence) -> None:
    """Request today: the request that shows whether anything works. Raise Enough where nothing does."""
    request = StatisticRequest(evidence.statistic, evidence.today, evidence.today)
    response = await calls.attempt(request)
    if isinstance(response, InvalidRequest):
        if not is_about_dates(response.code):
            calls.findings.append(explain(response, evidence.target, request))
            raise Enough
        text = f"The API rejected {evidence.today}, today in {evidence.target.timezone} ({response.code})."
        fix = "Set timezone to that of Direct Mail's days, or correct this machine's clock."
        calls.find("timezone", PROBLEM, text, fix, response.request_id)
    if response is not None:
        calls.find("access", OK, f"The key is accepted and may call {evidence.statistic.action}.{_end_of_key(calls)}")
    if isinstance(response, Response):
        evidence.days.append(response)


async def week(calls: Calls, evidence: Evidence) -> None:
    """Request a week, and continue with yesterday where the API takes no week."""
    start, end = evidence.span
    response = await calls.attempt(StatisticRequest(evidence.statistic, start, end))
    if isinstance(response, InvalidRequest):
        text = f"The API rejected the request for {start} to {end} ({response.code})."
        calls.find("span", NOTE, text, "Nothing to do: the exporter requests single days.", response.request_id)
        evidence.span = (evidence.today - timedelta(days=1),) * 2
        return
    if response is not None:
        calls.find("span", OK, f"A request for {WEEK} days works, {start} to {end}: the longest documented.")
    evidence.whole = evidence.parts[Filters()] = response


async def closed_day(calls: Calls, evidence: Evidence) -> None:
    """Request the newest day before today that has mail, as far as the week shows."""
    day = evidence.today - timedelta(days=1)
    if evidence.whole is not None:
        day = newest_closed_day(evidence.whole, evidence.today, evidence.target.timezone, evidence.account.clock_ahead)
    response = await calls.request(StatisticRequest(evidence.statistic, day, day))
    if response is not None:
        evidence.days.append(response)


async def tomorrow(calls: Calls, evidence: Evidence) -> None:
    """Request tomorrow, which has no mail where the target's zone is right."""
    day = evidence.today + timedelta(days=1)
    response = await calls.attempt(StatisticRequest(evidence.statistic, day, day))
    evidence.tomorrow = response if isinstance(response, Response) else None


async def edge(calls: Calls, evidence: Evidence) -> None:
    """Request the oldest day, where a window needs it: the 30 days may be meant to the second."""
    if OLDEST_AGE not in evidence.plan.ages:
        return
    day = evidence.today - timedelta(days=OLDEST_AGE)
    response = await calls.attempt(StatisticRequest(evidence.statistic, day, day))
    if isinstance(response, InvalidRequest):
        text = f"The API rejected {day}, {OLDEST_AGE} days ago ({response.code})."
        fix = f"Nothing to do: after the first start the window {OLDEST_AGE}d is complete a day later."
        calls.find("edge", NOTE, text, fix, response.request_id)
    elif response is not None:
        calls.find("edge", OK, f"The API accepts {day}, {OLDEST_AGE} days ago.")


async def second_page(calls: Calls, evidence: Evidence) -> None:
    """Request the rest of the week's rows, on a second page made by a smaller page size where one holds all."""
    whole = evidence.whole
    if whole is None or len(whole.page.rows) < 2:
        return
    rows = len(whole.page.rows)
    has_more = (whole.page.total or 0) > rows
    size = evidence.target.page_size if has_more else -(-rows // 2)
    evidence.second_page = await calls.request(whole.request, number=2, size=size)


def _end_of_key(calls: Calls) -> str:
    """Return, for temporary credentials, until when they last."""
    at = calls.credentials_expire_at
    return "" if at is None else f" It is a temporary one, renewed before {utc(at)}."
