"""Reads what a state file says while an exporter may be writing it: no lock is taken, nothing is changed.

What is read half way through a write does not fit its checksums and its seal, and is read again.
"""

import asyncio
from pathlib import Path

from exporter.store.database import Damaged, Database, NoAccess, StateError, is_being_written
from exporter.store.encoding import Contents

ATTEMPTS = 20
PAUSE = 0.1
"""Seconds between two attempts; a write takes a few milliseconds."""


class Unreadable(Exception):
    """The file says nothing now; the text is why."""


async def read(path: Path) -> Contents:
    """Return what the file says, nothing where there is none. Raise Unreadable."""
    why = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(PAUSE)
        try:
            return await asyncio.to_thread(_read, path)
        except (Damaged, Unreadable) as error:
            why = str(error)
        except (NoAccess, StateError, OSError) as error:
            raise Unreadable(str(error)) from None
    raise Unreadable(why)


def _read(path: Path) -> Contents:
    if not path.exists():
        return Contents()
    if is_being_written(path):
        raise Unreadable("a write has begun and not ended")
    database = Database(path, read_only=True, locks=False)
    try:
        return database.load()
    finally:
        database.close()
