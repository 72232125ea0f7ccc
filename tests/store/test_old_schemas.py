"""State files of earlier versions: nothing in them is lost, and nothing wrong in them is believed."""

import sqlite3
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.directmail.model import Filters
from exporter.directmail.statistics.delivery import Delivery
from exporter.directmail.statistics.engagement import Engagement
from exporter.store.database import SCHEMA
from exporter.store.discovered_values import DiscoveredValues
from exporter.store.memory import Cell, Store
from tests.support.states import DAY, KEY, full_disk, known, opened, read_only, reread, same

HERE = Path(__file__).parent
ALL = [1, 2, 3, 4, 5]
"""Schemas of earlier versions."""


def old_file(path: Path, schema: int = 4, also: str = "") -> Path:
    """Write a file as an earlier version left it, closed in good order; up to schema 4 in write-ahead mode."""
    script = (HERE / f"old_schema_{max(schema, 4)}.sql").read_text().split(f"-- {schema + 1}\n")[0]
    database = sqlite3.connect(path)
    if schema <= 4:
        database.execute("PRAGMA journal_mode = WAL")
    database.executescript(script + also)
    database.close()
    return path


def expected(schema: int = 4) -> Store:
    """Return what the file says; up to schema 4 it knows nothing of the highest counts that there were."""
    store = known()
    if schema <= 4:
        record = store.get(KEY)
        cell = record.cells[DAY]
        record.cells[DAY] = Cell(cell.totals, cell.rates, cell.read_at)
    return store


@pytest.mark.parametrize("schema", ALL)
async def test_nothing_is_lost(schema: int, tmp_path: Path) -> None:
    path = old_file(tmp_path / "state.db", schema)
    for _ in range(2):  # migrated, and then as any file of today
        discovered = DiscoveredValues()
        store = await reread(path, discovered)
        assert same(store, expected(schema))
        assert {key[1] for key in tuple(store.keys())} == {"engagement"}
        assert store.decreases == {"shop": 1}
        if schema >= 3:
            assert list(discovered.get("shop", "tag_name").values.items()) == [("z", 1000.0), ("a", 1000.5)]
        assert store.accounts == ({"shop": "us-east-1 UTC"} if schema >= 4 else {})
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("schema", ALL)
async def test_its_counters_are_shown_at_once_and_count_on(schema: int, tmp_path: Path) -> None:
    store = Store()
    file = await opened(old_file(tmp_path / "state.db", schema), store)
    assert store.get(KEY).observed == (11, 11, 6, 0, 0)
    store.put(KEY, DAY, Cell(Engagement(111, 62, 48, 10, 5), None, 1500.0), day_start=0.0)
    await file.save()
    clicks = 0 if schema == 5 else 1  # it knows that there were as many before
    assert store.get(KEY).observed == (12, 13, 9, clicks, 0)
    await file.close()


@pytest.mark.parametrize("schema", ALL)
async def test_a_statistic_that_is_new_to_it_is_kept_beside_what_it_has(schema: int, tmp_path: Path) -> None:
    path, store = old_file(tmp_path / "state.db", schema), Store()
    file = await opened(path, store)
    key = ("shop", "delivery", Filters(domain="example.com"))
    store.put(key, DAY, Cell(Delivery(90, 80, 6, 4), None, 1500.0), day_start=0.0)
    await file.close()
    after, before = await reread(path), expected(schema)
    assert set(after.keys()) == {*before.keys(), key}
    assert same(after, store)
    assert all(after.get(each).cells == before.get(each).cells for each in tuple(before.keys()))


@pytest.mark.parametrize("schema", ALL)
async def test_after_migration_earlier_versions_see_a_newer_schema(schema: int, tmp_path: Path) -> None:
    path = old_file(tmp_path / "state.db", schema)
    await reread(path)
    database = sqlite3.connect(path)
    (newest,) = database.execute("SELECT max(number) FROM migration").fetchone()
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    database.close()
    assert (newest, tables) == (SCHEMA, {"migration", "entry"})


@pytest.mark.parametrize("schema", ALL)
async def test_one_that_may_only_be_read_is_read(schema: int, tmp_path: Path) -> None:
    path, store = old_file(tmp_path / "state.db", schema), Store()
    before = path.read_bytes()
    with capture_logs():
        file = await opened(path, store, connect=read_only)
        await file.close()
    assert same(store, expected(schema))
    assert path.read_bytes() == before


@pytest.mark.parametrize("schema", ALL)
async def test_on_a_full_disk_it_stays_as_it_is_until_it_can_be_migrated(schema: int, tmp_path: Path) -> None:
    path, store = old_file(tmp_path / "state.db", schema), Store()
    before = path.read_bytes()
    with full_disk(), capture_logs() as lines:
        file = await opened(path, store)
        await file.save()
        assert not file.writable
    assert path.read_bytes() == before
    with capture_logs() as again:
        await file.close()
    assert [line["event"] for line in (*lines, *again) if line["event"] != "state file read"] == [
        "state file write failing; continuing in memory and holding counters back",
        "state file write recovered",
    ]
    assert list(tmp_path.iterdir()) == [path]
    assert same(await reread(path), expected(schema))


async def test_one_that_was_not_closed_is_read_with_its_write_ahead_log(tmp_path: Path) -> None:
    """As after a kill: the last transactions are in the log only."""
    made = old_file(tmp_path / "made.db")
    database = sqlite3.connect(made)
    database.execute("INSERT INTO account VALUES ('other', 'eu-central-1 UTC')")
    database.commit()
    path = tmp_path / "state.db"
    for suffix in ("", "-wal"):
        path.with_name(path.name + suffix).write_bytes(made.with_name(made.name + suffix).read_bytes())
    database.close()
    assert (await reread(path)).accounts == {"shop": "us-east-1 UTC", "other": "eu-central-1 UTC"}


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param("UPDATE cell SET opens = -1 WHERE combination = 2;", id="negative"),
        pytest.param("UPDATE cell SET opens = 'many' WHERE combination = 2;", id="a-text-for-a-count"),
        pytest.param("UPDATE cell SET opens = 2.5 WHERE combination = 2;", id="half-a-mail"),
        pytest.param("UPDATE cell SET day = '2026-04-31' WHERE combination = 2;", id="no-day"),
        pytest.param("UPDATE cell SET day = x'ff' WHERE combination = 2;", id="bytes-for-a-day"),
        pytest.param("UPDATE cell SET day = CAST(x'ff' AS TEXT) WHERE combination = 2;", id="broken-unicode"),
        pytest.param("UPDATE cell SET read_at = 'then' WHERE combination = 2;", id="no-time"),
        pytest.param("UPDATE cell SET read_at = 9e999 WHERE combination = 2;", id="an-infinite-time"),
        pytest.param("UPDATE cell SET combination = 7 WHERE combination = 2;", id="of-no-combination"),
        pytest.param("UPDATE cell SET open_rate = 'high' WHERE combination = 1;", id="no-rate"),
        pytest.param("UPDATE combination SET clicks = -5 WHERE id = 1;", id="a-counter-below-zero"),
        pytest.param("UPDATE combination SET esp = x'61' WHERE id = 1;", id="bytes-for-a-filter"),
        pytest.param("UPDATE decreases SET count = -1;", id="decreases-below-zero"),
        pytest.param("UPDATE discovered SET first_seen = 'then';", id="a-list-without-time"),
        pytest.param("UPDATE account SET account = x'00';", id="bytes-for-an-account"),
        pytest.param("DROP TABLE cell;", id="a-table-less"),
        pytest.param("DELETE FROM migration WHERE number = 2;", id="a-gap-in-the-schema"),
        pytest.param("DELETE FROM migration;", id="no-schema"),
    ],
)
async def test_a_wrong_value_sets_the_whole_file_aside(wrong: str, tmp_path: Path) -> None:
    path = old_file(tmp_path / "state.db", also=wrong)
    with capture_logs() as lines:
        store = await reread(path)
    assert list(store.keys()) == []
    assert (store.accounts, store.decreases) == ({}, {})
    assert [line["event"] for line in lines] == ["state file damaged; moving it away and starting without it"]
    assert len(list(tmp_path.glob("state.db.damaged-*"))) == 1
