"""Parses a CreateTime: a moment where its time zone is known, a day where it is a date.

Direct Mail's texts end in "Z" and are most likely not UTC: the documented examples are ahead of it by eight hours. The
list of domains has one moment as text and as Unix seconds, which measures the clock; without it the moment is unknown.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from exporter.directmail import responses
from exporter.directmail.account import CREATED, CREATED_SECONDS

_QUARTER, _MINUTE = 900.0, 60.0
"""Seconds: zones are quarters of an hour apart, and texts are cut to the minute."""
_LARGEST_SECONDS = 10**11
"""Seconds since the epoch; larger numbers are milliseconds."""
_LATEST = 4_102_444_800.0
"""2100-01-01. Moments from 1970 to here are believed; others may have no date in every time zone."""
_FARTHEST = 86_400.0
"""Seconds that a clock may be off UTC."""


def moment(created: str | None, ahead: float | None) -> float | None:
    """Return a CreateTime in seconds since the epoch, None where it is unknown.

    `ahead` is how many seconds texts with a "Z" are ahead of UTC, None where that was not measured. Numbers, and texts
    with an offset such as +08:00, need it not.
    """
    at = None if created is None else _parsed(created.strip(), ahead)
    return at if at is not None and 0 <= at < _LATEST else None


def day_of(created: str | None, zone: ZoneInfo, ahead: float | None) -> date | None:
    """Return the day of a CreateTime, which may be a date; `ahead` as for `moment`."""
    at = moment(created, ahead)
    if at is not None:
        return datetime.fromtimestamp(at, zone).date()
    try:
        return date.fromisoformat((created or "").strip())
    except ValueError:
        return None


def clocks(domains: Iterable[Mapping[str, Any]]) -> set[float]:
    """Return how many seconds the texts of domains are ahead of UTC, each offset once; none if unknown."""
    found = set()
    for facts in domains:
        text, seconds = facts.get(CREATED), responses.number(facts.get(CREATED_SECONDS))
        shown = moment(text, 0.0) if isinstance(text, str) and text.strip().upper().endswith("Z") else None
        if shown is not None and seconds:
            off = shown - _seconds(seconds)
            offset = round(off / _QUARTER) * _QUARTER
            if abs(off - offset) < _MINUTE and abs(offset) < _FARTHEST:
                found.add(offset)
    return found


def _seconds(number: int) -> float:
    return number / 1000 if number > _LARGEST_SECONDS else number


def _parsed(text: str, ahead: float | None) -> float | None:
    """Return the moment of a text, however far it is."""
    if text.isdecimal() and text.isascii() and len(text) in (10, 13):
        return _seconds(int(text))
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        return None
    if not text.upper().endswith("Z"):
        return at.timestamp()
    return None if ahead is None else at.timestamp() - ahead
