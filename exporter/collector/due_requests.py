"""Makes several requests, each in its own interval: new ones at once, those that failed with back-off."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping

from exporter.clock import Clock, sleep_or_wake
from exporter.collector.backoff import back_off
from exporter.collector.outages import Outages
from exporter.directmail.errors import DirectMailError

FIRST_BACKOFF = 30.0
"""Seconds until a request that failed is made again, about; doubled each time, at most the interval."""
JITTER = 0.1
"""The share of a pause that is random, so that targets and replicas do not run in step."""


class DueRequests:
    """Requests of one target, by name; they are made one after the other."""

    def __init__(
        self, clock: Clock, outages: Outages, rng: random.Random | None, request: Callable[[str], Awaitable[None]]
    ) -> None:
        """`request` makes the request of a name: it calls `begin`, and then `succeeded` or `failed`."""
        self._clock = clock
        self._outages = outages
        self._random = rng or random.Random()
        self._request = request
        self.intervals: Mapping[str, float] = {}
        """The requests that are made, and every how many seconds."""
        self._due: dict[str, float] = {}
        """When each request is made again, in monotonic time."""
        self._failures: dict[str, int] = {}
        """How often each has failed in a row."""
        self._reported: set[str] = set()
        """What is logged as failing."""
        self._followed = asyncio.Event()

    def follow(self, intervals: Mapping[str, float]) -> None:
        """Make these requests every so many seconds from now on, new ones at once and others no longer."""
        now = self._clock.monotonic()
        self._outages.discard(self.intervals.keys() - intervals.keys())
        self.intervals = intervals
        self._due = {name: min(self._due.get(name, now), now + interval) for name, interval in intervals.items()}
        self._failures = {name: count for name, count in self._failures.items() if name in intervals}
        self._reported &= intervals.keys()
        self._followed.set()

    async def run(self) -> None:
        """Make the requests that are due, until cancelled."""
        while True:
            self._followed.clear()
            for name in tuple(self._due):
                if name in self._due and self._due[name] <= self._clock.monotonic():
                    await self._request(name)
            if self._due:
                pause = min(self._due.values()) - self._clock.monotonic()
                await sleep_or_wake(self._clock, max(0.0, pause), self._followed)
            else:
                await self._followed.wait()

    def begin(self, name: str, action: str) -> float | None:
        """Return when the request is made (monotonic seconds): now, or None where an outage postpones it."""
        if (pause := self._outages.pause(action)) > 0:
            self._due[name] = self._clock.monotonic() + pause
            return None
        return self._outages.requesting(action)

    def succeeded(self, name: str, action: str, requesting_at: float) -> bool:
        """Note that a request of that time succeeded; return whether it was logged as failing."""
        self._outages.succeeded(action, requesting_at)
        self._failures.pop(name, None)
        self._again(name, self.intervals.get(name, 0.0) * self._random.uniform(1 - JITTER, 1 + JITTER))
        was_reported = name in self._reported
        self._reported.discard(name)
        return was_reported

    def failed(
        self, name: str, action: str, error: DirectMailError, requesting_at: float, *, of: int, log: Callable[[], None]
    ) -> None:
        """Note that a request of that time failed, one `of` so many of its operation. `log` logs it, once."""
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        self._again(name, back_off(failures, FIRST_BACKOFF, self.intervals.get(name, 0.0), self._random, JITTER))

        def report() -> None:
            self._reported.add(name)
            log()

        is_new = name in self.intervals and name not in self._reported
        self._outages.failed(action, name, error, requesting_at, of=of, report=report if is_new else None)

    def _again(self, name: str, pause: float) -> None:
        if name in self._due:  # the config may have changed meanwhile
            self._due[name] = self._clock.monotonic() + pause
