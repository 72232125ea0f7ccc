"""How a command ends: with status 0, or with status 1 and lines that say why; a bug with its traceback."""

import asyncio
import atexit
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from exporter import logs

_Result = TypeVar("_Result")


def run(work: Coroutine[Any, Any, _Result], *expected: type[Exception]) -> _Result | None:
    """Run to the end and return what comes of it, None after Ctrl-C. What can be fixed is one line; a bug is loud.

    `expected` are errors of the command's own whose text says what to do.
    """
    from exporter.store.database import StateError
    from exporter.web.passwords import is_checking
    from exporter.web.sockets import BindError

    failures: tuple[type[Exception], ...] = (BindError, StateError, *expected)
    try:
        result = asyncio.run(work)
    except failures as error:
        fail(str(error))
    except KeyboardInterrupt:
        return None
    except Exception as error:  # noqa: BLE001  whatever else it is, it is a bug
        logs.bug(error)
        sys.exit(1)
    if is_checking():
        _leave()
    return result


def _leave() -> NoReturn:
    """End well and at once, though a thread computes bcrypt.

    Python would wait for it, or, for a daemon thread, abort when it returns while the interpreter is being taken down.
    """
    atexit._run_exitfuncs()  # noqa: SLF001  what others do at the end, such as writing the last lines
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def message(text: str) -> None:
    """Print a line for the user who started the program; one who reads no more is no reason to end."""
    try:
        click.echo(text)
    except OSError:
        _silence()


def result(text: str) -> None:
    """Print what a command was run for; end with status 1 where it cannot be written, though not for a closed pipe."""
    try:
        click.echo(text)
    except BrokenPipeError:
        _silence()
    except OSError as error:
        _silence()
        fail(f"stdout cannot be written to: {error.strerror}")


def _silence() -> None:
    """Give stdout another end, or what it still holds would fail again when the process ends."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 1)


def check_writable(path: Path) -> None:
    """End with status 1 where nothing can be written at a path, or in the folder that it would be made in."""
    try:
        while not path.exists():
            path = path.absolute().parent
        if os.access(path, os.W_OK):
            return
    except OSError:  # such as a folder that may not be looked into
        pass
    fail(f"{path} cannot be written to")


def fail(text: str) -> NoReturn:
    """Say why, a line for each reason, and end with status 1."""
    for line in text.splitlines():
        logs.fatal(line)
    sys.exit(1)
