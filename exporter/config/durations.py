"""Durations as Prometheus writes them (`1h30m`): read from text, and written."""

import math
import re

from exporter.config.checking import InvalidValue

LONGEST = 10 * 31_536_000.0
"""Seconds; ten years."""
_UNITS = (31_536_000, 604_800, 86_400, 3600, 60, 1, 0.001)
"""Seconds of y, w, d, h, m, s and ms, in the order that Prometheus writes them."""
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_SPELLINGS = {
    **dict.fromkeys(("ms", "msec", "millisecond"), 0.001),
    **dict.fromkeys(("", "s", "sec", "second"), 1.0),
    **dict.fromkeys(("m", "min", "minute"), 60.0),
    **dict.fromkeys(("h", "hr", "hour"), 3600.0),
    **dict.fromkeys(("d", "day"), 86_400.0),
    **dict.fromkeys(("w", "week"), 604_800.0),
    **dict.fromkeys(("y", "yr", "year"), 31_536_000.0),
}
"""Seconds of units as people write them, without the plural's s."""
_SPELLED = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([a-z]*)", re.ASCII | re.IGNORECASE)


def parse_duration(value: object) -> float:
    """Return a Prometheus duration in seconds. Raise InvalidValue with the fix."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise InvalidValue(value, "has no unit; write {}s for seconds")
    match = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if match is None:
        meant = guessed(value)
        write = format_duration(meant) if meant >= 1 and meant.is_integer() else "one such as 90s, 5m or 1h30m"
        raise InvalidValue(value, f"is not a duration; write {write}")
    given = [(count, size) for count, size in zip(match.groups(), _UNITS, strict=True) if count]
    seconds = sum(int(count[:20]) * size for count, size in given)
    if seconds <= 0:
        raise InvalidValue(value, "is zero; write one such as 90s, 5m or 1h30m")
    if seconds > LONGEST or any(len(count) > 20 for count, _ in given):
        raise InvalidValue(value, "is too long; write at most 10y")
    return float(seconds)


def guessed(value: object) -> float:
    """Return the seconds that a text such as `5min` or `1.5 hours` means, 0 if unknown."""
    if not isinstance(value, str) or not re.fullmatch(f"(?:{_SPELLED.pattern})+", value, _SPELLED.flags):
        return 0.0
    parts = [(float(number), unit.lower()) for number, unit in _SPELLED.findall(value)]
    sizes = [_SPELLINGS.get(unit, _SPELLINGS.get(unit.removesuffix("s"), 0.0)) for _, unit in parts]
    seconds = sum(number * size for (number, _), size in zip(parts, sizes, strict=True))
    return seconds if all(sizes) and seconds <= LONGEST else 0.0


def format_duration(seconds: float) -> str:
    """Return seconds as a duration that the config accepts: 90 is `1m30s`, rounded up to whole seconds."""
    rest = max(1, math.ceil(seconds))
    parts = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
