"""Status pages with simulated targets, served as the exporter serves them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date

from exporter.clock import SystemClock
from exporter.collector.loop import Collector
from exporter.config import loader
from exporter.config.model import Config, Target
from exporter.directmail.errors import NetworkError
from exporter.directmail.limiter import Limiter, Limiters
from exporter.directmail.statistics.engagement import Engagement
from exporter.plan import target_plan
from exporter.store.memory import Cell, Store
from exporter.web.authentication import Security
from exporter.web.listener import serve
from exporter.web.routes import Routes, make_app
from exporter.web.sockets import bind
from exporter.web.status import About, StatusPage
from exporter.web.webconfig import WebConfig
from tests.support.clock import ScriptedClock
from tests.support.web import Metrics
from tests.support.worlds import Api, make_outages

ABOUT = About("1.2.3", "config.yaml", "abc123def456abc123", 1_776_000_000.0, ())
TODAY = date(2026, 4, 22)


@dataclass(frozen=True)
class Polled:
    """A target as the page sees it."""

    target: Target
    polls: Mapping[str, Collector]
    client_limiters: Limiters
    others: Mapping[str, tuple[float, Limiter]] = field(default_factory=dict)
    """Operations without a statistic: calls a minute, and their limiter."""

    @property
    def limiters(self) -> Mapping[str, Limiter]:
        polls = {action: self.client_limiters.of(action) for action in self.polls}
        return {**polls, **{action: limiter for action, (_, limiter) in self.others.items()}}

    @property
    def planned_requests(self) -> Mapping[str, float]:
        polls = {action: poll.plan.requests_per_minute for action, poll in self.polls.items()}
        return {**polls, **{action: rate for action, (rate, _) in self.others.items()}}


@asynccontextmanager
async def serve_page(page: StatusPage) -> AsyncIterator[str]:
    routes = Routes(Metrics(), lambda: "", page.render, None)
    app = make_app(routes, Security(WebConfig(), SystemClock()))
    async with serve(app, bind(["127.0.0.1:0"])) as listening:
        yield f"http://{listening.addresses[0]}/"


class Fleet:
    """Many targets of one store: read, but never polled."""

    def __init__(self, targets: int, senders: int, store: Store | None = None) -> None:
        self.clock = ScriptedClock()
        self.store = store or Store()
        self.config = _config(targets, senders)
        self.targets = {target.name: self._polled(target) for target in self.config.targets}
        self.page = StatusPage(lambda: ABOUT, lambda: self.targets, self.store, self.clock, "/metrics")

    def fail(self, target: str, number: int = 0) -> None:
        """Have a combination of a target that worked fail."""
        (collector,) = self.targets[target].polls.values()
        combination = collector.plan.combinations[number]
        self.store.failed(combination.key, NetworkError("connection refused"), self.clock.time())
        collector.states.update(combination)

    def _polled(self, target: Target) -> Polled:
        plan = target_plan.make(self.config, target, "engagement")
        now = self.clock.time()
        for number, combination in enumerate(plan.combinations):
            cell = Cell(Engagement(1000 + number, 500, 300, 80, 40), None, now)
            self.store.put(combination.key, TODAY, cell, day_start=0.0)
            self.store.succeeded(combination.key, now)
        api = Api(self.clock, Limiters(60, self.clock))
        collector = Collector(
            plan,
            api,  # type: ignore[arg-type]
            self.store,
            self.clock,
            make_outages(self.clock, lambda: len(plan.combinations)),
            changed=lambda combination: None,
            replan=lambda now, pages: plan,
        )
        return Polled(target, {plan.action: collector}, api.limiters)


def _config(targets: int, senders: int) -> Config:
    lines = ["max_series: 10000000", "targets:"]
    for number in range(targets):
        names = ", ".join(f"s{each}@team-{number:03}.example.com" for each in range(senders))
        lines += [
            f"  - name: team-{number:03}",
            "    region: us-east-1",
            "    timezone: UTC",
            "    rate_limit_per_minute: 60",
            "    queries:",
            "      - name: senders",
            f"        account_name: [{names}]",
        ]
    config, problems = loader.parse("\n".join(lines))
    assert config is not None, problems
    return config
