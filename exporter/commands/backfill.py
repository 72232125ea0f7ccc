"""`backfill`: writes the past, with a progress bar on a terminal and plain lines anywhere else."""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from exporter.clock import SystemClock
from exporter.commands import exit_status, flags
from exporter.commands.history_export import Backfill, Progress
from exporter.config.checking import ConfigError
from exporter.config.model import Config
from exporter.config.shards import Shard
from exporter.plan import validation

EVERY = 100
"""Days of combinations between two plain lines."""


@click.command()
@flags.config_file
@flags.shard
@click.option("--days", type=click.IntRange(1, 30), default=30, show_default=True, help="Closed days to go back.")
@click.option("--query", help="Only this query.  [default: all]")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="File to write, such as history.om.",
)
def command(config_file: Path, shard: Shard, days: int, query: str | None, output: Path) -> None:
    """Write the past as OpenMetrics, for promtool tsdb create-blocks-from."""
    try:
        settings = validation.load(config_file, shard)
    except ConfigError as error:
        exit_status.fail(str(error))
    names = {each.name for target in settings.targets for each in target.queries}
    if query is not None and query not in names:
        raise click.BadParameter(f"{query!r} is no query of the config; name one of {', '.join(sorted(names))}")
    if not output.parent.is_dir():
        raise click.BadParameter(f"{output.parent} is no directory", param_hint="--output")
    exit_status.run(_write(settings.of(shard), days, query, output))


async def _write(settings: Config, days: int, query: str | None, output: Path) -> None:
    """Read the past and write it; SIGINT and SIGTERM end it with what is known by then. Raise StateError."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    work = Backfill(settings, SystemClock(), days=days, query=query)
    with _shown() as told:
        progress = await work.run(output, told, stopped)
    left = progress.total - progress.read - progress.failed
    print(f"{output}: {progress.read} days read, {progress.failed} could not be read, {left} left", file=sys.stderr)


@contextmanager
def _shown() -> Iterator[Callable[[Progress], None]]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _line
        return
    columns = (TextColumn("days of combinations"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("read")
        yield lambda progress: bar.update(task, total=progress.total, completed=progress.read + progress.failed)


def _line(progress: Progress) -> None:
    done = progress.read + progress.failed
    if done % EVERY == 0 or done == progress.total:
        print(f"{done} of {progress.total} days of combinations", file=sys.stderr, flush=True)
