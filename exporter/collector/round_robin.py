"""Runs heavy work of many collectors in slices, one slice at a time for all of them."""

import asyncio
from collections.abc import Callable, Iterator


class RoundRobin:
    """Shared by collectors that may have heavy work at the same moment, as at midnight."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()  # hands over in the order of requests

    async def work(self, slices: Iterator[None]) -> None:
        """Do the work. After each slice other tasks run, and then the next collector's slice."""
        done = False
        while not done:
            async with self._lock:
                done = next(slices, self) is self
                if not done:
                    await asyncio.sleep(0)

    async def begin(self, start: Callable[[], object]) -> None:
        """Start a task, and return when it has done its first step: of all collectors' tasks one at a time."""
        async with self._lock:
            start()
            await asyncio.sleep(0)
