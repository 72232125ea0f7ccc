"""The config's plain values, each rejected with the offending value and the fix.

Every check raises InvalidValue, which pydantic turns into a mistake with its place.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from exporter.config.checking import InvalidValue, Item, each, not_text
from exporter.config.durations import parse_duration

NOT_INLINE = {
    key: f"secrets are not accepted in the config; write {key}_file with the path of a file"
    for key in ("access_key_id", "access_key_secret", "security_token")
}
"""Keys that are rejected in every block, and what to write instead."""
NAME = re.compile(r"[a-zA-Z0-9_-]+")


def name(value: object) -> str:
    """Return the name of a target or a query."""
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    if not isinstance(value, str):
        raise not_text(value)
    raise InvalidValue(value, "is not a name; use letters, digits, _ and -")


def path(value: object) -> Path:
    """Return the path of a file."""
    if isinstance(value, str) and value.strip():
        return Path(value)
    raise InvalidValue(value, "is not a path; write the path of a file")


def flag(value: object) -> bool:
    """Return true or false."""
    if isinstance(value, bool):
        return value
    raise InvalidValue(value, "is neither true nor false; write one of them without quotes")


def whole(low: int, high: int) -> BeforeValidator:
    """Return the check for a whole number within bounds."""

    def check(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise InvalidValue(value, f"is not a whole number from {low} to {high}")

    return BeforeValidator(check)


def number(low: float, high: float) -> BeforeValidator:
    """Return the check for a number within bounds."""

    def check(value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        raise InvalidValue(value, f"is not a number from {low:g} to {high:g}")

    return BeforeValidator(check)


def pattern(value: object) -> re.Pattern[str]:
    """Return a regular expression; the caller matches it against the whole value."""
    if not isinstance(value, str):
        raise not_text(value)
    try:
        return re.compile(value)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise InvalidValue(value, f"is not a regular expression: {error}; write one such as news.*") from None


def text(value: object) -> str:
    """Return a text with something in it and no space around it."""
    if not isinstance(value, str):
        raise not_text(value)
    if not value.strip() or value != value.strip():
        raise InvalidValue(value, "is empty or has space around it; write the value without it, or leave the key out")
    return value


def several(value: object, check: Callable[[object], Item]) -> tuple[Item, ...]:
    """Return the items of a list as `check` makes them, a single one as a list of one. Raise InvalidValues."""
    items = value if isinstance(value, list) else [value]
    if not items:
        raise InvalidValue(value, "is an empty list; name at least one value, or leave the key out")
    seen: set[Item] = set()

    def once(item: object) -> Item:
        checked = check(item)
        if checked in seen:
            raise InvalidValue(item, "is listed twice; remove one of them")
        seen.add(checked)
        return checked

    return each(enumerate(items), once)


Duration = Annotated[float, BeforeValidator(parse_duration)]
Name = Annotated[str, BeforeValidator(name)]
File = Annotated[Path, BeforeValidator(path)]
Flag = Annotated[bool, BeforeValidator(flag)]
Pattern = Annotated[re.Pattern[str], BeforeValidator(pattern)]
