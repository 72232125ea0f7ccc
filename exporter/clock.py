"""The clock that all other code reads, so that tests can script it and the demo can speed it up.

Wall time decides which day it is and how old a number is; monotonic time decides how long to wait.
"""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Protocol

MINUTE, HOUR, DAY = 60, 3600, 86_400
"""Seconds; a day of a calendar may have an hour more or less."""
BACKWARDS = 60.0
"""Seconds that the wall clock may be set back without consequences."""


class Clock(Protocol):
    """What a clock can do. All values are seconds."""

    def time(self) -> float:
        """Return the wall time as seconds since the Unix epoch."""

    def monotonic(self) -> float:
        """Return a time that never goes backwards; only differences mean something."""

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of this clock."""


class SystemClock:
    """The machine's own clock."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class VirtualClock:
    """A clock that starts at `start` (default: now) and runs `speed` times as fast as the machine's.

    `speed=120` shows two minutes of mail traffic in a second.
    """

    def __init__(self, speed: float = 1.0, start: float | None = None) -> None:
        self._speed = speed
        self._origin = time.monotonic()
        self._start = time.time() if start is None else start

    def time(self) -> float:
        return self._start + self.monotonic()

    def monotonic(self) -> float:
        return (time.monotonic() - self._origin) * self._speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)


async def sleep_or_wake(clock: Clock, seconds: float, woken: asyncio.Event) -> None:
    """Sleep so long, or until the event is set."""
    both: tuple[Coroutine[Any, Any, object], ...] = (clock.sleep(seconds), woken.wait())
    sleeps = [asyncio.create_task(each) for each in both]
    try:
        await asyncio.wait(sleeps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in sleeps:
            each.cancel()
