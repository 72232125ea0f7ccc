"""The state file: what the store knows, in SQLite, so that a restart loses nothing.

One writer. What has changed is written once a second in one transaction, in a thread: a process that is killed at
any moment leaves the file as it was after some whole second. A file that cannot be written is told of once, and
everything goes on in memory.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import structlog

from exporter.clock import Clock
from exporter.directmail.model import Filters, RateSums, Totals
from exporter.store.discovered_values import Catalogue, Place
from exporter.store.memory import KEEP_DAYS, Cell, Key, Record, Store

EVERY = 1.0
"""Seconds between two writes, when there is something to write."""
BATCH = 200
"""Combinations in one transaction; more would hold the event loop while they are gathered."""
DAY = 86_400.0
AGAIN = 10.0
"""Seconds until a write that failed is tried again."""

_FILTERS = ", ".join(Filters._fields)
_COUNTS = ", ".join(Totals._fields)
_RATES = ", ".join(RateSums._fields)

_GET_COMBINATIONS = f"SELECT id, target, {_FILTERS}, first_read_at, last_success_at, {_COUNTS} FROM combination"
_GET_CELLS = f"SELECT combination, day, read_at, has_rates, {_COUNTS}, {_RATES} FROM cell"
_GET_DISCOVERED = "SELECT target, filter, value, first_seen FROM discovered ORDER BY target, filter, place"
_FORGET = f"DELETE FROM combination WHERE target = ? AND {' AND '.join(f'{name} = ?' for name in Filters._fields)}"
_PUT_COMBINATION = (
    f"INSERT INTO combination (target, {_FILTERS}, first_read_at, last_success_at, {_COUNTS}) "
    f"VALUES ({', '.join('?' * 14)}) ON CONFLICT (target, {_FILTERS}) DO UPDATE SET "
    "first_read_at = excluded.first_read_at, last_success_at = excluded.last_success_at, "
    f"{', '.join(f'{name} = excluded.{name}' for name in Totals._fields)} RETURNING id"
)
_PUT_CELL = (
    f"INSERT OR REPLACE INTO cell (combination, day, read_at, has_rates, {_COUNTS}, {_RATES}) "
    f"VALUES ({', '.join('?' * 13)})"
)

MIGRATIONS = (
    f"""
    CREATE TABLE combination (
        id INTEGER PRIMARY KEY,
        target TEXT NOT NULL, {", ".join(f"{name} TEXT NOT NULL" for name in Filters._fields)},
        first_read_at REAL, last_success_at REAL,
        {", ".join(f"{name} INTEGER NOT NULL" for name in Totals._fields)},
        UNIQUE (target, {_FILTERS})
    );
    CREATE TABLE cell (
        combination INTEGER NOT NULL REFERENCES combination (id) ON DELETE CASCADE,
        day TEXT NOT NULL, read_at REAL NOT NULL,
        {", ".join(f"{name} INTEGER NOT NULL" for name in Totals._fields)},
        {", ".join(f"{name} REAL" for name in RateSums._fields)},
        has_rates INTEGER NOT NULL,
        PRIMARY KEY (combination, day)
    ) WITHOUT ROWID;
    CREATE TABLE decreases (target TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
    """,
    "CREATE INDEX cell_day ON cell (day);",
    """
    CREATE TABLE discovered (
        target TEXT NOT NULL, filter TEXT NOT NULL, place INTEGER NOT NULL,
        value TEXT NOT NULL, first_seen REAL NOT NULL,
        PRIMARY KEY (target, filter, place)
    ) WITHOUT ROWID;
    """,
    "CREATE TABLE account (target TEXT PRIMARY KEY, account TEXT NOT NULL) WITHOUT ROWID;",
)
"""Every change of the schema, in order; the file records which it has."""


class StateError(Exception):
    """The state file cannot be used, and guessing would lose what is in it; the text is for the operator."""


class StateFile:
    """The open file of one process."""

    def __init__(self, path: Path, store: Store, clock: Clock, catalogue: Catalogue | None = None) -> None:
        self.path = path
        self.writable = True
        self._store = store
        self._catalogue = catalogue or Catalogue()
        self._clock = clock
        self._log = structlog.get_logger().bind(state_file=str(path))
        self._database: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open or make the file and fill the store and the catalogue from it.

        Raise StateError where another process has it or a newer version wrote it. A damaged file is set aside
        under another name; one that cannot be written is read as far as it goes.
        """
        try:
            self._database = self._connect()
            self._load(self._database)
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise StateError(f"state_file: {self.path} is used by another process; give each its own") from None
            self._cannot_write(error)
            self._load_read_only()
        except sqlite3.DatabaseError as error:
            self._set_aside(error)
            self._database = self._connect()

    async def run(self) -> None:
        """Write what has changed, until cancelled."""
        while True:
            await self._clock.sleep(EVERY if self.writable else AGAIN)
            await self.save()

    async def save(self) -> None:
        """Write what has changed since the last time. What cannot be written is kept for the next."""
        lists = self._catalogue.take_changes()
        if lists and not await asyncio.to_thread(self._write, lambda database: _write_lists(database, lists)):
            self._catalogue.changed |= lists.keys()
            return
        store = self._store
        forgotten, claimed = store.forgotten, {target: store.accounts[target] for target in store.claimed}
        if forgotten or claimed:
            store.forgotten, store.claimed = set(), set()
            if not await asyncio.to_thread(self._write, partial(_forget, keys=forgotten, accounts=claimed)):
                store.forgotten |= forgotten
                store.claimed |= claimed.keys()
                return
        changes = list(self._store.take_changes().items())
        for start in range(0, len(changes), BATCH):
            batch = changes[start : start + BATCH]
            # Taken here, on the loop: counters and cells of one moment.
            lines = [self._line(key, days) for key, days in batch]
            decreases = list(self._store.decreases.items())
            if not await asyncio.to_thread(self._write, partial(_write_records, lines=lines, decreases=decreases)):
                for key, days in changes[start:]:
                    self._store.changed.setdefault(key, set()).update(days)
                return

    def close(self) -> None:
        """Let go of the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("PRAGMA foreign_keys = ON")
            database.execute("BEGIN IMMEDIATE")
            self._migrate(database)
            self._forget_old(database)
            database.execute("COMMIT")
        except (sqlite3.Error, StateError):
            database.close()
            raise
        return database

    def _migrate(self, database: sqlite3.Connection) -> None:
        database.execute("CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, applied_at REAL NOT NULL)")
        (done,) = database.execute("SELECT coalesce(max(number), 0) FROM migration").fetchone()
        if done > len(MIGRATIONS):
            raise StateError(
                f"state_file: {self.path} was written by a newer version (schema {done}, this one knows "
                f"{len(MIGRATIONS)}); run that version, or name another file"
            )
        for number, script in enumerate(MIGRATIONS[done:], done + 1):
            for statement in filter(str.strip, script.split(";")):
                database.execute(statement)
            database.execute("INSERT INTO migration VALUES (?, ?)", (number, self._clock.time()))

    def _forget_old(self, database: sqlite3.Connection) -> None:
        """Delete what is of no use to any target, whether or not the config still has it."""
        oldest = self._clock.time() - (KEEP_DAYS + 2) * DAY
        database.execute("DELETE FROM cell WHERE day < ?", (datetime.fromtimestamp(oldest, UTC).date().isoformat(),))
        without_cells = "id NOT IN (SELECT combination FROM cell)"
        database.execute(
            f"DELETE FROM combination WHERE coalesce(last_success_at, 0) < ? AND {without_cells}", (oldest,)
        )

    def _load(self, database: sqlite3.Connection) -> None:
        keys: dict[int, Key] = {}
        for number, target, *rest in database.execute(_GET_COMBINATIONS):
            key = (target, Filters(*rest[:6]))
            keys[number] = key
            first_read_at, last_success_at = rest[6:8]
            self._store.restore(key, Record({}, Totals(*rest[8:]), first_read_at, last_success_at))
        for number, day, read_at, has_rates, *rest in database.execute(_GET_CELLS):
            rates = RateSums(*rest[5:]) if has_rates else None
            self._store.get(keys[number]).cells[date.fromisoformat(day)] = Cell(Totals(*rest[:5]), rates, read_at)
        self._store.decreases.update(dict(database.execute("SELECT target, count FROM decreases")))
        # A file that may only be read may be of an older schema.
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if "discovered" in tables:
            self._catalogue.restore(database.execute(_GET_DISCOVERED))
        if "account" in tables:
            self._store.accounts.update(dict(database.execute("SELECT target, account FROM account")))

    def _load_read_only(self) -> None:
        try:
            database = sqlite3.connect(f"file:{self.path}?mode=ro&immutable=1", uri=True)
            try:
                self._load(database)
            finally:
                database.close()
        except sqlite3.Error:
            self._log.warning("state file cannot be read either; starting with nothing known")

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
        self.path.rename(aside)
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        self._log.error(
            "state file is damaged; it is set aside, starting with nothing known", aside=str(aside), error=str(error)
        )

    def _line(self, key: Key, days: Iterable[date]) -> "_Line":
        record = self._store.get(key)
        target, filters = key
        values = (target, *filters, record.first_read_at, record.last_success_at, *record.observed)
        return values, [(day.isoformat(), record.cells.get(day)) for day in days]

    def _write(self, write: Callable[[sqlite3.Connection], None]) -> bool:
        """Write in one transaction; return whether that worked."""
        try:
            if self._database is None:
                self._database = self._connect()
            database = self._database
            database.execute("BEGIN IMMEDIATE")
            try:
                write(database)
                database.execute("COMMIT")
            except sqlite3.Error:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            self._cannot_write(error)
            return False
        if not self.writable:
            self.writable = True
            self._log.info("state file can be written again")
        return True

    def _cannot_write(self, error: sqlite3.Error) -> None:
        if self.writable:
            self._log.error("state file cannot be written; everything is kept in memory meanwhile", error=str(error))
        self.writable = False


_Line = tuple[tuple[object, ...], list[tuple[str, Cell | None]]]
"""A combination's row, and the days of it that changed; None for one that is forgotten."""


def _write_records(database: sqlite3.Connection, lines: Iterable[_Line], decreases: list[tuple[str, int]]) -> None:
    for values, cells in lines:
        _write_record(database, values, cells)
    database.executemany(
        "INSERT INTO decreases VALUES (?, ?) ON CONFLICT DO UPDATE SET count = excluded.count", decreases
    )


def _forget(database: sqlite3.Connection, keys: Iterable[Key], accounts: Mapping[str, str]) -> None:
    """Delete combinations, and note in the same breath whose numbers the targets have."""
    database.executemany(_FORGET, ((target, *filters) for target, filters in keys))
    database.executemany("INSERT OR REPLACE INTO account VALUES (?, ?)", accounts.items())


def _write_lists(database: sqlite3.Connection, lists: Mapping[Place, Mapping[str, float]]) -> None:
    for place, values in lists.items():
        database.execute("DELETE FROM discovered WHERE target = ? AND filter = ?", place)
        rows = ((*place, number, value, first_seen) for number, (value, first_seen) in enumerate(values.items()))
        database.executemany("INSERT INTO discovered VALUES (?, ?, ?, ?, ?)", rows)


def _write_record(
    database: sqlite3.Connection, values: tuple[object, ...], cells: Iterable[tuple[str, Cell | None]]
) -> None:
    (number,) = database.execute(_PUT_COMBINATION, values).fetchone()
    for day, cell in cells:
        if cell is None:
            database.execute("DELETE FROM cell WHERE combination = ? AND day = ?", (number, day))
        else:
            rates = cell.rates or (None,) * len(RateSums._fields)
            has_rates = cell.rates is not None
            database.execute(_PUT_CELL, (number, day, cell.read_at, has_rates, *cell.totals, *rates))
