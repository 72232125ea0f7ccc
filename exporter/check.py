"""`--config.check`: what a config will ask for, as a table to read."""

import math

from exporter import plan, selection
from exporter.config import Config, Query
from exporter.directmail.listing import OPERATIONS


def report(config: Config) -> str:
    """Return the plan of every target: sizes, calls, poll interval, and when each window is filled."""
    return "\n".join("\n".join(_target(config, plan.make(config, target))) for target in config.targets)


def _target(config: Config, each: plan.TargetPlan) -> list[str]:
    count = len(each.combinations)
    shared = "" if config.poll_interval is not None else " (auto)"
    rows = [
        ("combinations", f"{count}"),
        ("series", f"{plan.series(config, count, 1)}"),
        ("cells", f"{each.cells}"),
        (
            "calls a minute",
            f"{each.requests_per_minute:.1f} of {each.target.rate_limit_per_minute:g}, when a cell takes one call",
        ),
        ("calls a day", f"{each.requests_per_minute * 1440:.0f}"),
        ("poll interval", f"{plan.duration(each.poll_interval)}{shared}"),
        ("recent days re-read", f"every {plan.duration(each.recent)}"),
        ("older days re-read", f"every {plan.duration(each.older)}"),
        ("stale after", plan.duration(each.stale_after)),
        *_discovery(config, each),
        *((f"{window} filled after", f"about {each.minutes_to_fill(window):.1f} minutes") for window in each.windows),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"target {each.target.name}: {each.target.endpoint}, days begin in {each.target.timezone}"]
    lines += [f"  {name:<{width}}  {value}" for name, value in rows]
    for query in each.target.queries:
        own = sum(combination.query == query.name for combination in each.combinations)
        size = _bound(query) if query.discovered else f"{own} combination{'s' * (own != 1)}"
        lines.append(f"  query {query.name}: {size}")
    return lines


def _discovery(config: Config, each: plan.TargetPlan) -> list[tuple[str, str]]:
    if not each.target.discovered:
        return []
    actions = ", ".join(OPERATIONS[key].action for key in each.target.discovered)
    room = selection.most(config, each.target, len(each.combinations), selection.Found(list_calls=each.list_calls))
    return [
        ("discovery", f"{actions}, every {plan.duration(config.discovery_interval)}"),
        ("discovered values", "not known before it runs; all of the above is without them"),
        ("room for them", f"{room} more combinations; the rest is left out"),
    ]


def _bound(query: Query) -> str:
    """Return what the limits of a query with discovered values allow at most."""
    limits = {key: wish.limit for key, wish in query.discovered.items()}
    most = math.prod([*limits.values(), *map(len, query.filters.values())])
    parts = ", ".join(f"{limit} of {key}" for key, limit in limits.items())
    return f"at most {most} combinations by its limits ({parts}); which ones, is discovered"
