"""The file itself: whose it is, whether it is whole, and what a write leaves."""

import os
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.store.database import SCHEMA, Damaged, Database, NoAccess, StateError, set_aside
from exporter.store.encoding import StateRow, account_row, decreases_row
from tests.support.states import read_only

ROWS = [account_row("shop", "us-east-1 UTC"), decreases_row("shop", 3)]


def written(path: Path) -> Path:
    """Write a small file."""
    database = Database(path)
    database.rewrite(ROWS)
    database.close()
    return path


def content(path: Path) -> dict[str, int]:
    """Return the counts that went down, as a file has them."""
    database = Database(path)
    try:
        return database.load().decreases
    finally:
        database.close()


class TestAWrite:
    def test_is_there_when_the_file_is_opened_again(self, tmp_path: Path) -> None:
        path = written(tmp_path / "state.db")
        database = Database(path)
        database.load()
        database.write([decreases_row("shop", 4), decreases_row("other", 1)])
        database.close()
        assert content(path) == {"shop": 4, "other": 1}

    def test_takes_out_rows_without_a_body(self, tmp_path: Path) -> None:
        path = written(tmp_path / "state.db")
        database = Database(path)
        database.load()
        database.write([StateRow("decreases", '["shop"]', None), StateRow("decreases", '["never"]', None)])
        database.close()
        assert content(path) == {}

    def test_that_fails_in_the_middle_leaves_the_file_as_it_was(self, tmp_path: Path) -> None:
        def rows() -> Iterator[StateRow]:
            yield decreases_row("shop", 9)
            raise ZeroDivisionError

        path = written(tmp_path / "state.db")
        database = Database(path)
        database.load()
        with pytest.raises(ZeroDivisionError):
            database.write(rows())
        database.write([decreases_row("other", 1)])
        database.close()
        assert content(path) == {"shop": 3, "other": 1}

    def test_is_in_the_one_file_when_it_returns(self, tmp_path: Path) -> None:
        """A copy of that file alone, as a kill and a lost journal would leave it, has everything."""
        path = written(tmp_path / "state.db")
        database = Database(path)
        database.load()
        database.write([decreases_row("shop", 4)])
        subprocess.run(["cp", path, path.with_name("copy.db")], check=True)  # reading it here would lose the lock
        database.close()
        assert content(path.with_name("copy.db")) == {"shop": 4}
        assert sorted(each.name for each in tmp_path.iterdir()) == ["copy.db", "state.db"]


def test_two_cannot_have_one_file(tmp_path: Path) -> None:
    path = written(tmp_path / "state.db")
    first = Database(path)
    with pytest.raises(StateError, match="in use by another process; stop it, or write a different file"):
        Database(path)
    first.close()
    Database(path).close()


def test_a_full_disk_is_no_damage(tmp_path: Path) -> None:
    path = written(tmp_path / "state.db")
    for database in (Database(path, read_only), Database(path, read_only=True)):
        assert database.load().decreases == {"shop": 3}
        with pytest.raises(NoAccess, match="readonly"):
            database.write(ROWS)
        database.close()


@pytest.mark.parametrize("name", ["a?mode=memory.db", "a#b.db", "100%25.db", "a b\u00e4.db"])
def test_a_name_is_used_as_it_is(name: str, tmp_path: Path) -> None:
    assert content(written(tmp_path / name)) == {"shop": 3}
    assert [each.name for each in tmp_path.iterdir()] == [name]


class TestWhatIsNoStateFile:
    """It is rejected with its place, and nothing in it is changed."""

    def test_a_database_of_another_program(self, tmp_path: Path) -> None:
        path = tmp_path / "browser.db"
        database = sqlite3.connect(path)
        database.executescript("CREATE TABLE cookies (name TEXT); INSERT INTO cookies VALUES ('a')")
        database.close()
        before = path.read_bytes()
        with pytest.raises(StateError, match=f"^state_file: {path} is a database of another program; write another"):
            Database(path)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("script", ["", "CREATE TABLE t (a)", "CREATE TABLE cell (a)"])
    def test_a_database_with_another_application_id(self, script: str, tmp_path: Path) -> None:
        path = tmp_path / "other.db"
        database = sqlite3.connect(path)
        database.executescript(f"PRAGMA application_id = 7; {script}")
        database.close()
        with pytest.raises(StateError, match="another program"):
            Database(path)

    def test_a_database_with_another_application_id_that_is_damaged_too(self, tmp_path: Path) -> None:
        path = tmp_path / "other.db"
        database = sqlite3.connect(path)
        database.executescript("PRAGMA application_id = 7; CREATE TABLE t (a)")
        database.close()
        before = bytearray(path.read_bytes())
        before[100:108] = os.urandom(8)
        path.write_bytes(before)
        with pytest.raises(StateError, match="another program"):
            Database(path)

    def test_a_file_of_a_newer_version(self, tmp_path: Path) -> None:
        path = written(tmp_path / "state.db")
        database = sqlite3.connect(path)
        database.execute("INSERT INTO migration VALUES (?, 0)", (SCHEMA + 1,))
        database.commit()
        database.close()
        opened_file = Database(path)
        with pytest.raises(StateError, match=f"written by a newer version \\(schema {SCHEMA + 1}, this version reads"):
            opened_file.load()
        opened_file.close()

    @pytest.mark.parametrize(
        ("make", "kind"),
        [
            pytest.param(os.mkfifo, "a FIFO", id="fifo"),
            pytest.param(os.mkdir, "a directory", id="directory"),
            pytest.param(lambda path: path.symlink_to("/dev/null"), "a device", id="device"),
            pytest.param(lambda path: socket.socket(socket.AF_UNIX).bind(str(path)), "a socket", id="socket"),
        ],
    )
    @pytest.mark.filterwarnings("ignore::ResourceWarning")
    def test_what_is_no_regular_file(self, make: Callable[[Path], None], kind: str) -> None:
        with tempfile.TemporaryDirectory() as folder:  # a socket's path is to be short
            path = Path(folder) / "state.db"
            make(path)
            with pytest.raises(StateError, match=f"^state_file: {path} is {kind}; write a regular file"):
                Database(path)


class TestWhatIsSetAside:
    def test_it_keeps_its_journal(self, tmp_path: Path) -> None:
        path = written(tmp_path / "state.db")
        path.with_name("state.db-journal").write_bytes(b"journal")
        aside = set_aside(path, "damaged")
        assert aside.with_name(f"{aside.name}-journal").read_bytes() == b"journal"
        assert len(list(tmp_path.iterdir())) == 2

    def test_two_in_one_second_have_two_names(self, tmp_path: Path) -> None:
        names = {set_aside(written(tmp_path / "state.db"), "damaged") for _ in range(3)}
        assert len(names) == 3
        assert {content(name)["shop"] for name in names} == {3}


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param("DELETE FROM entry WHERE kind = 'account'", id="a-row-less"),
        pytest.param("DELETE FROM entry WHERE kind = 'seal'", id="no-seal"),
        pytest.param("DELETE FROM entry", id="nothing"),
        pytest.param("UPDATE entry SET body = '4' WHERE kind = 'decreases'", id="another-number"),
        pytest.param("UPDATE entry SET key = '[\"fair\"]' WHERE kind = 'decreases'", id="of-another-target"),
        pytest.param("UPDATE entry SET body = x'33' WHERE kind = 'decreases'", id="bytes"),
        pytest.param("UPDATE entry SET body = CAST(x'ff' AS TEXT) WHERE kind = 'decreases'", id="broken-unicode"),
        pytest.param("UPDATE entry SET crc = 'none' WHERE kind = 'decreases'", id="no-checksum"),
        pytest.param("INSERT INTO entry SELECT 'decreases', '[\"x\"]', crc, body FROM entry LIMIT 1", id="one-more"),
        pytest.param("DROP TABLE entry", id="no-table"),
        pytest.param("PRAGMA application_id = 5", id="another-id"),
        pytest.param("UPDATE migration SET number = 69 WHERE number = 5", id="a-schema-out-of-order"),
    ],
)
def test_any_doubt_is_damage(wrong: str, tmp_path: Path) -> None:
    path = written(tmp_path / "state.db")
    database = sqlite3.connect(path)
    database.execute(wrong)
    database.commit()
    database.close()
    with pytest.raises(Damaged):
        content(path)


def test_an_older_row_among_newer_ones_is_damage(tmp_path: Path) -> None:
    """Its checksum is right; only the seal tells."""
    path = written(tmp_path / "state.db")
    database = sqlite3.connect(path)
    old = database.execute("SELECT crc, body FROM entry WHERE kind = 'decreases'").fetchone()
    database.close()
    file = Database(path)
    file.load()
    file.write([decreases_row("shop", 4)])
    file.close()
    database = sqlite3.connect(path)
    database.execute("UPDATE entry SET crc = ?, body = ? WHERE kind = 'decreases'", old)
    database.commit()
    database.close()
    with pytest.raises(Damaged, match="the seal is"):
        content(path)
