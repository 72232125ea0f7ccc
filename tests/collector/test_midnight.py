"""Midnight in every zone, with failures and restarts: no half day is shown as a whole one, and none is missing."""

import os
import random
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from exporter.collector.loop import LONGEST_SLEEP
from exporter.directmail.errors import DirectMailError, ServerError
from exporter.directmail.model import Filters
from exporter.plan.calendar import day_end, day_start, today, window_days
from exporter.store.state_file import StateFile
from tests.support.clock import ScriptedClock
from tests.support.tasks import running
from tests.support.worlds import World, make_config

COUNT, END = "directmail_track_unique_opens", "directmail_track_window_end_timestamp_seconds"
LINES = re.compile(rf'^({COUNT}|{END}){{(?:account_name="([^"]*)")?.*window="(\w+)"}} (\S+)$', re.MULTILINE)
CLOSED = ("yesterday", "2d", "7d")
WHOLE = 1000
"""What a result is a multiple of when its day is over; one more while it is not."""
CHECK = 1.1
"""Seconds within which a change of the calendar shows."""
NIGHTS = st.sampled_from(
    [
        ("UTC", date(2026, 4, 22)),
        ("Asia/Shanghai", date(2026, 12, 31)),
        ("Europe/Berlin", date(2026, 3, 28)),
        ("Europe/Berlin", date(2026, 3, 29)),
        ("Europe/Berlin", date(2026, 10, 25)),
        ("America/New_York", date(2026, 11, 1)),
        ("Asia/Beirut", date(2024, 3, 30)),
        ("America/Havana", date(2024, 11, 2)),
        ("America/Santiago", date(2024, 9, 7)),
        ("Pacific/Apia", date(2028, 2, 29)),
    ]
)
"""Zones, and days that end in ways of their own: before, on and after a change of clocks, where midnight does not exist
(Beirut, Santiago) or comes twice (Havana), at the end of a year and of a February."""
MANY = settings(max_examples=25)


def counted(day: date) -> int:
    """Return what the API says of a day that is over: another number for each."""
    return WHOLE * (day.toordinal() - date(2020, 1, 1).toordinal())


class Night:
    """A target around a midnight, over several lives of the process."""

    def __init__(self, folder: Path, zone: str, day: date, senders: int, seed: int = 0, trouble: float = 0.0) -> None:
        self.zone, self.day = ZoneInfo(zone), day
        self.chance, self.trouble = random.Random(seed), trouble
        self.clock = ScriptedClock(day_end(day, self.zone) - 3600)
        head = f"windows: [today, {', '.join(CLOSED)}]\npoll_interval: 5m\nstale_after: 20m"
        self.config = make_config(senders=senders, zone=zone, head=head)
        self.path = folder / "state.db"
        self.ahead = 0.0
        """Seconds that the clock is ahead of the API's."""

    def fails(self, filters: Filters, day: date) -> DirectMailError | None:
        return ServerError("by chance") if self.chance.random() < self.trouble else None

    def counts(self, filters: Filters, day: date, now: float) -> int:
        return counted(day) + (now - self.ahead < day_end(day, self.zone))

    def set_clock(self, ahead: float) -> None:
        """Set the clock to so many seconds ahead of the right time."""
        self.clock.jump(wall=ahead - self.ahead)
        self.ahead = ahead

    @asynccontextmanager
    async def process(self, *, dies: bool = False) -> AsyncIterator[StateFile]:
        """Run a process beside the block, and yield its state file. It ends, or dies."""
        self.world = World(self.config, self.clock, fails=self.fails, counts=self.counts)
        world = self.world
        file = StateFile(self.path, world.store, self.clock, written=world.publisher.refresh)
        await file.open()
        await world.publisher.show([world.collector.plan])
        async with running(world.collector.run(), world.publisher.run()):
            yield file
        await (file._end() if dies else file.close())

    async def live(self, steps: int, longest: float, *, dies: bool) -> None:
        """Run a process for so many steps of some seconds each, and look at every scrape. It ends, or dies."""
        async with self.process(dies=dies) as file:
            await self.look()
            for _ in range(steps):
                await self.clock.advance(self.chance.uniform(0.5, longest))
                if self.chance.random() < 0.7:
                    await file.save()
                await self.look()

    async def look(self) -> None:
        """Hold a scrape against the truth."""
        shown, now = await self.shown(), self.clock.time()
        began_at = day_start(today(now, self.zone), self.zone)
        held = set()
        for (name, sender, window), value in shown.items():
            if name != COUNT:
                continue
            anchors = {today(each, self.zone) for each in (now, now - CHECK)}
            if window == "today":
                assert value in {counted(each) + 1 for each in anchors}
                continue
            assert value % WHOLE == 0, f"{window} has a day that was not read after its end"
            if value != self.of(window, today(now, self.zone)):
                assert value == self.of(window, today(began_at - 1, self.zone))
                assert now <= began_at + self.world.collector.plan.stale_after + CHECK
                held.add(sender)
        if now - began_at > CHECK:
            end = shown[END, "", "yesterday"]
            assert end == (day_start(today(began_at - 1, self.zone), self.zone) if held else began_at)

    def of(self, window: str, day: date) -> int:
        """Return the right value of a closed window on a day."""
        return sum(map(counted, window_days(window, day)))

    def newest_read(self) -> float:
        """Return the time of the newest read."""
        records = map(self.world.store.get, self.world.store.keys())
        return max(cell.read_at for record in records for cell in record.cells.values())

    async def watch(self, seconds: float) -> None:
        """Hold every scrape against the truth for so long; what can be read is shown in the end."""
        end = self.clock.time() + seconds
        while self.clock.time() < end:
            await self.look()
            await self.clock.advance(7)
        assert await self.missing() == []

    async def missing(self) -> list[tuple[str, ...]]:
        """Return the closed windows of combinations that are not shown."""
        shown = await self.shown()
        names = (each.filters.account_name for each in self.world.combinations)
        wanted = [(COUNT, name, window) for name in names for window in CLOSED]
        return [each for each in wanted if each not in shown]

    async def shown(self) -> dict[tuple[str, str, str], float]:
        """Return a count and the ends of windows, as a scrape has them, by (metric, sender, window)."""
        text = b"".join((await self.world.exposition.scrape()).parts).decode()
        return {(name, sender or "", window): float(value) for name, sender, window, value in LINES.findall(text)}


@contextmanager
def folder() -> Iterator[Path]:
    """Yield a folder in memory, where there is one: the file is written hundreds of times."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as name:
        yield Path(name)


@MANY
@given(night=NIGHTS, senders=st.integers(1, 8), trouble=st.sampled_from([0.0, 0.2, 0.7]), seed=st.integers(0, 10_000))
async def test_no_closed_window_has_a_day_that_was_not_read_after_its_end(
    night: tuple[str, date], senders: int, trouble: float, seed: int
) -> None:
    with folder() as place:
        its = Night(place, *night, senders, seed, trouble)
        chance = random.Random(seed)
        await its.live(6, 600, dies=chance.random() < 0.5)
        for _ in range(4):
            its.clock.jump(wall=(down := chance.choice([0.5, 60, 900, 3600])), monotonic=down)
            await its.live(chance.randrange(2, 12), chance.choice([2, 60, 600]), dies=chance.random() < 0.5)
        its.trouble = 0.0
        await its.live(2, 1, dies=False)
        await its.live(20, 120, dies=False)
        assert await its.missing() == [], "what can be read is shown in the end"


@settings(MANY, max_examples=10)
@given(night=NIGHTS, senders=st.sampled_from([1, 7, 40]))
async def test_an_ordinary_midnight_has_no_gap(night: tuple[str, date], senders: int) -> None:
    with folder() as place:
        its = Night(place, *night, senders)
        await its.live(40, 60, dies=False)
        its.clock.jump(wall=1, monotonic=1)
        midnight = day_end(its.day, its.zone)
        async with its.process():
            while its.clock.time() < midnight + 900:
                assert await its.missing() == []
                await its.look()
                near = abs(its.clock.time() - midnight) < 120
                await its.clock.advance(1.7 if near else 30)


AHEAD = st.sampled_from([120, 300, 890])
"""Seconds that a clock may be ahead for the API to accept its requests."""


@MANY
@given(night=NIGHTS, ahead=AHEAD, moment=st.floats(0, 1), restarts=st.booleans())
async def test_a_day_that_a_fast_clock_closed_too_early_is_not_whole_once_the_clock_is_right(
    night: tuple[str, date], ahead: float, moment: float, restarts: bool
) -> None:
    """It is set right before midnight or soon after, while the process runs or between two."""
    with folder() as place:
        its = Night(place, *night, senders=8)
        its.set_clock(ahead)
        async with its.process():
            its.clock.jump(wall=3300 - ahead, monotonic=3300 - ahead)
            await its.clock.advance(300 + moment * (ahead + 100))
            if not restarts:
                its.set_clock(0)
                await its.clock.advance(LONGEST_SLEEP)
                await its.watch(2000)
        if restarts:
            its.set_clock(0)
            assume(its.newest_read() > its.clock.time())  # otherwise the file does not show it
            async with its.process():
                await its.watch(2000)


async def test_a_restart_after_the_clock_was_set_back_reads_today_at_once() -> None:
    """What is in the file has an unknown age, so nothing is shown before."""
    with folder() as place:
        its = Night(place, "UTC", date(2026, 4, 22), senders=2)
        its.set_clock(300)
        async with its.process():
            await its.clock.advance(60)
        its.set_clock(0)
        async with its.process():
            assert (COUNT, "s0@example.com", "today") not in await its.shown()
            await its.clock.advance(5)
            shown = await its.shown()
        assert {(COUNT, f"s{number}@example.com", "today") for number in range(2)} <= shown.keys()
