"""Helpers for state files: fill, write and read them."""

import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from exporter.directmail.model import Filters
from exporter.directmail.statistics.engagement import Engagement
from exporter.store.discovered_values import DiscoveredValues
from exporter.store.memory import Cell, Store
from exporter.store.state_file import StateFile
from tests.support.clock import ScriptedClock

KEY = ("shop", "engagement", Filters(account_name="a@example.com", esp="gmail.com"))
OTHER = ("shop", "engagement", Filters())
DAY, NEXT = date(2026, 4, 22), date(2026, 4, 23)
NOW = ScriptedClock().time()
RATES = (1.5, None, 0.0, 3.25)


def known() -> Store:
    """Return a store with all that a record can have."""
    store = Store()
    store.put(KEY, DAY, Cell(Engagement(100, 50, 40, 10, 5), RATES, 1000.0), day_start=0.0)
    store.put(KEY, DAY, Cell(Engagement(110, 60, 45, 9, 5), RATES, 1300.0), day_start=0.0)
    store.put(KEY, NEXT, Cell(Engagement(1, 1, 1, 0, 0), None, 1400.0), day_start=1350.0)
    store.succeeded(KEY, 1400.0)
    store.put(OTHER, DAY, Cell(Engagement(5, 4, 3, 2, 1), None, 1500.0), day_start=0.0)
    return store


async def opened(
    path: Path, store: Store | None = None, discovered: DiscoveredValues | None = None, **how: Any
) -> StateFile:
    """Return an open state file; `how` is given to it."""
    file = StateFile(
        path, Store() if store is None else store, how.pop("clock", None) or ScriptedClock(), discovered, **how
    )
    await file.open()
    return file


async def saved(path: Path, store: Store) -> None:
    """Write all that a store knows."""
    file = await opened(path, store)
    await file.close()


async def reread(path: Path, discovered: DiscoveredValues | None = None) -> Store:
    """Return what a file says."""
    store = Store()
    file = await opened(path, store, discovered)
    await file.close()
    return store


def same(one: Store, other: Store) -> bool:
    """Return whether two stores know the same of the combinations."""
    keys = set(one.keys()) | set(other.keys())
    return all(
        (a.cells, a.counted, a.first_read_at, a.last_success_at)
        == (b.cells, b.counted, b.first_read_at, b.last_success_at)
        for a, b in ((one.get(key), other.get(key)) for key in keys)
    )


class SlowConnection(sqlite3.Connection):
    """A disk on which each statement takes a hundredth of a second."""

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        time.sleep(0.01)
        return super().execute(*arguments)


slow = partial(sqlite3.connect, factory=SlowConnection)


def read_only(address: str, **how: Any) -> sqlite3.Connection:
    """Open a file as on a disk that takes nothing."""
    return sqlite3.connect(address.replace("mode=rwc", "mode=ro"), **how)


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file of this process grow: the kernel rejects the write, as it does where a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
