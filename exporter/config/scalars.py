"""The config's plain values, each refused with the offending value and the mend.

Every check raises ValueError, which pydantic turns into a mistake with its place.
"""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator

from exporter.config.durations import parse_duration

NOT_INLINE = {
    key: f"secrets do not belong in the config; write {key}_file with the path of a file that holds it"
    for key in ("access_key_id", "access_key_secret", "security_token")
}
"""Keys that no block takes, and what to write instead."""
NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def name(value: object) -> str:
    """Return a name as Prometheus takes them for labels."""
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    raise ValueError(f"{value!r} is not a name; use letters, digits and _, not starting with a digit")


def path(value: object) -> Path:
    """Return the path of a file."""
    if isinstance(value, str) and value.strip():
        return Path(value)
    raise ValueError(f"{value!r} is not a path; write the path of a file")


def flag(value: object) -> bool:
    """Return true or false."""
    if isinstance(value, bool):
        return value
    raise ValueError(f"{value!r} is neither true nor false; write one of them without quotes")


def whole(low: int, high: int) -> BeforeValidator:
    """Return the check for a whole number within bounds."""

    def check(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise ValueError(f"{value!r} is not a whole number from {low} to {high}")

    return BeforeValidator(check)


def number(low: float, high: float) -> BeforeValidator:
    """Return the check for a number within bounds."""

    def check(value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        raise ValueError(f"{value!r} is not a number from {low:g} to {high:g}")

    return BeforeValidator(check)


def pattern(value: object) -> re.Pattern[str]:
    """Return a regular expression, which the caller holds against the whole of a value."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a regular expression; quote it: {str(value)!r}")
    try:
        return re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}; write one such as news.*") from None


def values(value: object) -> tuple[str, ...]:
    """Return the values of one filter, a lone one as a list of one."""
    items = value if isinstance(value, list) else [value]
    if not items:
        raise ValueError("[] is an empty list; name at least one value, or leave the key out")
    for item in items:
        if not isinstance(item, str):
            raise ValueError(f"{item!r} is not text; quote it: {str(item)!r}")
        if not item.strip() or item != item.strip():
            raise ValueError(
                f"{item!r} is empty or has space around it; write the value without it, or leave the key out for all"
            )
    twice = next((item for item in items if items.count(item) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} stands twice; remove one of them")
    return tuple(items)


def base_url(value: object) -> str | None:
    """Return `scheme://host[:port]`, None for anything else."""
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        port = parts.port
    except ValueError:
        return None
    plain = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username or parts.password)
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain or re.search(r"\s", str(value)):
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


def shown(value: object) -> str:
    """Return what a message shows of an address, which may hold a password or a token."""
    return "an address with a user or parameters" if re.search("[@?#]", str(value)) else repr(value)


Duration = Annotated[float, BeforeValidator(parse_duration)]
Name = Annotated[str, BeforeValidator(name)]
File = Annotated[Path, BeforeValidator(path)]
Flag = Annotated[bool, BeforeValidator(flag)]
Pattern = Annotated[re.Pattern[str], BeforeValidator(pattern)]
Values = Annotated[tuple[str, ...], BeforeValidator(values)]
