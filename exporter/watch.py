"""Tells when the content of some files changes: by hash, so a touch is no change and the swap of a symlink is one."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path

from exporter.clock import Clock

EVERY = 5.0
"""Seconds between two looks."""


async def changes(
    files: Callable[[], Iterable[Path]], known: Mapping[Path, str], clock: Clock, every: float = EVERY
) -> AsyncIterator[None]:
    """Yield whenever the files hold something else than at the last look; `files` is called each time.

    `known` is what they held when they were read: their digests.
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
    """Return what the files hold now; one that cannot be read, or is not a regular file, holds nothing."""
    found = {}
    for path in files:
        try:
            found[path] = digest(path.read_bytes()) if path.is_file() else ""
        except (OSError, ValueError):  # ValueError: no name of a file
            found[path] = ""
    return found
