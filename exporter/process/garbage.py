"""Keeps garbage collection from blocking the event loop: long-lived objects are frozen.

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
"""Thresholds of the three generations; the last one is never reached."""
EVERY = 0.1
"""Seconds between two collections of what is new."""
FROZEN_EVERY = 600
FULL_EVERY = 24 * 60 * 60 * 10
"""Collections until the survivors are frozen, and until a full collection."""


@contextmanager
def short_pauses() -> Iterator[None]:
    """Keep collections short while the block runs."""
    before = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def freeze() -> None:
    """Leave what there is out of later collections: a start or a reload has brought it, and most of it stays."""
    gc.freeze()


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
            freeze()
        else:
            gc.collect(1)
