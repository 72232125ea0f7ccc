"""Parses a response: counts that are right, or a ParseError."""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from exporter.directmail.errors import ParseError
from exporter.directmail.statistics.statistic import RateSums, Statistic, Totals

LARGEST = 2**53
"""Beyond this a float, and so Prometheus, cannot hold a count exactly."""

_EXPONENT = r"(?:[eE][+-]?\d{1,3})?"
_COUNT = re.compile(rf"(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?{_EXPONENT}", re.ASCII)
_RATE = re.compile(rf"\s*(\d{{1,15}}(?:\.\d+)?{_EXPONENT})\s*%?\s*", re.ASCII)
_LONGEST_NUMBER = 24
"""Characters; no number that can be right is longer."""
_SHORT = 16
"""Fewer digits than this are less than LARGEST."""


class Row(NamedTuple):
    """One record of `data.stat`, as far as it is read."""

    created: str | None
    counts: tuple[int, ...]
    """In the statistic's order."""
    rates: tuple[float | None, ...]
    """In the statistic's order and the API's own unit; None where a rate cannot be read."""
    written: tuple[Any, ...] = ()
    """The rates as they were sent: their decimals show their precision."""


class StatisticPage(NamedTuple):
    """One page of a statistic; missing numbers are None."""

    rows: list[Row]
    number: int | None
    size: int | None
    total: int | None
    pages: int | None


def page(statistic: Statistic, document: Mapping[str, Any], request_id: str) -> StatisticPage:
    """Return the page of a statistic that a 200 holds.

    Raise ParseError for an invalid row, and where there is no `data.stat`: missing is never 0.
    """
    data = document.get("data")
    rows = data.get("stat") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise ParseError("the response has no data.stat", request_id=request_id)
    numbers = (number(document.get(name)) for name in ("PageNo", "PageSize", statistic.total, "TotalPages"))
    return StatisticPage([_row(statistic, row, request_id) for row in rows], *numbers)


def summed(statistic: Statistic, rows: Sequence[Row], request_id: str) -> tuple[Totals, RateSums]:
    """Return the rows' counts, and their rates each times the base count.

    Raise ParseError for sums beyond LARGEST.
    """
    totals = list(map(sum, zip(*(row.counts for row in rows), strict=True))) if rows else list(statistic.nothing)
    # The rate of no mails has no weight.
    weighed = [(row.counts[0], row.rates) for row in rows if row.counts[0]]
    rates = [_weighed((emails, each[index]) for emails, each in weighed) for index in range(len(statistic.rates))]
    for name, total in zip(statistic.fields, totals, strict=True):
        if total > LARGEST:
            raise ParseError(f"the sum of {name} is too large", request_id=request_id)
    return statistic.counts._make(totals), tuple(rates)


def printable(text: str, longest: int) -> str:
    """Return remote text cut short and without control characters or broken Unicode."""
    return "".join(character if character.isprintable() else "?" for character in text[:longest])


def _row(statistic: Statistic, row: Any, request_id: str) -> Row:
    if not isinstance(row, dict):
        raise ParseError("a row of data.stat is not an object", request_id=request_id)
    try:
        values = statistic.counts_of(row)
    except KeyError as missing:
        text = f"a row of data.stat has no {missing.args[0]}"
        raise ParseError(text, request_id=request_id) from None
    counts = tuple([_count(name, value, request_id) for name, value in zip(statistic.fields, values, strict=True)])
    if not any(counts) and all(map(_is_blank, values)):
        text = f"a row of data.stat has no counts: {statistic.fields[0]} and the others are empty"
        raise ParseError(text, request_id=request_id)
    created = row.get("CreateTime")
    written = str(created) if isinstance(created, int) else created if isinstance(created, str) else None
    rates = tuple([row.get(rate.field) for rate in statistic.rates.values()])
    return Row(written, counts, tuple([_rate(rate) for rate in rates]), rates)


def _weighed(pairs: Iterable[tuple[int, float | None]]) -> float | None:
    """Return the sum of rate x mails, None where a rate is."""
    total = 0.0
    for emails, rate in pairs:
        if rate is None:
            return None
        total += rate * emails
    return total


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _count(name: str, value: Any, request_id: str) -> int:
    """Return a count as the API may write it: a number, digits, digits with commas; null and "" are 0."""
    if type(value) is str and value.isdecimal() and value.isascii() and len(value) < _SHORT:
        return int(value)  # as documented, and worth a short cut: a page has hundreds
    if _is_blank(value):
        return 0
    count = number(value)
    if count is None:
        raise ParseError(f"{name} is not a count: {_shown(value)}", request_id=request_id)
    return count


def number(value: Any) -> int | None:
    """Return a whole number from 0 to LARGEST, however it is written; None for anything else."""
    if isinstance(value, str):
        text = value.strip()
        match = _COUNT.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
        value = Decimal(text.replace(",", "")) if match else None
    if isinstance(value, Decimal):  # exact, and compared before it is written out: 1E999 has a thousand digits
        value = int(value) if value <= LARGEST and value == value.to_integral_value() else None
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST
    return value if is_number else None


def _rate(value: Any) -> float | None:
    """Return a rate in the API's own unit, None where it cannot be read."""
    if isinstance(value, str):
        if value.replace(".", "", 1).isdecimal() and value.isascii() and len(value) < _SHORT:
            return float(value)
        match = _RATE.fullmatch(value) if len(value) <= _LONGEST_NUMBER else None
        value = float(match[1]) if match else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < LARGEST else None


def _shown(value: Any) -> str:
    """Return a value that is not a count, short enough for a message; what a list or object holds stays out."""
    if isinstance(value, str):
        return repr(printable(value, 40))
    return printable(str(value), 40) if isinstance(value, int | float) else f"a {type(value).__name__}"
