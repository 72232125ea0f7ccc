"""Keeps the store on disk, so that a restart loses nothing.

What has changed is written once a second. Counters are shown only when they are on disk (`Record.observed`), so none
is ever lower after a restart, however the process ends and whatever the disk does. A file that cannot be written is
logged once, and everything else continues in memory.

StateFile belongs to the event loop, and its OpenFile to a thread of its own. A write that has begun is never
abandoned: the end waits for it, writes what is left, and closes.
"""

import asyncio
import math
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from exporter.clock import DAY, Clock
from exporter.directmail.model import Key
from exporter.store.database import Connect, Damaged, NoAccess, StateError
from exporter.store.discovered_values import DiscoveredValues
from exporter.store.encoding import Contents
from exporter.store.memory import KEEP_DAYS, Store
from exporter.store.open_file import OpenFile
from exporter.store.pending_writes import Batch, PendingWrites

EVERY = 1.0
"""Seconds between two writes, when there is something to write."""
AGAIN = 10.0
"""Seconds until a write that failed is tried again."""
CHECK_EVERY = 15.0
"""Seconds between two checks of whether the file is still in its place."""
SLICE = 10
"""Combinations that are shown anew before other work runs: about a millisecond."""
RESTORED = 500
"""Combinations that are restored before other work runs: about two milliseconds."""

_Result = TypeVar("_Result")


class StateFile:
    """The file of one process."""

    def __init__(
        self,
        path: Path,
        store: Store,
        clock: Clock,
        discovered: DiscoveredValues | None = None,
        *,
        written: Callable[[Key], None] = lambda key: None,
        connect: Connect = sqlite3.connect,
    ) -> None:
        """`written` is called for every combination whose counters have come to the disk; `connect` opens the file."""
        self.path = path
        self.writable = True
        self._store = store
        self._discovered = discovered or DiscoveredValues()
        self._pending = PendingWrites(store, self._discovered)
        self._clock = clock
        self._written = written
        self._log = structlog.get_logger().bind(state_file=str(path))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="state-file")
        self._file = OpenFile(path, connect, self._log)
        """Used in the thread only."""
        self._rewrites = False
        """Whether the next write is of everything: the file is new, of an older schema, or was another one."""
        self._checked_at = -math.inf
        """When the file was last seen in its place, in monotonic time."""
        self._saving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open or make the file and fill the store and the discovered values from it.

        Raise StateError where another process or program has it, where it is not a regular file, and where a newer
        version wrote it. A damaged file is set aside under another name, whole; one that cannot be written is read.
        """
        self._store.waits_for_disk = True
        try:
            try:
                contents, self._rewrites = await self._in_thread(self._file.read)
                self._checked_at = self._clock.monotonic()
                await self._restore(contents)
            except Damaged as error:
                await self._replace(error)
            except NoAccess as error:
                self._cannot_write(error)
                await self._restore(await self._in_thread(self._file.read_only))
            await self.save()
        except BaseException:
            await self._end()
            raise

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Have the file open, and its content restored, while the block runs. Raise as `open` does."""
        await self.open()
        try:
            yield
        finally:
            await self.close()

    async def run(self) -> None:
        """Write what has changed, until cancelled."""
        while True:
            await self._clock.sleep(EVERY if self.writable else AGAIN)
            await self.save()

    async def save(self) -> None:
        """Write what has changed since the last time. What cannot be written is kept for the next.

        A save that has begun ends by itself, also when its caller is cancelled; `close` waits for it.
        """
        if self._saving is None or self._saving.done():
            self._saving = asyncio.create_task(self._save())
        await asyncio.shield(self._saving)

    async def close(self) -> None:
        """Wait for the write in flight, write what is left, and let go of the file."""
        try:
            if self._saving is not None:
                await asyncio.wait([self._saving])
            await self.save()
            if not self.writable:
                self._log.error("final state file write failed; the next start continues from the last write")
        finally:
            await self._end()

    async def _end(self) -> None:
        await self._close_file()
        self._thread.shutdown()

    async def _close_file(self) -> None:
        self._checked_at = -math.inf
        await self._in_thread(self._file.close)

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _save(self) -> None:
        try:
            try:
                await self._write()
            except Damaged as error:
                await self._replace(error)
                await self._write()
        except (Damaged, NoAccess, StateError) as error:
            await self._close_file()  # a file that was opened for reading is not written later either
            self._cannot_write(error)
        else:
            self._can_write()

    async def _write(self) -> None:
        """Write what is to be written. Raise Damaged, NoAccess and StateError."""
        now = self._clock.monotonic()
        if now - self._checked_at >= CHECK_EVERY:
            self._checked_at = now
            self._rewrites |= await self._in_thread(self._file.follow_path)
        if self._rewrites:
            await self._write_everything()
        for _ in range(self._pending.batches()):  # what changes meanwhile is for the next time
            batch = self._pending.take()
            if not batch:
                return
            try:
                await self._in_thread(partial(self._file.write, batch))
            except BaseException:
                self._pending.put_back(batch)
                raise
            await self._show([batch])

    async def _write_everything(self) -> None:
        self._store.waits_for_disk = True
        batches = []
        for batch in self._pending.everything():
            batches.append(batch)
            await asyncio.sleep(0)
        await self._in_thread(partial(self._file.rewrite, batches))
        self._rewrites = False
        await self._show(batches)

    async def _show(self, batches: list[Batch]) -> None:
        """Let the counters that are on disk now be shown."""
        for batch in batches:
            for number, key in enumerate(self._pending.written(batch), 1):
                self._written(key)
                if number % SLICE == 0:
                    await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def _replace(self, damage: Damaged) -> None:
        """Set a damaged file aside, so that a new one is written. Where that fails only memory is left."""
        self._checked_at = -math.inf
        try:
            aside = await self._in_thread(self._file.set_aside)
        except OSError as error:
            # No counter is restored from this file any more.
            self._store.waits_for_disk = False
            self._cannot_write(NoAccess(f"damaged ({damage}), and cannot be renamed: {error.strerror}"))
        else:
            self._log.error(
                "state file damaged; moving it away and starting without it", aside=str(aside), error=str(damage)
            )

    def _can_write(self) -> None:
        self._store.unwritable_since = None
        if not self.writable:
            self.writable = True
            self._log.info("state file write recovered")

    def _cannot_write(self, error: Exception) -> None:
        if self._store.unwritable_since is None:
            self._store.unwritable_since = self._clock.monotonic()
        if self.writable:
            self.writable = False
            self._log.error(
                "state file write failing; continuing in memory and holding counters back", error=str(error)
            )

    async def _restore(self, contents: Contents) -> None:
        """Restore the content of the file, except what is too old for every target."""
        store, oldest_time = self._store, self._clock.time() - (KEEP_DAYS + 2) * DAY
        oldest = datetime.fromtimestamp(max(oldest_time, 0.0), UTC).date()
        set_back = await self._in_thread(partial(contents.set_back, self._clock.time()))
        if set_back:
            self._log.warning("state file has times in the future; reading today and days just closed again")
        for number, (key, record) in enumerate(contents.records.items(), 1):
            if number % RESTORED == 0:
                await asyncio.sleep(0)
            outdated = [day for day in record.cells if day < oldest]
            for day in outdated:
                del record.cells[day]
            if not record.cells and (record.last_success_at or 0.0) < oldest_time:
                store.discarded.add(key)
                continue
            store.restore(key, record)
            if outdated or set_back:
                store.changed.add(key)
        self._discovered.restore(contents.discovered)
        store.accounts.update(contents.accounts)
        store.decreases.update(contents.decreases)
        self._pending.decreases = contents.decreases
        if contents.records:
            days = sum(len(record.cells) for record in contents.records.values())
            self._log.info("state file read", combinations=len(contents.records), days=days)
