"""Determines the unit of the API's own rates, and whether a rate fits its counts.

The documentation states no unit. A rate is compared with count / base as percent and as fraction, within the last
digit that was sent, since rounding is not documented. Where both fit, as with every 0, it does not determine the
unit.
"""

from collections.abc import Sequence
from decimal import Decimal

from exporter.directmail.responses import Row
from exporter.directmail.statistics.statistic import Ratio, Statistic

PERCENT, FRACTION = 100.0, 1.0
"""What count / TotalNumber is multiplied by."""
UNITS = {PERCENT: "percent", FRACTION: "fraction"}
CLOSE = 0.0001
"""A hundredth of a percent: nearer than this to count / TotalNumber a rate fits, whatever its decimals."""
COARSEST = 0.1
"""A fraction must fit to its first decimal at least: `0` and `1` would fit everything."""
_SLACK = 1e-9
"""Tolerance for floating point."""


def fitting(statistic: Statistic, row: Row, place: int) -> tuple[float, ...] | None:
    """Return the units in which the rate at a place fits its count, None where there is nothing to compare."""
    rate, emails = row.rates[place], row.counts[0]
    if rate is None or not emails:
        return None
    written = row.written[place] if row.written else rate
    share, step = row.counts[statistic.rate_of[place]] / emails, _step(written)
    near = {PERCENT: max(step, CLOSE * PERCENT), FRACTION: min(max(step, CLOSE), COARSEST)}
    units = (PERCENT,) if isinstance(written, str) and "%" in written else tuple(UNITS)
    return tuple(unit for unit in units if abs(rate - unit * share) <= near[unit] + _SLACK)


def unit_of(percents: int, fractions: int) -> float | None:
    """Return the unit of more rates, percent in a tie, None without any."""
    if not percents and not fractions:
        return None
    return PERCENT if percents >= fractions else FRACTION


def implausible(statistic: Statistic, counts: Sequence[int]) -> list[Ratio]:
    """Return which counts are more than the one that they are a part of: more unique opens than opens."""
    return [
        pair
        for pair, (part, whole) in zip(statistic.at_most, statistic.limits, strict=True)
        if counts[part] > counts[whole]
    ]


def _step(written: object) -> float:
    """Return one step of the last digit of a number as it was sent."""
    exponent = Decimal(str(written).strip().rstrip("%").rstrip()).as_tuple().exponent
    return 10.0 ** min(int(exponent), 0)
