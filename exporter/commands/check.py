"""`--config.check`: prints what a config will request as a table, and checks that there are access keys."""

import asyncio
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from exporter.clock import SystemClock
from exporter.config.checking import Problem
from exporter.config.credentials import KEY_FILES
from exporter.config.durations import format_duration
from exporter.config.model import Config, Credentials, Query, Target
from exporter.config.shards import WHOLE, Shard, divide
from exporter.directmail import account
from exporter.directmail.credential_provider import provider
from exporter.directmail.errors import AuthError
from exporter.directmail.listing import OPERATIONS
from exporter.plan import cardinality, selection, target_plan


def report(config: Config, shard: Shard = WHOLE) -> str:
    """Return the plan of every target of the shard: sizes, calls, poll interval, and when each window is filled.

    Where there are several shards, a table of what each has comes first.
    """
    lines = _shards(config, shard) if shard.count > 1 else []
    room = selection.room_of(config)
    for target in config.of(shard).targets:
        lines += [f"target {target.name}: {target.endpoint}, days begin in {target.timezone}"]
        lines += _lists(config, target)
        for statistic in target.statistics:
            lines += _statistic(config, target_plan.make(config, target, statistic), room)
    return "\n".join(lines)


def without_credentials(config: Config, environment: Mapping[str, str] = os.environ) -> tuple[Problem, ...]:
    """Return which targets have no access key, one problem for all that lack it in the same way.

    Only what is here is checked: variables and files. Services that issue keys are not called.
    """
    places: dict[str, list[str]] = {}
    for target in config.targets:
        if (why := asyncio.run(_why_no_key(target.credentials, environment))) is not None:
            places.setdefault(why, []).append(f"{target.place}.credentials")
    return tuple(
        Problem(place, f"{why} {_targets(len(others))} it too." if others else why)
        for why, (place, *others) in places.items()
    )


def _targets(count: int) -> str:
    return "1 more target lacks" if count == 1 else f"{count} more targets lack"


async def _why_no_key(source: Credentials, environment: Mapping[str, str]) -> str | None:
    if source.type not in ("environment", "files", "ram_role_arn"):
        return None
    files = {key: getattr(source, key) for key in KEY_FILES}
    try:
        await provider(
            "files" if any(files.values()) else "environment", SystemClock(), **files, environment=environment
        ).get()
    except AuthError as error:
        return f"{error.text}. {error.advice}"
    return None


def _shards(config: Config, shard: Shard) -> list[str]:
    parts = divide(config.targets, shard.count)
    rows = [(f"shard {Shard(index, shard.count)}", *_sizes(config, part)) for index, part in enumerate(parts)]
    rows[shard.index] += ("<- this one",)
    rows += [("all shards", *_sizes(config, config.targets))]
    head = ("", "targets", "combinations", "series", "calls a minute")
    width = max(len(row[0]) for row in rows)
    lines = ["  ".join([f"{name:<{width}}", *(f"{cell:>8}" for cell in cells)]) for name, *cells in (head, *rows)]
    if not parts[shard.index]:
        lines.append("No target belongs to this shard: it is healthy and exposes only its own metrics.")
    return lines


def _sizes(config: Config, targets: Sequence[Target]) -> tuple[str, ...]:
    plans = target_plan.make_all(replace(config, targets=tuple(targets)))
    combinations = sum(len(each.combinations) for each in plans)
    calls = sum(each.requests_per_minute for each in plans)
    return str(len(targets)), f"{combinations:>12}", str(cardinality.of_targets(config, targets)), f"{calls:>14.1f}"


def _statistic(config: Config, each: target_plan.TargetPlan, room: int) -> list[str]:
    count = len(each.combinations)
    shared = "" if config.poll_interval is not None else " (auto)"
    rows = [
        ("combinations", f"{count}"),
        ("series", f"{count * cardinality.of_a_combination(config, each.statistic)}"),
        ("cells", f"{each.cells}"),
        (
            "calls a minute",
            f"{each.requests_per_minute:.1f} of {each.target.rate_limit_per_minute:g}, if a cell needs one call",
        ),
        ("calls a day", f"{each.requests_per_minute * 1440:.0f}"),
        ("poll interval", f"{format_duration(each.poll_interval)}{shared}"),
        ("recent days re-read", f"every {format_duration(each.recent)}"),
        ("older days re-read", f"every {format_duration(each.older)}"),
        ("stale after", format_duration(each.stale_after)),
        *_room(config, each, room),
        *((f"{window} filled after", f"about {_about(each.minutes_to_fill(window) * 60)}") for window in each.windows),
    ]
    lines = [f"  {each.statistic} ({each.action}):", *_table(rows, "    ")]
    queries = [query for query in each.target.queries if each.statistic in query.statistics]
    blocks = {name: [query for query in queries if query.name == name] for name in (query.name for query in queries)}
    return [*lines, *(f"    query {name}: {_size(each, own)}" for name, own in blocks.items())]


def _size(each: target_plan.TargetPlan, blocks: Sequence[Query]) -> str:
    """Return how many combinations the blocks of a query have."""
    named = sum(combination.query == blocks[0].name for combination in each.combinations)
    sizes = [_bound(block) for block in blocks if block.discovered]
    if named or not sizes:
        sizes.insert(0, _combinations(named))
    return ", and ".join(sizes)


def _about(seconds: float) -> str:
    """Return a duration that is an estimate: to the minute, once it is an hour."""
    return format_duration(math.ceil(seconds / 60) * 60 if seconds > 3600 else seconds)


def _lists(config: Config, target: Target) -> list[str]:
    """Return what is requested beside statistics: lists of values, the account and its domains."""
    rows = []
    if target.discovered:
        actions = ", ".join(OPERATIONS[key].action for key in target.discovered)
        rows += [
            ("discovery", f"{actions}, every {format_duration(config.discovery_interval)}"),
            ("discovered values", "unknown until it runs; not included below"),
        ]
    if config.account_interval is not None:
        actions = f"{account.SUMMARY}, {OPERATIONS['account_name'].action}"
        rows += [("account", f"{actions}, every {format_duration(config.account_interval)}")]
    if config.domains_interval is not None:
        actions = f"{OPERATIONS['domain'].action}, and {account.DOMAIN} for each domain"
        rows += [("domains", f"{actions}, every {format_duration(config.domains_interval)}")]
    if rows:
        limit = target.rate_limit_per_minute
        lower = f"{min(limit, account.CALLS_PER_MINUTE):g} of {account.SUMMARY} and {account.DOMAIN}"
        rows += [("their limits", f"{limit:g} calls a minute of each operation, {lower}")]
    return _table(rows, "  ")


def _room(config: Config, each: target_plan.TargetPlan, room: int) -> list[tuple[str, str]]:
    if not any(query.discovered and each.statistic in query.statistics for query in each.target.queries):
        return []
    most = selection.most(config, each.target, each.statistic, len(each.combinations), selection.Discovered(), room)
    return [("room for discovered", f"{most} more combinations; any others are left out")]


def _table(rows: Sequence[tuple[str, str]], indent: str) -> list[str]:
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{indent}{name:<{width}}  {value}" for name, value in rows]


def _bound(query: Query) -> str:
    """Return what the limits of a query with discovered values allow at most."""
    limits = {key: selector.limit for key, selector in query.discovered.items()}
    most = math.prod([*limits.values(), *map(len, query.filters.values())])
    parts = ", ".join(f"{limit} of {key}" for key, limit in limits.items())
    return f"at most {_combinations(most)} by its limits ({parts}); the values are discovered"


def _combinations(count: int) -> str:
    return f"{count} combination{'s' * (count != 1)}"
