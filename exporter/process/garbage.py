"""Garbage collection that does not hold the event loop: what lives long is out of the collector's sight.

A full collection looks at every container there is, a quarter of a second at 300,000 series, and nothing else runs
meanwhile. So none happens by itself. What a start or a reload has brought is frozen at once. Ten times a second what
is new is collected, which is little. Left to itself, the interpreter would wait until the new containers outnumber the
freed ones; where new ones replace old ones, as in a reload, they never do. Every minute what is left of it is frozen.

Only what becomes garbage in a circle after it was frozen stays, until a full collection once a day.
"""

import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

THRESHOLDS = (5_000, 5, 1_000_000)
"""New containers until the youngest are looked at; how often that, until those that were left are. Never all."""
EVERY = 0.1
"""Seconds between two collections of what is new."""
FROZEN_EVERY = 600
FULL_EVERY = 24 * 60 * 60 * 10
"""Collections until what is left is frozen, and until everything is looked at."""


@contextmanager
def short_pauses() -> Iterator[None]:
    """Have no collection be long while the block runs."""
    before = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def run(sleep: Callable[[float], Awaitable[None]]) -> None:
    """Collect what is new, and now and then what is old, until cancelled. `sleep` takes seconds."""
    number = 0
    while True:
        await sleep(EVERY)
        number += 1
        if number % FULL_EVERY == 0:
            gc.unfreeze()
        if number % FROZEN_EVERY == 0:
            gc.collect()
            gc.freeze()
        else:
            gc.collect(1)
