"""Selects the combinations that are polled: all configured ones, and the oldest discovered ones that fit.

What fits is bounded by each filter's `limit`, by the target's call budget, and by `max_series` over all targets. A
combination is as old as the youngest of its discovered values; at equal age the config's order decides, then the
API's. Pure functions: no clock, no requests.
"""

import heapq
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import prod
from operator import itemgetter
from typing import NamedTuple

from exporter.config.model import Config, Query, Target
from exporter.config.queries import is_excluded
from exporter.directmail.model import Filters
from exporter.plan import cardinality, target_plan
from exporter.plan.combinations import Combination, configured
from exporter.plan.pacing import fits, pace
from exporter.plan.target_plan import TargetPlan

OLDEST = 0.0
"""The age of values that the config gives."""
MOST_EXAMINED = 50_000
"""Combinations beyond those that fit that are examined one by one; of more, those that `exclude` matches or an
earlier query has count as left out too."""

_Aged = tuple[float, Combination | None]
"""When a combination was discovered, seconds since the epoch; None where it is excluded or a duplicate."""


class Discovered(NamedTuple):
    """What was discovered and measured of a target."""

    values: Mapping[str, Mapping[str, float]] = {}
    """By filter: the listed values and when each was first listed, the oldest first."""
    pages_per_cell: Mapping[str, float] = {}
    """By statistic: how many calls a cell takes on average, 1 where nothing is known."""


@dataclass(frozen=True, slots=True)
class _Matrix:
    """A query with the values that it has now."""

    query: Query
    lists: Mapping[str, Sequence[tuple[str, float]]]
    """By filter: value and age, the oldest first."""
    members: Mapping[str, frozenset[str]]
    left_out: int
    """Combinations that `limit` leaves out, including those that `exclude` would match."""

    @property
    def size(self) -> int:
        return prod(map(len, self.lists.values()))

    def has(self, filters: Filters) -> bool:
        """Whether these filters are one of the query's combinations."""
        row = {key: value for key, value in zip(Filters._fields, filters, strict=True) if value}
        return (
            row.keys() == self.members.keys()
            and all(value in self.members[key] for key, value in row.items())
            and not is_excluded(row, self.query.exclude)
        )

    def oldest_first(self) -> Iterator[tuple[float, dict[str, str]]]:
        """Yield every row of the product, by the age of its youngest value."""
        lists = list(self.lists.values())
        for age in sorted({since for values in lists for _, since in values}):
            older = [[value for value, since in values if since < age] for values in lists]
            new = [[value for value, since in values if since == age] for values in lists]
            for place, fresh in enumerate(new):
                rest = ([*old, *also] for old, also in zip(older[place + 1 :], new[place + 1 :], strict=True))
                for row in product(*older[:place], fresh, *rest):
                    yield age, dict(zip(self.lists, row, strict=True))


def plans(config: Config, found: Mapping[str, Discovered]) -> list[TargetPlan]:
    """Return how every target is polled for each of its statistics, by what was found, which may be nothing."""
    polled = [(target, statistic) for target in config.targets for statistic in target.statistics]
    named = [configured(target, statistic) for target, statistic in polled]
    added: list[list[Combination]] = [[] for _ in polled]
    left_out = [0 for _ in polled]
    fitting: list[tuple[float, int, Combination]] = []
    room = room_of(config)
    for index, (target, statistic) in enumerate(polled):
        known = found.get(target.name, Discovered())
        fitting_alone = most(config, target, statistic, len(named[index]), known, room)
        chosen, left_out[index] = _choose(target, statistic, known, frozenset(named[index]), fitting_alone)
        fitting += [(age, index, combination) for age, combination in chosen]
    fitting.sort(key=itemgetter(0, 1))  # stable: within a target and statistic they stay in order
    for _, index, combination in fitting:
        room -= cardinality.of_a_combination(config, combination.statistic)
        if room >= 0:
            added[index].append(combination)
        else:
            left_out[index] += 1
    return [
        target_plan.make(
            config,
            target,
            statistic,
            (*named[index], *added[index]),
            found.get(target.name, Discovered()).pages_per_cell.get(statistic, 1.0),
            left_out=left_out[index],
        )
        for index, (target, statistic) in enumerate(polled)
    ]


def room_of(config: Config) -> int:
    """Return how many series of discovered combinations fit beside those that the config names."""
    return config.max_series - cardinality.of_targets(config, config.targets)


def most(config: Config, target: Target, statistic: str, configured: int, known: Discovered, room: int) -> int:
    """Return how many discovered combinations fit into the operation's budget and, alone, into `room` for series."""
    pages = known.pages_per_cell.get(statistic, 1.0)

    def is_too_much(discovered: int) -> bool:
        return not fits(config, target, pace(config, target, configured + discovered, pages))

    numbers = range(1, room // cardinality.of_a_combination(config, statistic) + 1)
    return bisect_left(numbers, True, key=is_too_much)


def _choose(
    target: Target, statistic: str, known: Discovered, configured: frozenset[Combination], most: int
) -> tuple[list[tuple[float, Combination]], int]:
    """Return at most so many combinations with their ages, the oldest first, and how many are left out."""
    wanted = [query for query in target.queries if query.discovered and statistic in query.statistics]
    matrices = [_matrix(query, known.values) for query in wanted]
    requested = frozenset(combination.filters for combination in configured)
    aged = [_combinations(target, statistic, each, matrices[:index], requested) for index, each in enumerate(matrices)]
    merged = heapq.merge(*aged, key=itemgetter(0))  # at equal age the earlier query's come first
    chosen: list[tuple[float, Combination]] = []
    rest = sum(matrix.size for matrix in matrices)
    for age, combination in merged:
        if combination is None:
            rest -= 1
        elif len(chosen) < most:
            chosen.append((age, combination))
            rest -= 1
        else:
            break
    rest -= sum(combination is None for _, combination in islice(merged, MOST_EXAMINED))
    return chosen, rest + sum(matrix.left_out for matrix in matrices)


def _matrix(query: Query, known: Mapping[str, Mapping[str, float]]) -> _Matrix:
    lists: dict[str, list[tuple[str, float]]] = {}
    all_sizes = []
    for key in Filters._fields:
        if key in query.filters:
            lists[key] = [(value, OLDEST) for value in query.filters[key]]
            all_sizes.append(len(lists[key]))
        elif (selector := query.discovered.get(key)) is not None:
            matching = [(value, since) for value, since in known.get(key, {}).items() if selector.matches(value)]
            lists[key] = matching[: selector.limit]
            all_sizes.append(len(matching))
    members = {key: frozenset(value for value, _ in values) for key, values in lists.items()}
    size = prod(map(len, lists.values()))
    return _Matrix(query, lists, members, prod(all_sizes) - size)


def _combinations(
    target: Target, statistic: str, matrix: _Matrix, earlier: Sequence[_Matrix], configured: frozenset[Filters]
) -> Iterator[_Aged]:
    """Yield a query's combinations with their ages, None instead of those that another query has."""
    for age, row in matrix.oldest_first():
        filters = Filters(**row)
        is_duplicate = (
            is_excluded(row, matrix.query.exclude)
            or filters in configured
            or any(each.has(filters) for each in earlier)
        )
        yield age, None if is_duplicate else Combination(target.name, statistic, matrix.query.name, filters)
