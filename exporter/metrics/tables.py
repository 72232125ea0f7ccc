"""The tables of metrics, and how one combination's rows become sample lines.

Documentation, dashboards and tests iterate over the same rows. The program's own metrics are in `telemetry`.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from exporter.directmail.model import Filters
from exporter.metrics import delivery, engagement
from exporter.metrics.table import BoundRow, GaugeRow, HealthRow, Table, WindowSum
from exporter.metrics.text_format import Block, Family, label_text, label_texts, sample
from exporter.plan.combinations import Combination
from exporter.store.memory import Record

TABLES: dict[str, Table] = {each.statistic.name: each for each in (engagement.TABLE, delivery.TABLE)}
"""By statistic, in the order in which they are shown."""
HEALTH: tuple[HealthRow, ...] = (
    HealthRow(
        "directmail_query_success",
        "Whether the last read of today's values succeeded, 1 or 0. Absent before the first.",
        lambda record, stale: record.last_attempt_ok,
    ),
    HealthRow(
        "directmail_query_last_success_timestamp_seconds",
        "Last successful read of today's values, in Unix seconds. Absent before the first.",
        lambda record, stale: record.last_success_at,
    ),
    HealthRow(
        "directmail_query_stale",
        "Whether a combination was never read, or not within stale_after, 1 or 0. It has no data.",
        lambda record, stale: record.is_supported and (stale or _was_never_read(record)),
    ),
    HealthRow(
        "directmail_query_supported",
        "Whether the account supports the combination's filters, 1 or 0. Unsupported ones have no data.",
        lambda record, stale: record.is_supported,
    ),
)
BOUNDS: tuple[BoundRow, ...] = (
    BoundRow(
        "directmail_track_window_start_timestamp_seconds",
        "Start of the window's first day in the target's time zone, in Unix seconds.",
        0,
    ),
    BoundRow(
        "directmail_track_window_end_timestamp_seconds",
        "End of the window's last day, exclusive, in Unix seconds.",
        1,
    ),
)


def _was_never_read(record: Record) -> bool:
    """Whether today's numbers were tried, and never came."""
    return record.last_attempt_ok is False and record.last_success_at is None


def families() -> tuple[Family, ...]:
    """Return the families of all tables, in the order in which they are shown."""
    return (
        *(family for statistic in TABLES for family in _families_of_data(statistic)),
        *_families_of_health(),
        *families_of_bounds(),
    )


def families_of(statistic: str) -> tuple[Family, ...]:
    """Return the families of a statistic's blocks, in the order of a block's entries."""
    return (*_families_of_data(statistic), *_families_of_health())


def families_of_bounds() -> tuple[Family, ...]:
    """Return the families of a block of window bounds, in the order of its entries."""
    return tuple(Family(row.name, row.help, "gauge") for row in BOUNDS)


def _families_of_data(statistic: str) -> tuple[Family, ...]:
    """Return the families of a statistic's gauges and counters, without those of health."""
    table = TABLES[statistic]
    return (
        *(Family(row.name, row.help, "gauge") for row in table.rows),
        *(Family(row.name, row.help, "counter") for row in table.counters),
    )


def _families_of_health() -> tuple[Family, ...]:
    return tuple(Family(row.name, row.help, "gauge") for row in HEALTH)


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
    shown = record.last_success_at is not None and not stale and not record.is_withheld
    observed = record.observed if shown and counters else None
    known = {
        window: window_sum
        for window, days in windows.items()
        if shown and (window_sum := add_up(record, days)) is not None
    }
    sums = dict(zip(label_texts(named, "window", known), known.values(), strict=True))
    table, health = TABLES[combination.statistic], label_text({**named, "statistic": combination.statistic})
    lines = (
        *(_gauge_lines(row, sums) if reported_rates or not row.reported else "" for row in table.rows),
        *("" if observed is None else _line(row.name, plain, row.value(observed)) for row in table.counters),
        *(_line(row.name, health, row.value(record, stale)) for row in HEALTH),
    )
    return tuple(map(str.encode, lines))


def labels_of(combination: Combination, constant: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of a combination's series, without `window`; `constant` are its target's own."""
    named = {**constant, "target": combination.target, "query": combination.query}
    named.update(zip(Filters._fields, combination.filters, strict=True))
    return named


def bounds_block(target: str, bounds: Mapping[str, tuple[float, float]], labels: Mapping[str, str]) -> Block:
    """Return the sample lines of a target's window bounds, (start, exclusive end) by window."""
    texts = dict(zip(bounds, label_texts({**labels, "target": target}, "window", bounds), strict=True))
    lines = ("".join(sample(row.name, texts[window], bounds[window][row.index]) for window in bounds) for row in BOUNDS)
    return tuple(line.encode() for line in lines)


def add_up(record: Record, days: Sequence[date]) -> WindowSum | None:
    """Return the sum over the days' cells, None unless every one of them is known."""
    try:
        cells = [record.cells[day] for day in days]
    except KeyError:
        return None
    totals = tuple(map(sum, zip(*[cell.totals for cell in cells], strict=True)))
    rates = [cell.rates for cell in cells if cell.rates is not None]
    if len(rates) != len(cells):
        return WindowSum(totals, None)
    return WindowSum(totals, tuple(None if None in column else sum(column) for column in zip(*rates, strict=True)))


def _gauge_lines(row: GaugeRow, sums: Mapping[str, WindowSum]) -> str:
    return "".join([_line(row.name, labels, row.value(window)) for labels, window in sums.items()])


def _line(name: str, labels: str, value: float | None) -> str:
    return "" if value is None else sample(name, labels, value)
