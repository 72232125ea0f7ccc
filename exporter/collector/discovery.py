"""Lists the values of a target's discovered filters periodically: one list for each filter, shared by all queries.

A list that fails changes nothing and is retried with back-off. Logged are failure, recovery, and how many values
appeared and vanished.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog

from exporter.clock import MINUTE, Clock, sleep_or_wake
from exporter.collector.outages import Outages
from exporter.directmail.client import Client
from exporter.directmail.errors import DirectMailError
from exporter.directmail.listing import OPERATIONS, Listed
from exporter.store.discovered_values import Catalogue

FIRST_BACKOFF = 30.0
"""Seconds until a list that failed is tried again, about; doubled each time, at most the interval."""
JITTER = 0.1
"""The share of a pause that is random, so that targets and replicas do not run in step."""


class Discovery:
    """The lists of one target."""

    def __init__(
        self,
        target: str,
        client: Client,
        catalogue: Catalogue,
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
        self._catalogue = catalogue
        self._clock = clock
        self._outages = outages
        self._listed = listed
        self._not_listed = not_listed
        self._random = rng or random.Random()
        self._log = structlog.get_logger().bind(target=target)
        self._intervals: Mapping[str, float] = {}
        self._due: dict[str, float] = {}
        """When each filter's values are to be listed, in monotonic time."""
        self._tried: set[str] = set()
        self._failures: dict[str, int] = {}
        self._reported: set[str] = set()
        """Filters whose list is logged as failing."""
        self._followed = asyncio.Event()

    def follow(self, intervals: Mapping[str, float]) -> None:
        """List the values of these filters every so many seconds from now on, those of new ones at once."""
        now = self._clock.monotonic()
        self._intervals = intervals
        self._due = {key: min(self._due.get(key, now), now + interval) for key, interval in intervals.items()}
        self._followed.set()

    @property
    def lists(self) -> int:
        """How many filters' values are listed."""
        return len(self._due)

    def planned_requests(self) -> dict[str, float]:
        """Return the calls a minute that listing takes, by operation."""
        pages = {key: self._catalogue.get(self._target, key).pages for key in self._due}
        return {OPERATIONS[key].action: count * MINUTE / self._intervals[key] for key, count in pages.items()}

    def untried(self) -> int:
        """Return how many filters have not been listed or tried yet."""
        return len(self._due.keys() - self._tried)

    async def run(self) -> None:
        """List what is due, until cancelled."""
        while True:
            self._followed.clear()
            await self.list_due()
            if self._due:
                await sleep_or_wake(
                    self._clock, max(0.0, min(self._due.values()) - self._clock.monotonic()), self._followed
                )
            else:
                await self._followed.wait()

    async def list_due(self) -> None:
        """List everything that is due, one filter after the other."""
        self._outages.report_due()
        for key in tuple(self._due):
            if key in self._due and self._due[key] <= self._clock.monotonic():
                await self._list(key)

    async def _list(self, key: str) -> None:
        action = OPERATIONS[key].action
        if (pause := self._outages.pause(action)) > 0:
            self._due[key] = self._clock.monotonic() + pause
            self._tried.add(key)
            return
        requested_at, requesting_at = self._clock.time(), self._outages.requesting(action)
        try:
            found = await self._client.list_values(OPERATIONS[key])
        except DirectMailError as error:
            self._failed(key, error, requesting_at)
            return
        self._outages.succeeded(action, requesting_at)
        self._failures.pop(key, None)
        unusable = self._catalogue.get(self._target, key).unusable
        change = self._catalogue.succeeded(self._target, key, found, requested_at)
        self._again(key, self._intervals.get(key, 0.0))
        log = self._log.bind(filter=key, action=action)
        if key in self._reported:
            self._reported.discard(key)
            log.info("discovery recovered")
        if any(change):
            known = len(self._catalogue.get(self._target, key).values)
            log.info("discovered values changed", appeared=change.appeared, vanished=change.vanished, known=known)
        if found.unusable > unusable:
            log.warning(
                "names that cannot be requested are left out", names=found.unusable, request_id=found.request_id
            )
        await self._listed(key, found, requested_at)
        self._tried.add(key)

    def _failed(self, key: str, error: DirectMailError, requesting_at: float) -> None:
        self._catalogue.failed(self._target, key, error, self._clock.time())
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self._again(key, min(self._intervals.get(key, 0.0), FIRST_BACKOFF * 2.0 ** min(failures - 1, 16)))
        self._tried.add(key)
        self._not_listed(key, error)
        report = None if key in self._reported else partial(self._report_failing, key, error)
        self._outages.failed(OPERATIONS[key].action, key, error, requesting_at, of=1, report=report)

    def _report_failing(self, key: str, error: DirectMailError) -> None:
        self._reported.add(key)
        known = len(self._catalogue.get(self._target, key).values)
        self._log.warning(
            "discovery failing; keeping the known values",
            filter=key,
            action=OPERATIONS[key].action,
            known=known,
            **error.facts(),
        )

    def _again(self, key: str, pause: float) -> None:
        """List the filter's values again after about so many seconds."""
        if key in self._due:  # the config may have changed meanwhile
            self._due[key] = self._clock.monotonic() + pause * self._random.uniform(1 - JITTER, 1 + JITTER)
