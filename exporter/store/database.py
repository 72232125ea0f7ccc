"""The SQLite file: rows with checksums under a seal, each write one transaction that is on disk when it returns.

A database belongs to the thread that opened it. Between two writes everything is in the one file: the rollback journal
is empty, so nothing but the file can be lost or damaged, and a kill at any moment leaves the last whole write. Each
row has a CRC-32, and the seal says how many rows there are and what their checksums add up to: a row that is missing
or older than the others is detected.
"""

import sqlite3
import stat
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

from exporter.store import old_schemas
from exporter.store.encoding import Contents, StateRow, decode

APPLICATION_ID = 0x646D6578
"""Distinguishes a state file from other programs' databases since schema 5: "dmex"."""
SCHEMA = 6
"""The schema that is written. Every one before it is read; 5 has the same tables, and records of engagement only."""
JOURNALS = ("-journal", "-wal", "-shm")
"""Behind the file's name; the last two were left by schemas before 5."""
_OWN_TABLES = {"migration", "entry", *old_schemas.TABLES}
_IN_USE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_NO_ACCESS = {
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_CREATE = (
    "CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, applied_at REAL NOT NULL)",
    # The checksum comes before the body, which may reach over several pages.
    """CREATE TABLE IF NOT EXISTS entry (
        kind TEXT NOT NULL, key TEXT NOT NULL, crc INTEGER NOT NULL, body TEXT NOT NULL, UNIQUE (kind, key)
    )""",
    "DELETE FROM entry",
    f"PRAGMA application_id = {APPLICATION_ID}",
)
_GET = "SELECT crc FROM entry WHERE kind = ? AND key = ?"
_PUT = (
    "INSERT INTO entry (kind, key, crc, body) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (kind, key) DO UPDATE SET crc = excluded.crc, body = excluded.body"
)
_DELETE = "DELETE FROM entry WHERE kind = ? AND key = ?"
_SEAL = "seal"

Connect = Callable[..., sqlite3.Connection]
"""`sqlite3.connect`, or a replacement."""


Identity = tuple[int, ...]
"""The identity of a file, and its length."""


class StateError(Exception):
    """The state file cannot be used without losing data; the text is for the operator."""


class NoAccess(Exception):
    """The file cannot be reached, read or written now."""


class Damaged(Exception):
    """The content of the file is damaged."""


class Seal(NamedTuple):
    """What identifies the content of a file."""

    rows: int
    checksums: int
    """Added up."""


class Database:
    """An open file."""

    def __init__(
        self, path: Path, connect: Connect = sqlite3.connect, *, read_only: bool = False, locks: bool = True
    ) -> None:
        """Open the file, or make an empty one; it is locked until closed.

        One that is read without locks may be in the middle of a write, which its seal then shows.
        Raise StateError for a file that another process has, that is another program's, or that is not a regular file;
        NoAccess and Damaged.
        """
        self._path = path
        self.identity: Identity | None = None
        """Which file was opened, and how long it was left."""
        self.seal: Seal | None = None
        """None for a file that was not written in today's schema yet."""
        with _translated(path):
            _check_kind(path)
            address = f"{path.absolute().as_uri()}?mode={_read_only_mode(path, locks=locks) if read_only else 'rwc'}"
            self._connection = connect(address, uri=True, timeout=0, isolation_level=None)
            try:
                if not read_only:
                    self._execute("PRAGMA locking_mode = EXCLUSIVE")
                    self._execute("BEGIN EXCLUSIVE")
                    self._execute("COMMIT")  # the lock stays
                self._tables = self._own_tables()
                if not read_only:
                    self._execute("PRAGMA journal_mode = DELETE")
                    self._execute("PRAGMA synchronous = FULL")
                self.identity = self._stat()
            except BaseException:
                self._connection.close()
                raise

    def load(self) -> Contents:
        """Return the content of the file. Raise Damaged for any doubt, StateError for a newer schema."""
        with _translated(self._path):
            if not self._execute("PRAGMA page_count").fetchone()[0]:
                return Contents()
            damage = self._execute("PRAGMA integrity_check(1)").fetchone()[0]
            if damage != "ok":
                raise Damaged(damage)
            if not self._tables:
                return Contents()
            schema = self._schema()
            if schema > SCHEMA:
                raise StateError(
                    f"state_file: {self._path} was written by a newer version (schema {schema}, this version "
                    f"reads up to {SCHEMA}); run that version, or write another file"
                )
            try:
                if schema <= old_schemas.NEWEST:
                    return old_schemas.read(self._connection, self._tables)
                contents = decode(self._checked())
            except (ValueError, MemoryError) as error:
                raise Damaged(str(error)) from None
            if schema < SCHEMA:
                self.seal = None
            return contents

    def write(self, rows: Iterable[StateRow]) -> None:
        """Write rows, all or none. Raise NoAccess, Damaged and StateError."""
        assert self.seal is not None
        with self._transaction():
            seal = self._put(rows, self.seal)
        self.seal = seal

    def rewrite(self, rows: Iterable[StateRow]) -> None:
        """Write rows in place of everything that is there, in today's schema. Raise as `write` does."""
        with self._transaction():
            for table in sorted(self._tables & set(old_schemas.TABLES)):
                self._execute(f"DROP TABLE {table}")
            for statement in _CREATE:
                self._execute(statement)
            self._connection.executemany(
                "INSERT OR IGNORE INTO migration VALUES (?, ?)",
                [(number, time.time()) for number in range(1, SCHEMA + 1)],
            )
            seal = self._put(rows, Seal(0, 0))
        self.seal = seal
        self._tables = {"migration", "entry"}

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever written to the file."""
        return not self._tables

    def is_in_place(self) -> bool:
        """Return whether the file is still the one that its path names, and as long as it was left."""
        return self._stat() == self.identity

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)

    def _own_tables(self) -> set[str]:
        """Return the names of the file's tables. Raise StateError where they are another program's."""
        (application,) = self._execute("PRAGMA application_id").fetchone()
        try:
            tables = {name for (name,) in self._execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except sqlite3.DatabaseError:
            if application not in (0, APPLICATION_ID):
                raise StateError(_foreign(self._path)) from None
            raise
        is_ours = len(tables & _OWN_TABLES) > 1
        if application == APPLICATION_ID and not is_ours:
            raise Damaged("its tables are missing")
        if not is_ours and (tables or application):
            raise StateError(_foreign(self._path))
        if application not in (0, APPLICATION_ID):
            raise Damaged("the application id is wrong")
        return tables

    def _schema(self) -> int:
        numbers = [number for (number,) in self._execute("SELECT number FROM migration ORDER BY number")]
        if numbers != list(range(1, len(numbers) + 1)) or not numbers:
            raise Damaged(f"unknown schema {numbers}")
        return len(numbers)

    def _checked(self) -> Iterator[tuple[str, str, str]]:
        """Yield the rows, and check them against the seal at the end."""
        found, sealed = Seal(0, 0), None
        for kind, key, crc, body in self._execute("SELECT kind, key, crc, body FROM entry ORDER BY rowid"):
            if crc != _checksum(kind, key, body):
                raise Damaged(f"checksum of {kind} {key}")
            if kind == _SEAL:
                sealed = body
            else:
                found = Seal(found.rows + 1, found.checksums + crc)
                yield kind, key, body
        if sealed != _sealed(found):
            raise Damaged(f"the seal is {sealed}, the rows are {_sealed(found)}")
        self.seal = found

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _translated(self._path):
            self._execute("BEGIN IMMEDIATE")
            try:
                yield
                self._execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    if self._connection.in_transaction:
                        self._execute("ROLLBACK")
                raise
            found = self._stat()
            if found is not None and self.identity is not None and found[:-1] == self.identity[:-1]:
                self.identity = found  # another length; else the path names another file by now, or none

    def _put(self, rows: Iterable[StateRow], seal: Seal) -> Seal:
        """Put rows and the seal; return that."""
        for kind, key, body in rows:
            before = self._execute(_GET, (kind, key)).fetchone()
            if before is not None:
                seal = Seal(seal.rows - 1, seal.checksums - before[0])
            if body is not None:
                crc = _checksum(kind, key, body)
                seal = Seal(seal.rows + 1, seal.checksums + crc)
                self._execute(_PUT, (kind, key, crc, body))
            elif before is not None:
                self._execute(_DELETE, (kind, key))
        self._execute(_PUT, (_SEAL, "", _checksum(_SEAL, "", _sealed(seal)), _sealed(seal)))
        return seal

    def _stat(self) -> Identity | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size


def set_aside(path: Path, why: str) -> Path:
    """Rename the file and its journals to names with `why` and the time; return the file's. Raise OSError."""
    start = f"{path.name}.{why}-{time.strftime('%Y%m%dT%H%M%S')}"
    names = (path.with_name(f"{start}-{number}" if number else start) for number in count())
    aside = next(name for name in names if not name.exists())
    for suffix in JOURNALS:  # before the file: a new one would use them as its own
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    path.rename(aside)
    return aside


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Translate errors of a file to NoAccess, Damaged or StateError."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code in _IN_USE:
            text = f"state_file: {path} is in use by another process; stop it, or write a different file"
            raise StateError(text) from None
        raise (NoAccess if code in _NO_ACCESS else Damaged)(str(error)) from None
    except OSError as error:
        raise NoAccess(error.strerror or str(error)) from None


def _check_kind(path: Path) -> None:
    """Raise StateError where there is something that is not a regular file; SQLite would wait for a FIFO."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "not a regular file")
        raise StateError(f"state_file: {path} is {kind}; write a regular file, or one that does not exist yet")


def is_being_written(path: Path) -> bool:
    """Return whether a journal has a part of what the file says. Raise OSError.

    SQLite leaves the rollback journal in its place while the file is locked, and zeroes its header when a write ends.
    """
    journal, *logs = (path.with_name(path.name + suffix) for suffix in JOURNALS)
    if journal.exists():
        with journal.open("rb") as file:
            if file.read(1) not in (b"", b"\0"):
                return True
    return any(log.exists() and log.stat().st_size for log in logs)


def _read_only_mode(path: Path, *, locks: bool) -> str:
    """Return SQLite's way to read a file that cannot be written: as it is, unless a journal has a part of it."""
    return "ro" if locks and is_being_written(path) else "ro&immutable=1"


def _foreign(path: Path) -> str:
    return f"state_file: {path} is a database of another program; write another file"


def _checksum(kind: str, key: str, body: str) -> int:
    return zlib.crc32(f"{kind}\0{key}\0{body}".encode())


def _sealed(seal: Seal) -> str:
    return f"{seal.rows} {seal.checksums}"
