"""How often cells are read, and how many calls a minute that takes, within a target's budget."""

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import NamedTuple

from exporter.clock import DAY, MINUTE
from exporter.config.model import Config, Target
from exporter.plan.calendar import window_ages

OLDEST_AGE = 30
"""The API answers for days "within the last 30 days" (GetTrackList's documentation); nothing older is requested."""
RECENT_AGES = range(1, 4)
"""The days that `refresh.recent` is for; later ones have `refresh.older`."""
SHORTEST_AUTO = 300.0
"""`poll_interval: auto` never polls faster (seconds): design's floor."""
LONGEST_AUTO = 86_400.0
AUTO_SHARE = 0.9
"""The part of the budget that `auto` plans for; the rest is for retries."""
RECENT_POLLS, OLDER_POLLS = 12, 144
"""With `auto` a scarce budget stretches the refresh times along with the poll interval, in the proportion of the
defaults (5m : 1h : 12h). That keeps a combination under 1.5 calls a poll interval however long it gets."""
SHORTEST_STALE = 900.0
STALE_POLLS = 3


class Pace(NamedTuple):
    """The refresh intervals, in seconds, and the requests that they take."""

    poll_interval: float
    recent: float
    older: float
    stale_after: float
    requests_per_minute: float


def pace(config: Config, target: Target, combinations: int, pages_per_cell: float) -> Pace:
    """Return how often so many combinations of a statistic are read, when a cell takes that many calls on average."""
    ages, calls = all_ages(config), combinations * pages_per_cell
    recent, older = config.refresh.recent, config.refresh.older
    if config.poll_interval is None:
        share = budget(target) * AUTO_SHARE
        poll = shortest(lambda p: rate(calls, ages, p, *_stretched(p, recent, older)) <= share, SHORTEST_AUTO)
        recent, older = _stretched(poll, recent, older)
    else:
        poll = config.poll_interval
    stale_after = config.stale_after or max(STALE_POLLS * poll, SHORTEST_STALE)
    return Pace(poll, recent, older, stale_after, rate(calls, ages, poll, recent, older))


def fits(config: Config, target: Target, pace: Pace) -> bool:
    """Return whether the budget allows the pace, and data stays fresh at it."""
    return pace.requests_per_minute <= budget(target) and (
        config.poll_interval is not None or config.stale_after is None or config.stale_after > pace.poll_interval
    )


def budget(target: Target) -> float:
    """Return the calls of an operation that may be made in any minute: of 2.5 a minute, 2 fit into every one."""
    limit = target.rate_limit_per_minute
    return math.floor(limit) if limit >= 1 else limit


def all_ages(config: Config) -> frozenset[int]:
    return frozenset({0}.union(*(window_ages(window) for window in config.windows)))


def rate(calls: float, ages: frozenset[int], poll: float, recent: float, older: float) -> float:
    """Return calls per minute in the steady state: today, recent days, older days, and each day's closing read."""
    recent_days = sum(age in RECENT_AGES for age in ages)
    older_days = sum(RECENT_AGES.stop <= age < OLDEST_AGE for age in ages)
    return calls * MINUTE * (1 / poll + recent_days / recent + older_days / older + 1 / DAY)


def _stretched(poll: float, recent: float, older: float) -> tuple[float, float]:
    return max(recent, RECENT_POLLS * poll), max(older, OLDER_POLLS * poll)


def shortest(fits: Callable[[float], bool], floor: float) -> float:
    """Return the shortest poll interval from `floor` up that fits, in whole seconds; the longest if none does."""
    if fits(floor):
        return floor
    longest = round(LONGEST_AUTO)
    return float(bisect_left(range(longest), True, lo=min(math.floor(floor) + 1, longest), key=fits))
