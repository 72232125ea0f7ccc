"""Encodes the state file's rows (records, lists and accounts as JSON), and decodes them with every value checked.

A row has a kind, a key and a body. The code is independent of the number of counts and filters.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from exporter.clock import BACKWARDS, MINUTE
from exporter.directmail.model import Filters, Key
from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.statistics.statistic import RateSums, Statistic, Totals
from exporter.store.memory import Cell, Record

RECORD, DISCOVERED, ACCOUNT, DECREASES = "record", "discovered", "account", "decreases"
"""The kinds of rows."""
SKEW = 15 * MINUTE
"""Seconds that a clock may be wrong for the API to accept its requests."""
_Value = TypeVar("_Value")
_encode = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode


class StateRow(NamedTuple):
    """A row of the file; one without a body is to be deleted."""

    kind: str
    key: str
    body: str | None


@dataclass
class Contents:
    """The content of a file."""

    records: dict[Key, Record] = field(default_factory=dict)
    discovered: list[tuple[str, str, str, float]] = field(default_factory=list)
    """Target, filter, value, since when it is known; the oldest of each filter first."""
    accounts: dict[str, str] = field(default_factory=dict)
    decreases: dict[str, int] = field(default_factory=dict)

    def set_back(self, now: float) -> float:
        """Correct the times of all reads where some are in the future; return by how many seconds, 0 for none.

        The clock was set back since they were made, and was ahead for an unknown time before. So each of them may
        have been earlier by all that the API accepts, and when the last success was is unknown.
        """
        records = self.records.values()
        reads = (cell.read_at for record in records for cell in record.cells.values())
        successes = (record.last_success_at or 0.0 for record in records)
        if (ahead := max(chain(reads, successes), default=0.0) - now) <= 0:
            return 0.0
        for record in records:
            record.set_back(now, ahead + SKEW, lambda day, read_at: True)
            if record.last_success_at is not None and record.last_success_at > now + BACKWARDS:
                record.last_success_at = None
        return ahead + SKEW


def record_row(key: Key, record: Record | None) -> StateRow:
    """Return the row of a combination; None is for one that is discarded."""
    target, statistic, filters = key
    named = {name: value for name, value in filters._asdict().items() if value}
    body = None
    if record is not None:
        cells = [
            (day.isoformat(), cell.read_at, cell.totals, cell.highest, cell.rates)
            for day, cell in sorted(record.cells.items())
        ]
        body = _encode(
            {
                "first_read_at": record.first_read_at,
                "last_success_at": record.last_success_at,
                "counted": record.counted,
                "cells": cells,
                **({"withheld": True} if record.is_withheld else {}),
            }
        )
    return StateRow(RECORD, _encode((target, statistic, named)), body)


def discovered_row(place: Sequence[str], values: Mapping[str, float]) -> StateRow:
    """Return the row of a filter's values, each with when it was first listed, the oldest first."""
    return StateRow(DISCOVERED, _encode(place), _encode(list(values.items())) if values else None)


def account_row(target: str, account: str) -> StateRow:
    """Return the row that says whose numbers a target has."""
    return StateRow(ACCOUNT, _encode([target]), _encode(account))


def decreases_row(target: str, count: int) -> StateRow:
    """Return the row of a target's counts that went down."""
    return StateRow(DECREASES, _encode([target]), _encode(count))


def decode(rows: Iterable[tuple[str, str, str]]) -> Contents:
    """Return the content of rows of (kind, key, body). Raise ValueError for anything that `*_row` does not write."""
    contents = Contents()
    for kind, key, body in rows:
        decode_row(contents, kind, json.loads(key), json.loads(body))
    return contents


def decode_row(contents: Contents, kind: str, key: Any, body: Any) -> None:
    """Add a row to the contents. Raise ValueError where anything is not what it should be."""
    if kind == RECORD:
        target, name, named = _several(key, 3)
        if name not in STATISTICS or not isinstance(named, dict) or not named.keys() <= set(Filters._fields):
            raise ValueError(f"unknown combination {key!r}")
        filters = Filters(**{name: _text(value) for name, value in named.items()})
        contents.records[_text(target), name, filters] = _record(STATISTICS[name], body)
    elif kind == DISCOVERED:
        target, name = map(_text, _several(key, 2))
        listed = (_several(each, 2) for each in _list(body))
        contents.discovered += [(target, name, _text(value), _number(first_seen)) for value, first_seen in listed]
    elif kind == ACCOUNT:
        contents.accounts[_text(*_several(key, 1))] = _text(body)
    elif kind == DECREASES:
        contents.decreases[_text(*_several(key, 1))] = _count(body)
    else:
        raise ValueError(f"unknown kind of row {kind!r}")


def _record(statistic: Statistic, body: Any) -> Record:
    needed = {"first_read_at", "last_success_at", "counted", "cells"}
    if not isinstance(body, dict) or body.keys() - {"withheld"} != needed or body.get("withheld", True) is not True:
        raise ValueError(f"not a combination: {body!r}")
    cells: dict[date, Cell] = {}
    for each in _list(body["cells"]):
        day, read_at, totals, highest, rates = _several(each, 5)
        cells[date.fromisoformat(_text(day))] = Cell(
            _totals(statistic, totals),
            None if rates is None else _rates(statistic, rates),
            _number(read_at),
            None if highest is None else _totals(statistic, highest),
        )
    counted = _list(body["counted"])
    return Record(
        cells,
        _totals(statistic, counted) if counted or cells else (),  # there is none before the first read
        first_read_at=_optional(_number, body["first_read_at"]),
        last_success_at=_optional(_number, body["last_success_at"]),
        is_withheld="withheld" in body,
    )


def _totals(statistic: Statistic, value: Any) -> Totals:
    return tuple(map(_count, _several(value, len(statistic.fields))))


def _rates(statistic: Statistic, value: Any) -> RateSums:
    return tuple(_optional(_number, each) for each in _several(value, len(statistic.rates)))


def _optional(check: Callable[[Any], _Value], value: Any) -> _Value | None:
    return None if value is None else check(value)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"not a list: {value!r}")
    return value


def _several(value: Any, length: int) -> list[Any]:
    if len(_list(value)) != length:
        raise ValueError(f"not {length} values: {value!r}")
    return _list(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"not a text: {value!r}")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"not a count: {value!r}")
    return value


def _number(value: Any) -> float:
    """Return a time or a sum of rates: neither is negative."""
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"not a number of at least 0: {value!r}")
    return float(value)
