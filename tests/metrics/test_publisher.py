"""The exposition in step with the store and the calendar. Days and staleness under polling are in test_collector."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import CollectorRegistry

from exporter.config import loader
from exporter.directmail.model import Key
from exporter.directmail.statistics.engagement import Engagement
from exporter.directmail.statistics.registry import STATISTICS
from exporter.metrics import publisher
from exporter.metrics.exposition import Exposition
from exporter.metrics.publisher import Publisher
from exporter.metrics.tables import HEALTH, families
from exporter.metrics.text_format import number
from exporter.plan import target_plan
from exporter.plan.calendar import day_end, day_start
from exporter.plan.target_plan import TargetPlan
from exporter.store.memory import Cell, Record, Store
from tests.support.clock import ScriptedClock
from tests.support.tasks import most_in_a_turn, running
from tests.support.worlds import World, make_config, make_plan

EMAILS, REQUESTED = "directmail_track_emails", "directmail_delivery_requested_emails"
WINDOWS = "windows: [today, yesterday]"
TODAY = date(2026, 4, 22)


def known(world: World, *ages: int) -> None:
    """Put cells into the store as if they had been read just now."""
    zone = world.collector.plan.target.timezone
    for combination in world.combinations:
        for age in ages:
            day = TODAY - timedelta(days=age)
            cell = Cell(Engagement(10 + age, 5, 4, 2, 1), None, world.clock.time())
            world.store.put(combination.key, day, cell, day_start=day_start(day, zone))
        world.store.succeeded(combination.key, world.clock.time())


async def test_stored_data_is_shown_at_the_start_before_any_call() -> None:
    world = World(make_config(senders=2, head="windows: [today, yesterday]"), ScriptedClock())
    known(world, 0, 1)
    await world.publisher.show([world.collector.plan])
    shown = await world.shown()
    assert shown[EMAILS, "s0@example.com", "", "today"] == 10
    assert shown[EMAILS, "s1@example.com", "", "yesterday"] == 11


async def test_the_order_is_that_of_the_config_whatever_is_read_first() -> None:
    world = World(make_config(senders=3, head="windows: [today]"), ScriptedClock())
    await world.publisher.show([world.collector.plan])
    known(world, 0)
    for combination in reversed(world.combinations):
        world.publisher.refresh(combination.key)
    senders = [sender for name, sender, _, _ in await world.shown() if name == EMAILS]
    assert senders == sorted(senders)


async def test_data_goes_stale_while_nothing_else_happens() -> None:
    clock = ScriptedClock()
    world = World(make_config(senders=1, head="windows: [today]\npoll_interval: 5m\nstale_after: 10m"), clock)
    known(world, 0)
    await world.publisher.show([world.collector.plan])
    async with running(world.publisher.run()):
        await clock.advance(600)
        assert (EMAILS, "s0@example.com", "", "today") in await world.shown()
        await clock.advance(2)
        assert (EMAILS, "s0@example.com", "", "today") not in await world.shown()


async def test_a_clock_that_jumps_over_midnight_leaves_out_the_new_day() -> None:
    clock = ScriptedClock()
    world = World(make_config(senders=1, head="windows: [today, yesterday]\nstale_after: 2d"), clock)
    known(world, 0, 1)
    await world.publisher.show([world.collector.plan])
    async with running(world.publisher.run()):
        clock.jump(wall=86_400)
        await clock.advance(2)
        shown = await world.shown()
    assert shown[EMAILS, "s0@example.com", "", "yesterday"] == 11, "what was read of today yet is no whole day"
    assert (EMAILS, "s0@example.com", "", "today") not in shown


class Night:
    """A world a moment before midnight: every day known, today's as far as it has come. It ends with 1010 mails."""

    def __init__(self) -> None:
        self.clock = ScriptedClock("2026-04-22T23:55:00+00:00")
        head = "windows: [today, yesterday, 2d]\npoll_interval: 5m\nstale_after: 20m"
        self.world = World(make_config(senders=2, head=head), self.clock)
        known(self.world, 0, 1, 2, 3)
        self.combinations = self.world.combinations

    async def at(self, time: str) -> None:
        """Show what there is at a time of the night."""
        seconds = datetime.fromisoformat(f"{time}+00:00").timestamp() - self.clock.time()
        await self.clock.advance(seconds)
        await self.world.publisher.update()

    def close(self, number: int) -> None:
        """Read the day that ended of a combination."""
        key = self.combinations[number].key
        cell = Cell(Engagement(1010, 5, 4, 2, 1), None, self.clock.time())
        self.world.store.put(key, TODAY, cell, day_start=0.0)
        self.world.publisher.refresh(self.combinations[number].key)

    def poll(self) -> None:
        """Read the new day of every combination."""
        for combination in self.combinations:
            day, cell = TODAY + timedelta(days=1), Cell(Engagement(1, 0, 0, 0, 0), None, self.clock.time())
            self.world.store.put(combination.key, day, cell, day_start=0.0)
            self.world.store.succeeded(combination.key, self.clock.time())
            self.world.publisher.refresh(combination.key)

    async def emails(self, number: int) -> dict[str, float]:
        """Return what a combination shows, by window."""
        sender = f"s{number}@example.com"
        shown = await self.world.shown()
        return {window: value for (name, its, _, window), value in shown.items() if (name, its) == (EMAILS, sender)}

    async def ends(self) -> dict[str, str]:
        """Return the day with whose midnight each window ends."""
        shown = await self.world.shown()
        name = "directmail_track_window_end_timestamp_seconds"
        return {key[3]: f"{datetime.fromtimestamp(at, UTC):%d}" for key, at in shown.items() if key[0] == name}


class TestMidnight:
    async def test_closed_windows_keep_their_days_until_the_day_that_ended_was_read(self) -> None:
        night = Night()
        await night.world.publisher.show([night.world.collector.plan])
        assert await night.emails(0) == {"today": 10, "yesterday": 11, "2d": 23}
        await night.at("2026-04-23T00:00:00")
        assert await night.emails(0) == {"yesterday": 11, "2d": 23}
        night.close(0)
        assert await night.emails(0) == {"yesterday": 1010, "2d": 1021}
        assert await night.emails(1) == {"yesterday": 11, "2d": 23}

    async def test_the_bounds_move_with_the_last_combination(self) -> None:
        night = Night()
        await night.world.publisher.show([night.world.collector.plan])
        assert await night.ends() == {"today": "23", "yesterday": "22", "2d": "22"}
        await night.at("2026-04-23T00:00:00")
        assert await night.ends() == {"today": "24", "yesterday": "22", "2d": "22"}
        night.close(0)
        assert await night.ends() == {"today": "24", "yesterday": "22", "2d": "22"}
        night.close(1)
        assert await night.ends() == {"today": "24", "yesterday": "23", "2d": "23"}

    async def test_what_is_not_read_again_is_kept_for_stale_after_and_no_longer(self) -> None:
        night = Night()
        await night.world.publisher.show([night.world.collector.plan])
        await night.at("2026-04-23T00:10:00")
        night.close(0)
        night.poll()
        await night.at("2026-04-23T00:20:00")
        assert await night.emails(1) == {"today": 1, "yesterday": 11, "2d": 23}
        await night.at("2026-04-23T00:20:01")
        assert await night.emails(1) == {"today": 1}
        assert await night.emails(0) == {"today": 1, "yesterday": 1010, "2d": 1021}
        assert await night.ends() == {"today": "24", "yesterday": "23", "2d": "23"}

    async def test_a_day_that_was_never_read_whole_is_missing_from_every_window_that_has_it(self) -> None:
        """Of the 22nd only a part is known; the day after it is known whole."""
        night = Night()
        await night.world.publisher.show([night.world.collector.plan])
        await night.at("2026-04-23T23:59:00")
        night.poll()
        await night.at("2026-04-24T00:01:00")
        night.poll()
        shown = await night.emails(0)
        assert shown.keys() == {"yesterday"}
        assert shown["yesterday"] == 1

    async def test_a_start_after_midnight_shows_no_half_day(self) -> None:
        """What was read at 23:55 is all that is known of the day that ended."""
        night = Night()
        night.clock.jump(wall=900)
        await night.world.publisher.show([night.world.collector.plan])
        assert await night.emails(0) == {"yesterday": 11, "2d": 23}
        assert await night.ends() == {"today": "24", "yesterday": "22", "2d": "22"}

    async def test_a_start_in_the_morning_shows_nothing_until_the_day_that_ended_was_read(self) -> None:
        night = Night()
        night.clock.jump(wall=9 * 3600)
        await night.world.publisher.show([night.world.collector.plan])
        night.poll()
        assert await night.emails(0) == {"today": 1}
        night.close(0)
        assert await night.emails(0) == {"today": 1, "yesterday": 1010, "2d": 1021}


class TestCountersThatWaitForTheDisk:
    """Growth that is not on disk is not shown; what was shown is held for `stale_after`, like any value."""

    OBSERVED = ("directmail_track_observed_emails_total", "s0@example.com", "", "")
    STILL = ("directmail_track_observed_emails_total", "s1@example.com", "", "")

    @pytest.fixture
    async def world(self) -> World:
        """Two combinations whose counters are on disk, then one of them grows."""
        head = "windows: [today]\npoll_interval: 5m\nstale_after: 20m"
        world = World(make_config(senders=2, head=head), ScriptedClock())
        world.store.waits_for_disk = True
        known(world, 0)
        await world.publisher.show([world.collector.plan])
        return world

    @staticmethod
    def write(world: World) -> None:
        for combination in world.combinations:
            record = world.store.get(combination.key)
            record.observed = record.counted
            world.publisher.refresh(combination.key)

    @staticmethod
    async def poll(world: World, emails: int) -> None:
        """Read today's numbers again; one combination has grown."""
        assert isinstance(world.clock, ScriptedClock)
        await world.clock.advance(300)
        for combination, count in zip(world.combinations, (emails, 10), strict=True):
            cell = Cell(Engagement(count, 5, 4, 2, 1), None, world.clock.time())
            world.store.put(combination.key, TODAY, cell, day_start=0.0)
            world.store.succeeded(combination.key, world.clock.time())
            world.publisher.refresh(combination.key)
        await world.publisher.update()

    async def test_before_the_first_write_there_are_gauges_only(self, world: World) -> None:
        shown = await world.shown()
        assert shown[EMAILS, "s0@example.com", "", "today"] == 10
        assert self.OBSERVED not in shown
        self.write(world)
        assert (await world.shown())[self.OBSERVED] == 0

    async def test_they_are_held_while_the_file_cannot_be_written_and_then_absent(self, world: World) -> None:
        self.write(world)
        world.store.unwritable_since = world.clock.monotonic()
        seen = []
        for count in (11, 12, 13, 14, 15):
            await self.poll(world, count)
            shown = await world.shown()
            assert shown[EMAILS, "s0@example.com", "", "today"] == count
            assert shown[self.STILL] == 0, "it has not grown, so it is right"
            seen.append(shown.get(self.OBSERVED))
        assert seen == [0, 0, 0, 0, None]
        world.store.unwritable_since = None
        self.write(world)
        assert (await world.shown())[self.OBSERVED] == 5

    async def test_they_vanish_by_themselves(self, world: World) -> None:
        assert isinstance(world.clock, ScriptedClock)
        self.write(world)
        world.store.unwritable_since = world.clock.monotonic()
        for count in (11, 12, 13):
            await self.poll(world, count)
        await world.clock.advance(301)
        await world.publisher.update()
        shown = await world.shown()
        assert self.OBSERVED not in shown
        assert shown[EMAILS, "s0@example.com", "", "today"] == 13


async def test_a_clock_set_back_makes_nothing_younger() -> None:
    clock = ScriptedClock()
    world = World(make_config(senders=1, head="windows: [today]\npoll_interval: 5m\nstale_after: 10m"), clock)
    known(world, 0)
    await world.publisher.show([world.collector.plan])
    async with running(world.publisher.run()):
        await clock.advance(300)
        clock.jump(wall=-7200)
        await clock.advance(299)
        assert (EMAILS, "s0@example.com", "", "today") in await world.shown()
        assert world.collector.is_up()
        await clock.advance(3)
        assert (EMAILS, "s0@example.com", "", "today") not in await world.shown()
        await clock.advance(3)
        assert not world.collector.is_up()


async def test_a_machine_that_slept_shows_nothing_old() -> None:
    """The monotonic clock stands still meanwhile."""
    clock = ScriptedClock()
    world = World(make_config(senders=1, head="windows: [today]\npoll_interval: 5m\nstale_after: 10m"), clock)
    known(world, 0)
    await world.publisher.show([world.collector.plan])
    async with running(world.publisher.run()):
        await clock.advance(2)
        clock.jump(wall=7200)
        await clock.advance(2)
        assert (EMAILS, "s0@example.com", "", "today") not in await world.shown()


async def test_a_clock_set_back_during_a_restart_shows_nothing_until_it_is_read_again() -> None:
    clock = ScriptedClock()
    world = World(make_config(senders=1, head="windows: [today, yesterday]"), clock)
    known(world, 0, 1)
    clock.jump(wall=-7200)
    await world.publisher.show([world.collector.plan])
    assert not [key for key in await world.shown() if key[0] == EMAILS]


async def test_a_clock_set_back_over_midnight_shows_the_day_before() -> None:
    clock = ScriptedClock()
    world = World(make_config(senders=1, head="windows: [today, yesterday]"), clock)
    known(world, 0, 1)
    await world.publisher.show([world.collector.plan])
    async with running(world.publisher.run()):
        clock.jump(wall=-86_400)
        await clock.advance(2)
        shown = await world.shown()
    assert shown[EMAILS, "s0@example.com", "", "today"] == 11


async def test_what_is_read_while_the_windows_slide_is_not_lost() -> None:
    clock = ScriptedClock()
    world = World(make_config(senders=1, head="windows: [today]"), clock)
    await world.publisher.show([world.collector.plan])
    board = world.publisher._begin(world.collector.plan)
    known(world, 0)
    world.publisher.refresh(world.combinations[0].key)
    assert (EMAILS, "s0@example.com", "", "today") not in await world.shown(), "the old day stays whole"
    assert board.pending is not None
    assert any(b"track_emails" in part for part in board.pending[world.combinations[0]])


async def test_several_targets_are_shown_in_one_step_and_hidden_alone() -> None:
    world = World(make_config(senders=1, head="windows: [today]"), ScriptedClock())
    known(world, 0)
    await world.publisher.show([world.collector.plan])
    await world.publisher.show([], gone=[("shop", "engagement")])
    assert not [key for key in await world.shown() if key[0] == EMAILS]
    world.publisher.refresh(world.combinations[0].key)
    assert not [key for key in await world.shown() if key[0] == EMAILS]


async def test_a_combination_that_left_the_config_is_not_shown_again() -> None:
    world = World(make_config(senders=2, head="windows: [today]"), ScriptedClock())
    known(world, 0)
    gone = world.combinations[1]
    await world.publisher.show([make_plan(make_config(senders=1, head="windows: [today]"))])
    world.publisher.refresh(gone.key)
    assert {key[1] for key in await world.shown() if key[0] == EMAILS} == {"s0@example.com"}


def two_targets(head: str = WINDOWS, senders: int = 40, statistics: str = "engagement") -> list[TargetPlan]:
    names = ", ".join(f"s{number}@example.com" for number in range(senders))
    text = f"{head}\ntargets:\n" + "".join(
        f"  - name: {name}\n    region: us-east-1\n    timezone: UTC\n"
        f"    queries:\n      - name: q\n        account_name: [{names}]\n        statistics: [{statistics}]\n"
        for name in ("first", "second")
    )
    config, problems = loader.parse(text)
    assert config is not None, problems
    return target_plan.make_all(config)


@pytest.fixture
def breathless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the loop back after every single block, so that everything that can come between does."""
    monkeypatch.setattr(publisher, "STEP", 1)


@dataclass
class Shop:
    """A publisher on its own, every combination known for the days around TODAY, each read when it had ended."""

    clock: ScriptedClock
    plans: list[TargetPlan]

    def __post_init__(self) -> None:
        self.store = Store()
        self.exposition = Exposition(families(), CollectorRegistry())
        self.publisher = Publisher(self.store, self.exposition, self.clock)
        for each in self.plans:
            others = [1] * (len(STATISTICS[each.statistic].fields) - 1)
            for combination in each.combinations:
                for age in range(-1, 3):
                    day = TODAY - timedelta(days=age)
                    cell = Cell((day.toordinal(), *others), None, day_end(day, each.target.timezone))
                    self.store.put(combination.key, day, cell, day_start=0.0)
                self.store.succeeded(combination.key, self.clock.time())

    async def text(self) -> str:
        """Return what a scrape has."""
        return b"".join((await self.exposition.scrape()).parts).decode()

    async def yesterdays(self, target: str, *metrics: str, window: str = "yesterday") -> set[int]:
        """Return what a scrape has for a window of the target: the days that its numbers are from."""
        return self._days(await self.text(), target, metrics or (EMAILS,), window)

    async def show_yesterday(self) -> tuple[bool, bool]:
        """Return which of two targets have numbers of yesterday in one scrape."""
        text = await self.text()
        first, second = (bool(self._days(text, target, (EMAILS,), "yesterday")) for target in ("first", "second"))
        return first, second

    @staticmethod
    def _days(text: str, target: str, metrics: tuple[str, ...], window: str) -> set[int]:
        return {
            int(float(line.split()[-1]))
            for line in text.splitlines()
            if line.startswith(tuple(f"{name}{{" for name in metrics))
            and f'target="{target}"' in line
            and f'window="{window}"' in line
        }


@pytest.mark.usefixtures("breathless")
async def test_no_scrape_sees_half_a_midnight() -> None:
    shop = Shop(ScriptedClock("2026-04-22T23:59:59+00:00"), two_targets(f"{WINDOWS}\nstale_after: 1d")[:1])
    await shop.publisher.show(shop.plans)
    shop.clock.jump(wall=2)
    rolling = asyncio.ensure_future(shop.publisher.update())
    seen = []
    while not rolling.done():
        await asyncio.sleep(0)  # an unchanged scrape does not give the loop back
        seen.append(await shop.yesterdays("first"))
    seen.append(await shop.yesterdays("first"))
    before, after = TODAY.toordinal() - 1, TODAY.toordinal()
    assert seen[0] == {before}
    assert seen[-1] == {after}
    assert all(len(days) == 1 for days in seen)


@pytest.mark.usefixtures("breathless")
async def test_all_statistics_of_a_target_slide_over_midnight_in_one_step() -> None:
    plans = two_targets(f"{WINDOWS}\nstale_after: 1d", 10, "engagement, delivery")[:2]
    shop = Shop(ScriptedClock("2026-04-22T23:59:59+00:00"), plans)
    await shop.publisher.show(shop.plans)
    shop.clock.jump(wall=2)
    rolling = asyncio.ensure_future(shop.publisher.update())
    seen = []
    while not rolling.done():
        await asyncio.sleep(0)
        seen.append(await shop.yesterdays("first", EMAILS, REQUESTED))
    assert seen[0] == {TODAY.toordinal() - 1}
    assert await shop.yesterdays("first", EMAILS, REQUESTED) == {TODAY.toordinal()}
    assert all(len(days) == 1 for days in seen)


@pytest.mark.usefixtures("breathless")
async def test_the_loop_is_given_back_while_the_windows_slide() -> None:
    """Counted, not timed: another task has its turn between any two blocks."""
    shop = Shop(ScriptedClock(), two_targets()[:1])
    showing = asyncio.ensure_future(shop.publisher.show(shop.plans))
    turns = 0
    while not showing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= len(shop.plans[0].combinations)


@pytest.mark.usefixtures("breathless")
async def test_a_target_hidden_while_another_slides_over_midnight_stays_hidden() -> None:
    shop = Shop(ScriptedClock("2026-04-22T23:59:59+00:00"), two_targets(f"{WINDOWS}\nstale_after: 1d"))
    await shop.publisher.show(shop.plans)
    shop.clock.jump(wall=2)
    rolling = asyncio.ensure_future(shop.publisher.update())
    await asyncio.sleep(0)
    await shop.publisher.show([], gone=[("second", "engagement")])
    await rolling
    assert await shop.yesterdays("first") == {TODAY.toordinal()}
    assert await shop.yesterdays("second") == set()


@pytest.mark.usefixtures("breathless")
async def test_a_target_hidden_while_its_data_goes_stale_stays_hidden() -> None:
    shop = Shop(ScriptedClock(), two_targets(f"{WINDOWS}\nstale_after: 1h\npoll_interval: 30m")[:1])
    await shop.publisher.show(shop.plans)
    shop.clock.jump(wall=3700)
    looking = asyncio.ensure_future(shop.publisher.update())
    await asyncio.sleep(0)
    await shop.publisher.show([], gone=[("first", "engagement")])
    await looking
    assert list((await shop.exposition.scrape()).parts) == [b""]


@pytest.mark.usefixtures("breathless")
async def test_a_reload_during_midnight_is_not_undone_by_it() -> None:
    """The windows slide by the plan that is in force, not by the one that was when the sliding began."""
    shop = Shop(ScriptedClock("2026-04-22T23:59:59+00:00"), two_targets(f"{WINDOWS}\nstale_after: 1d"))
    await shop.publisher.show(shop.plans)
    shop.clock.jump(wall=2)
    rolling = asyncio.ensure_future(shop.publisher.update())
    await asyncio.sleep(0)
    await shop.publisher.show(two_targets("windows: [today]"))
    await rolling
    assert await shop.yesterdays("first") == set()
    assert await shop.yesterdays("second") == set()


@pytest.mark.usefixtures("breathless")
async def test_all_targets_of_a_reload_change_in_one_step() -> None:
    shop = Shop(ScriptedClock(), two_targets())
    await shop.publisher.show(shop.plans)
    reloading = asyncio.ensure_future(shop.publisher.show(two_targets("windows: [today]")))
    seen = []
    while not reloading.done():
        await asyncio.sleep(0)
        seen.append(await shop.show_yesterday())
    seen.append(await shop.show_yesterday())
    assert seen[0] == (True, True)
    assert seen[-1] == (False, False)
    assert len(set(seen)) == 2


@pytest.mark.usefixtures("breathless")
async def test_what_a_reload_removes_disappears_together_with_the_other_changes() -> None:
    shop = Shop(ScriptedClock(), two_targets())
    await shop.publisher.show(shop.plans)
    left = two_targets("windows: [today]")[:1]
    reloading = asyncio.ensure_future(shop.publisher.show(left, gone=[("second", "engagement")]))
    seen = set()
    while not reloading.done():
        await asyncio.sleep(0)
        seen.add(await shop.show_yesterday())
    seen.add(await shop.show_yesterday())
    assert seen == {(True, True), (False, False)}


async def test_a_sweep_touches_only_what_went_stale() -> None:
    shop = Shop(ScriptedClock(), two_targets(f"{WINDOWS}\nstale_after: 1h\npoll_interval: 30m")[:1])
    await shop.publisher.show(shop.plans)
    lasting = shop.plans[0].combinations[3]
    shop.clock.jump(wall=1800)
    shop.store.succeeded(lasting.key, shop.clock.time())
    shop.publisher.refresh(lasting.key)
    shop.clock.jump(wall=1801)
    await shop.publisher.update()
    text = await shop.text()
    shown = [line for line in text.splitlines() if line.startswith(f"{EMAILS}{{")]
    assert len(shown) == 2
    assert all(f'account_name="{lasting.filters.account_name}"' in line for line in shown)
    assert text.count("directmail_query_stale{") == len(shop.plans[0].combinations)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/Santiago", "Pacific/Apia", "UTC"])
async def test_bounds_are_the_targets_own_days(zone: str) -> None:
    """In Santiago clocks are set at midnight; Apia is a day ahead."""
    world = World(make_config(senders=1, zone=zone, head="windows: [today, 7d]"), ScriptedClock())
    await world.publisher.show([world.collector.plan])
    shown = await world.shown()
    start, end = (f"directmail_track_window_{edge}_timestamp_seconds" for edge in ("start", "end"))
    its = world.collector.plan.target.timezone
    midnight = datetime.combine(datetime.fromtimestamp(world.clock.time(), its).date(), time(), its)
    assert shown[start, "", "", "today"] == midnight.timestamp() == shown[end, "", "", "7d"]
    assert shown[end, "", "", "today"] == (midnight + timedelta(days=1)).timestamp()
    assert shown[start, "", "", "7d"] == (midnight - timedelta(days=7)).timestamp()


class TestTwoStatistics:
    """Of one target: the data of each is its own, the bounds are the target's."""

    BOUND = "directmail_track_window_end_timestamp_seconds"

    @pytest.fixture
    async def shop(self) -> Shop:
        shop = Shop(ScriptedClock(), two_targets(WINDOWS, 1, "engagement, delivery")[:2])
        await shop.publisher.show(shop.plans)
        return shop

    async def test_both_are_shown_and_each_has_its_health(self, shop: Shop) -> None:
        text = await shop.text()
        assert text.count(f"{EMAILS}{{") == text.count(f"{REQUESTED}{{") == 2
        for row in HEALTH:
            of = [line.split('statistic="')[1].split('"')[0] for line in text.splitlines() if row.name + "{" in line]
            assert of == ["engagement", "delivery"]
        assert text.count(f"{self.BOUND}{{") == 2, "one for each window"

    async def test_one_that_goes_leaves_the_other_and_the_bounds(self, shop: Shop) -> None:
        await shop.publisher.show([], gone=[("first", "engagement")])
        text = await shop.text()
        assert EMAILS not in text
        assert text.count(f"{REQUESTED}{{") == 2
        assert text.count(f"{self.BOUND}{{") == 2
        await shop.publisher.show([], gone=[("first", "delivery")])
        assert await shop.text() == ""

    async def test_one_that_goes_stale_leaves_the_other(self, shop: Shop) -> None:
        _, delivery = shop.plans
        shop.clock.jump(wall=3600, monotonic=3600)
        for combination in delivery.combinations:
            shop.store.succeeded(combination.key, shop.clock.time())
            shop.publisher.refresh(combination.key)
        await shop.publisher.update()
        text = await shop.text()
        assert f"{EMAILS}{{" not in text
        assert text.count(f"{REQUESTED}{{") == 2
        stale = [line for line in text.splitlines() if line.startswith("directmail_query_stale{")]
        assert [line[-3:] for line in stale] == ["1.0", "0.0"]

    async def test_the_bounds_move_with_the_last_combination_of_both(self) -> None:
        shop = Shop(ScriptedClock("2026-04-22T23:59:00+00:00"), two_targets(WINDOWS, 1, "engagement, delivery")[:2])
        for each in shop.plans:  # the day that ends was not read after its end
            (combination,) = each.combinations
            cells = shop.store.get(combination.key).cells
            cells[TODAY] = replace(cells[TODAY], read_at=shop.clock.time())
        await shop.publisher.show(shop.plans)
        await shop.clock.advance(120)
        await shop.publisher.update()
        ended, moved = (day_end(TODAY - timedelta(days=age), ZoneInfo("UTC")) for age in (1, 0))
        for each, end in ((None, ended), (shop.plans[1], ended), (shop.plans[0], moved)):
            if each is not None:
                (combination,) = each.combinations
                cell = shop.store.get(combination.key).cells[TODAY]
                shop.store.put(combination.key, TODAY, replace(cell, read_at=shop.clock.time()), day_start=0.0)
                shop.publisher.refresh(combination.key)
            assert f'{self.BOUND}{{target="first",window="yesterday"}} {number(end)}\n' in await shop.text()


class Watched(Store):
    """A store that counts what is looked up in it."""

    looked_up = 0

    def get(self, key: Key) -> Record:
        self.looked_up += 1
        return super().get(key)


async def test_a_few_combinations_are_rendered_in_a_turn_however_many_plans_there_are() -> None:
    store = Watched()
    shown = Publisher(store, Exposition(families(), CollectorRegistry()), ScriptedClock())
    (plan, *_) = two_targets(senders=3)
    plans = [replace(plan, target=replace(plan.target, name=f"shop-{number}")) for number in range(99)]
    assert await most_in_a_turn(shown.show(plans), lambda: store.looked_up) == publisher.STEP
    assert store.looked_up == 99 * 3
