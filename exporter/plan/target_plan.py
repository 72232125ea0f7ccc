"""What there is to ask and what it costs: combinations, windows, refresh times, calls. Pure functions, no clock.

Ages count days back from today in the target's zone: 0 is today, 1 yesterday.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import product
from typing import NamedTuple
from zoneinfo import ZoneInfo

from exporter.config.load import FILTER_KEYS, Config, Query, Target
from exporter.directmail.model import Filters

Key = tuple[str, Filters]

SERIES_PER_WINDOW = 10
SERIES_PER_WINDOW_REPORTED = 4
SERIES_PER_COMBINATION = 8
SERIES_PER_TARGET_WINDOW = 2

OLDEST_AGE = 30
"""The API answers for days "within the last 30 days" (GetTrackList's documentation); nothing older is asked."""
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
MINUTE, DAY = 60.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Combination:
    """One expanded set of filters of a query; the unit that gets its own series."""

    target: str
    query: str
    filters: Filters

    @property
    def key(self) -> Key:
        """What it is known by, whatever query names it."""
        return (self.target, self.filters)


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """How one target is polled. Times are seconds."""

    target: Target
    combinations: tuple[Combination, ...]
    windows: tuple[str, ...]
    reported_rates: bool
    ages: frozenset[int]
    """The days that some window needs, and today."""
    poll_interval: float
    recent: float
    older: float
    stale_after: float
    pages_per_cell: float
    list_calls: int
    """Calls that it takes to list the discovered values once."""
    left_out: int
    """Combinations that discovery brought and that are not polled."""
    requests_per_minute: float
    """What all of this asks for in the steady state, pages and discovery included."""

    @property
    def cells(self) -> int:
        return len(self.combinations) * len(self.ages)

    def next_read(self, age: int, read_at: float | None, day_end: float) -> float | None:
        """Return when a cell is to be read (seconds since the epoch), None when not any more.

        `read_at` is the last complete read, None for never: then it is due since ever, which is 0.
        """
        if age < 0 or age > OLDEST_AGE:
            return None
        if read_at is None:
            return 0.0 if age in self.ages else None
        if age == 0:
            return read_at + self.poll_interval
        if age == OLDEST_AGE:
            return None  # the edge: it is known from the day before
        if read_at < day_end:
            return day_end  # read once more after its end
        if age not in self.ages:
            return None
        return read_at + self.refresh(age)

    def refresh(self, age: int) -> float:
        """Return the seconds between two reads of a day of that age."""
        if age == 0:
            return self.poll_interval
        return self.recent if age in RECENT_AGES else self.older

    def minutes_to_fill(self, window: str) -> float:
        """Return about how many minutes after a cold start the window is complete for every combination."""
        pages = len(self.combinations) * self.pages_per_cell
        depth = max((age for age in window_ages(window)), default=0)
        allowed = budget(self.target)
        first_pass = pages / allowed
        if (depth + 1) * first_pass * MINUTE <= self.poll_interval:
            return (depth + 1) * first_pass
        recent = sum(age in self.ages for age in RECENT_AGES)
        busy = pages * MINUTE * (1 / self.poll_interval + recent / self.recent)
        return first_pass + depth * pages / max(allowed - busy, allowed * 0.01)


class Pace(NamedTuple):
    """How often what is read, in seconds, and what that asks for."""

    poll_interval: float
    recent: float
    older: float
    stale_after: float
    requests_per_minute: float


def expand(target: Target, query: Query) -> tuple[Combination, ...]:
    """Return the combinations of a query: its lists multiplied, less what `exclude` matches, in the config's order.

    A query with a filter that is discovered has none that are known from the config.
    """
    if query.discovered:
        return ()
    keys = tuple(query.filters)
    rows = (dict(zip(keys, values, strict=True)) for values in product(*query.filters.values()))
    return tuple(Combination(target.name, query.name, Filters(**row)) for row in rows if not is_excluded(query, row))


def configured(target: Target) -> tuple[Combination, ...]:
    """Return the combinations that the config names, those of discovered filters not among them."""
    return tuple(item for query in target.queries for item in expand(target, query))


def is_excluded(query: Query, row: Mapping[str, str]) -> bool:
    """Return whether the query leaves out these filters."""
    return any(all(row[key] == value for key, value in entry.items()) for entry in query.exclude)


def window_ages(window: str) -> range:
    """Return the ages of the days in a window (`today`, `yesterday`, `Nd`: the last N closed days)."""
    if window == "today":
        return range(1)
    if window == "yesterday":
        return range(1, 2)
    return range(1, int(window.removesuffix("d")) + 1)


def window_days(window: str, today: date) -> tuple[date, ...]:
    """Return the days in a window, oldest first."""
    return tuple(today - timedelta(days=age) for age in reversed(window_ages(window)))


def today(now: float, zone: ZoneInfo) -> date:
    """Return the calendar day in the zone at `now` (seconds since the epoch)."""
    return datetime.fromtimestamp(now, zone).date()


def day_start(day: date, zone: ZoneInfo) -> float:
    """Return when a day begins in the zone (seconds since the epoch), also where midnight does not exist."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


def day_end(day: date, zone: ZoneInfo) -> float:
    """Return when a day ends, exclusive: 23, 24 or 25 hours after its start."""
    return day_start(day + timedelta(days=1), zone)


def window_bounds(window: str, today: date, zone: ZoneInfo) -> tuple[float, float]:
    """Return the start and the exclusive end of a window (seconds since the epoch)."""
    days = window_days(window, today)
    return day_start(days[0], zone), day_end(days[-1], zone)


def make(
    config: Config,
    target: Target,
    combinations: Sequence[Combination] | None = None,
    pages_per_cell: float = 1.0,
    *,
    list_calls: int | None = None,
    left_out: int = 0,
) -> TargetPlan:
    """Return how the target is polled, when a cell takes that many calls on average.

    `combinations` stands in for what the target's queries expand to, `list_calls` for one for each discovered filter.
    """
    if combinations is None:
        combinations = configured(target)
    if list_calls is None:
        list_calls = len(target.discovered)
    return TargetPlan(
        target=target,
        combinations=tuple(combinations),
        windows=config.windows,
        reported_rates=config.reported_rates,
        ages=_ages(config),
        pages_per_cell=pages_per_cell,
        list_calls=list_calls,
        left_out=left_out,
        **pace(config, target, len(combinations), pages_per_cell, list_calls)._asdict(),
    )


def pace(config: Config, target: Target, combinations: int, pages_per_cell: float, list_calls: int) -> Pace:
    """Return how often so many combinations are read, when a cell takes that many calls on average."""
    ages, calls = _ages(config), combinations * pages_per_cell
    listing = listing_rate(config, list_calls)
    recent, older = config.refresh.recent, config.refresh.older
    if config.poll_interval is None:
        share = budget(target) * AUTO_SHARE - listing
        poll = shortest(lambda p: rate(calls, ages, p, *_stretched(p, recent, older)) <= share, SHORTEST_AUTO)
        recent, older = _stretched(poll, recent, older)
    else:
        poll = config.poll_interval
    stale_after = config.stale_after or max(STALE_POLLS * poll, SHORTEST_STALE)
    return Pace(poll, recent, older, stale_after, rate(calls, ages, poll, recent, older) + listing)


def fits(config: Config, target: Target, pace: Pace) -> bool:
    """Return whether the budget allows the pace, and data stays fresh at it."""
    return pace.requests_per_minute <= budget(target) and (
        config.poll_interval is not None or config.stale_after is None or config.stale_after > pace.poll_interval
    )


def budget(target: Target) -> float:
    """Return the calls that may be made in any minute: of 2.5 a minute, 2 fit into every one."""
    limit = target.rate_limit_per_minute
    return math.floor(limit) if limit >= 1 else limit


def series(config: Config, combinations: int, targets: int) -> int:
    """Return how many data and query series so many combinations expose when every window is filled."""
    per_window = SERIES_PER_WINDOW + SERIES_PER_WINDOW_REPORTED * config.reported_rates
    windows = len(config.windows)
    return combinations * (windows * per_window + SERIES_PER_COMBINATION) + targets * windows * SERIES_PER_TARGET_WINDOW


def exposed_by(config: Config, targets: Sequence[Target]) -> int:
    """Return how many data and query series the targets expose by what the config names, every window filled."""
    return series(config, sum(len(configured(target)) for target in targets), len(targets))


def room(config: Config, combinations: int) -> int:
    """Return how many combinations `max_series` allows beside so many."""
    each = series(config, 1, 0)
    return max(0, (config.max_series - series(config, combinations, len(config.targets))) // each)


def describe(filters: Filters) -> str:
    """Return the filters as an operator reads them: `account_name=a@b, esp=gmail.com`, or `(no filter)`."""
    return (
        ", ".join(f"{key}={value}" for key, value in zip(FILTER_KEYS, filters, strict=True) if value) or "(no filter)"
    )


def duration(seconds: float) -> str:
    """Return seconds as a Prometheus duration that the config takes: `90s` is `1m30s`, rounded up to whole seconds."""
    rest = max(1, math.ceil(seconds))
    parts = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def _ages(config: Config) -> frozenset[int]:
    return frozenset({0}.union(*(window_ages(window) for window in config.windows)))


def listing_rate(config: Config, list_calls: int) -> float:
    """Return the calls a minute that discovery makes."""
    return list_calls * MINUTE / config.discovery_interval


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
    low, high = math.floor(floor), round(LONGEST_AUTO)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return float(high)
