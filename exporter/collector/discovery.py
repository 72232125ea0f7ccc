"""Lists the values of a target's discovered filters, over and over: one list for each filter, whatever queries use it.

A list that fails changes nothing and is tried again before long, less and less often. The log tells the edges: lost,
back, and how many values came and went.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable

import structlog

from exporter.clock import Clock, sleep_or_wake
from exporter.directmail.client import Client
from exporter.directmail.errors import DirectMailError
from exporter.directmail.listing import OPERATIONS
from exporter.store.discovered_values import Catalogue

FIRST_BACKOFF = 30.0
"""Seconds until a list that failed is tried again, about; doubled each time, at most the interval."""
JITTER = 0.1
"""The part of a pause that chance adds or takes, so that targets and replicas do not keep step."""


class Discovery:
    """The lists of one target."""

    def __init__(
        self,
        target: str,
        client: Client,
        catalogue: Catalogue,
        clock: Clock,
        *,
        listed: Callable[[], Awaitable[None]],
        rng: random.Random | None = None,
    ) -> None:
        """`listed` is awaited after every list that came. Nothing is asked before `follow` has named filters."""
        self._target = target
        self._client = client
        self._catalogue = catalogue
        self._clock = clock
        self._listed = listed
        self._random = rng or random.Random()
        self._log = structlog.get_logger().bind(target=target)
        self._interval = 0.0
        self._due: dict[str, float] = {}
        """When each filter's values are to be listed, in monotonic time."""
        self._tried: set[str] = set()
        self._failures: dict[str, int] = {}
        self._followed = asyncio.Event()

    def follow(self, keys: Iterable[str], interval: float) -> None:
        """List the values of these filters every so many seconds from now on, those of new ones at once."""
        now = self._clock.monotonic()
        self._interval = interval
        self._due = {key: min(self._due.get(key, now), now + interval) for key in keys}
        self._followed.set()

    def untried(self) -> int:
        """Return how many filters' values were not tried to be listed once."""
        return len(self._due.keys() - self._tried)

    async def run(self) -> None:
        """List what is due, until cancelled."""
        while True:
            self._followed.clear()
            await self.look()
            if self._due:
                await sleep_or_wake(
                    self._clock, max(0.0, min(self._due.values()) - self._clock.monotonic()), self._followed
                )
            else:
                await self._followed.wait()

    async def look(self) -> None:
        """List everything that is due, one filter after the other."""
        for key in tuple(self._due):
            if key in self._due and self._due[key] <= self._clock.monotonic():
                await self._list(key)

    async def _list(self, key: str) -> None:
        asked_at = self._clock.time()
        try:
            found = await self._client.list_values(OPERATIONS[key])
        except DirectMailError as error:
            self._failed(key, error)
            return
        self._failures.pop(key, None)
        before = self._catalogue.get(self._target, key)
        was_lost, unusable = before.last_attempt_ok is False, before.unusable
        change = self._catalogue.succeeded(self._target, key, found, asked_at)
        self._again(key, self._interval)
        log = self._log.bind(filter=key, action=OPERATIONS[key].action)
        if was_lost:
            log.info("discovery is back")
        if any(change):
            known = len(self._catalogue.get(self._target, key).values)
            log.info("discovered values changed", appeared=change.appeared, vanished=change.vanished, known=known)
        if found.unusable > unusable:
            log.warning(
                "names that cannot be asked for are left out", names=found.unusable, request_id=found.request_id
            )
        await self._listed()
        self._tried.add(key)

    def _failed(self, key: str, error: DirectMailError) -> None:
        entry = self._catalogue.get(self._target, key)
        if entry.last_attempt_ok is not False:
            self._log.warning(
                "discovery is lost, what is known stays",
                filter=key,
                action=OPERATIONS[key].action,
                known=len(entry.values),
                **error.facts(),
            )
        self._catalogue.failed(self._target, key, error, self._clock.time())
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self._again(key, min(self._interval, FIRST_BACKOFF * 2.0 ** min(failures - 1, 16)))
        self._tried.add(key)

    def _again(self, key: str, pause: float) -> None:
        """List the filter's values again after about so many seconds."""
        if key in self._due:  # the config may have changed meanwhile
            self._due[key] = self._clock.monotonic() + pause * self._random.uniform(1 - JITTER, 1 + JITTER)
