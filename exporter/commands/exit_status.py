"""How a command ends: well, with one line that says what can be mended, or loudly where it is a bug."""

import asyncio
import sys
import traceback
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import click

_Result = TypeVar("_Result")


def run(work: Coroutine[Any, Any, _Result]) -> _Result | None:
    """Run to the end and return what comes of it, None after Ctrl-C. What can be mended is one line; a bug is loud."""
    from exporter.store.database import StateError
    from exporter.web.sockets import BindError

    try:
        return asyncio.run(work)
    except (BindError, StateError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        return None
    except Exception:  # noqa: BLE001  whatever else it is, it is a bug
        traceback.print_exc()
        fail("this is a bug in directmail-exporter; please report the lines above")


def fail(text: str) -> NoReturn:
    """Say why and end with status 1."""
    click.echo(text, err=True)
    sys.exit(1)
