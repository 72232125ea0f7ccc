"""The table of metrics: one row each, and how one combination's rows become sample lines.

Documentation, dashboards and tests go over the same rows. The program's own metrics are in `telemetry`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from exporter.directmail.model import Filters, RateSums, Totals
from exporter.metrics.exposition import Block, Family, label_text, sample
from exporter.plan.combinations import Combination
from exporter.store.memory import Record

POLLED = "Polled: today every directmail_exporter_poll_interval_seconds, ended days less often."


class Sum(NamedTuple):
    """The cells of a window added up."""

    totals: Totals
    rates: RateSums | None


@dataclass(frozen=True, slots=True)
class Row:
    """A metric: its family and what its value is, None for no sample."""

    name: str
    help: str
    value: Callable[[Sum], float | None]
    reported: bool = False
    """Only with `reported_rates: true`."""


@dataclass(frozen=True, slots=True)
class CounterRow:
    name: str
    help: str
    value: Callable[[Totals], float]


@dataclass(frozen=True, slots=True)
class HealthRow:
    name: str
    help: str
    value: Callable[[Record, bool], float | None]
    """Of the record, and whether its series were dropped for age."""


@dataclass(frozen=True, slots=True)
class BoundRow:
    name: str
    help: str
    index: int
    """Which of the two bounds."""


def _count(field: str, source: str, what: str) -> Row:
    return Row(
        f"directmail_track_{field}",
        f"{what}, summed over the days of the window ({source}). {POLLED}",
        lambda window: getattr(window.totals, field),
    )


def _ratio(name: str, over: str, under: str, what: str) -> Row:
    def value(window: Sum) -> float | None:
        below = getattr(window.totals, under)
        return getattr(window.totals, over) / below if below else None

    text = f"{what}, in the window (computed from the counts; absent where there is nothing to divide by). {POLLED}"
    return Row(f"directmail_track_{name}", text, value)


def _reported(field: str, source: str) -> Row:
    def value(window: Sum) -> float | None:
        summed = getattr(window.rates, field) if window.rates else None
        return summed / window.totals.emails if summed is not None and window.totals.emails else None

    text = f"The API's own {source}, averaged over the window's rows by TotalNumber, in the API's unit. {POLLED}"
    return Row(f"directmail_track_reported_{field}", text, value, reported=True)


def _observed(field: str, what: str) -> CounterRow:
    return CounterRow(
        f"directmail_track_observed_{field}_total",
        f"{what} seen to be added between two polls, whatever the day of the mail. {POLLED}",
        lambda observed: getattr(observed, field),
    )


ROWS: tuple[Row, ...] = (
    _count("emails", "TotalNumber", "Mails delivered with tracking on"),
    _count("opens", "RcptOpenCount", "Opens, every one of them"),
    _count("unique_opens", "RcptUniqueOpenCount", "Recipients who opened at least once"),
    _count("clicks", "RcptClickCount", "Clicks, every one of them"),
    _count("unique_clicks", "RcptUniqueClickCount", "Recipients who clicked at least once"),
    _ratio("open_ratio", "opens", "emails", "Opens per mail, which may be more than 1"),
    _ratio("unique_open_ratio", "unique_opens", "emails", "Part of the mails that were opened, 0-1"),
    _ratio("click_ratio", "clicks", "emails", "Clicks per mail, which may be more than 1"),
    _ratio("unique_click_ratio", "unique_clicks", "emails", "Part of the mails that were clicked in, 0-1"),
    _ratio(
        "click_to_open_ratio",
        "unique_clicks",
        "unique_opens",
        "Recipients who clicked per recipient who opened",
    ),
    _reported("open_rate", "RcptOpenRate"),
    _reported("unique_open_rate", "RcptUniqueOpenRate"),
    _reported("click_rate", "RcptClickRate"),
    _reported("unique_click_rate", "RcptUniqueClickRate"),
)
COUNTERS: tuple[CounterRow, ...] = (
    _observed("emails", "Mails delivered with tracking on (TotalNumber)"),
    _observed("opens", "Opens (RcptOpenCount)"),
    _observed("unique_opens", "Recipients who opened (RcptUniqueOpenCount)"),
    _observed("clicks", "Clicks (RcptClickCount)"),
    _observed("unique_clicks", "Recipients who clicked (RcptUniqueClickCount)"),
)
HEALTH: tuple[HealthRow, ...] = (
    HealthRow(
        "directmail_query_success",
        "Whether the last attempt to read today's numbers worked, 1 or 0.",
        lambda record, stale: record.last_attempt_ok,
    ),
    HealthRow(
        "directmail_query_last_success_timestamp_seconds",
        "When today's numbers were last read, in seconds since the epoch.",
        lambda record, stale: record.last_success_at,
    ),
    HealthRow(
        "directmail_query_stale",
        "Whether the data series were dropped because their numbers are older than stale_after, 1 or 0.",
        lambda record, stale: stale,
    ),
)
BOUNDS: tuple[BoundRow, ...] = (
    BoundRow(
        "directmail_track_window_start_timestamp_seconds",
        "When the window's first day begins in the target's time zone, in seconds since the epoch.",
        0,
    ),
    BoundRow(
        "directmail_track_window_end_timestamp_seconds",
        "When the window's last day ends, exclusive, in seconds since the epoch; for today the coming midnight.",
        1,
    ),
)
FAMILIES: tuple[Family, ...] = (
    *(Family(row.name, row.help, "gauge") for row in ROWS),
    *(Family(row.name, row.help, "counter") for row in COUNTERS),
    *(Family(row.name, row.help, "gauge") for row in HEALTH),
    *(Family(row.name, row.help, "gauge") for row in BOUNDS),
)
"""The order of a block's entries."""

SERIES = (
    sum(not row.reported for row in ROWS),
    sum(row.reported for row in ROWS),
    len(COUNTERS) + len(HEALTH),
    len(BOUNDS),
)
"""Series per window and combination, the reported rates' part, per combination, per target and window."""


def block(
    combination: Combination,
    record: Record,
    windows: Mapping[str, Sequence[date]],
    labels: Mapping[str, str],
    *,
    stale: bool,
    reported_rates: bool,
    counters: bool = True,
) -> Block:
    """Return a combination's sample lines by family.

    A window has samples only when every one of its days is known. A stale combination, and one that was never read,
    has no data at all, only its health. Without `counters` it has none of those. `labels` are the target's constant
    ones.
    """
    named = labels_of(combination, labels)
    plain = label_text(named)
    shown = record.last_success_at is not None and not stale
    observed = record.observed if shown and counters else None
    sums = {
        label_text({**named, "window": window}): window_sum
        for window, days in windows.items()
        if shown and (window_sum := add_up(record, days)) is not None
    }
    return (
        *(_gauge_lines(row, sums) if reported_rates or not row.reported else b"" for row in ROWS),
        *(b"" if observed is None else _line(row.name, plain, row.value(observed)) for row in COUNTERS),
        *(_line(row.name, plain, row.value(record, stale)) for row in HEALTH),
        *(b"" for _ in BOUNDS),
    )


def labels_of(combination: Combination, constant: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of a combination's series, without `window`; `constant` are its target's own."""
    named = {**constant, "target": combination.target, "query": combination.query}
    named.update(zip(Filters._fields, combination.filters, strict=True))
    return named


def bounds_block(target: str, bounds: Mapping[str, tuple[float, float]], labels: Mapping[str, str]) -> Block:
    """Return the sample lines of a target's window bounds, (start, exclusive end) by window."""
    texts = {window: label_text({**labels, "target": target, "window": window}) for window in bounds}
    lines = ("".join(sample(row.name, texts[window], bounds[window][row.index]) for window in bounds) for row in BOUNDS)
    return (*(b"" for _ in (*ROWS, *COUNTERS, *HEALTH)), *(line.encode() for line in lines))


def add_up(record: Record, days: Sequence[date]) -> Sum | None:
    """Return the sum over the days' cells, None unless every one of them is known."""
    cells = [record.cells.get(day) for day in days]
    known = [cell for cell in cells if cell is not None]
    if len(known) != len(cells):
        return None
    totals = Totals(*map(sum, zip(*(cell.totals for cell in known), strict=True)))
    rates = [cell.rates for cell in known if cell.rates is not None]
    if len(rates) != len(known):
        return Sum(totals, None)
    return Sum(totals, RateSums(*(None if None in column else sum(column) for column in zip(*rates, strict=True))))


def _gauge_lines(row: Row, sums: Mapping[str, Sum]) -> bytes:
    return b"".join(_line(row.name, labels, row.value(window)) for labels, window in sums.items())


def _line(name: str, labels: str, value: float | None) -> bytes:
    return b"" if value is None else sample(name, labels, value).encode()
