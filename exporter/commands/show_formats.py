"""Writes the rows of a window as tables for people, as CSV, or as JSON."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.cells import cell_len

from exporter.commands.show_rows import Group, Row, Values, names
from exporter.directmail.model import Filters
from exporter.directmail.statistics.registry import STATISTICS

FIELDS = ("target", "statistic", "query", *Filters._fields, "window", "start", "end")
"""What a row of CSV or JSON says before its values: whose, of which filters, from which day to which, inclusive."""
VALUES = tuple(name for statistic in STATISTICS.values() for name in names(statistic))
DIGITS = 6
"""Decimals of a ratio in CSV and JSON."""
NOTHING, SPACE = "-", "  "
NARROW = 8
"""Characters that a number's column has at least: a longer name is folded at its underscores."""


def as_table(groups: Sequence[Group], window: str, at: float) -> str:
    """Return a table for each query, its numbers below each other. `at` is when it was made."""
    return "\n\n".join("\n".join(_table(group, window)) for group in groups)


def as_csv(groups: Sequence[Group], window: str, at: float) -> str:
    """Return one header, whatever the statistics, and a row for each combination; what is not known is empty.

    There are no sums among them: adding up a column would count twice.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, (*FIELDS, *VALUES, "problem"), lineterminator="\n")
    writer.writeheader()
    for group in groups:
        for row in group.rows:
            writer.writerow({**_identity(group, row, window), **_rounded(row.values), "problem": row.problem})
    return text.getvalue().removesuffix("\n")


def as_json(groups: Sequence[Group], window: str, at: float) -> str:
    """Return an object: `at`, `window`, `rows` as in CSV, and `sums`; a value that is not known is null."""
    rows = [
        {
            **_identity(group, row, window),
            **{name: _rounded(row.values).get(name) for name in names(group.statistic)},
            "problem": row.problem or None,
        }
        for group in groups
        for row in group.rows
    ]
    sums = [
        {
            **{name: value for name, value in _identity(group, group.rows[0], window).items() if name in _OF_A_GROUP},
            "rows": len(group.rows),
            **_rounded(group.sums),
        }
        for group in groups
        if group.sums
    ]
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return json.dumps({"at": moment, "window": window, "rows": rows, "sums": sums}, indent=2, ensure_ascii=False)


FORMATS = {"table": as_table, "csv": as_csv, "json": as_json}
_OF_A_GROUP = ("target", "statistic", "query", "window", "start", "end")


def _identity(group: Group, row: Row, window: str) -> dict[str, Any]:
    filters = row.combination.filters._asdict()
    start, end = group.days[0].isoformat(), group.days[-1].isoformat()
    values = (group.target, group.statistic.name, group.query, *filters.values(), window, start, end)
    return dict(zip(FIELDS, values, strict=True))


def _rounded(values: Values) -> dict[str, float]:
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in values.items()}


def _table(group: Group, window: str) -> list[str]:
    shown = names(group.statistic)
    keys = group.keys or ("filters",)
    head = [[key] for key in keys] + [_folded(name) for name in shown]
    lines = [[*_filters(row, group.keys), *_cells(row.values, group)] for row in group.rows]
    sums = [f"sum of {len(group.rows)}", *[""] * (len(keys) - 1), *_cells(group.sums, group, blank="")]
    high = max(map(len, head))
    heads = [[name[-1 - row] if row < len(name) else "" for name in head] for row in reversed(range(high))]
    every = [*heads, *lines, *([sums] if group.sums else [])]
    widths = [max(cell_len(line[place]) for line in every) for place in range(len(head))]
    texts = [_line(line, widths, len(keys)) for line in every]
    if group.sums:
        texts.insert(-1, "-" * (sum(widths) + len(SPACE) * (len(widths) - 1)))
    days = f"{group.days[0]}" if len(group.days) == 1 else f"{group.days[0]} to {group.days[-1]}"
    title = f"{group.target}: {group.query}, {group.statistic.name}, {window} ({days})"
    problems = dict.fromkeys(row.problem for row in group.rows if row.problem)
    has_numbers = any(row.values for row in group.rows)
    return [
        title,
        *(texts if has_numbers else []),
        *([f"No sum: {group.no_sums}."] if group.no_sums and has_numbers else []),
        *(f"{NOTHING} {_of(group, problem)}: {problem}" for problem in problems),
    ]


def _folded(name: str) -> list[str]:
    """Return a name in lines, each ending where the next continues it."""
    lines = [""]
    for word in name.replace("_", "_ ").split():
        if lines[-1] and len(lines[-1]) + len(word) > NARROW:
            lines.append("")
        lines[-1] += word
    return lines


def _of(group: Group, problem: str) -> str:
    """Return which rows have a problem."""
    rows = [row for row in group.rows if row.problem == problem]
    first = ", ".join(_filters(rows[0], group.keys))
    return first if len(rows) == 1 else f"{first} and {len(rows) - 1} more"


def _filters(row: Row, keys: Sequence[str]) -> list[str]:
    return [getattr(row.combination.filters, key) for key in keys] or ["(whole account)"]


def _cells(values: Values, group: Group, blank: str = NOTHING) -> list[str]:
    counts, ratios = group.statistic.names, group.statistic.ratios
    return [
        *(f"{values[name]:,}" if name in values else blank for name in counts),
        *(f"{100 * values[name]:.2f}%" if name in values else blank for name in ratios),
    ]


def _line(cells: Sequence[str], widths: Sequence[int], texts: int) -> str:
    """Return a line: the first cells are text and begin below each other, numbers end below each other."""
    padded = []
    for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (width - cell_len(cell))
        padded.append(cell + space if place < texts else space + cell)
    return SPACE.join(padded).rstrip()
