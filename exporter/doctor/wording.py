"""Numbers, times and offsets as findings write them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from exporter.config.durations import format_duration


def mails(count: int) -> str:
    """Return a number of mails: `1 mail`, `2 mails`."""
    return f"{count} mail{'s' * (count != 1)}"


def span(seconds: float) -> str:
    """Return a span of time without its sign: seconds up to two minutes, then whole minutes."""
    seconds = abs(seconds)
    return f"{seconds:.0f} s" if seconds < 120 else format_duration(round(seconds / 60) * 60)


def utc(at: float) -> str:
    """Return a moment, in seconds since the epoch, to the minute."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def offset(hours: float) -> str:
    """Return hours from UTC as `UTC+05:30`."""
    minutes = round(abs(hours) * 60)
    return f"UTC{'-' if hours < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"


def zone_offset(zone: ZoneInfo, at: float) -> float:
    """Return how many hours a zone is from UTC at a moment."""
    return (datetime.fromtimestamp(at, zone).utcoffset() or timedelta()).total_seconds() / 3600
