"""A test environment for the scheduler and the collector: short configs, an API in memory, a scripted clock."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from exporter.clock import Clock
from exporter.collector.loop import Collector
from exporter.collector.outages import Outages
from exporter.config import loader
from exporter.config.model import Config
from exporter.directmail.client import Result
from exporter.directmail.errors import DirectMailError
from exporter.directmail.limiter import Limiters
from exporter.directmail.model import Filters
from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.directmail.statistics.statistic import Statistic, Totals
from exporter.metrics import tables
from exporter.metrics.exposition import Exposition
from exporter.metrics.publisher import Publisher
from exporter.plan import target_plan
from exporter.plan.combinations import Combination
from exporter.plan.target_plan import TargetPlan
from exporter.store.memory import Store

NO_RATES = (0.0, 0.0, 0.0, 0.0)


def make_config(
    *,
    senders: int = 2,
    small_query: bool = False,
    zone: str = "UTC",
    rate: float = 30,
    head: str = "",
    statistic: str = ENGAGEMENT.name,
) -> Config:
    """Return a config with one target, one query of so many senders, and on request a query of one tag."""
    names = ", ".join(f"s{number}@example.com" for number in range(senders))
    text = f"{head}\ntargets:\n  - name: shop\n    region: us-east-1\n    timezone: {zone}\n"
    text += f"    rate_limit_per_minute: {rate}\n    queries:\n      - name: senders\n        account_name: [{names}]\n"
    text += f"        statistics: [{statistic}]\n"
    if small_query:
        text += "      - name: small\n        account_name: s0@example.com\n        tag_name: welcome\n"
    config, problems = loader.parse(text)
    assert config is not None, problems
    assert problems == ()
    return config


def make_plan(config: Config, statistic: str = ENGAGEMENT.name) -> TargetPlan:
    return target_plan.make(config, config.targets[0], statistic)


def make_outages(clock: Clock, subjects: Callable[[], int]) -> Outages:
    return Outages(clock, structlog.get_logger().bind(target="shop"), subjects, random.Random(1))


SHARES = (4, 2, 1, 0.5, 0.25)
"""A statistic's counts as shares of the Api's count."""


@dataclass
class Api:
    """Replaces the client: counts that grow with time, and failures on demand."""

    clock: Clock
    limiters: Limiters
    fails: Callable[[Filters, date], DirectMailError | None] = lambda filters, day: None
    counts: Callable[[Filters, date, float], int] | None = None
    pages: int = 1
    latency: float = 0.05
    requested: list[tuple[float, Filters, date]] = field(default_factory=list)
    """Monotonic time of every request."""
    results: dict[tuple[Filters, date], Totals] = field(default_factory=dict)

    async def read(self, statistic: Statistic, filters: Filters, day: date) -> Result:
        limiter = self.limiters.of(statistic.action)
        for _ in range(self.pages):
            await limiter.acquire()
            self.requested.append((self.clock.monotonic(), filters, day))
            await self.clock.sleep(self.latency)
        failure = self.fails(filters, day)
        if failure is not None:
            raise failure
        limiter.succeeded()
        count = self.counts(filters, day, self.clock.time()) if self.counts else len(self.requested)
        totals = statistic.counts(
            *(int(count * share) for _, share in zip(statistic.counts._fields, SHARES, strict=False))
        )
        self.results[filters, day] = totals
        return Result(totals, NO_RATES, self.pages, "REQUEST")


class World:
    """One target, polled from an Api by a script, shown in an exposition."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        *,
        outages: Outages | None = None,
        statistic: str = ENGAGEMENT.name,
        **api: object,
    ) -> None:
        """`outages` are those of another world whose target is the same."""
        self.config = config
        self.clock = clock
        self.store = Store()
        self.exposition = Exposition(tables.families(), CollectorRegistry())
        self.publisher = Publisher(self.store, self.exposition, clock)
        self._statistic = statistic
        each = make_plan(config, statistic)
        limiters = Limiters(each.target.rate_limit_per_minute, clock)
        self.limiter = limiters.of(each.action)
        self.api = Api(clock, limiters, **api)  # type: ignore[arg-type]
        self.outages = outages or make_outages(clock, lambda: len(self.combinations))
        self.collector = Collector(
            each,
            self.api,  # type: ignore[arg-type]
            self.store,
            clock,
            self.outages,
            changed=self.publisher.refresh,
            replan=self._replan,
            rng=random.Random(1),
        )

    @property
    def combinations(self) -> tuple[Combination, ...]:
        return self.collector.plan.combinations

    async def shown(self) -> dict[tuple[str, ...], float]:
        """Return the exposed samples by (metric, sender, tag, window)."""
        page = await self.exposition.scrape()
        text = b"".join(page.parts).decode()
        return {
            (
                sample.name,
                *(sample.labels.get(name, "") for name in ("account_name", "tag_name", "window")),
            ): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def _replan(self, now: TargetPlan, pages_per_cell: float) -> TargetPlan:
        revised = target_plan.make(self.config, self.config.targets[0], self._statistic, pages_per_cell=pages_per_cell)
        self.publisher.replan(revised)
        return revised
