"""The call budget: one limiter for each operation of a target, which every HTTP request passes, retries included.

Calls are granted at even intervals, first come first served. Throttling halves the allowed rate at once; it recovers
in small steps.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from exporter.clock import MINUTE, Clock

MARGIN = 0.25
"""Seconds that a full minute's grants take beyond a minute: the network may delay the first of them."""
RECOVERY = 20
"""Steps from nothing to the configured rate."""
STEP_SECONDS = 5.0
"""Seconds between two steps; each needs a success, so below twelve calls a minute every success is one."""
SLOWEST = 1.0
"""Calls a minute that throttling never goes below."""
GOLDEN = 0.6180339887
"""The golden ratio spreads any number of phases over a slot."""


class Limiter:
    """At most `per_minute` grants in any sliding minute, evenly apart."""

    def __init__(
        self, per_minute: float, clock: Clock, phase: float = 0.0, changed: Callable[[float, float], None] | None = None
    ) -> None:
        """`phase` (0 to 1) delays the first grant by that part of a slot: targets do not run in step.

        `changed` is given the allowed rate as it was and as it is when throttling begins, and when it ends.
        """
        self.configured_per_minute = per_minute
        self.allowed_per_minute = per_minute
        """What is allowed now."""
        self._whole = math.floor(per_minute) or per_minute  # three calls in a minute are more than 2.5
        self._clock = clock
        self._changed = changed
        self._next = clock.monotonic() + phase * self.spacing
        self._lock = asyncio.Lock()  # hands over in the order of requests
        self._waiting = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._grants: deque[float] = deque()
        self._halved_at = -math.inf
        self._stepped_at = -math.inf

    @property
    def spacing(self) -> float:
        """Seconds between two grants."""
        return (MINUTE + MARGIN) / min(self.allowed_per_minute, self._whole)

    @property
    def is_throttled(self) -> bool:
        """Whether the allowed rate is below the configured one."""
        return self.allowed_per_minute < self.configured_per_minute

    @property
    def used_last_minute(self) -> int:
        """How many calls were granted in the last 60 seconds."""
        self._drop_old()
        return len(self._grants)

    async def acquire(self) -> float:
        """Return when the caller may send one request: the monotonic time of the grant, for `throttled`."""
        self._waiting += 1
        self._idle.clear()
        try:
            async with self._lock:
                await self._wait()
                now = self._clock.monotonic()
                self._grants.append(now)
                self._drop_old()
                self._next = now + self.spacing
                return now
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._idle.set()

    async def turn(self) -> None:
        """Return when a request would be granted at once; uses no grant."""
        while self._waiting or self._next > self._clock.monotonic():
            await self._idle.wait()
            await self._wait()

    def throttled(self, retry_after: float | None = None, granted_at: float | None = None) -> None:
        """Note a throttled call: halve the rate, and grant nothing for `retry_after` seconds.

        `granted_at` is what `acquire` returned. A call that was granted before the last halving does not count,
        however late its response: only calls at the new rate halve it again. Without
        `retry_after` the next grant comes one slot of the new rate from now, the least that keeps to it.
        """
        now = self._clock.monotonic()
        if granted_at is None or granted_at > self._halved_at:
            floor = min(SLOWEST, self.configured_per_minute)
            self._allow(max(self.allowed_per_minute / 2, floor))
            self._halved_at = now
        self._stepped_at = now
        self._next = max(self._next, now + (self.spacing if retry_after is None else retry_after))

    def hold(self, seconds: float) -> None:
        """Grant nothing for that long; the rate is unchanged."""
        self._next = max(self._next, self._clock.monotonic() + seconds)

    def succeeded(self) -> None:
        """Note a call that succeeded: every few seconds one restores a step of the configured rate."""
        now = self._clock.monotonic()
        if self.is_throttled and now - self._stepped_at >= STEP_SECONDS:
            step = self.configured_per_minute / RECOVERY
            self._allow(min(self.allowed_per_minute + step, self.configured_per_minute))
            self._stepped_at = now

    def _allow(self, per_minute: float) -> None:
        before, was_throttled = self.allowed_per_minute, self.is_throttled
        self.allowed_per_minute = per_minute
        if self._changed is not None and self.is_throttled != was_throttled:
            self._changed(before, per_minute)

    async def _wait(self) -> None:
        while (pause := self._next - self._clock.monotonic()) > 0:
            await self._clock.sleep(pause)

    def _drop_old(self) -> None:
        horizon = self._clock.monotonic() - MINUTE
        while self._grants and self._grants[0] <= horizon:
            self._grants.popleft()


class Limiters:
    """The limiters of one target, by operation: the documentation lists quotas for each operation by itself."""

    def __init__(
        self,
        per_minute: float,
        clock: Clock,
        phase: float = 0.0,
        lower: Mapping[str, float] = MappingProxyType({}),
        changed: Callable[[str, float, float], None] | None = None,
    ) -> None:
        """Every operation may be called `per_minute` times, those in `lower` at most as often as given there.

        `phase` (0 to 1) is that of the first operation; the others' follow from it. `changed` is given an operation
        and its allowed rate as it was and as it is when throttling begins, and when it ends.
        """
        self._per_minute = per_minute
        self._clock = clock
        self._phase = phase
        self._lower = lower
        self._changed = changed
        self._known: dict[str, Limiter] = {}

    def of(self, action: str) -> Limiter:
        """Return the limiter of an operation."""
        if action not in self._known:
            phase = (self._phase + len(self._known) * GOLDEN) % 1
            per_minute = min(self._per_minute, self._lower.get(action, math.inf))
            changed = partial(self._changed, action) if self._changed else None
            self._known[action] = Limiter(per_minute, self._clock, phase, changed)
        return self._known[action]
