"""Computes how long to wait after failures."""

import random


def back_off(failures: int, first: float, longest: float, rng: random.Random, jitter: float) -> float:
    """Return the seconds to wait after so many failures in a row, one at least.

    They are `first`, doubled with every further failure, at most `longest`; `jitter` is the share that is random.
    """
    return min(longest, first * 2.0 ** min(failures - 1, 16)) * rng.uniform(1 - jitter, 1 + jitter)
