"""`backfill` as somebody sees it: a bar on a terminal, plain lines anywhere else, until a signal or the end."""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from exporter.clock import SystemClock
from exporter.commands.backfill import Backfill, Progress
from exporter.config.load import Config

EVERY = 100
"""Days of combinations between two plain lines."""


async def backfill(settings: Config, days: int, query: str | None, output: Path) -> None:
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
