"""Tasks that run as long as a block."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def running(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run the coroutines beside the block and cancel them at its end; their exceptions end the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
        yield
        for task in tasks:
            task.cancel()


async def most_in_a_turn(work: Coroutine[Any, Any, object], done: Callable[[], int]) -> int:
    """Do the work; return the most of it that was done without another task having its turn, as `done` counts it."""
    most, before = 0, done()
    task = asyncio.create_task(work)
    while True:
        await asyncio.sleep(0)
        now = done()
        most, before = max(most, now - before), now
        if task.done():
            await task
            return most
