"""A state file read beside its writer: what it says, without a lock and without a change."""

import asyncio
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from exporter.store import snapshot
from exporter.store.memory import Store
from tests.support.states import KEY, OTHER, known, reread, same, saved

WRITER = """
import asyncio, sys
from pathlib import Path
from exporter.store.memory import Cell
from tests.support.states import DAY, KEY, known, opened
from exporter.directmail.statistics.engagement import Engagement

async def main():
    store = known()
    file = await opened(Path(sys.argv[1]), store)
    print("open", flush=True)
    number = 0
    while True:
        number += 1
        store.put(KEY, DAY, Cell(Engagement(1000 + number, 60, 45, 9, 5), None, 2000.0 + number), day_start=0.0)
        await file.save()
        if not file.writable:
            print("not writable", flush=True)
        await asyncio.sleep(0)

asyncio.run(main())
"""


async def test_what_was_saved_is_read(tmp_path: Path) -> None:
    path, store = tmp_path / "state.db", known()
    await saved(path, store)
    contents = await snapshot.read(path)
    copy = Store()
    for key, record in contents.records.items():
        copy.restore(key, record)
    assert same(copy, store)


async def test_without_a_file_nothing_is_read_and_none_is_made(tmp_path: Path) -> None:
    assert not (await snapshot.read(tmp_path / "state.db")).records
    assert not list(tmp_path.iterdir())


async def test_a_file_is_read_whole_while_a_process_writes_it_which_notices_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    writer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WRITER, str(path)), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert writer.stdout is not None
    try:
        assert await writer.stdout.readline() == b"open\n"
        seen = []
        for _ in range(20):
            contents = await snapshot.read(path)
            assert contents.records.keys() == {KEY, OTHER}
            seen.append(max(cell.totals[0] for cell in contents.records[KEY].cells.values()))
        assert writer.returncode is None
    finally:
        if writer.returncode is None:
            writer.kill()
        await writer.wait()
    assert await writer.stdout.read() == b""
    assert seen == sorted(seen)
    assert (await reread(path)).get(KEY).cells


@pytest.mark.parametrize("suffix", ["-journal", "-wal"])
async def test_a_write_that_never_ended_is_left_to_the_exporter(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "PAUSE", 0.0)
    path = tmp_path / "state.db"
    await saved(path, known())
    journal = path.with_name(path.name + suffix)
    journal.write_bytes(b"half")
    with pytest.raises(snapshot.Unreadable, match="a write has begun and not ended"):
        await snapshot.read(path)
    assert journal.read_bytes() == b"half"


async def test_a_damaged_file_is_left_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "PAUSE", 0.0)
    path = tmp_path / "state.db"
    await saved(path, known())
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM entry WHERE rowid = 1")
    before = path.read_bytes()
    with pytest.raises(snapshot.Unreadable, match="the seal is"):
        await snapshot.read(path)
    assert [each.name for each in tmp_path.iterdir()] == ["state.db"]
    assert path.read_bytes() == before


async def test_what_is_not_a_state_file_is_reported(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE users (name TEXT)")
    with pytest.raises(snapshot.Unreadable, match="is a database of another program"):
        await snapshot.read(tmp_path / "other.db")
    with pytest.raises(snapshot.Unreadable, match="is a directory"):
        await snapshot.read(tmp_path)


async def test_a_path_that_the_system_rejects_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(snapshot.Unreadable) as raised:
        await snapshot.read(tmp_path / ("x" * 300))
    assert str(raised.value) == "File name too long"
