"""How a command ends: well, with one line that says what can be mended, or loudly where it is a bug."""

import asyncio
import atexit
import os
import sys
import traceback
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import click

_Result = TypeVar("_Result")


def run(work: Coroutine[Any, Any, _Result]) -> _Result | None:
    """Run to the end and return what comes of it, None after Ctrl-C. What can be mended is one line; a bug is loud."""
    from exporter.store.sqlite import StateError
    from exporter.web.passwords import is_checking
    from exporter.web.sockets import BindError

    try:
        result = asyncio.run(work)
    except (BindError, StateError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        return None
    except Exception:  # noqa: BLE001  whatever else it is, it is a bug
        traceback.print_exc()
        fail("this is a bug in directmail-exporter; please report the lines above")
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


def fail(text: str) -> NoReturn:
    """Say why and end with status 1."""
    click.echo(text, err=True)
    sys.exit(1)
