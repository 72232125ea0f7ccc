"""The state file as its own thread has it: opened, read, followed, written and closed.

Every method of OpenFile runs in that thread, and nothing else knows its state.
"""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from exporter.store.database import Connect, Damaged, Database, Identity, NoAccess, Seal, set_aside
from exporter.store.encoding import Contents
from exporter.store.pending_writes import Batch


class OpenFile:
    """A state file, while it is open and between."""

    def __init__(self, path: Path, connect: Connect, log: FilteringBoundLogger) -> None:
        self._path = path
        self._connect = connect
        self._log = log
        self._database: Database | None = None
        self._seal: Seal | None = None
        """Of the content that was last read or written."""
        self._outdated: Identity | None = None
        """The file of an older schema that was read, until it is written anew."""

    def read(self) -> tuple[Contents, bool]:
        """Open the file; return what it says, and whether all of it must be written again: it is new, or older.

        Raise Damaged, NoAccess and StateError.
        """
        self._database = Database(self._path, self._connect)
        return self._load(self._database), self._seal is None

    def read_only(self) -> Contents:
        """Return what a file says that cannot be written, nothing where it cannot be read either."""
        self.close()
        try:
            with closing(Database(self._path, self._connect, read_only=True)) as database:
                return self._load(database)
        except (Damaged, NoAccess) as error:
            if self._path.exists():
                self._log.warning("state file read failed; starting without data", error=str(error))
            return Contents()

    def follow_path(self) -> bool:
        """Have the file open that the path names; return whether it is another one than was written last.

        A replacement by another program is set aside, and a new one begun. Raise Damaged, NoAccess and StateError.
        """
        if self._database is not None and self._database.is_in_place():
            return False
        was_open = self._database is not None
        self.close()
        self._database = Database(self._path, self._connect)
        self._database.load()
        if self._seal is not None and self._database.seal == self._seal:
            return False
        if self._outdated is not None and self._database.identity == self._outdated:
            return True
        aside = None
        if not self._database.is_new:
            self.close()
            aside = self._set_replacement_aside()
            self._database = Database(self._path, self._connect)
        if was_open or aside:
            self._log.warning("state file removed or replaced; writing it again in full", set_aside=aside)
        return True

    def write(self, batch: Batch) -> None:
        """Write what has changed. Raise Damaged, NoAccess and StateError."""
        assert self._database is not None
        self._database.write(batch.rows())
        self._seal = self._database.seal

    def rewrite(self, batches: Iterable[Batch]) -> None:
        """Write everything in place of what is there. Raise as `write` does."""
        assert self._database is not None
        self._database.rewrite(row for batch in batches for row in batch.rows())
        self._seal, self._outdated = self._database.seal, None

    def set_aside(self) -> Path:
        """Close the file, which is damaged, and rename it; return its new name. Raise OSError."""
        self.close()
        self._seal = None
        return set_aside(self._path, "damaged")

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _load(self, database: Database) -> Contents:
        """Return what a file says, and remember which it was."""
        contents = database.load()
        self._seal = database.seal
        self._outdated = database.identity if self._seal is None else None
        return contents

    def _set_replacement_aside(self) -> str:
        try:
            return str(set_aside(self._path, "replaced"))
        except OSError as error:
            raise NoAccess(f"another file is in its place, and cannot be renamed: {error.strerror}") from None
