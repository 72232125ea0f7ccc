"""The examination of a target: steps make at most MOST_CALLS requests, none of them twice; checks read the answers."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from exporter.clock import Clock
from exporter.collector.target_client import connect
from exporter.config.durations import format_duration
from exporter.config.model import Config, Target
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

STEPS: tuple[Callable[[Calls, Evidence], Awaitable[None]], ...] = (
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
CHECKS: tuple[Callable[[Evidence], Finding | None], ...] = (
    day_checks.one_day,
    day_checks.timezone,
    day_checks.freshness,
    numbers.rates,
    numbers.counts,
    pages.page_size,
    pages.pages,
)
"""Of the answers, when every step was made."""


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
    now = clock.time()
    today = calendar.today(now, target.timezone)
    known = Evidence(replace(settings, targets=(target,)), target, target_plan.make(settings, target), now, today)
    async with open_session([wire.listener]) as session:
        client, _ = connect(target, session, clock, environment, attempts=1)
        calls = Calls(target, client, wire)
        try:
            for step in STEPS:
                await step(calls, known)
            known.ended_at = clock.time()
            calls.findings += filter(None, (check(known) for check in CHECKS))
        except Enough:
            calls.find("coverage", NOTE, "The rest was not tried.", "Mend the problem and run the doctor again.")
    if wire.answers:
        known.ahead, known.slowest = wire.ahead, wire.slowest
        calls.findings = [clock_checks.clock(known), *calls.findings, clock_checks.speed(known)]
    return Report(target.name, target.endpoint, wire.requests, tuple(calls.findings))
