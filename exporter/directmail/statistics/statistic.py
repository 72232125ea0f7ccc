"""Defines a statistic: its operation, its filters, its counts, and their fields in a response."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, NamedTuple

from exporter.directmail.model import Filters

Totals = tuple[int, ...]
"""A statistic's counts in its own order, each a sum over rows; an instance of `Statistic.counts`."""
RateSums = tuple[float | None, ...]
"""A statistic's reported rates, each summed over rows as rate x base count, in the API's own unit.

None where a row's rate could not be read: a rate is right or absent. Divided by the base count it is the mean.
"""


class Ratio(NamedTuple):
    """A ratio that is computed from two counts."""

    part: str
    whole: str


class Rate(NamedTuple):
    """A rate that the API reports itself."""

    field: str
    """Where a row has it."""
    of: str
    """The count that it is the rate of, by the base count."""


@dataclass(frozen=True)
class Statistic:
    """One statistic of Direct Mail. Names of counts and ratios are those of the metrics, without their prefix."""

    name: str
    """The value of the config's `statistics` and of the label `statistic`."""
    action: str
    """The operation, as it is sent and as RAM policies name it."""
    parameters: Mapping[str, str]
    """The filters that it supports, by the config's keys, and the request's parameters for them."""
    counts: Any
    """A NamedTuple of whole numbers. The first is the base: rates are weighed by it."""
    fields: tuple[str, ...]
    """Where a row of `data.stat` has the counts, in their order."""
    ratios: Mapping[str, Ratio]
    drawn: tuple[str, str]
    """The two counts to show where there is room for two."""
    shares: Mapping[str, str] = field(default_factory=dict)
    """The ratios to show where there is room for few, by their display name."""
    rates: Mapping[str, Rate] = field(default_factory=dict)
    at_most: tuple[Ratio, ...] = ()
    """Counts that never exceed another one."""
    distinct: tuple[str, ...] = ()
    """Counts of different recipients: two combinations may have some in common, so these do not add up."""
    is_paged: bool = False
    """Whether it takes PageNumber and PageSize."""
    total: str = "TotalCount"
    """The field with the total number of rows."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The counts' names, in their order."""
        names: tuple[str, ...] = self.counts._fields
        return names

    @cached_property
    def rate_of(self) -> tuple[int, ...]:
        """The place in the counts that each of `rates` is of."""
        return tuple(self.names.index(rate.of) for rate in self.rates.values())

    @cached_property
    def limits(self) -> tuple[tuple[int, int], ...]:
        """The places of `at_most`: part and whole."""
        return tuple((self.names.index(part), self.names.index(whole)) for part, whole in self.at_most)

    def counts_of(self, row: Mapping[str, Any]) -> list[Any]:
        """Return a row's counts as they were sent. Raise KeyError for one that is not there."""
        return [row[name] for name in self.fields]

    def request(self, filters: Filters, start: date, end: date, *, size: int, page: int = 1) -> dict[str, str]:
        """Return the parameters of a request about a range of days, both included; it must support the filters."""
        days = {"StartTime": start.isoformat(), "EndTime": end.isoformat()}
        pages = {"PageSize": str(size), "PageNumber": str(page)} if self.is_paged else {}
        chosen = {self.parameters[key]: value for key, value in filters._asdict().items() if value}
        return days | pages | chosen

    @property
    def nothing(self) -> Totals:
        """The totals of no mail at all."""
        totals: Totals = self.counts._make((0,) * len(self.fields))
        return totals
