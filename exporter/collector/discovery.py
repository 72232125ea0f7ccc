"""Lists the values of a target's discovered filters periodically: one list for each filter, shared by all queries.

A list that fails changes nothing and is retried with back-off. Logged are failure, recovery, and how many values
appeared and vanished.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog

from exporter.clock import MINUTE, Clock
from exporter.collector.due_requests import DueRequests
from exporter.collector.outages import Outages
from exporter.directmail.client import Client
from exporter.directmail.errors import DirectMailError
from exporter.directmail.listing import OPERATIONS, Listed
from exporter.store.discovered_values import DiscoveredValues


class Discovery:
    """The lists of one target."""

    def __init__(
        self,
        target: str,
        client: Client,
        discovered: DiscoveredValues,
        clock: Clock,
        outages: Outages,
        *,
        listed: Callable[[str, Listed, float], Awaitable[None]],
        not_listed: Callable[[str, DirectMailError], None] = lambda key, error: None,
        rng: random.Random | None = None,
    ) -> None:
        """`listed` is awaited after every list that arrived: the filter, the list and when it was requested.

        `not_listed` is called for every one that failed, with the error. Nothing is requested before `follow`.
        """
        self._target = target
        self._client = client
        self._discovered = discovered
        self._clock = clock
        self._outages = outages
        self._listed = listed
        self._not_listed = not_listed
        self._log = structlog.get_logger().bind(target=target)
        self._due = DueRequests(clock, outages, rng, self._list)
        self._tried: set[str] = set()

    def follow(self, intervals: Mapping[str, float]) -> None:
        """List the values of these filters every so many seconds from now on, those of new ones at once."""
        self._due.follow(intervals)

    @property
    def lists(self) -> int:
        """How many filters' values are listed."""
        return len(self._due.intervals)

    def planned_requests(self) -> dict[str, float]:
        """Return the calls a minute that listing takes, by operation."""
        return {
            OPERATIONS[key].action: self._discovered.get(self._target, key).pages * MINUTE / interval
            for key, interval in self._due.intervals.items()
        }

    def untried(self) -> int:
        """Return how many filters have not been listed or tried yet."""
        return len(self._due.intervals.keys() - self._tried)

    async def run(self) -> None:
        """List what is due, one filter after the other, until cancelled."""
        await self._due.run()

    async def _list(self, key: str) -> None:
        self._outages.report_due()
        action = OPERATIONS[key].action
        requested_at, requesting_at = self._clock.time(), self._due.begin(key, action)
        if requesting_at is None:
            self._tried.add(key)
            return
        try:
            found = await self._client.list_values(OPERATIONS[key])
        except DirectMailError as error:
            self._failed(key, error, requesting_at)
            return
        has_recovered = self._due.succeeded(key, action, requesting_at)
        unusable = self._discovered.get(self._target, key).unusable
        change = self._discovered.succeeded(self._target, key, found, requested_at)
        log = self._log.bind(filter=key, action=action)
        if has_recovered:
            log.info("discovery recovered")
        if any(change):
            known = len(self._discovered.get(self._target, key).values)
            log.info("discovered values changed", appeared=change.appeared, vanished=change.vanished, known=known)
        if found.unusable > unusable:
            log.warning(
                "names that cannot be requested are left out", names=found.unusable, request_id=found.request_id
            )
        await self._listed(key, found, requested_at)
        self._tried.add(key)

    def _failed(self, key: str, error: DirectMailError, requesting_at: float) -> None:
        action = OPERATIONS[key].action
        self._discovered.failed(self._target, key, error, self._clock.time())
        self._tried.add(key)
        self._not_listed(key, error)
        log = partial(
            self._log.warning,
            "discovery failing; keeping the known values",
            filter=key,
            action=action,
            known=len(self._discovered.get(self._target, key).values),
            **error.facts(),
        )
        self._due.failed(key, action, error, requesting_at, of=1, log=log)
