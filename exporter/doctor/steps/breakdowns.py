"""Requests with filters: one for each set of filter keys, then for each sender, and what the calls were too few for."""

from collections.abc import Iterator

from exporter.directmail.errors import InvalidRequest
from exporter.directmail.model import Filters
from exporter.doctor.calls import Calls
from exporter.doctor.checks.breakdowns import compared
from exporter.doctor.evidence import Evidence
from exporter.doctor.failures import explain
from exporter.doctor.findings import NOTE, Response, StatisticRequest
from exporter.plan.combinations import configured, describe

LATER = 3
"""Requests that are kept for the steps after `shapes`: tomorrow, the edge, a second page."""


async def shapes(calls: Calls, evidence: Evidence) -> None:
    """Request one combination of each set of filter keys."""
    for filters in _shapes(evidence):
        await _request(calls, evidence, filters, spare=LATER)


async def senders(calls: Calls, evidence: Evidence) -> None:
    """Request each sender that was not requested yet, and report what the calls were too few for."""
    for filters in _senders(evidence):
        await _request(calls, evidence, filters, spare=0)
    left = [filters.account_name for filters in _senders(evidence)]
    kinds = [describe(filters) for filters in _shapes(evidence) if _keys(filters) not in map(_keys, evidence.parts)]
    for names, what in ((left, "sender"), (kinds, "breakdown")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            text = f"{calls.most} calls were too few for {what} {names[0]}{more}."
            calls.find("coverage", NOTE, text, "For the others see the exporter's log and directmail_query_success.")


async def _request(calls: Calls, evidence: Evidence, filters: Filters, spare: int) -> None:
    """Request filters while more than `spare` calls are left, and compare with what has fewer of them."""
    parts = evidence.parts
    if filters in parts or calls.left <= spare:
        return
    alone = Filters(account_name=filters.account_name)
    if alone != Filters() and alone in parts and parts[alone] is None:
        parts[filters] = None  # the sender alone brought no response, and the error is reported
        return
    part = await part_of(calls, evidence, filters)
    if part is None:
        return
    if filters != alone and alone not in parts and calls.left > spare:
        beside = await part_of(calls, evidence, alone)
        if beside is not None:
            calls.findings.append(compared(beside, parts.get(Filters())))
    whole = parts.get(alone) if filters != alone else None
    calls.findings.append(compared(part, whole or parts.get(Filters())))


async def part_of(calls: Calls, evidence: Evidence, filters: Filters) -> Response | None:
    """Request filters, and keep what comes of it."""
    request = StatisticRequest(evidence.statistic, *evidence.span, filters)
    response = await calls.attempt(request)
    if isinstance(response, InvalidRequest):
        evidence.rejected.add(filters)
        calls.findings.append(explain(response, evidence.target, request))
        response = None
    evidence.parts[filters] = response
    return response


def _shapes(evidence: Evidence) -> Iterator[Filters]:
    """Yield one combination for each set of filter keys, senders alone first, of senders with mail if possible."""
    by_keys: dict[tuple[bool, ...], list[Filters]] = {}
    for combination in evidence.plan.combinations:
        by_keys.setdefault(_keys(combination.filters), []).append(combination.filters)
    for keys in sorted(by_keys, key=sum):
        if any(keys):
            yield next((each for each in by_keys[keys] if _has_mail(evidence, each.account_name)), by_keys[keys][0])


def _has_mail(evidence: Evidence, sender: str) -> bool:
    response = evidence.parts.get(Filters(account_name=sender))
    return response is not None and response.has_mail


def _senders(evidence: Evidence) -> list[Filters]:
    """Return the senders that the config names and that were not requested yet."""
    combinations = configured(evidence.target, evidence.statistic.name)
    named = {each.filters.account_name: None for each in combinations if each.filters.account_name}
    requested = {filters.account_name for filters in evidence.parts}
    return [Filters(account_name=sender) for sender in named if sender not in requested]


def _keys(filters: Filters) -> tuple[bool, ...]:
    """Return which filters are set: combinations that share them have one shape."""
    return tuple(map(bool, filters))
