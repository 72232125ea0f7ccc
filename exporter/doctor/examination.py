"""Examines a target: for each statistic, steps make requests, none of them twice, and checks read the responses."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from exporter.clock import MINUTE, Clock
from exporter.config.durations import format_duration
from exporter.config.model import Config, Target
from exporter.directmail.client import Recorder
from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.transport import open_session
from exporter.doctor.calls import MOST_CALLS, Calls, Enough
from exporter.doctor.checks import account as account_checks
from exporter.doctor.checks import clock as clock_checks
from exporter.doctor.checks import days as day_checks
from exporter.doctor.checks import numbers, pages
from exporter.doctor.checks.settings import lines
from exporter.doctor.evidence import Account, Evidence
from exporter.doctor.failures import needed
from exporter.doctor.findings import NOTE, Finding
from exporter.doctor.http_trace import HttpTrace
from exporter.doctor.report import Report
from exporter.doctor.steps import account, breakdowns, days, domain_filter, lists
from exporter.plan import calendar, target_plan
from exporter.target_client import connect

Step = Callable[[Calls, Evidence], Awaitable[None]]
Check = Callable[[Evidence], Finding | None]

STEPS: tuple[Step, ...] = (
    days.today,
    days.week,
    account.domains,
    account.summary,
    account.senders,
    account.descriptions,
    days.closed_day,
    lists.discovered,
    breakdowns.shapes,
    domain_filter.compare,
    days.tomorrow,
    days.edge,
    days.second_page,
    breakdowns.senders,
)
"""In this order: the most informative come first, the last one uses the remaining calls."""
STEPS_OF_ANOTHER: tuple[Step, ...] = (days.today, days.week, lists.planned, breakdowns.shapes, domain_filter.compare)
"""For a target's second statistic and each further one: how the API treats days is known by then."""
CHECKS: tuple[Check, ...] = (
    day_checks.one_day,
    day_checks.timezone,
    day_checks.freshness,
    numbers.rates,
    numbers.counts,
    pages.page_size,
    pages.pages,
)
"""Of the responses, when every step was made."""
CHECKS_OF_ANOTHER: tuple[Check, ...] = (numbers.rates, numbers.counts)
ACCOUNT_CHECKS: tuple[Check, ...] = (
    account_checks.state,
    account_checks.quota,
    account_checks.reputation,
    account_checks.domains,
    clock_checks.clock_text,
    account_checks.unread,
)
"""The checks of the account, which run in any case."""


def longest(settings: Config) -> str:
    """Return, for people who wait, how many calls are made and about how long they take."""
    if not settings.targets:
        return "No target of the config belongs to this shard; nothing to check."
    slowest = min(target.rate_limit_per_minute for target in settings.targets)
    most = max(map(most_calls, settings.targets))
    takes = format_duration(most * MINUTE / slowest)
    return f"At most {most} calls per target, which take about {takes} at {slowest:g} a minute."


async def examine(
    settings: Config,
    clock: Clock,
    environment: Mapping[str, str] = os.environ,
    recorders: Mapping[str, Recorder] = MappingProxyType({}),
) -> list[Report]:
    """Return what is found at every target, in the config's order. Failures of the API are findings.

    `recorders` are called for every request to the target of their name.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_examine(settings, target, clock, environment, recorders.get(target.name)))
            for target in settings.targets
        ]
    return [task.result() for task in tasks]


def most_calls(target: Target, statistics: int | None = None) -> int:
    """Return how many requests are made to a target at most, for all or its first statistics."""
    count = len(target.statistics) if statistics is None else statistics
    return account.MOST_CALLS + (MOST_CALLS + domain_filter.most_calls(target)) * count


async def _examine(
    settings: Config, target: Target, clock: Clock, environment: Mapping[str, str], record: Recorder | None
) -> Report:
    trace = HttpTrace(clock)
    async with open_session([trace.listener]) as session:
        client = connect(target, session, clock, environment, record=record, attempts=1)
        calls = Calls(target, client, trace, needed(settings, target))
        found = list[Evidence]()
        of_account = Account()
        for place, name in enumerate(target.statistics):
            calls.most, calls.begun = most_calls(target, place + 1), len(calls.findings)
            parts = (STEPS_OF_ANOTHER, CHECKS_OF_ANOTHER) if place else (STEPS, CHECKS)
            evidence = _evidence(settings, target, name, clock.time(), of_account)
            found.append(evidence)
            await _examined(evidence, clock, calls, *parts)
    evidence = found[0]
    of_account.denied = tuple(calls.denied)
    calls.findings += filter(None, (check(evidence) for check in ACCOUNT_CHECKS))
    if trace.responses:
        evidence.ahead, evidence.slowest = trace.ahead, trace.slowest
        calls.findings = [clock_checks.clock(evidence), *calls.findings, clock_checks.speed(evidence)]
    if evidence.ended_at:
        calls.findings.append(lines(found))
    return Report(target.name, target.endpoint, trace.requests, tuple(calls.findings))


def _evidence(settings: Config, target: Target, name: str, now: float, of_account: Account) -> Evidence:
    plan = target_plan.make(settings, target, name)
    own = replace(settings, targets=(target,))
    today = calendar.today(now, target.timezone)
    return Evidence(own, target, STATISTICS[name], plan, now, today, of_account)


async def _examined(
    evidence: Evidence, clock: Clock, calls: Calls, steps: Sequence[Step], checks: Sequence[Check]
) -> None:
    """Make the steps of a statistic, then its checks."""
    try:
        for step in steps:
            await step(calls, evidence)
        evidence.ended_at = clock.time()
        calls.findings += filter(None, (check(evidence) for check in checks))
    except Enough:
        calls.find("coverage", NOTE, "The rest was not tried.", "Fix the problem and run the doctor again.")
