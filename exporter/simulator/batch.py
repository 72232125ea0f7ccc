"""The events of one batch of mail over time."""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from exporter.clock import DAY, HOUR
from exporter.simulator import account

EDGES = (0.0, 0.25, 0.5, 1, 2, 3, 4.5, 6, 9, 12, 18, 24, 36, 48, 72, 120, 168, 264, 384, 540, 720)
"""Ages in hours between which events are spread evenly; nothing happens after the last."""
REACH = 35 * DAY
"""Seconds after which a batch is over for certain: readers' hours may be a little slower than the wall's."""
Spans = tuple[tuple[float, float], ...]
"""Stretches of time as (start, end), in order and apart."""
Readers = Callable[[float], float]
"""Hours of reading up to a moment; only differences mean something."""


class Events(NamedTuple):
    """What became of a batch up to a moment."""

    opens: int
    unique_opens: int
    clicks: int
    unique_clicks: int


NONE = Events(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Batch:
    """One hour's mail of a stream to a provider, and its events as running totals at EDGES."""

    sent_at: float
    emails: int
    humans: tuple[int, ...]
    clickers: tuple[int, ...]
    extra_clicks: tuple[int, ...]
    machines: tuple[int, ...]
    repeats: tuple[int, ...]
    scans: int

    def sent(self, now: float) -> int:
        """Return how many mails went out up to `now`: they are spread over the hour."""
        return int(self.emails * min(max((now - self.sent_at) / HOUR, 0.0), 1.0))

    def events(self, now: float, readers: Readers) -> Events:
        """Return the events up to `now`, for readers who follow that clock.

        While the hour's mail goes out, the part that went counts as being as old as its middle; so there are never
        more people who opened than mails, and a straight line between two edges, rounded down, never falls.
        """
        part = min((now - self.sent_at) / HOUR, 1.0)
        if part <= 0:
            return NONE
        middle = self.sent_at + part / 2 * HOUR
        wall = (now - middle) / HOUR
        people, machine = _place(readers(now) - readers(middle)), _place(wall)
        humans, clickers = _read(self.humans, people, part), _read(self.clickers, people, part)
        machines = _read(self.machines, machine, part)
        scans = int(part * self.scans * min(1.0, wall / EDGES[1])) if self.scans else 0
        return Events(
            humans + machines + _read(self.repeats, machine, part) + scans,
            humans + machines + scans // 2,
            clickers + _read(self.extra_clicks, people, part) + 4 * scans,
            clickers + scans * 6 // 10,
        )


def running(counts: Iterable[int]) -> tuple[int, ...]:
    """Return the counts of buckets as running totals at EDGES."""
    return tuple(accumulate(counts, initial=0))


def readers_clock(offset: float, slow: Spans) -> Readers:
    """Return the clock of readers whose zone is `offset` seconds ahead of UTC.

    It counts hours of reading up to a moment; nights, weekends and the slow spans have fewer of them.
    """

    @lru_cache(maxsize=10_000)
    def read_until(moment: float) -> float:
        hours = _activity_until(moment + offset)
        for start, end in slow:
            if start < moment:
                missed = _activity_until(min(end, moment) + offset) - _activity_until(start + offset)
                hours -= (1 - account.HOLIDAY_ACTIVITY) * missed
        return hours

    return read_until


def _place(age: float) -> tuple[int, float]:
    """Return the bucket that an age in hours is in, and the part of it that has passed."""
    if age >= EDGES[-1]:
        return len(EDGES) - 2, 1.0
    bucket = bisect_right(EDGES, age) - 1
    return bucket, (age - EDGES[bucket]) / (EDGES[bucket + 1] - EDGES[bucket])


def _read(totals: tuple[int, ...], place: tuple[int, float], part: float) -> int:
    bucket, passed = place
    low = totals[bucket]
    return int(part * (low + passed * (totals[bucket + 1] - low)))


def _activity_until(local: float) -> float:
    weeks, rest = divmod(local - 4 * DAY, 7 * DAY)  # the epoch was a Thursday
    hours = rest / HOUR
    whole = min(int(hours), len(_ACTIVITY) - 2)
    return weeks * _ACTIVITY[-1] + _ACTIVITY[whole] + (hours - whole) * (_ACTIVITY[whole + 1] - _ACTIVITY[whole])


def _week_of_activity() -> tuple[float, ...]:
    """Return the running sum of the activity over the hours of a week, a mean hour being 1."""
    mean = sum(account.ACTIVITY_BY_HOUR) / 24
    hours = (hour / mean * day for day in account.ACTIVITY_BY_WEEKDAY for hour in account.ACTIVITY_BY_HOUR)
    return tuple(accumulate(hours, initial=0.0))


_ACTIVITY = _week_of_activity()
