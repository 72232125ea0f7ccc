"""Ends a command: with status 0, or with status 1 and the reasons; a bug with its traceback."""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from exporter import logs

_Result = TypeVar("_Result")


def run(work: Coroutine[Any, Any, _Result], *expected: type[Exception]) -> _Result | None:
    """Run the work and return its result, None after Ctrl-C. An expected error is one line, a bug a traceback.

    `expected` are the command's own errors, whose text has the fix.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until the event loop is whole
    try:
        return asyncio.run(_interruptible(work, before))
    except expected as error:
        fail(str(error))
    except KeyboardInterrupt:
        return None
    except Exception as error:  # noqa: BLE001  whatever else it is, it is a bug
        logs.bug(error)
        sys.exit(1)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def _interruptible(work: Coroutine[Any, Any, _Result], mask: set[int | signal.Signals]) -> _Result:
    """Do the work with that mask of signals: asyncio handles Ctrl-C by now, and cancels it."""
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return await work


def message(text: str) -> None:
    """Print a line for the user; a closed stdout is ignored."""
    try:
        click.echo(text)
    except OSError:
        _silence()


def result(text: str) -> None:
    """Print the result of a command; end with status 1 where it cannot be written, except for a closed pipe."""
    try:
        click.echo(text)
    except BrokenPipeError:
        _silence()
    except OSError as error:
        _silence()
        fail(f"stdout cannot be written to: {error.strerror}")


def _silence() -> None:
    """Redirect stdout to /dev/null; its buffer would fail again when the process ends."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 1)


def check_writable(path: Path) -> None:
    """End with status 1 where nothing can be written at a path, or in the folder that it would be made in."""
    try:
        while not path.exists():
            path = path.absolute().parent
        if os.access(path, os.W_OK):
            return
    except OSError:  # such as a folder without permission
        pass
    fail(f"{path} cannot be written to")


def fail(text: str) -> NoReturn:
    """Log the reasons, one line each, and end with status 1."""
    for line in text.splitlines():
        logs.fatal(line)
    sys.exit(1)
