"""A clock that a test moves."""

import asyncio
import heapq
from datetime import datetime
from itertools import count

MAX_STEPS = 100_000
"""Rounds of the event loop after which a test that never comes to rest is given up."""


class ScriptedClock:
    """Wall and monotonic time as the test says; `sleep` returns when `advance` has passed its end.

    With `skip_sleeps` every sleep returns at once and moves the time itself: for one task that talks over
    real sockets, where nobody can tell when to advance.
    """

    def __init__(
        self,
        start: str | float = "2026-04-22T10:15:30+00:00",
        *,
        monotonic: float = 1000.0,
        skip_sleeps: bool = False,
    ) -> None:
        """`start` is the wall time, as ISO 8601 with an offset or as seconds since the epoch."""
        self._wall = datetime.fromisoformat(start).timestamp() if isinstance(start, str) else start
        self._monotonic = monotonic
        self._skip_sleeps = skip_sleeps
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self.slept: list[float] = []
        """Every sleep that was requested, in seconds."""

    def time(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self._skip_sleeps:
            self.jump(wall=seconds, monotonic=seconds)
        if self._skip_sleeps or seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move both times on; wake sleepers in order, each at its own moment, and let all that follows happen."""
        end = self._monotonic + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():  # a cancelled sleeper is done
                self._pass(max(due - self._monotonic, 0.0))
                woken.set_result(None)
                await settle()
        self._pass(end - self._monotonic)
        await settle()

    def jump(self, *, wall: float = 0.0, monotonic: float = 0.0) -> None:
        """Set the times on or back at once, each by itself; overdue sleepers wake at the next `advance`."""
        self._wall += wall
        self._monotonic += monotonic

    def _pass(self, seconds: float) -> None:
        self.jump(wall=seconds, monotonic=seconds)


async def settle() -> None:
    """Return when every task waits for a sleep, a socket or a thread.

    asyncio has no public way to tell whether anything is left to run; a fixed number of rounds would be slow or
    wrong.
    """
    ready = vars(asyncio.get_running_loop())["_ready"]
    for _ in range(MAX_STEPS):
        await asyncio.sleep(0)
        if not ready:
            return
    raise AssertionError("the event loop never comes to rest")
