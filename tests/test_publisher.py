"""The exposition in step with the store and the calendar. Days and staleness under polling are in test_collector."""

from datetime import date, timedelta

from exporter.directmail.model import Totals
from exporter.plan import day_start
from exporter.store import Cell
from tests.clock import ScriptedClock
from tests.tasks import running
from tests.worlds import World, make_config, make_plan

EMAILS = "directmail_track_emails"
TODAY = date(2026, 4, 22)


def known(world: World, *ages: int) -> None:
    """Put cells into the store as if they had been read just now."""
    zone = world.collector.plan.target.timezone
    for combination in world.combinations:
        for age in ages:
            day = TODAY - timedelta(days=age)
            cell = Cell(Totals(10 + age, 5, 4, 2, 1), None, world.clock.time())
            world.store.put(combination.key, day, cell, day_start=day_start(day, zone))
        world.store.succeeded(combination.key, world.clock.time())


async def test_what_the_store_knows_at_the_start_is_shown_before_any_call() -> None:
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
        world.publisher.refresh(combination)
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


async def test_a_clock_that_jumps_over_midnight_slides_the_windows() -> None:
    clock = ScriptedClock()
    world = World(make_config(senders=1, head="windows: [today, yesterday]\nstale_after: 2d"), clock)
    known(world, 0, 1)
    await world.publisher.show([world.collector.plan])
    async with running(world.publisher.run()):
        clock.jump(wall=86_400)
        await clock.advance(2)
        shown = await world.shown()
    assert shown[EMAILS, "s0@example.com", "", "yesterday"] == 10
    assert (EMAILS, "s0@example.com", "", "today") not in shown


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
    world.publisher.refresh(world.combinations[0])
    assert (EMAILS, "s0@example.com", "", "today") not in await world.shown(), "the old day stays whole"
    assert board.pending is not None
    assert any(b"track_emails" in part for part in board.pending[world.combinations[0]])


async def test_several_targets_are_shown_in_one_step_and_hidden_alone() -> None:
    world = World(make_config(senders=1, head="windows: [today]"), ScriptedClock())
    known(world, 0)
    await world.publisher.show([world.collector.plan])
    world.publisher.hide("shop")
    assert not [key for key in await world.shown() if key[0] == EMAILS]
    world.publisher.refresh(world.combinations[0])
    assert not [key for key in await world.shown() if key[0] == EMAILS]


async def test_a_combination_that_left_the_config_is_not_shown_again() -> None:
    world = World(make_config(senders=2, head="windows: [today]"), ScriptedClock())
    known(world, 0)
    gone = world.combinations[1]
    await world.publisher.show([make_plan(make_config(senders=1, head="windows: [today]"))])
    world.publisher.refresh(gone)
    assert {key[1] for key in await world.shown() if key[0] == EMAILS} == {"s0@example.com"}
