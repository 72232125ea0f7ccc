"""The state file: nothing is lost over restarts, and nothing that happens to it ends the exporter."""

import asyncio
import os
import random
import signal
import sqlite3
from datetime import date
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.app import App, Options
from exporter.directmail.listing import Listed
from exporter.directmail.model import Filters, RateSums, Totals
from exporter.plan.validation import load
from exporter.simulator.server import Habits, Simulator
from exporter.store import sqlite
from exporter.store.discovered_values import Catalogue
from exporter.store.memory import Cell, Store
from exporter.store.sqlite import StateError, StateFile
from tests.support.clock import ScriptedClock
from tests.support.processes import get, program, started, until
from tests.support.programs import KEYS, write_config

KEY = ("shop", Filters(account_name="a@example.com", esp="gmail.com"))
OTHER = ("shop", Filters())
DAY, NEXT = date(2026, 4, 22), date(2026, 4, 23)
NOW = ScriptedClock().time()
RATES = RateSums(1.5, None, 0.0, 3.25)


class ReadOnly(StateFile):
    """A file on a disk that takes nothing."""

    def _connect(self) -> sqlite3.Connection:
        raise sqlite3.OperationalError("attempt to write a readonly database")


def listed(values: str) -> Catalogue:
    catalogue = Catalogue()
    catalogue.succeeded("shop", "tag_name", Listed(tuple(values), 0, 1, ""), 1000.0)
    return catalogue


def known() -> Store:
    store = Store()
    store.put(KEY, DAY, Cell(Totals(100, 50, 40, 10, 5), RATES, 1000.0), day_start=0.0)
    store.put(KEY, DAY, Cell(Totals(110, 60, 45, 9, 5), RATES, 1300.0), day_start=0.0)
    store.put(KEY, NEXT, Cell(Totals(1, 1, 1, 0, 0), None, 1400.0), day_start=1350.0)
    store.succeeded(KEY, 1400.0)
    store.put(OTHER, DAY, Cell(Totals(5, 4, 3, 2, 1), None, 1500.0), day_start=0.0)
    return store


def opened(path: Path, store: Store | None = None) -> StateFile:
    file = StateFile(path, Store() if store is None else store, ScriptedClock())
    file.open()
    return file


async def saved(path: Path, store: Store) -> None:
    file = opened(path)
    file._store = store
    await file.save()
    file.close()


def reread(path: Path) -> Store:
    store = Store()
    opened(path, store).close()
    return store


def same(one: Store, other: Store) -> bool:
    keys = set(one.keys()) | set(other.keys())
    return all(
        (a.cells, a.observed, a.first_read_at, a.last_success_at)
        == (b.cells, b.observed, b.first_read_at, b.last_success_at)
        for a, b in ((one.get(key), other.get(key)) for key in keys)
    )


async def test_what_was_written_is_known_again(tmp_path: Path) -> None:
    before = known()
    await saved(tmp_path / "state.db", before)
    after = reread(tmp_path / "state.db")
    assert same(before, after)
    assert after.decreases == before.decreases == {"shop": 1}
    assert after.get(KEY).last_attempt_ok is True
    assert after.get(OTHER).last_attempt_ok is None


async def test_only_what_changed_is_written_again(tmp_path: Path) -> None:
    store = known()
    file = opened(tmp_path / "state.db")
    file._store = store
    await file.save()
    assert store.take_changes() == {}
    store.succeeded(KEY, 2000.0)
    assert store.changed == {KEY: set()}
    await file.save()
    file.close()
    assert reread(tmp_path / "state.db").get(KEY).last_success_at == 2000.0


async def test_forgotten_days_leave_the_file_and_counters_stay(tmp_path: Path) -> None:
    store = known()
    store.succeeded(KEY, NOW)
    await saved(tmp_path / "state.db", store)
    store.prune("shop", date(2026, 6, 1), {KEY})
    file = opened(tmp_path / "state.db")
    file._store = store
    await file.save()
    file.close()
    after = reread(tmp_path / "state.db")
    assert after.get(KEY).cells == {}
    assert after.get(KEY).observed.opens == 11
    assert list(after.keys()) == [KEY]


async def test_what_no_target_has_asked_for_in_a_month_leaves_the_file_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = known()
    store.succeeded(KEY, NOW)
    await saved(path, store)
    assert len(list(reread(path).keys())) == 2
    later = StateFile(path, Store(), ScriptedClock(NOW + 40 * 86_400))
    later.open()
    later.close()
    assert list(reread(path).keys()) == []


@pytest.mark.parametrize(
    ("account", "stays"),
    [pytest.param("us-east-1 UTC", True, id="the-same"), pytest.param("eu-central-1 UTC", False, id="another")],
)
async def test_numbers_of_another_account_leave_the_file(account: str, stays: bool, tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = known()
    store.claim("shop", "us-east-1 UTC")
    await saved(path, store)
    again = reread(path)
    assert again.claim("shop", account) is not stays
    await saved(path, again)
    assert bool(list(reread(path).keys())) is stays
    assert reread(path).accounts == {"shop": account}


async def test_a_file_that_names_no_account_yet_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await saved(path, known())
    again = reread(path)
    assert not again.claim("shop", "us-east-1 UTC")
    assert same(again, known())


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    file = opened(tmp_path / "state.db")
    with pytest.raises(StateError, match="used by another process; give each its own"):
        opened(tmp_path / "state.db")
    file.close()


def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"this is no database, and long enough to look like one" * 100)
    with capture_logs() as lines:
        file = opened(path)
    file.close()
    (aside,) = tmp_path.glob("state.db.damaged-*")
    assert aside.read_bytes().startswith(b"this is no database")
    assert [line["aside"] for line in lines] == [str(aside)]


async def test_a_file_damaged_in_the_middle_is_set_aside_too(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await saved(path, known())
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = os.urandom(len(content) - 4096 * 2)
    path.write_bytes(content)
    with capture_logs():
        file = opened(path)
    await file.save()
    file.close()
    assert list(tmp_path.glob("state.db.damaged-*"))


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    opened(path).close()
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO migration VALUES (99, 0)")
    database.close()
    with pytest.raises(StateError, match="written by a newer version"):
        opened(path)


async def test_an_older_schema_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.db"
    with monkeypatch.context() as patch:
        patch.setattr(sqlite, "MIGRATIONS", sqlite.MIGRATIONS[:1])
        await saved(path, known())
    assert same(reread(path), known())
    database = sqlite3.connect(path)
    (done,) = database.execute("SELECT count(*) FROM migration").fetchone()
    database.close()
    assert done == len(sqlite.MIGRATIONS) > 1


class TestDiscoveredValues:
    async def test_they_are_known_again_in_their_order(self, tmp_path: Path) -> None:
        path = tmp_path / "state.db"
        before, after = listed("zma"), Catalogue()
        file = StateFile(path, Store(), ScriptedClock(), before)
        file.open()
        await file.save()
        before.succeeded("shop", "tag_name", Listed(("b", "m"), 0, 1, ""), 2000.0)
        before.succeeded("shop", "tag_name", Listed(("b", "m"), 0, 1, ""), 3000.0)
        await file.save()
        file.close()
        StateFile(path, Store(), ScriptedClock(), after).open()
        values = after.values("shop", ["tag_name"])["tag_name"]
        assert list(values.items()) == [("m", 1000.0), ("b", 2000.0)]
        assert after.take_changes() == {}

    async def test_what_cannot_be_written_is_written_later(self, tmp_path: Path) -> None:
        path, after = tmp_path / "later" / "state.db", Catalogue()
        with capture_logs():
            file = StateFile(path, Store(), ScriptedClock(), listed("ab"))
            file.open()
            await file.save()
            path.parent.mkdir()
            await file.save()
            file.close()
        StateFile(path, Store(), ScriptedClock(), after).open()
        assert list(after.get("shop", "tag_name").values) == ["a", "b"]

    async def test_an_older_file_that_may_only_be_read_is_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, store = tmp_path / "state.db", Store()
        with monkeypatch.context() as patch:
            patch.setattr(sqlite, "MIGRATIONS", sqlite.MIGRATIONS[:2])
            await saved(path, known())
        with capture_logs():
            ReadOnly(path, store, ScriptedClock()).open()
        assert same(store, known())


async def test_a_file_that_cannot_be_written_is_told_of_once_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "later" / "state.db"
    store = known()
    with capture_logs() as lines:
        file = opened(path)
        file._store = store
        for _ in range(3):
            await file.save()
        assert not file.writable
        path.parent.mkdir()
        await file.save()
        assert file.writable
        file.close()
    events = [line["event"] for line in lines if "meanwhile" in line["event"] or "again" in line["event"]]
    assert events == [
        "state file cannot be written; everything is kept in memory meanwhile",
        "state file can be written again",
    ]
    assert same(reread(path), store)


async def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """SQLite's own limit on the file's size stands in for the disk."""
    path = tmp_path / "state.db"
    await saved(path, known())
    store = Store()
    file = opened(path, store)
    assert file._database is not None
    (pages,) = file._database.execute("PRAGMA page_count").fetchone()
    file._database.execute(f"PRAGMA max_page_count = {pages}")
    for number in range(500):
        store.put(
            ("shop", Filters(account_name=f"s{number}")), DAY, Cell(Totals(1, 1, 1, 1, 1), None, 1.0), day_start=0
        )
    with capture_logs() as lines:
        await file.save()
    assert not file.writable
    assert "full" in lines[0]["error"]
    assert len(store.changed) == 500
    file.close()
    assert same(reread(path), known())


async def test_a_file_that_may_only_be_read_is_read(tmp_path: Path) -> None:
    path, store = tmp_path / "state.db", Store()
    await saved(path, known())
    with capture_logs():
        file = ReadOnly(path, store, ScriptedClock())
        file.open()
    assert same(store, known())
    assert not file.writable


class TestTheWholeProgram:
    async def test_after_a_restart_everything_is_shown_before_the_first_call(self, tmp_path: Path) -> None:
        api = Simulator(habits=Habits(calls_per_minute=100_000))
        async with api.listen() as url:
            head = f"state_file: {tmp_path / 'state.db'}"
            settings = load(write_config(tmp_path / "config.yaml", url, head=head))
            options = Options(("127.0.0.1:0",))
            first = App(settings, options, environment=KEYS)
            task, base = await started(first)
            await until(f"{base}/metrics", 'directmail_exporter_backlog_cells{target="shop"} 0.0')
            before = _data((await get(f"{base}/metrics"))[1])
            first.stop()
            await task
            asked = len(api.requests)
            second = App(settings, options, environment=KEYS)
            task, base = await started(second)
            after = _data((await get(f"{base}/metrics"))[1])
            assert await get(f"{base}/-/ready") == (200, "OK\n")
            await asyncio.sleep(0.5)
            second.stop()
            await task
        assert before == after
        assert len(api.requests) == asked, "what is fresh is not asked again"

    async def test_a_kill_at_any_moment_leaves_the_truth(self, tmp_path: Path) -> None:
        """Killed while polling, over and over: what is shown after each start is what the API said."""
        chance = random.Random(5)
        api = Simulator(habits=Habits(calls_per_minute=1_000_000))
        moment = api.clock.time()
        api.traffic._seen = lambda now: moment  # type: ignore[method-assign]
        async with api.listen() as url:
            head = f"state_file: {tmp_path / 'state.db'}"
            path = write_config(tmp_path / "config.yaml", url, head=head)
            path.write_text(path.read_text().replace("rate_limit_per_minute: 6000", "rate_limit_per_minute: 600"))
            flags = ("--config.file", str(path), "--web.listen-address", "127.0.0.1:0")
            for _ in range(4):
                async with program(*flags, environment=KEYS) as exporter:
                    address = await exporter.address()
                    _, text = await get(f"http://{address}/metrics")
                    _is_true(text, api, moment)
                    await asyncio.sleep(chance.uniform(0.2, 1.6))
                    assert await exporter.end(signal.SIGKILL) == -signal.SIGKILL
        assert "track_emails" in text, "something was kept"

    async def test_two_processes_on_one_file_are_one_too_many(self, tmp_path: Path) -> None:
        async with Simulator(habits=Habits(calls_per_minute=100_000)).listen() as url:
            path = write_config(tmp_path / "config.yaml", url, head=f"state_file: {tmp_path / 'state.db'}")
            flags = ("--config.file", str(path), "--web.listen-address", "127.0.0.1:0")
            async with program(*flags, environment=KEYS) as first:
                await first.address()
                async with program(*flags, environment=KEYS) as second:
                    line = await second.line_with("used by another process")
                    assert await second.process.wait() == 1
                assert await first.end() == 0
        assert line.startswith("state_file: ")


def _data(text: str) -> list[str]:
    return sorted(line for line in text.splitlines() if line.startswith(("directmail_track", "directmail_query")))


def _is_true(text: str, api: Simulator, moment: float) -> None:
    """Every exposed count of a sender is the API's."""
    today = api.traffic.today(moment)
    days = {"today": today, "yesterday": today.fromordinal(today.toordinal() - 1)}
    for line in text.splitlines():
        if line.startswith("directmail_track_opens{"):
            sender = line.split('account_name="')[1].split('"')[0]
            window = line.split('window="')[1].split('"')[0]
            assert float(line.rsplit(" ", 1)[1]) == api.traffic.counts(days[window], moment, sender=sender).opens
        if line.startswith("directmail_track_observed_opens_total{"):
            assert line.endswith(" 0.0"), "nothing grew, so nothing was counted"
