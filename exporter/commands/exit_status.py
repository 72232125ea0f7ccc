"""How a command ends: with status 0, or with status 1 and lines that say why; a bug with its traceback."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from exporter import logs

_Result = TypeVar("_Result")


def run(work: Coroutine[Any, Any, _Result]) -> _Result | None:
    """Run to the end and return what comes of it, None after Ctrl-C. What can be mended is one line; a bug is loud."""
    from exporter.store.sqlite import StateError
    from exporter.web.sockets import BindError

    try:
        return asyncio.run(work)
    except (BindError, StateError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        return None
    except Exception as error:  # noqa: BLE001  whatever else it is, it is a bug
        logs.bug(error)
        sys.exit(1)


def say(text: str) -> None:
    """Print a line for whoever started the program; one who reads no more is no reason to end."""
    try:
        click.echo(text)
    except OSError:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            os.dup2(nowhere.fileno(), 1)


def fail(text: str) -> NoReturn:
    """Say why, a line for each reason, and end with status 1."""
    for line in text.splitlines():
        logs.fatal(line)
    sys.exit(1)
