"""Tells when the content of some files changes: by hash, so a touch is no change and the swap of a symlink is one."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from exporter.clock import Clock

EVERY = 5.0
"""Seconds between two looks."""


async def changes(files: Callable[[], Iterable[Path]], clock: Clock, every: float = EVERY) -> AsyncIterator[None]:
    """Yield whenever the content of one of the files has changed since the last look; `files` is asked each time."""
    before = await asyncio.to_thread(_digests, files)
    while True:
        await clock.sleep(every)
        now = await asyncio.to_thread(_digests, files)
        if now != before:
            before = now
            yield


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file's content as the exporter shows it."""
    return hashlib.sha256(content).hexdigest()


def _digests(files: Callable[[], Iterable[Path]]) -> dict[Path, str]:
    """Return what the files hold now; one that cannot be read holds nothing."""
    found = {}
    for path in files():
        try:
            found[path] = digest(path.read_bytes())
        except OSError:
            found[path] = ""
    return found
