"""A filled exporter without a network: so many series, every window known."""

from collections import deque
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import CollectorRegistry

from exporter.clock import SystemClock
from exporter.config import loader
from exporter.directmail.statistics.engagement import Engagement
from exporter.metrics import tables
from exporter.metrics.exposition import Exposition
from exporter.metrics.publisher import Publisher
from exporter.plan import calendar, target_plan
from exporter.plan.combinations import Combination
from exporter.plan.schedule import Schedule
from exporter.store.memory import Cell, Store


@dataclass
class Fleet:
    plan: target_plan.TargetPlan
    store: Store
    exposition: Exposition
    publisher: Publisher
    schedule: Schedule
    clock: SystemClock

    def read(self, number: int, opens: int) -> Combination:
        """Store a new response for today's cell of a combination, and show it."""
        combination = self.plan.combinations[number]
        now = self.clock.time()
        day = calendar.today(now, self.plan.target.timezone)
        cell = Cell(Engagement(90_000, opens, opens, opens // 10, opens // 20), None, now)
        self.store.put(combination.key, day, cell, day_start=calendar.day_start(day, self.plan.target.timezone))
        self.store.succeeded(combination.key, now)
        self.publisher.refresh(combination.key)
        return combination


def text(series: int) -> str:
    """Return a config of about so many series: senders times five providers."""
    senders = ", ".join(f"sender-{number:05}@mail.example.com" for number in range(max(1, series // 240)))
    return f"""
poll_interval: 1h
max_series: 10000000
targets:
  - name: marketing
    endpoint: http://127.0.0.1:9
    rate_limit_per_minute: 100000
    queries:
      - name: by_sender_and_provider
        account_name: [{senders}]
        esp: [gmail.com, yahoo.com, outlook.com, icloud.com, others]
"""


async def filled(series: int) -> Fleet:
    """Return an exporter that knows thirty-one days of every combination and shows them."""
    sound, problems = loader.parse(text(series))
    assert sound is not None, problems
    each, clock, store = target_plan.make(sound, sound.targets[0], "engagement"), SystemClock(), Store()
    zone, now = each.target.timezone, clock.time()
    day = calendar.today(now, zone)
    for number, combination in enumerate(each.combinations):
        for age in range(31):
            totals = Engagement(90_000 + number, 31_000 + age, 22_000 + number, 1700 + age, 760)
            cell = Cell(tuple(totals), None, now)
            store.put(combination.key, day - timedelta(days=age), cell, day_start=0.0)
        store.succeeded(combination.key, now)
    exposition = Exposition(tables.families(), CollectorRegistry())
    publisher = Publisher(store, exposition, clock)
    await publisher.show([each])

    def read_at(combination: Combination, day: object) -> float:
        return now

    schedule = Schedule(each, read_at, now)
    deque(schedule.fill(now), maxlen=0)
    return Fleet(each, store, exposition, publisher, schedule, clock)
