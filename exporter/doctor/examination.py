"""The examination of a target: for each statistic steps make requests, none of them twice; checks read the answers."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from exporter.clock import Clock
from exporter.collector.target_client import connect
from exporter.config.durations import format_duration
from exporter.config.model import Config, Target
from exporter.directmail.statistics.known import STATISTICS
from exporter.directmail.transport import open_session
from exporter.doctor.calls import MOST_CALLS, Calls, Enough
from exporter.doctor.checks import clock as clock_checks
from exporter.doctor.checks import days as day_checks
from exporter.doctor.checks import numbers, pages
from exporter.doctor.evidence import Evidence
from exporter.doctor.findings import NOTE, Finding
from exporter.doctor.http_trace import Wire
from exporter.doctor.report import Report
from exporter.doctor.steps import breakdowns, days, lists
from exporter.plan import calendar, target_plan
from exporter.plan.pacing import MINUTE

Step = Callable[[Calls, Evidence], Awaitable[None]]
Check = Callable[[Evidence], Finding | None]

STEPS: tuple[Step, ...] = (
    days.today,
    days.week,
    days.closed_day,
    lists.discovered,
    breakdowns.shapes,
    days.tomorrow,
    days.edge,
    days.second_page,
    breakdowns.senders,
)
"""In this order: those that tell most come first, the last one uses up what calls are left."""
STEPS_OF_ANOTHER: tuple[Step, ...] = (days.today, days.week, breakdowns.shapes)
"""For a target's second statistic and each further one: what the API makes of days is known by then."""
CHECKS: tuple[Check, ...] = (
    day_checks.one_day,
    day_checks.timezone,
    day_checks.freshness,
    numbers.rates,
    numbers.counts,
    pages.page_size,
    pages.pages,
)
"""Of the answers, when every step was made."""
CHECKS_OF_ANOTHER: tuple[Check, ...] = (numbers.rates, numbers.counts)


def longest(settings: Config) -> str:
    """Return, for people who wait, how many calls are made and about how long they take."""
    if not settings.targets:
        return "No target of the config falls to this shard: there is nothing to ask."
    slowest = min(target.rate_limit_per_minute for target in settings.targets)
    most = max(map(_most_calls, settings.targets))
    takes = format_duration(most * MINUTE / slowest)
    return f"At most {most} calls a target; at {slowest:g} a minute they take about {takes}."


async def examine(settings: Config, clock: Clock, environment: Mapping[str, str] = os.environ) -> list[Report]:
    """Return what is found at every target, in the config's order. Failures of the API are findings."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_examine(settings, target, clock, environment)) for target in settings.targets]
    return [task.result() for task in tasks]


async def _examine(settings: Config, target: Target, clock: Clock, environment: Mapping[str, str]) -> Report:
    wire = Wire(clock)
    async with open_session([wire.listener]) as session:
        calls = Calls(target, connect(target, session, clock, environment, attempts=1), wire)
        found = []
        for place, name in enumerate(target.statistics):
            calls.most = MOST_CALLS * (place + 1)
            parts = (STEPS_OF_ANOTHER, CHECKS_OF_ANOTHER) if place else (STEPS, CHECKS)
            found.append(await _examine_statistic(settings, target, name, clock, calls, *parts))
    known = found[0]
    if wire.answers:
        known.ahead, known.slowest = wire.ahead, wire.slowest
        calls.findings = [clock_checks.clock(known), *calls.findings, clock_checks.speed(known)]
    return Report(target.name, target.endpoint, wire.requests, tuple(calls.findings))


async def _examine_statistic(
    settings: Config,
    target: Target,
    name: str,
    clock: Clock,
    calls: Calls,
    steps: Sequence[Step],
    checks: Sequence[Check],
) -> Evidence:
    now = clock.time()
    plan = target_plan.make(settings, target, name)
    own = replace(settings, targets=(target,))
    known = Evidence(own, target, STATISTICS[name], plan, now, calendar.today(now, target.timezone))
    try:
        for step in steps:
            await step(calls, known)
        known.ended_at = clock.time()
        calls.findings += filter(None, (check(known) for check in checks))
    except Enough:
        calls.find("coverage", NOTE, "The rest was not tried.", "Fix the problem and run the doctor again.")
    return known


def _most_calls(target: Target) -> int:
    return MOST_CALLS * len(target.statistics)
