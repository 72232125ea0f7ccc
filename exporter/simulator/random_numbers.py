"""Chance as a pure function: uniform numbers from a key, and distributions by inversion."""

import math
import random
from hashlib import blake2b
from statistics import NormalDist

_NORMAL = NormalDist()
_EDGE = 1e-12
"""How near numbers come to 0 and 1."""
_SMALL = 12.0
"""Below this mean the inversion is exact, above it the normal distribution is used."""


def uniforms(count: int, *key: object) -> list[float]:
    """Return that many numbers in (0, 1), always the same for the same key."""
    digest = blake2b(repr(key).encode(), digest_size=8).digest()
    draw = random.Random(int.from_bytes(digest)).random
    drawn = [draw() for _ in range(count)]
    if min(drawn, default=_EDGE) < _EDGE or max(drawn, default=_EDGE) > 1 - _EDGE:  # hardly ever: one check for all
        return [min(max(each, _EDGE), 1 - _EDGE) for each in drawn]
    return drawn


def normal(u: float) -> float:
    """Return the standard normal value of a uniform one."""
    return _NORMAL.inv_cdf(u)


def binomial(n: int, p: float, u: float) -> int:
    """Return the binomial value of a uniform one."""
    if n <= 0 or p <= 0:
        return 0
    if p >= 1:
        return n
    if p > 0.5:
        return n - binomial(n, 1 - p, 1 - u)
    mean = n * p
    if mean >= _SMALL:
        return min(n, max(0, round(mean + math.sqrt(mean * (1 - p)) * normal(u))))
    value, term = 0, (1 - p) ** n
    below = term
    while below < u and value < n:
        term *= (n - value) / (value + 1) * p / (1 - p)
        value += 1
        below += term
    return value


def poisson(mean: float, u: float) -> int:
    """Return the Poisson value of a uniform one."""
    if mean >= _SMALL:
        return max(0, round(mean + math.sqrt(mean) * normal(u)))
    value, term = 0, math.exp(-mean)
    below = term
    while below < u and term > 1e-15:
        value += 1
        term *= mean / value
        below += term
    return value


def lognormal_cdf(value: float, median: float, sigma: float) -> float:
    """Return the chance of less than `value`."""
    return _NORMAL.cdf(math.log(value / median) / sigma) if value > 0 else 0.0
