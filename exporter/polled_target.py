"""One target that is polled: its client and tasks, and the values that a scrape and the status page read."""

import asyncio
from dataclasses import dataclass, field

from exporter.collector.account_reader import AccountReader
from exporter.collector.discovery import Discovery
from exporter.collector.loop import Collector
from exporter.collector.outages import Outages
from exporter.config.model import Target
from exporter.directmail.client import Client
from exporter.directmail.limiter import Limiter


@dataclass(slots=True)
class Poll:
    """A statistic of a target that is being polled."""

    collector: Collector
    task: asyncio.Task[None]
    left_out: int = 0
    """Combinations that were logged as left out."""


@dataclass(slots=True)
class PolledTarget:
    """A target that is being polled: a collector for each statistic, and the discovery of filter values."""

    target: Target
    client: Client
    outages: Outages
    discovery: Discovery
    account: AccountReader
    others: tuple[asyncio.Task[None], ...]
    """The tasks of the discovery and of the account."""
    running: dict[str, Poll] = field(default_factory=dict)
    """By statistic."""

    @property
    def polls(self) -> dict[str, Collector]:
        """The collectors by operation."""
        return {poll.collector.plan.action: poll.collector for poll in self.running.values()}

    @property
    def limiters(self) -> dict[str, Limiter]:
        """The limiters of every operation that the target may call."""
        return {action: self.client.limiters.of(action) for action in self.planned_requests}

    @property
    def planned_requests(self) -> dict[str, float]:
        """Calls a minute by operation in the steady state."""
        polled = {action: collector.plan.requests_per_minute for action, collector in self.polls.items()}
        return {**polled, **self.discovery.planned_requests(), **self.account.planned_requests()}

    @property
    def subjects(self) -> int:
        """How many things are requested: combinations, lists, the account and its domains."""
        combinations = sum(len(poll.collector.plan.combinations) for poll in self.running.values())
        return combinations + self.discovery.lists + self.account.requests

    @property
    def credentials_expire_at(self) -> float | None:
        """When the credentials expire, in seconds since the epoch; None where unknown."""
        return self.client.credentials_expire_at

    def pages_per_cell(self) -> dict[str, float]:
        """Return how many calls a cell takes on average, by statistic."""
        return {statistic: poll.collector.plan.pages_per_cell for statistic, poll in self.running.items()}

    def tasks(self) -> list[asyncio.Task[None]]:
        """Return all tasks."""
        return [*self.others, *(poll.task for poll in self.running.values())]

    def cancel(self) -> None:
        """End all tasks."""
        for task in self.tasks():
            task.cancel()

    def lists(self, discovery_interval: float) -> dict[str, float]:
        """Return the filters whose values are listed, and every how many seconds, for any user of them."""
        lists = dict.fromkeys(self.target.discovered, discovery_interval)
        for key, interval in self.account.lists.items():
            lists[key] = min(interval, lists.get(key, interval))
        return lists
