"""Finds the problems of a config's plan: duplicates, too many series, more calls than the budget, each with its fix.

Only what the config names is checked; discovered combinations are cut to what fits.
"""

from collections.abc import Iterator
from itertools import chain
from math import prod

from exporter.config.checking import Problem
from exporter.config.durations import format_duration
from exporter.config.model import Config, Query, Target
from exporter.config.queries import MOST_COMBINATIONS
from exporter.config.shards import Shard, divide
from exporter.directmail.model import Key
from exporter.plan.cardinality import of_targets
from exporter.plan.combinations import describe, expand
from exporter.plan.pacing import budget, rate, shortest
from exporter.plan.target_plan import TargetPlan, make_all


def problems(config: Config, shards: int = 1) -> tuple[Problem, ...]:
    """Return the problems of the config's plan: duplicates, too many series, more calls than the budget.

    `max_series` is what one process may expose; every shard is checked, so that all of them reject the config.
    """
    sizes = [prod(map(len, query.filters.values())) for target in config.targets for query in target.queries]
    if sum(sizes) > MOST_COMBINATIONS:  # to expand them would take too much memory
        return (Problem("targets", f"the queries multiply to {sum(sizes)} combinations; write fewer filter values"),)
    found = [problem for target in config.targets for problem in _duplicates(target)]
    found += _too_many_series(config, shards)
    return (*found, *(problem for each in make_all(config) for problem in _over_budget(config, each)))


def _too_many_series(config: Config, shards: int) -> Iterator[Problem]:
    parts = divide(config.targets, shards)
    exposed, index = max((of_targets(config, part), index) for index, part in enumerate(parts))
    if exposed > config.max_series:
        whose = f" of shard {Shard(index, shards)}" if shards > 1 else ""
        yield Problem(
            "max_series",
            f"the queries{whose} would expose {exposed} series, more than {config.max_series}; "
            f"write fewer filter values or windows, or raise max_series to {exposed}",
        )


def _duplicates(target: Target) -> Iterator[Problem]:
    seen: dict[Key, Query] = {}
    for query in target.queries:
        for combination in chain.from_iterable(expand(target, statistic, query) for statistic in query.statistics):
            other = seen.setdefault(combination.key, query)
            if other is not query:
                yield Problem(
                    query.place,
                    f"the combination {describe(combination.filters)} is in query {other.name!r} at {other.place} too; "
                    "a target may have it only once; remove it here or add it to this query's exclude",
                )
                break


def _over_budget(config: Config, plan: TargetPlan) -> Iterator[Problem]:
    place, limit = plan.target.place, budget(plan.target)
    requested = f"{plan.requests_per_minute:.1f} calls of {plan.action} a minute"
    ways = "write fewer filter values or windows, or raise rate_limit_per_minute if the account's quota allows"
    if config.poll_interval is None:
        if plan.requests_per_minute > limit:
            yield Problem(
                f"{place}.rate_limit_per_minute",
                f"{limit:g} is too low for {len(plan.combinations)} combinations even at one poll a day "
                f"({requested}); {ways}",
            )
        elif config.stale_after is not None and config.stale_after <= plan.poll_interval:
            yield Problem(
                "stale_after",
                f"{format_duration(config.stale_after)} is not longer than the poll interval that "
                f"target {plan.target.name!r} can keep; "
                f"write more than {format_duration(plan.poll_interval)}, or nothing",
            )
    elif plan.requests_per_minute > limit:
        calls = len(plan.combinations) * plan.pages_per_cell
        refresh = config.refresh

        def enough(poll: float) -> bool:
            return rate(calls, plan.ages, poll, refresh.recent, refresh.older) <= limit

        best = shortest(enough, plan.poll_interval)
        fix = (
            f"the shortest poll_interval that fits is {format_duration(best)}; write that, or auto, or {ways}"
            if enough(best)
            else f"no poll_interval fits with these refresh times; write auto, make refresh.recent longer, or {ways}"
        )
        yield Problem(
            "poll_interval",
            f"{format_duration(plan.poll_interval)} needs {requested} of target {plan.target.name!r}, "
            f"whose rate_limit_per_minute is {limit:g}; {fix}",
        )
