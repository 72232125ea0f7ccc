"""Expands a query's filters into combinations, each of which has its own series."""

from dataclasses import dataclass

from exporter.config.model import Query, Target
from exporter.config.queries import FILTER_KEYS, is_excluded, rows
from exporter.directmail.model import Filters, Key


@dataclass(frozen=True, slots=True)
class Combination:
    """One expanded set of filters of a query; the unit that gets its own series."""

    target: str
    statistic: str
    query: str
    filters: Filters

    @property
    def key(self) -> Key:
        """Its identity, independent of the query."""
        return (self.target, self.statistic, self.filters)


def expand(target: Target, statistic: str, query: Query) -> tuple[Combination, ...]:
    """Return the combinations of a query: its lists multiplied, less what `exclude` matches, in the config's order.

    A query with a discovered filter, or without the statistic, has none.
    """
    if query.discovered or statistic not in query.statistics:
        return ()
    kept = (Filters(**row) for row in rows(query.filters) if not is_excluded(row, query.exclude))
    return tuple(Combination(target.name, statistic, query.name, filters) for filters in kept)


def configured(target: Target, statistic: str) -> tuple[Combination, ...]:
    """Return the combinations that the config names for a statistic, without those of discovered filters."""
    return tuple(item for query in target.queries for item in expand(target, statistic, query))


def describe(filters: Filters) -> str:
    """Return the filters as an operator reads them: `account_name=a@b, esp=gmail.com`, or `(no filter)`."""
    return (
        ", ".join(f"{key}={value}" for key, value in zip(FILTER_KEYS, filters, strict=True) if value) or "(no filter)"
    )


def named(combination: Combination) -> dict[str, str]:
    """Return the combination's fields for a log line."""
    return {"query": combination.query, "combination": describe(combination.filters)}
