"""Reads a state file that an exporter may be writing, without a lock or a change.

A read during a write does not match the checksums and the seal, and is repeated.
"""

import asyncio
from contextlib import closing
from pathlib import Path

from exporter.store.database import Damaged, Database, NoAccess, StateError, is_being_written
from exporter.store.encoding import Contents

ATTEMPTS = 20
PAUSE = 0.1
"""Seconds between two attempts; a write takes a few milliseconds."""


class Unreadable(Exception):
    """The file cannot be read now; the text is the reason."""


async def read(path: Path) -> Contents:
    """Return the content of the file, empty without a file. Raise Unreadable."""
    why = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(PAUSE)
        try:
            return await asyncio.to_thread(_read, path)
        except (Damaged, Unreadable) as error:
            why = str(error)
        except (NoAccess, StateError, OSError) as error:
            raise Unreadable(getattr(error, "strerror", None) or str(error)) from None
    raise Unreadable(why)


def _read(path: Path) -> Contents:
    try:
        path.stat()  # Path.exists is False from Python 3.14 on for whatever else is wrong
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: no name of a file
        return Contents()
    if is_being_written(path):
        raise Unreadable("a write has begun and not ended")
    with closing(Database(path, read_only=True, locks=False)) as database:
        return database.load()
