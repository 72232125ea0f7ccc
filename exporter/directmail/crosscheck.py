"""Compares the API's rates and unique counts with its other counts, for one target.

A day of a combination is counted once, when it is first seen to disagree, and again only after it agreed in between:
repeated reads of a day add nothing.
"""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from exporter.directmail.model import Filters
from exporter.directmail.rates import CLOSE, FRACTION, PERCENT, UNITS, fitting, implausible, unit_of
from exporter.directmail.responses import Row
from exporter.directmail.statistics.statistic import Ratio, Statistic

TELLING = 0.02
"""A share of the mails above which a rate that fits in one unit does not fit in the other."""
MOST_ROWS = 500
"""Rows of a result that are compared: at worst they take a few milliseconds of the event loop."""


class Mismatch(NamedTuple):
    """What does not fit, for the log."""

    what: str
    """The place in the response, such as RcptOpenRate."""
    reported: str
    counted: str
    """What was expected from the counts."""


class Crosscheck:
    """Checks results of one statistic for consistency. Both counters have every name from the start."""

    def __init__(self, statistic: Statistic) -> None:
        self._statistic = statistic
        self.mismatches = dict.fromkeys(statistic.rates, 0)
        """Days of combinations whose reported rate does not fit, by rate."""
        self.implausible = {each.part: 0 for each in statistic.at_most}
        """Days of combinations with more of a part than of its whole, by part."""
        self._votes = {PERCENT: 0, FRACTION: 0}
        self._unit: float | None = None
        self._mismatched: dict[tuple[Filters, date], frozenset[str]] = {}

    def compare(self, filters: Filters, day: date, rows: Sequence[Row]) -> list[Mismatch]:
        """Compare the first MOST_ROWS rows of a combination's day.

        Return the first rate and the first count of all that does not fit, for the log; later ones are only counted.
        """
        mismatched: dict[str, Mismatch] = {}
        for row in rows[:MOST_ROWS]:
            if not self._fits_known_unit(row):
                self._compare_fully(row, mismatched)
        key = filters, day
        return self._note(key, mismatched) if mismatched or key in self._mismatched else []

    def discard(self, oldest: date) -> None:
        """Discard the days before one, which are no longer requested."""
        self._mismatched = {key: names for key, names in self._mismatched.items() if key[1] >= oldest}

    def _fits_known_unit(self, row: Row) -> bool:
        """Whether the row is consistent in the known unit, regardless of decimals: a fast path for nearly every row."""
        counts, unit = row.counts, self._unit
        for part, whole in self._statistic.limits:
            if counts[part] > counts[whole]:
                return False
        if not row.rates:
            return True
        base = counts[0]
        if unit is None or not base:
            return False
        per_mail, near = unit / base, unit * CLOSE
        for place, rate in zip(self._statistic.rate_of, row.rates, strict=True):
            if rate is None or abs(rate - counts[place] * per_mail) > near:
                return False
        self._votes[unit] += counts[self._statistic.rate_of[0]] > TELLING * base
        return True

    def _compare_fully(self, row: Row, mismatched: dict[str, Mismatch]) -> None:
        """Update the unit from the row's rates, and add the mismatches in that unit."""
        statistic = self._statistic
        names = enumerate(statistic.rates)
        found = {name: (place, units) for place, name in names if (units := fitting(statistic, row, place)) is not None}
        for _, units in found.values():
            if len(units) == 1:
                self._votes[units[0]] += 1
        self._unit = unit_of(self._votes[PERCENT], self._votes[FRACTION])
        for name, (place, units) in found.items():
            if not units or (self._unit is not None and self._unit not in units):
                mismatched[name] = self._mismatch(row, place)
        mismatched.update({pair.part: self._excess(row, pair) for pair in implausible(statistic, row.counts)})

    def _note(self, key: tuple[Filters, date], mismatched: dict[str, Mismatch]) -> list[Mismatch]:
        """Count new mismatches, store all, and return the first of each kind."""
        known, first = self._mismatched.get(key, frozenset()), []
        for name in (name for name in mismatched if name not in known):
            counts = self.mismatches if name in self.mismatches else self.implausible
            if not any(counts.values()):
                first.append(mismatched[name])
            counts[name] += 1
        if mismatched:
            self._mismatched[key] = frozenset(mismatched)
        else:
            del self._mismatched[key]
        return first

    def _mismatch(self, row: Row, place: int) -> Mismatch:
        statistic, units = self._statistic, [self._unit] if self._unit is not None else list(UNITS)
        base, count = row.counts[0], row.counts[statistic.rate_of[place]]
        expected = " or ".join(f"{each * count / base:.4g} ({UNITS[each]})" for each in units)
        field = list(statistic.rates.values())[place].field
        of = f"{statistic.fields[statistic.rate_of[place]]} {count} of {statistic.fields[0]} {base}"
        return Mismatch(field, f"{row.rates[place]:g}", f"{expected}: {of}")

    def _excess(self, row: Row, pair: Ratio) -> Mismatch:
        fields = self._statistic.fields
        part, whole = (self._statistic.names.index(name) for name in pair)
        return Mismatch(fields[part], str(row.counts[part]), f"{fields[whole]} {row.counts[whole]}")
