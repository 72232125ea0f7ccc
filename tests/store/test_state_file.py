"""The state file: nothing is lost over restarts, and nothing that happens to it ends the exporter."""

import asyncio
import os
import random
import signal
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from exporter.app import App
from exporter.clock import SystemClock
from exporter.directmail.errors import ServerError
from exporter.directmail.listing import Listed
from exporter.directmail.model import Filters, Key
from exporter.directmail.statistics.delivery import Delivery
from exporter.directmail.statistics.engagement import Engagement
from exporter.reload import load
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.server import Simulator
from exporter.store.database import SCHEMA, Connect, StateError
from exporter.store.discovered_values import DiscoveredValues
from exporter.store.memory import Cell, Store
from exporter.store.state_file import CHECK_EVERY, RESTORED, StateFile
from exporter.web.server import Options
from tests.support.clock import ScriptedClock
from tests.support.processes import PATIENCE, copy, get, program, started, until
from tests.support.programs import KEYS, SENDERS, write_config
from tests.support.states import (
    DAY,
    KEY,
    NEXT,
    NOW,
    OTHER,
    full_disk,
    known,
    opened,
    read_only,
    reread,
    same,
    saved,
    slow,
)
from tests.support.tasks import most_in_a_turn


def listed(values: str) -> DiscoveredValues:
    discovered = DiscoveredValues()
    discovered.succeeded("shop", "tag_name", Listed(tuple(values), 0, 1, ""), 1000.0)
    return discovered


def grow(store: Store, opens: int) -> None:
    """Let the counter of opens of a combination grow to so many."""
    store.put(KEY, DAY, Cell(Engagement(0, opens, 0, 0, 0), None, 1999.0), day_start=2000.0)


def counted(store: Store) -> int:
    """Return all opens that were seen to grow."""
    return Engagement._make(store.get(KEY).counted).opens


def shown(store: Store) -> int | None:
    """Return the opens that a scrape gets."""
    observed = store.get(KEY).observed
    return None if observed is None else Engagement._make(observed).opens


async def test_what_was_written_is_restored(tmp_path: Path) -> None:
    before = known()
    await saved(tmp_path / "state.db", before)
    after = await reread(tmp_path / "state.db")
    assert same(before, after)
    assert after.decreases == before.decreases == {"shop": 1}
    assert after.get(KEY).last_attempt_ok is True
    assert after.get(OTHER).last_attempt_ok is None
    assert [each.name for each in tmp_path.iterdir()] == ["state.db"]


async def test_numbers_that_are_withheld_are_withheld_after_a_restart(tmp_path: Path) -> None:
    before = known()
    before.judged(KEY, is_supported=True, is_withheld=True)
    await saved(tmp_path / "state.db", before)
    after = await reread(tmp_path / "state.db")
    assert (after.get(KEY).is_withheld, after.get(OTHER).is_withheld) == (True, False)


async def test_only_what_changed_is_written_again(tmp_path: Path) -> None:
    store = known()
    file = await opened(tmp_path / "state.db", store)
    assert store.changed == set()
    store.succeeded(KEY, 2000.0)
    assert store.changed == {KEY}
    await file.save()
    assert store.changed == set()
    await file.close()
    assert (await reread(tmp_path / "state.db")).get(KEY).last_success_at == 2000.0


async def test_a_save_ends_however_much_changes_meanwhile(tmp_path: Path) -> None:
    """What changes while it is written is for the next time, or nothing else would ever be checked."""
    store = known()

    def changes(key: Key) -> None:
        grow(store, counted(store) + 1000)

    file = await opened(tmp_path / "state.db", store, written=changes)
    grow(store, 1000)
    async with asyncio.timeout(PATIENCE):
        await file.save()
    assert store.changed == {KEY}
    await file.close()


async def test_a_file_is_restored_a_few_records_at_a_time(tmp_path: Path) -> None:
    store = Store()
    for number in range(3 * RESTORED):
        key = ("shop", "engagement", Filters(tag_name=str(number)))
        store.put(key, DAY, Cell(Engagement(1, 1, 1, 0, 0), None, NOW), day_start=0.0)
    await saved(tmp_path / "state.db", store)
    after = Store()
    file = StateFile(tmp_path / "state.db", after, ScriptedClock())
    assert await most_in_a_turn(file.open(), lambda: len(list(after.keys()))) <= RESTORED
    await file.close()
    assert same(store, after)


async def test_discarded_days_leave_the_file_and_counters_are_kept(tmp_path: Path) -> None:
    store = known()
    store.succeeded(KEY, NOW)
    file = await opened(tmp_path / "state.db", store)
    store.prune("shop", "engagement", date(2026, 6, 1), {KEY})
    await file.close()
    after = await reread(tmp_path / "state.db")
    assert after.get(KEY).cells == {}
    assert counted(after) == 11
    assert list(after.keys()) == [KEY]


async def test_what_no_target_has_requested_in_a_month_leaves_the_file_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = known()
    store.succeeded(KEY, NOW)
    await saved(path, store)
    assert len(list((await reread(path)).keys())) == 2
    file = await opened(path, clock=ScriptedClock(NOW + 40 * 86_400))
    await file.close()
    assert list((await reread(path)).keys()) == []


@pytest.mark.parametrize(
    ("account", "stays"),
    [pytest.param("us-east-1 UTC", True, id="the-same"), pytest.param("eu-central-1 UTC", False, id="another")],
)
async def test_numbers_of_another_account_leave_the_file(account: str, stays: bool, tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = known()
    store.claim("shop", "us-east-1 UTC")
    await saved(path, store)
    again = Store()
    file = await opened(path, again)
    assert again.claim("shop", account) is not stays
    await file.close()
    last = await reread(path)
    assert bool(list(last.keys())) is stays
    assert last.accounts == {"shop": account}


async def test_the_numbers_of_a_new_account_replace_those_of_the_old_one_in_one_write(tmp_path: Path) -> None:
    store = known()
    store.claim("shop", "us-east-1 UTC")
    file = await opened(tmp_path / "state.db", store)
    store.claim("shop", "eu-central-1 UTC")
    store.put(KEY, NEXT, Cell(Engagement(7, 0, 0, 0, 0), None, 3000.0), day_start=0.0)
    await file.close()
    after = await reread(tmp_path / "state.db")
    assert list(after.keys()) == [KEY]
    assert list(after.get(KEY).cells) == [NEXT]


async def test_a_file_that_names_no_account_yet_is_used_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await saved(path, known())
    again = await reread(path)
    assert not again.claim("shop", "us-east-1 UTC")
    assert same(again, known())


async def test_more_combinations_than_fit_into_a_transaction_are_written(tmp_path: Path) -> None:
    path, store = tmp_path / "state.db", Store()
    file = await opened(path, store)
    for number in range(450):
        cell = Cell(Engagement(number, 0, 0, 0, 0), None, 1.0)
        store.put(("shop", "engagement", Filters(account_name=f"s{number}")), DAY, cell, day_start=0)
    await file.close()
    assert same(await reread(path), store)


async def test_a_second_process_is_rejected(tmp_path: Path) -> None:
    file = await opened(tmp_path / "state.db")
    with pytest.raises(StateError, match="in use by another process; stop it, or write a different file"):
        await opened(tmp_path / "state.db")
    await file.close()


class TestADamagedFile:
    async def test_is_set_aside_and_nothing_in_it_is_used(self, tmp_path: Path) -> None:
        path = tmp_path / "state.db"
        path.write_bytes(b"this is no database, and long enough to look like one" * 100)
        with capture_logs() as lines:
            file = await opened(path)
        assert file.writable
        await file.close()
        (aside,) = tmp_path.glob("state.db.damaged-*")
        assert aside.read_bytes().startswith(b"this is no database")
        assert [line["aside"] for line in lines] == [str(aside)]

    async def test_that_cannot_be_renamed_stays_and_memory_is_used(self, tmp_path: Path) -> None:
        """Where its other name would be too long, which holds for root too."""
        path, store = tmp_path / ("s" * 250), Store()
        path.write_bytes(b"damaged" * 1000)
        with capture_logs() as lines:
            file = await opened(path, store)
            grow(store, 5)
            await file.save()
            assert shown(store) == 5
            await file.close()
        assert path.read_bytes() == b"damaged" * 1000
        assert not file.writable
        assert "cannot be renamed: File name too long" in lines[0]["error"]

    async def test_that_is_damaged_while_it_is_in_use_is_written_anew(self, tmp_path: Path) -> None:
        path, store, connections = tmp_path / "state.db", known(), []

        def connect(address: str, **how: Any) -> sqlite3.Connection:
            connections.append(sqlite3.connect(address, **how, check_same_thread=False))
            return connections[-1]

        file = await opened(path, store, connect=connect)
        with path.open("r+b") as damaged:
            damaged.write(os.urandom(path.stat().st_size))
        connections[-1].execute("PRAGMA shrink_memory")
        store.succeeded(KEY, 2000.0)
        with capture_logs() as lines:
            await file.close()
        assert same(await reread(path), store)
        assert [line["event"] for line in lines] == ["state file damaged; moving it away and starting without it"]


async def test_a_start_logs_how_much_the_file_knew(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with capture_logs() as first:
        await saved(path, store := known())
    with capture_logs() as second:
        await (await opened(path)).close()
    assert first == [], "a new file knows nothing"
    (line,) = second
    keys = list(store.keys())
    assert (line["event"], line["combinations"]) == ("state file read", len(keys))
    assert line["days"] == sum(len(store.get(key).cells) for key in keys)


async def test_a_newer_schema_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await saved(path, known())
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("INSERT INTO migration VALUES (?, 0)", (SCHEMA + 1,))
    with pytest.raises(StateError, match="written by a newer version"):
        await opened(path)


class TestDiscoveredValues:
    async def test_they_are_restored_in_their_order(self, tmp_path: Path) -> None:
        path, before, after = tmp_path / "state.db", listed("zma"), DiscoveredValues()
        file = await opened(path, discovered=before)
        before.succeeded("shop", "tag_name", Listed(("b", "m"), 0, 1, ""), 2000.0)
        before.succeeded("shop", "tag_name", Listed(("b", "m"), 0, 1, ""), 3000.0)
        await file.close()
        await reread(path, after)
        values = after.values("shop", ["tag_name"])["tag_name"]
        assert list(values.items()) == [("m", 1000.0), ("b", 2000.0)]
        assert after.pop_changes() == {}

    async def test_what_cannot_be_written_is_written_later(self, tmp_path: Path) -> None:
        path, after = tmp_path / "later" / "state.db", DiscoveredValues()
        with capture_logs():
            file = await opened(path, discovered=listed("ab"))
            path.parent.mkdir()
            await file.close()
        await reread(path, after)
        assert list(after.get("shop", "tag_name").values) == ["a", "b"]

    async def test_those_of_another_account_leave_the_file(self, tmp_path: Path) -> None:
        path, discovered, after = tmp_path / "state.db", listed("ab"), DiscoveredValues()
        file = await opened(path, discovered=discovered)
        discovered.discard("shop")
        await file.close()
        await reread(path, after)
        assert after.all_values() == {}


async def test_a_combination_that_was_never_read_leaves_a_whole_file(tmp_path: Path) -> None:
    """It has failed since the start when all is written anew; after that its first number comes."""
    path, store, clock = tmp_path / "state.db", known(), ScriptedClock()
    never = ("shop", "delivery", Filters())
    file = await opened(path, store, clock=clock)
    store.failed(never, ServerError("the API failed"), 1.0)
    path.unlink()
    clock.jump(wall=CHECK_EVERY, monotonic=CHECK_EVERY)
    with capture_logs():
        await file.save()
    assert store.get(never).observed is None
    await copy(path, tmp_path / "copy.db")
    assert same(await reread(tmp_path / "copy.db"), store)
    store.put(never, DAY, Cell(Delivery(4, 3, 0, 1), None, 2000.0), day_start=0.0)
    assert store.get(never).observed is None
    await file.close()
    assert store.get(never).observed == Delivery(0, 0, 0, 0)
    assert same(await reread(path), store)
    assert not list(tmp_path.glob("*.damaged-*"))


class TestCounters:
    """None is shown before it is on disk, so none comes back lower than it was shown."""

    async def test_growth_is_shown_when_it_is_written(self, tmp_path: Path) -> None:
        store, reported = Store(), []
        file = await opened(tmp_path / "state.db", store, written=reported.append)
        grow(store, 0)
        assert shown(store) is None
        await file.save()
        assert (shown(store), reported) == (0, [KEY])
        grow(store, 5)
        assert shown(store) == 0
        await file.save()
        assert (shown(store), reported) == (5, [KEY, KEY])
        store.succeeded(KEY, 2000.0)
        await file.save()
        assert reported == [KEY, KEY], "nothing has grown"
        await file.close()

    async def test_those_that_were_shown_are_shown_at_once_after_a_restart(self, tmp_path: Path) -> None:
        store, again = Store(), Store()
        file = await opened(tmp_path / "state.db", store)
        grow(store, 0)
        grow(store, 5)
        await file.close()
        file = await opened(tmp_path / "state.db", again)
        assert shown(again) == 5
        await file.close()

    async def test_while_the_disk_is_full_they_do_not_grow_and_nothing_is_lost(self, tmp_path: Path) -> None:
        path, store, clock = tmp_path / "state.db", Store(), ScriptedClock()
        file = await opened(path, store, clock=clock)
        grow(store, 0)
        grow(store, 5)
        await file.save()
        with full_disk(), capture_logs() as lines:
            grow(store, 9)
            await file.save()
            assert not file.writable
            assert (shown(store), store.unwritable_since) == (5, clock.monotonic())
        assert await copied(path, tmp_path) == 5
        with capture_logs() as again:
            await file.save()
        assert file.writable
        assert (shown(store), store.unwritable_since) == (9, None)
        await file.close()
        assert counted(await reread(path)) == 9
        assert [line["event"] for line in (*lines, *again)] == [
            "state file write failing; continuing in memory and holding counters back",
            "state file write recovered",
        ]

    async def test_an_end_with_a_full_disk_leaves_what_was_shown(self, tmp_path: Path) -> None:
        path, store = tmp_path / "state.db", Store()
        file = await opened(path, store)
        grow(store, 0)
        grow(store, 5)
        await file.save()
        with full_disk(), capture_logs() as lines:
            grow(store, 9)
            await file.close()
        assert counted(await reread(path)) == 5
        assert lines[-1]["event"] == "final state file write failed; the next start continues from the last write"

    async def test_a_file_that_may_only_be_read_is_shown_and_not_gone_beyond(self, tmp_path: Path) -> None:
        path, before, store = tmp_path / "state.db", Store(), Store()
        file = await opened(path, before)
        grow(before, 0)
        grow(before, 5)
        await file.close()
        disks: list[Connect] = [read_only]

        def connect(address: str, **how: Any) -> sqlite3.Connection:
            return disks[-1](address, **how)

        with capture_logs():
            file = await opened(path, store, connect=connect)
            assert same(store, before)
            grow(store, 7)
            await file.save()
            assert (shown(store), file.writable) == (5, False)
            disks.append(sqlite3.connect)
            await file.save()
            assert (shown(store), file.writable) == (7, True)
            await file.close()
        assert not list(tmp_path.glob("*.replaced-*"))


async def test_a_file_that_cannot_be_written_is_logged_once_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "later" / "state.db"
    store = known()
    with capture_logs() as lines:
        file = await opened(path, store)
        for _ in range(3):
            await file.save()
        assert not file.writable
        path.parent.mkdir()
        await file.save()
        assert file.writable
        await file.close()
    assert [line["event"] for line in lines] == [
        "state file write failing; continuing in memory and holding counters back",
        "state file write recovered",
    ]
    assert same(await reread(path), store)


async def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = known()
    file = await opened(path, store)
    for number in range(500):
        cell = Cell(Engagement(1, 1, 1, 1, 1), None, 1.0)
        store.put(("shop", "engagement", Filters(account_name=f"s{number}")), DAY, cell, day_start=0)
    with full_disk(), capture_logs():
        await file.save()
        assert not file.writable
        assert len(store.changed) == 500
        await file.close()
    assert same(await reread(path), known())


class TestARemovedFile:
    """It is noticed within a minute, and written anew."""

    @pytest.fixture
    async def running(self, tmp_path: Path) -> Any:
        assert CHECK_EVERY < 60
        clock, store = ScriptedClock(), known()
        file = await opened(tmp_path / "state.db", store, clock=clock)

        async def later() -> list[str]:
            clock.jump(wall=CHECK_EVERY, monotonic=CHECK_EVERY)
            with capture_logs() as lines:
                await file.save()
            return [line["event"] for line in lines]

        return tmp_path / "state.db", store, file, later

    @pytest.mark.parametrize("is_replaced", [False, True])
    async def test_it_is_written_once_more_before_that_is_noticed(self, running: Any, *, is_replaced: bool) -> None:
        """What is written then goes to the file that nobody can open any more."""
        path, store, file, later = running
        path.unlink()
        if is_replaced:
            await saved(path, Store())
        store.succeeded(KEY, NOW)
        await file.save()
        assert await later() == ["state file removed or replaced; writing it again in full"]
        await file.close()
        assert same(await reread(path), store)

    async def test_it_is_removed(self, running: Any) -> None:
        path, store, file, later = running
        path.unlink()
        assert await later() == ["state file removed or replaced; writing it again in full"]
        assert await later() == []
        await file.close()
        assert same(await reread(path), store)

    async def test_another_one_is_put_in_its_place(self, running: Any, tmp_path: Path) -> None:
        path, store, file, later = running
        other = Store()
        other.claim("fair", "us-east-1 UTC")
        await saved(tmp_path / "other.db", other)
        (tmp_path / "other.db").rename(path)
        assert await later() == ["state file removed or replaced; writing it again in full"]
        await file.close()
        assert same(await reread(path), store)
        (aside,) = tmp_path.glob("state.db.replaced-*")
        assert (await reread(aside)).accounts == {"fair": "us-east-1 UTC"}

    async def test_it_is_emptied(self, running: Any) -> None:
        path, store, file, later = running
        os.truncate(path, 0)
        assert await later() == ["state file removed or replaced; writing it again in full"]
        await file.close()
        assert same(await reread(path), store)

    async def test_its_copy_is_put_in_its_place(self, running: Any, tmp_path: Path) -> None:
        """As by a file system that gives another number to a file: it is still the same file."""
        path, _, file, later = running
        await copy(path, tmp_path / "copy.db")
        (tmp_path / "copy.db").rename(path)
        assert await later() == []
        await file.close()
        assert not list(tmp_path.glob("*.replaced-*"))

    async def test_its_folder_is_removed_and_comes_back(self, running: Any, tmp_path: Path) -> None:
        path, store, file, later = running
        path.rename(tmp_path / "elsewhere.db")
        path.mkdir()
        assert await later() == ["state file write failing; continuing in memory and holding counters back"]
        path.rmdir()
        assert await later() == [
            "state file write recovered",
        ]
        await file.close()
        assert same(await reread(path), store)


class TestTheEnd:
    """It waits for the write in flight, writes what was not written, and closes."""

    @pytest.mark.parametrize("moment", [0.0, 0.005, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3])
    async def test_a_save_that_is_cancelled_loses_nothing(self, moment: float, tmp_path: Path) -> None:
        path, store = tmp_path / "state.db", Store()
        file = await opened(path, store, connect=slow)
        for number in range(20):
            cell = Cell(Engagement(number, 0, 0, 0, 0), None, 1.0)
            store.put(("shop", "engagement", Filters(account_name=f"s{number}")), DAY, cell, day_start=0)
        saving = asyncio.create_task(file.save())
        await asyncio.sleep(moment)
        saving.cancel()
        store.put(KEY, DAY, Cell(Engagement(1, 1, 1, 1, 1), None, 1.0), day_start=0)
        await file.close()
        assert same(await reread(path), store)
        assert all(store.get(key).observed == store.get(key).counted for key in list(store.keys()))

    async def test_one_thread_has_the_file_from_first_to_last(self, tmp_path: Path) -> None:
        """SQLite itself would raise for another one."""
        threads = set()

        class Watched(sqlite3.Connection):
            def execute(self, *arguments: Any) -> sqlite3.Cursor:
                threads.add(threading.current_thread().name)
                return super().execute(*arguments)

        file = await opened(tmp_path / "state.db", known(), connect=partial(sqlite3.connect, factory=Watched))
        await asyncio.gather(*(asyncio.to_thread(sum, range(1000)) for _ in range(10)))
        await file.save()
        await file.close()
        assert len(threads) == 1
        assert "state-file" in threads.pop()

    async def test_a_bug_while_saving_is_raised_and_the_file_is_closed(self, tmp_path: Path) -> None:
        path, store = tmp_path / "state.db", Store()
        file = await opened(path, store, written=lambda key: 1 // 0)
        grow(store, 0)
        with pytest.raises(ZeroDivisionError):
            await file.save()
        grow(store, 5)
        with pytest.raises(ZeroDivisionError):
            await file.close()
        assert same(await reread(path), store)


async def copied(path: Path, folder: Path) -> int:
    """Return the opens that a start after a kill would find."""
    await copy(path, folder / "copy.db")
    return counted(await reread(folder / "copy.db"))


def _of_another_program(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE cookies (name TEXT)")
    database.close()


class TestTheWholeProgram:
    async def test_after_a_restart_everything_is_shown_before_the_first_call(self, tmp_path: Path) -> None:
        api = Simulator(behaviour=Behaviour(calls_per_minute=100_000))
        async with api.listen() as url:
            head = f"state_file: {tmp_path / 'state.db'}"
            settings = load(write_config(tmp_path / "config.yaml", url, head=head))
            options = Options(("127.0.0.1:0",))
            first = App(settings, options, environment=KEYS)
            task, base = await started(first)
            await until(f"{base}/metrics", 'directmail_exporter_backlog_cells{action="GetTrackList",target="shop"} 0.0')
            for sender in SENDERS[:2]:
                await until(f"{base}/metrics", f'directmail_track_observed_opens_total{{account_name="{sender}"')
            before = _data((await get(f"{base}/metrics"))[1])
            first.stop()
            await task
            requested = len(api.requests)
            second = App(settings, options, environment=KEYS)
            task, base = await started(second)
            after = _data((await get(f"{base}/metrics"))[1])
            assert await get(f"{base}/-/ready") == (200, "OK\n")
            await asyncio.sleep(0.5)
            second.stop()
            await task
        assert before == after
        assert len(api.requests) == requested, "what is fresh is not requested again"

    async def test_a_kill_at_any_moment_leaves_right_counts(self, tmp_path: Path) -> None:
        """Killed while polling, over and over: what is shown after each start is what the API said."""
        chance = random.Random(5)
        moment = SystemClock().time()
        mail = ScriptedClock(moment)  # it stands still, so that there is one truth
        api = Simulator(clock=mail, signing_time=SystemClock().time, behaviour=Behaviour(calls_per_minute=1_000_000))
        async with api.listen() as url:
            head = f"state_file: {tmp_path / 'state.db'}"
            path = write_config(tmp_path / "config.yaml", url, head=head)
            path.write_text(path.read_text().replace("rate_limit_per_minute: 6000", "rate_limit_per_minute: 600"))
            flags = ("--config.file", str(path), "--web.listen-address", "127.0.0.1:0")
            for life in range(4):
                async with program(*flags, environment=KEYS) as exporter:
                    address = await exporter.address()
                    _, text = await get(f"http://{address}/metrics")
                    _is_true(text, api, moment)
                    if life == 2:  # what is shown is saved
                        await until(f"http://{address}/metrics", "\ndirectmail_track_observed_opens_total{")
                    await asyncio.sleep(chance.uniform(0.2, 1.6))
                    assert await exporter.end(signal.SIGKILL) == -signal.SIGKILL
        assert "track_emails" in text, "something was kept"

    async def test_two_processes_on_one_file_are_one_too_many(self, tmp_path: Path) -> None:
        async with Simulator(behaviour=Behaviour(calls_per_minute=100_000)).listen() as url:
            path = write_config(tmp_path / "config.yaml", url, head=f"state_file: {tmp_path / 'state.db'}")
            flags = ("--config.file", str(path), "--web.listen-address", "127.0.0.1:0")
            async with program(*flags, environment=KEYS) as first:
                await first.address()
                async with program(*flags, environment=KEYS) as second:
                    line = await second.line_with("in use by another process")
                    assert await second.process.wait() == 1
                assert await first.end() == 0
        assert line.startswith("state_file: ")

    @pytest.mark.parametrize(
        ("make", "says"),
        [
            pytest.param(os.mkfifo, "is a FIFO; write a regular file, or one that does not exist yet", id="fifo"),
            pytest.param(os.mkdir, "is a directory; write a regular file, or one that does not exist yet", id="folder"),
            pytest.param(_of_another_program, "is a database of another program; write another file", id="foreign"),
        ],
    )
    async def test_what_is_no_state_file_is_one_line_and_status_1(
        self, make: Callable[[Path], None], says: str, tmp_path: Path
    ) -> None:
        state = tmp_path / "state.db"
        make(state)
        path = write_config(tmp_path / "config.yaml", "http://127.0.0.1:9", head=f"state_file: {state}")
        async with program("--config.file", str(path), "--web.listen-address", "127.0.0.1:0") as exporter:
            async with asyncio.timeout(PATIENCE):
                assert await exporter.process.wait() == 1
        assert exporter.lines == [f"state_file: {state} {says}"]

    @pytest.mark.parametrize("pause", [0.0, 0.15, 0.3])
    async def test_a_shutdown_on_a_slow_disk_leaves_every_result_in_the_file(
        self, pause: float, tmp_path: Path
    ) -> None:
        """A signal to end while it writes: it waits for that, and writes the rest."""
        slow_program = tmp_path / "slow_disk_exporter.py"
        slow_program.write_text(SLOW_PROGRAM)
        api = Simulator(behaviour=Behaviour(calls_per_minute=100_000))
        async with api.listen() as url:
            path = write_config(tmp_path / "config.yaml", url, *SENDERS, head=f"state_file: {tmp_path / 'state.db'}")
            text = path.read_text().replace("[today, yesterday]", "[today, 30d]")
            path.write_text(text.replace("rate_limit_per_minute: 6000", "rate_limit_per_minute: 1200"))
            path_of_modules = os.pathsep.join((str(tmp_path), str(Path.cwd()), os.environ.get("PYTHONPATH", "")))
            environment = {**KEYS, "PYTHONPATH": path_of_modules}
            flags = ("--config.file", str(path), "--web.listen-address", "127.0.0.1:0")
            async with program(*flags, environment=environment, module="slow_disk_exporter") as exporter:
                address = await exporter.address()
                await until(f"http://{address}/metrics", "directmail_track_observed_opens_total{")
                await asyncio.sleep(pause)
                assert await exporter.end() == 0
        assert not any("Traceback" in line or "given up" in line for line in exporter.lines)
        store = await reread(tmp_path / "state.db")
        known_cells = {
            (key[2].account_name, day.isoformat()) for key in tuple(store.keys()) for day in store.get(key).cells
        }
        assert known_cells == {(seen.parameters["AccountName"], seen.parameters["StartTime"]) for seen in api.requests}


SLOW_PROGRAM = """
import functools, sqlite3, time

class Slow(sqlite3.Connection):
    def execute(self, *arguments):
        time.sleep(0.02)
        return super().execute(*arguments)

sqlite3.connect = functools.partial(sqlite3.connect, factory=Slow)
from exporter.commands.main import main
main()
"""
"""The exporter on a disk on which each statement takes a fiftieth of a second."""


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
