"""`show`: requests a window now and prints counts and rates of each combination."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from exporter.clock import SystemClock
from exporter.commands import exit_status, flags, show_rows
from exporter.commands.show_formats import FORMATS
from exporter.commands.show_reading import Progress, Reading, WindowReader
from exporter.config.checking import ConfigError, InvalidValue
from exporter.config.durations import format_duration
from exporter.config.model import Config
from exporter.config.schema import window as checked_window
from exporter.config.shards import Shard
from exporter.directmail.statistics.registry import STATISTICS
from exporter.reload import load


@click.command()
@flags.config_file
@flags.shard
@click.option("--query", help="Only this query.  [default: all]")
@click.option(
    "--window", default="7d", show_default=True, help="today, yesterday, or the last closed days from 1d to 30d."
)
@click.option(
    "--sort", help="Sort by this count or rate, such as open_ratio, largest first.  [default: order of the config]"
)
@click.option("--format", "style", type=click.Choice(list(FORMATS)), default="table", show_default=True)
def command(config_file: Path, shard: Shard, query: str | None, window: str, sort: str | None, style: str) -> None:
    """Request a window now, within the budget, and print counts and rates of each combination.

    What the state file has and a running exporter would not read again is not requested; nothing is written.
    """
    try:
        settings = load(config_file, shard).of(shard)
        checked_window(window)
    except ConfigError as error:
        exit_status.fail(str(error))
    except InvalidValue as error:
        exit_status.fail(f"--window: {error}")
    if not settings.targets:
        click.echo("No target of the config belongs to this shard; nothing to show.", err=True)
        return
    _check(settings, query, sort)
    with _bar() as progress:
        reading = exit_status.run(
            WindowReader(settings, clock := SystemClock(), window, query, progress=progress).read()
        )
    if reading is None:
        exit_status.fail("interrupted")
    groups = show_rows.groups(reading, sort)
    if groups:
        exit_status.result(_encodable(FORMATS[style](groups, window, clock.time())))
    messages = list(_messages(reading, groups))
    for message in messages:
        click.echo(message, err=True)
    is_whole = groups and not reading.target_failures
    sys.exit(0 if is_whole and not any(row.is_failure for group in groups for row in group.rows) else 1)


def _check(settings: Config, query: str | None, sort: str | None) -> None:
    """End with status 1 where the config has no such query, or its statistics no such value."""
    queries = [each for target in settings.targets for each in target.queries if query in (None, each.name)]
    if not queries:
        known = dict.fromkeys(each.name for target in settings.targets for each in target.queries)
        exit_status.fail(f"--query: {query!r} is not a query of the config; write one of {', '.join(known)}")
    statistics = {name for each in queries for name in each.statistics}
    known_values = [name for key in STATISTICS if key in statistics for name in show_rows.names(STATISTICS[key])]
    if sort is not None and sort not in known_values:
        exit_status.fail(f"--sort: {sort!r} is not a count or rate of it; write one of {', '.join(known_values)}")


def _messages(reading: Reading, groups: list[show_rows.Group]) -> Iterator[str]:
    """Yield what is to be said beside the numbers, a line each."""
    yield from reading.notes
    for (target, action), error in reading.target_failures.items():
        yield f"{target}: {action + ': ' if action else ''}{show_rows.explained(error)}"
    for part in reading.parts:
        if part.plan.left_out:
            plan = part.plan
            yield f"{plan.target.name}: {plan.left_out} discovered combinations of {plan.statistic} left out"
    if not groups and not reading.target_failures:
        yield "nothing to show: no values discovered"


@contextmanager
def _bar() -> Iterator[Progress]:
    """Show on a terminal how many requests are done and how long the rest takes; anywhere else nothing."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total, seconds: None
        return
    columns = (TextColumn("requests"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("requests", total=None, left="")

        def progress(done: int, total: int, seconds: float) -> None:
            left = f"about {format_duration(seconds)} left" if done < total else ""
            bar.update(task, total=total, completed=done, left=left)

        yield progress


def _encodable(text: str) -> str:
    """Return the text with JSON's escapes for what stdout cannot carry, and for control characters."""
    encoding = sys.stdout.encoding or "utf-8"
    return "".join(each if each == "\n" or _is_harmless(each, encoding) else json.dumps(each)[1:-1] for each in text)


def _is_harmless(character: str, encoding: str) -> bool:
    return character.isprintable() and character.encode(encoding, "ignore") != b""
