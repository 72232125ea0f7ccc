"""Watches the content of files by hash: a touch does not count as a change, the swap of a symlink does."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path

from exporter.clock import Clock

EVERY = 5.0
"""Seconds between two checks."""


async def changes(
    files: Callable[[], Iterable[Path]], known: Mapping[Path, str], clock: Clock, every: float = EVERY
) -> AsyncIterator[None]:
    """Yield whenever the content has changed since the last check; `files` is called each time.

    `known` are the digests of the files when they were read.
    """
    while True:
        await clock.sleep(every)
        now = await asyncio.to_thread(lambda: digests(files()))
        if now != known:
            known = now
            yield


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file's content as the exporter shows it."""
    return hashlib.sha256(content).hexdigest()


def digests(files: Iterable[Path]) -> dict[Path, str]:
    """Return the digests of the files; one that cannot be read, or is not a regular file, counts as empty."""
    found = {}
    for path in files:
        try:
            found[path] = digest(path.read_bytes()) if path.is_file() else ""
        except (OSError, ValueError):  # ValueError: no name of a file
            found[path] = ""
    return found
