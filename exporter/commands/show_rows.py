"""The rows of a window: counts and ratios of each combination, and sums of those that can be added up."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from exporter.commands.show_reading import Part, Reading
from exporter.directmail.errors import DirectMailError, InvalidRequest
from exporter.directmail.model import Filters
from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.statistics.statistic import Ratio, Statistic
from exporter.metrics import tables
from exporter.plan.combinations import Combination, describe
from exporter.plan.pacing import OLDEST_AGE

Values = Mapping[str, float]
"""Counts and ratios (0-1) by name; what is not known, or cannot be computed, is not there."""


@dataclass(frozen=True)
class Row:
    """A combination in the window."""

    combination: Combination
    values: Values
    problem: str = ""
    """Why there are no values."""
    is_failure: bool = False
    """Whether the problem may pass; an account that cannot use a filter is none."""


@dataclass(frozen=True)
class Group:
    """The rows of one query, of one statistic of a target."""

    target: str
    statistic: Statistic
    query: str
    days: tuple[date, ...]
    rows: tuple[Row, ...]
    sums: Values = field(default_factory=dict)
    """Of the counts that can be added up, and the ratios of those."""
    no_sums: str = ""
    """Why there are no sums of several rows."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The filters that the query has."""
        filters = [row.combination.filters for row in self.rows]
        return tuple(key for key in Filters._fields if any(getattr(each, key) for each in filters))


def names(statistic: Statistic) -> tuple[str, ...]:
    """Return what the values of a statistic are called: those of the metrics, without their prefix."""
    return (*statistic.names, *statistic.ratios)


def groups(reading: Reading, sort: str | None = None) -> list[Group]:
    """Return the rows by query, in the config's order or the largest value of `sort` first, those without one last."""
    return [group for part in reading.parts for group in _groups(reading, part, sort)]


def _groups(reading: Reading, part: Part, sort: str | None) -> Iterator[Group]:
    statistic = STATISTICS[part.plan.statistic]
    for query in dict.fromkeys(each.query for each in part.combinations):
        rows = [_row(reading, part, each) for each in part.combinations if each.query == query]
        if sort in names(statistic):
            rows.sort(key=lambda row: (sort not in row.values, -row.values.get(sort, 0.0)))
        no_sums = _why_no_sums(rows) if len(rows) > 1 else ""
        sums = _sums(statistic, rows) if len(rows) > 1 and not no_sums else {}
        yield Group(part.plan.target.name, statistic, query, part.days, tuple(rows), sums, no_sums)


def _row(reading: Reading, part: Part, combination: Combination) -> Row:
    record = reading.store.get(combination.key)
    finding = next((group.finding for group in part.support.groups_of(combination) if group.finding), None)
    if finding is not None:
        return Row(combination, {}, f"filter not supported: {finding.value}")
    if any((combination.key, day) in reading.unread for day in part.days):
        return Row(combination, {}, _failure(reading, part, combination), is_failure=True)
    if record.is_withheld:
        return Row(combination, {}, "withheld: the API may ignore the filter; not yet proven to work")
    total = tables.add_up(record, part.days)
    if total is None:
        return Row(combination, {}, "a day is missing", is_failure=True)
    metrics = zip(names(STATISTICS[combination.statistic]), tables.TABLES[combination.statistic].rows, strict=False)
    return Row(combination, {name: value for name, row in metrics if (value := row.value(total)) is not None})


def _failure(reading: Reading, part: Part, combination: Combination) -> str:
    """Return why a combination was not read whole."""
    target = part.plan.target.name
    failure = reading.failures.get(combination.key)
    if failure is None:
        reasons = reading.target_failures
        error = reasons.get((target, "")) or reasons.get((target, part.plan.action))
        return "not read" if error is None else f"not read: {error.text}"
    error, day = failure
    if isinstance(error, InvalidRequest) and day == part.days[0] and len(part.days) == OLDEST_AGE:
        return f"the API no longer has {day}, {OLDEST_AGE} days ago; the longest window is {OLDEST_AGE - 1}d"
    return f"{day} could not be read: {explained(error)}"


def explained(error: DirectMailError) -> str:
    """Return a failure and what to do about it, in one line."""
    return f"{error}. {error.advice}" if error.advice else str(error)


def _sums(statistic: Statistic, rows: Sequence[Row]) -> Values:
    """Return the sums of counts of events, and their ratios.

    Counts of different recipients are left out: one who opened mail of two senders is counted in both rows.
    """
    added = [name for name in statistic.names if name not in statistic.distinct]
    sums = {name: sum(row.values[name] for row in rows) for name in added}
    ratios = {
        name: sums[pair.part] / sums[pair.whole]
        for name, pair in statistic.ratios.items()
        if _is_of(pair, sums) and sums[pair.whole]
    }
    return {**sums, **ratios}


def _is_of(pair: Ratio, sums: Values) -> bool:
    return pair.part in sums and pair.whole in sums


def _why_no_sums(rows: Sequence[Row]) -> str:
    """Return why the rows of one query cannot be added up, "" where they can.

    They have the same filters and differ in a value, and a mail has one sender, one tag, one provider, one IP: no
    mail is in two of them. Only a domain may have the mail of its subdomains, which no documentation says.
    """
    missing = sum(bool(row.problem) for row in rows)
    if missing:
        return f"{missing} of {len(rows)} rows {'has' if missing == 1 else 'have'} no numbers"
    known = {row.combination.filters for row in rows}
    for filters in known:
        parents = filters.domain.split(".")[1:]
        for place in range(len(parents)):
            whole = filters._replace(domain=".".join(parents[place:]))
            if whole in known:
                return f"{describe(filters)} may overlap with {describe(whole)}"
    return ""
