"""Whether the API's own rates and unique counts agree with the counts beside them, for one target.

A day of a combination is counted once, when it is first seen to disagree, and again only after it agreed in between:
a day that is read again and again says nothing new.
"""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from exporter.directmail.answers import COUNTS, RATES, Row
from exporter.directmail.model import Filters, RateSums, Totals
from exporter.directmail.rates import CLOSE, FRACTION, PERCENT, RATE_OF, UNITS, fitting, implausible, unit_of

RATE_NAMES = tuple(name.removesuffix("_rate") for name in RateSums._fields)
"""The values of the label `rate`, in the order of RATES."""
COUNT_NAMES = ("unique_opens", "unique_clicks")
"""The values of the label `count`, in the order of `rates.implausible`."""
TELLING = 0.02
"""A part of the mails above which a rate that fits in one unit does not fit in the other."""
MOST_ROWS = 500
"""Rows of an answer that are compared: in doubt, they take a few milliseconds of the event loop."""


class Doubt(NamedTuple):
    """What does not fit, for the log."""

    what: str
    """The place in the answer, such as RcptOpenRate."""
    reported: str
    counted: str
    """What was to be expected beside it."""


class Crosscheck:
    """Holds answers against themselves. `mismatches` and `implausible` have every name from the start."""

    def __init__(self) -> None:
        self.mismatches = dict.fromkeys(RATE_NAMES, 0)
        self.implausible = dict.fromkeys(COUNT_NAMES, 0)
        self._votes = {PERCENT: 0, FRACTION: 0}
        self._unit: float | None = None
        self._odd: dict[tuple[Filters, date], frozenset[str]] = {}

    def look(self, filters: Filters, day: date, rows: Sequence[Row]) -> list[Doubt]:
        """Take in the whole answer for a day of a combination, of which the first MOST_ROWS are compared.

        Return the first rate and the first count of all that does not fit, for the log; later ones are only counted.
        """
        odd: dict[str, Doubt] = {}
        for row in rows[:MOST_ROWS]:
            if not self._is_plainly_right(row):
                self._look_closely(row, odd)
        key = filters, day
        return self._note(key, odd) if odd or key in self._odd else []

    def forget(self, oldest: date) -> None:
        """Forget the days before one that nothing asks for any more."""
        self._odd = {key: names for key, names in self._odd.items() if key[1] >= oldest}

    def _is_plainly_right(self, row: Row) -> bool:
        """Whether all is well in the known unit, whatever the decimals: the cheap answer for nearly every row."""
        emails, opens, unique_opens, clicks, unique_clicks = row.counts
        open_rate, unique_open_rate, click_rate, unique_click_rate = row.rates
        if self._unit is None or not emails or unique_opens > opens or unique_clicks > clicks:
            return False
        if open_rate is None or unique_open_rate is None or click_rate is None or unique_click_rate is None:
            return False
        per_mail, near = self._unit / emails, self._unit * CLOSE
        fits = (
            abs(open_rate - opens * per_mail) <= near
            and abs(unique_open_rate - unique_opens * per_mail) <= near
            and abs(click_rate - clicks * per_mail) <= near
            and abs(unique_click_rate - unique_clicks * per_mail) <= near
        )
        self._votes[self._unit] += fits and opens > TELLING * emails
        return fits

    def _look_closely(self, row: Row, odd: dict[str, Doubt]) -> None:
        """Let the row's rates speak for their unit, and add what does not fit, in the unit that is known then."""
        found = {place: units for place in range(len(RATES)) if (units := fitting(row, place)) is not None}
        for units in found.values():
            if len(units) == 1:
                self._votes[units[0]] += 1
        self._unit = unit_of(self._votes[PERCENT], self._votes[FRACTION])
        for place, units in found.items():
            if not units or (self._unit is not None and self._unit not in units):
                odd[RATE_NAMES[place]] = _mismatch(row, place, self._unit)
        odd.update(_implausible(row))

    def _note(self, key: tuple[Filters, date], odd: dict[str, Doubt]) -> list[Doubt]:
        """Count what is new, remember what there is, and return the first of each kind."""
        known, first = self._odd.get(key, frozenset()), []
        for name in (name for name in odd if name not in known):
            counts = self.mismatches if name in self.mismatches else self.implausible
            if not any(counts.values()):
                first.append(odd[name])
            counts[name] += 1
        if odd:
            self._odd[key] = frozenset(odd)
        else:
            del self._odd[key]
        return first


def _mismatch(row: Row, place: int, unit: float | None) -> Doubt:
    emails, count = row.counts[0], row.counts[RATE_OF[place]]
    units = [unit] if unit is not None else list(UNITS)
    expected = " or ".join(f"{each * count / emails:.4g} ({UNITS[each]})" for each in units)
    counted = f"{expected}: {COUNTS[RATE_OF[place]]} {count} of TotalNumber {emails}"
    return Doubt(RATES[place], f"{row.rates[place]:g}", counted)


def _implausible(row: Row) -> dict[str, Doubt]:
    found = {}
    for name, is_odd in zip(COUNT_NAMES, implausible(row.counts), strict=True):
        if is_odd:
            place = Totals._fields.index(name)
            found[name] = Doubt(COUNTS[place], str(row.counts[place]), f"{COUNTS[place - 1]} {row.counts[place - 1]}")
    return found
