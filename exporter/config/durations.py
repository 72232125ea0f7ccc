"""Durations as Prometheus writes them (`1h30m`): read from text, and written."""

import math
import re

_UNITS = (31_536_000, 604_800, 86_400, 3600, 60, 1, 0.001)
"""Seconds of y, w, d, h, m, s and ms, in the order that Prometheus writes them."""
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)


def parse_duration(value: object) -> float:
    """Return a Prometheus duration in seconds. Raise ValueError with the fix."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{value!r} has no unit; write {value}s for seconds")
    match = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if match is None:
        raise ValueError(f"{value!r} is not a duration; write one such as 90s, 5m or 1h30m")
    seconds = sum(int(count) * size for count, size in zip(match.groups(), _UNITS, strict=True) if count)
    if seconds <= 0:
        raise ValueError(f"{value!r} is no time at all; write one such as 90s, 5m or 1h30m")
    return float(seconds)


def format_duration(seconds: float) -> str:
    """Return seconds as a duration that the config accepts: 90 is `1m30s`, rounded up to whole seconds."""
    rest = max(1, math.ceil(seconds))
    parts = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
