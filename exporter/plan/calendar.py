"""Days and windows in a target's time zone. Pure functions of the time.

Ages count days back from today in the target's zone: 0 is today, 1 yesterday.
"""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo


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
