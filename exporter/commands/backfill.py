"""`backfill`: writes past days; prints a forecast, the progress, and what is missing."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from exporter.clock import Clock, SystemClock
from exporter.commands import exit_status, flags
from exporter.commands.backfill_reading import STEP, Backfill, Forecast, Progress
from exporter.config.checking import ConfigError, InvalidValue
from exporter.config.durations import format_duration, parse_duration
from exporter.config.model import Config
from exporter.config.shards import Shard
from exporter.directmail.model import Filters
from exporter.reload import load
from exporter.store.database import StateError

EVERY = 10.0
"""Seconds between two lines of progress."""
OFTEN = 0.25
"""Seconds between two updates of the bar on a terminal."""
SHORTEST, LONGEST = 10, 86_400
"""Seconds between two samples."""
NEEDED = ("job", "instance")
OWN = frozenset({"target", "query", "window", *Filters._fields})
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)


def _labels(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """Return the labels that Prometheus adds, those that are blank left out. Raise BadParameter."""
    labels = {}
    for text in value:
        name, separator, written = text.partition("=")
        if not separator or not _LABEL.fullmatch(name):
            raise click.BadParameter(f"{text!r} is not a label; write one such as job=directmail")
        if name in OWN:
            raise click.BadParameter(f"{name!r} is a label of the exporter's own; only what Prometheus adds is needed")
        labels[name] = written
    missing = [name for name in NEEDED if name not in labels]
    if missing:
        raise click.BadParameter(
            f"{' and '.join(missing)} not given. Write them as your scrape config has them, such as "
            "--label job=directmail --label instance=localhost:10058 (job_name, and the address under targets): "
            "series with other labels are other series, and graphs would show both. A blank one, such as "
            "--label instance=, is left out."
        )
    return {name: written for name, written in labels.items() if written}


def _step(context: click.Context, parameter: click.Parameter, value: str) -> int:
    """Return the seconds. Raise BadParameter."""
    try:
        seconds = parse_duration(value)
    except InvalidValue as error:
        raise click.BadParameter(str(error)) from None
    if not seconds.is_integer() or not SHORTEST <= seconds <= LONGEST:
        raise click.BadParameter(f"{value!r} is not whole seconds from 10s to 1d; write one such as 5m")
    return int(seconds)


@click.command()
@flags.config_file
@flags.shard
@click.option("--days", type=click.IntRange(1, 30), default=30, show_default=True, help="Closed days to go back.")
@click.option("--query", help="Only this query.  [default: all]")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_labels,
    help="A label that Prometheus adds when it scrapes; job and instance are required. Repeatable.",
)
@click.option(
    "--step",
    default=format_duration(STEP),
    show_default=True,
    callback=_step,
    help="Time between two samples; above 5m Prometheus needs a higher --query.lookback-delta.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="File to write, such as history.om.",
)
@click.pass_context
def command(
    context: click.Context,
    config_file: Path,
    shard: Shard,
    days: int,
    query: str | None,
    labels: dict[str, str],
    step: int,
    output: Path,
) -> None:
    """Write past days as OpenMetrics, for promtool tsdb create-blocks-from.

    It has the closed windows that a running exporter would have exposed, so that graphs show them as the exporter's own
    past. Ends with status 1 when days are missing.
    """
    try:
        settings = load(config_file, shard)
    except ConfigError as error:
        exit_status.fail(str(error))
    names = {each.name for target in settings.targets for each in target.queries}
    if query is not None and query not in names:
        raise click.BadParameter(f"{query!r} is not a query of the config; write one of {', '.join(sorted(names))}")
    if not output.parent.is_dir():
        raise click.BadParameter(f"{output.parent} is not a directory", param_hint="--output")
    is_stream = output.exists() and not output.is_file()
    exit_status.check_writable(output if is_stream else output.parent)
    clock = SystemClock()
    own = settings.of(shard)
    work = Backfill(own, clock, days=days, step=step, query=query, labels=labels)
    context.exit(exit_status.run(_write(work, own, output, clock), StateError) or 0)


async def _write(work: Backfill, settings: Config, output: Path, clock: Clock) -> int:
    """Read the past and write it; return the exit status. Raise StateError.

    SIGINT, SIGTERM and SIGHUP end the reading with what is known by then, and the writing without a file.
    """
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)

    def started(forecast: Forecast) -> None:
        rates = ", ".join(sorted({f"{target.rate_limit_per_minute:g}" for target in settings.targets})) or "no"
        for line in announcement(forecast, rates, output):
            _print(line)

    try:
        async with _shown(work.progress, clock):
            progress = await work.run(output, stopped, started)
    except OSError as error:
        exit_status.fail(f"{output}: {error.strerror}")
    _print(ending(progress, output))
    return int(progress.missing > 0 or not progress.is_complete)


def announcement(forecast: Forecast, rates: str, output: Path) -> list[str]:
    """Return the forecast of a run, and how to make it smaller."""
    duration = format_duration(forecast.seconds) if forecast.calls else "no time"
    known = f"{forecast.known} days of combinations are known from the state file"
    smaller = "--query NAME, a lower --days, or a longer --step"
    return [
        f"Reading: {forecast.calls} calls at {rates} a minute of each operation, about {duration}; {known}.",
        f"Writing: {forecast.series} series, {output} will have about {decimal(forecast.size)}.",
        f"To make it smaller: {smaller} (--step 15m needs --query.lookback-delta=16m in Prometheus).",
    ]


def ending(progress: Progress, output: Path) -> str:
    """Return the outcome of a run."""
    read = f"{progress.read} days read, {progress.known} known before, {progress.missing} missing"
    if progress.is_complete and progress.missing:
        return f"{read}. {output} is written, with gaps: run the command again before you load it."
    if progress.is_complete:
        return f"{read}. {output} is written; load it: promtool tsdb create-blocks-from openmetrics {output} DATA"
    return f"{read}. {output} is not written."


def line(progress: Progress) -> str:
    """Return how far a run is, and the time left."""
    if progress.written is not None:
        return f"{decimal(progress.written)} written"
    left = f", about {format_duration(progress.seconds_left)} left" if progress.left else ""
    return f"{progress.read + progress.failed} of {progress.total} days of combinations{left}"


@asynccontextmanager
async def _shown(progress: Progress, clock: Clock) -> AsyncIterator[None]:
    """Show the progress while the block runs: a bar on a terminal, otherwise a line now and then."""
    console = Console(stderr=True)
    showing = asyncio.create_task(_bar(progress, console) if console.is_terminal else lines(progress, clock))
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.wait([showing])


async def lines(progress: Progress, clock: Clock) -> None:
    """Print a line every ten seconds, until cancelled."""
    while True:
        await clock.sleep(EVERY)
        if progress.total:
            _print(line(progress))


async def _bar(progress: Progress, console: Console) -> None:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("")
        while True:
            done = progress.read + progress.failed
            bar.update(task, total=progress.total, completed=done, description=line(progress))
            await asyncio.sleep(OFTEN)


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
