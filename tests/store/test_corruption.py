"""A thousand damaged state files: never a traceback, never a wrong number, always a page."""

import os
import random
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from exporter.directmail.listing import Listed
from exporter.directmail.statistics.registry import STATISTICS
from exporter.metrics.exposition import Exposition
from exporter.metrics.publisher import Publisher
from exporter.metrics.tables import families
from exporter.plan.calendar import day_end, today
from exporter.store.discovered_values import DiscoveredValues
from exporter.store.memory import Cell, Store
from exporter.store.state_file import StateFile
from tests.support.clock import ScriptedClock
from tests.support.processes import copy, get, program
from tests.support.programs import KEYS, simulator, write_config
from tests.support.worlds import make_config, make_plan

CLOCK = ScriptedClock()
PLAN = make_plan(make_config(senders=20, head="windows: [today, yesterday, 7d, 30d]"))
FIVE = tuple(replace(each, statistic="delivery") for each in PLAN.combinations[:5])
OF_DELIVERY = replace(PLAN, statistic="delivery", combinations=FIVE)
SECTOR, PAGE = 512, 4096


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory, where there is one: a thousand files are written to it."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as name:
        yield Path(name)


def full() -> tuple[Store, DiscoveredValues]:
    """Return what knows every day of twenty combinations, of five in two statistics, with growth, and a list."""
    store, discovered, chance = Store(), DiscoveredValues(), random.Random(7)
    now, zone = CLOCK.time(), PLAN.target.timezone
    for combination in (*PLAN.combinations, *FIVE):
        statistic = STATISTICS[combination.statistic]
        for age in range(31):
            day = today(now, zone) - timedelta(days=age)
            for _ in range(2):
                rates = tuple(chance.random() for _ in statistic.rates) if age % 3 else None
                totals = tuple(chance.randrange(100_000) for _ in statistic.fields)
                store.put(combination.key, day, Cell(totals, rates, min(day_end(day, zone), now)), day_start=0.0)
        store.succeeded(combination.key, now)
    store.claim("shop", PLAN.target.account)
    discovered.succeeded("shop", "tag_name", Listed(("weekly", "promo"), 0, 1, ""), 1000.0)
    return store, discovered


async def saved(path: Path) -> bytes:
    """Write a file in several transactions, as a process does; return it."""
    store, discovered = full()
    keys = store.changed.copy()
    file = StateFile(path, store, CLOCK, discovered)
    await file.open()
    for key in sorted(keys, key=str)[::3]:
        store.succeeded(key, CLOCK.time())
        await file.save()
    await file.close()
    return path.read_bytes()


async def page(store: Store) -> list[str]:
    """Return the sample lines that a scrape gets of the store."""
    exposition = Exposition(families(), CollectorRegistry())
    await Publisher(store, exposition, CLOCK).show([PLAN, OF_DELIVERY])
    text = b"".join((await exposition.scrape()).parts).decode()
    return [line for line in text.splitlines() if line.startswith(("directmail_track", "directmail_delivery"))]


def bits(content: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice([1, 1, 2, 8])):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def header(content: bytearray, chance: random.Random) -> None:
    """A bit of the first bytes, where SQLite and we say what the file is."""
    content[chance.randrange(200)] ^= 1 << chance.randrange(8)


def blocks(size: int) -> Callable[[bytearray, random.Random], None]:
    def damage(content: bytearray, chance: random.Random) -> None:
        """Zeros, noise, or another block instead of one."""
        count = len(content) // size
        start, other = (chance.randrange(count) * size for _ in range(2))
        found = [bytes(size), chance.randbytes(size), bytes(content[other : other + size])]
        content[start : start + size] = chance.choice(found)

    return damage


def cut(content: bytearray, chance: random.Random) -> None:
    del content[chance.choice([0, chance.randrange(len(content)), chance.randrange(len(content) // PAGE) * PAGE]) :]


def stretched(content: bytearray, chance: random.Random) -> None:
    content += chance.randbytes(chance.choice([1, SECTOR, PAGE]))


DAMAGES = {
    "bits": bits,
    "header": header,
    "sectors": blocks(SECTOR),
    "pages": blocks(PAGE),
    "cut": cut,
    "long": stretched,
}
SHARES = {"bits": 350, "header": 150, "sectors": 250, "pages": 150, "cut": 75, "long": 25}


@pytest.mark.parametrize("kind", SHARES)
async def test_of_a_damaged_file_everything_is_true_or_nothing_is_used(kind: str, folder: Path) -> None:
    sound = await saved(folder / "sound.db")
    before = await page(full()[0])
    used = 0
    for seed in range(SHARES[kind]):
        path = folder / f"{seed}.db"
        content = bytearray(sound)
        DAMAGES[kind](content, random.Random(f"{kind} {seed}"))
        path.write_bytes(content)
        store, discovered = Store(), DiscoveredValues()
        with capture_logs():
            file = StateFile(path, store, CLOCK, discovered)
            await file.open()
            lines = await page(store)
            await file.close()
        shown = [line for line in lines if "_window_" not in line]
        assert shown == [line for line in before if "_window_" not in line] or not shown, seed
        if shown:
            used += 1
            assert list(discovered.get("shop", "tag_name").values) == ["weekly", "promo"]
            assert store.accounts == {"shop": PLAN.target.account}
        else:
            assert not [*store.keys(), *discovered.all_values(), *store.accounts], "a part of it is not used either"
        again = Store()
        file = StateFile(path, again, CLOCK)
        await file.open()  # raises where what is there now is not sound
        await file.close()
        assert list(again.keys()) == list(store.keys())
        for each in folder.glob(f"{seed}.db*"):
            each.unlink()
    assert used < SHARES[kind] or kind == "long"


async def test_of_a_file_that_was_being_written_everything_is_true_or_nothing_is_used(folder: Path) -> None:
    """Killed in the middle of a transaction, and then the journal or the file loses a sector."""
    sound = folder / "sound.db"
    await saved(sound)
    before = [line for line in await page(full()[0]) if "_window_" not in line]
    database = sqlite3.connect(sound, isolation_level=None)
    database.execute("PRAGMA cache_size = 2")
    database.execute("BEGIN")
    database.execute("UPDATE entry SET body = replace(body, '1', '2'), crc = crc + 1")
    for suffix in ("", "-journal"):
        await copy(Path(f"{sound}{suffix}"), folder / f"half.db{suffix}")
    database.execute("ROLLBACK")
    database.close()
    seen = set()
    for seed in range(100):
        chance, path = random.Random(seed), folder / "state.db"
        for suffix in ("", "-journal"):
            content = bytearray((folder / f"half.db{suffix}").read_bytes())
            if seed and suffix == chance.choice(["", "-journal"]):
                chance.choice([blocks(SECTOR), bits, cut])(content, chance)
            (folder / f"state.db{suffix}").write_bytes(content)
        store = Store()
        with capture_logs():
            file = StateFile(path, store, CLOCK)
            await file.open()
            shown = [line for line in await page(store) if "_window_" not in line]
            await file.close()
        assert shown in ([], before), seed
        assert seed or shown, "the journal alone makes it whole again"
        seen.add(bool(shown))
        for each in folder.glob("state.db*"):
            each.unlink()
    assert seen == {True, False}


def one_bit(content: bytearray) -> None:
    content[content.index(b"first_read_at") + 40] ^= 1


def one_sector(content: bytearray) -> None:
    middle = len(content) // SECTOR // 2 * SECTOR
    content[middle : middle + SECTOR] = bytes(SECTOR)


def one_half(content: bytearray) -> None:
    del content[len(content) // 2 :]


@pytest.mark.parametrize("damage", [one_bit, one_sector, one_half])
async def test_the_whole_program_serves_its_page(damage: Callable[[bytearray], None], tmp_path: Path) -> None:
    content = bytearray(await saved(tmp_path / "state.db"))
    damage(content)
    (tmp_path / "state.db").write_bytes(content)
    async with simulator().listen() as url:
        config = write_config(tmp_path / "config.yaml", url, head=f"state_file: {tmp_path / 'state.db'}")
        flags = ("--config.file", str(config), "--web.listen-address", "127.0.0.1:0")
        async with program(*flags, environment=KEYS) as exporter:
            address = await exporter.address()
            assert (await get(f"http://{address}/metrics"))[0] == 200
            assert await exporter.end() == 0
    assert any("state file damaged" in line for line in exporter.lines)
    assert not any("Traceback" in line for line in exporter.lines)
