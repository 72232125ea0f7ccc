"""`--config.check`: what a config will ask for, as a table to read."""

from exporter import plan
from exporter.config import Config


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
        *((f"{window} filled after", f"about {each.minutes_to_fill(window):.1f} minutes") for window in each.windows),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"target {each.target.name}: {each.target.endpoint}, days begin in {each.target.timezone}"]
    lines += [f"  {name:<{width}}  {value}" for name, value in rows]
    for query in each.target.queries:
        own = sum(combination.query == query.name for combination in each.combinations)
        lines.append(f"  query {query.name}: {own} combination{'s' * (own != 1)}")
    return lines
