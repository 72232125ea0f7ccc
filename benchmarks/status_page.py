"""What a visit of the status page costs the event loop, with 300 targets and 20,000 combinations."""

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog
from aiohttp.test_utils import make_mocked_request

from benchmarks.measure import Figure, cpu_of
from exporter.clock import SystemClock
from exporter.collector.loop import Collector
from exporter.collector.outages import Outages
from exporter.config import loader
from exporter.config.model import Config, Target
from exporter.directmail.errors import NetworkError
from exporter.directmail.limiter import Limiter, Limiters
from exporter.directmail.statistics.engagement import Engagement
from exporter.plan import calendar, target_plan
from exporter.store.memory import Cell, Store
from exporter.web.status import About, StatusPage

TARGETS, SENDERS = 300, 67
VISITS = {
    "the first page": "/",
    "failing ones only": "/?state=failing",
    "the last pages": "/?page=999999&targets_page=999999",
    "a search that finds all": "/?q=example.com",
    "a search that finds one target": "/?q=team-150",
}
LONGEST = 0.020


@dataclass
class Polled:
    """A target as the page sees it; nothing is requested."""

    target: Target
    limiters: Mapping[str, Limiter]
    polls: Mapping[str, Collector]

    @property
    def planned_requests(self) -> Mapping[str, float]:
        return {action: poll.plan.requests_per_minute for action, poll in self.polls.items()}


@dataclass
class _Nowhere:
    """A client without requests."""

    limiters: Limiters


async def figures() -> Iterator[Figure]:
    page, combinations = _page()
    costs = {}
    for name, address in VISITS.items():
        request = make_mocked_request("GET", address)
        await page.render(request)  # a first search prepares the next ones
        costs[name] = await cpu_of(partial(page.render, request), times=5)
    begun = time.perf_counter()
    response = await page.render(make_mocked_request("GET", "/"))
    took, size = time.perf_counter() - begun, len(response.text or "")
    most = max(costs.values())
    value = ", ".join(f"{name} {seconds * 1000:.1f} ms" for name, seconds in costs.items())
    beside = f"{TARGETS} targets, {combinations} combinations; {size / 1000:.0f} kB, {took * 1000:.1f} ms on the clock"
    return iter([Figure("loop time of a visit of the status page", value, beside, "under 20 ms", met=most < LONGEST)])


def _page() -> tuple[StatusPage, int]:
    config, problems = loader.parse(_text())
    assert config is not None, problems
    clock, store = SystemClock(), Store()
    targets = {target.name: _polled(config, target, store, clock) for target in config.targets}
    about = About("benchmark", "config.yaml", config.digest, clock.time(), ())
    page = StatusPage(lambda: about, lambda: targets, store, clock, "/metrics")
    return page, sum(len(poll.plan.combinations) for each in targets.values() for poll in each.polls.values())


def _polled(config: Config, target: Target, store: Store, clock: SystemClock) -> Polled:
    """Return a target of which thirty days are known; of every tenth target one combination is failing."""
    plan, limiters = target_plan.make(config, target, "engagement"), Limiters(60, clock)
    now, today = clock.time(), calendar.today(clock.time(), target.timezone)
    for number, combination in enumerate(plan.combinations):
        for age in range(31):
            cell = Cell(Engagement(90_000 + number, 31_000 + 100 * age, 22_000, 1700 + age, 760), None, now)
            store.put(combination.key, today - timedelta(days=age), cell, day_start=0.0)
        store.succeeded(combination.key, now)
    if target.name.endswith("0"):
        store.failed(plan.combinations[0].key, NetworkError("connection refused"), now)
    collector = Collector(
        plan,
        _Nowhere(limiters),  # type: ignore[arg-type]
        store,
        clock,
        Outages(clock, structlog.get_logger(), lambda: len(plan.combinations)),
        changed=lambda combination: None,
        replan=lambda now, pages: plan,
    )
    deque(collector.states.fill(), maxlen=0)
    return Polled(target, {plan.action: limiters.of(plan.action)}, {plan.action: collector})


def _text() -> str:
    """Return a config of so many targets with about 67 combinations each, in three queries."""
    lines = ["max_series: 10000000", "targets:"]
    for number in range(TARGETS):
        senders = ", ".join(f"sender-{each}@team-{number:03}.example.com" for each in range(SENDERS - 6))
        lines += [
            f"  - name: team-{number:03}",
            "    region: ap-southeast-1",
            "    rate_limit_per_minute: 60",
            "    queries:",
            "      - name: account",
            "      - name: by_sender",
            f"        account_name: [{senders}]",
            "      - name: by_provider",
            f"        account_name: sender-0@team-{number:03}.example.com",
            "        esp: [gmail.com, yahoo.com, outlook.com, icloud.com, others]",
        ]
    return "\n".join(lines)
