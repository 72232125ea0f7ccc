"""The tests' own clock keeps its promises."""

import asyncio

from tests.support.clock import ScriptedClock, settle


async def test_sleepers_wake_in_order_and_each_at_its_own_moment() -> None:
    clock, woken = ScriptedClock(monotonic=0.0), []

    async def sleep(seconds: float, then: float = 0.0) -> None:
        await clock.sleep(seconds)
        woken.append(clock.monotonic())
        if then:
            await sleep(then)

    tasks = [asyncio.create_task(sleep(5.0)), asyncio.create_task(sleep(1.0, then=2.0))]
    await clock.advance(4.0)
    assert woken == [1.0, 3.0]
    await clock.advance(1.0)
    assert woken == [1.0, 3.0, 5.0]
    await asyncio.gather(*tasks)


async def test_the_two_times_jump_apart() -> None:
    clock = ScriptedClock(0.0, monotonic=0.0)
    clock.jump(wall=-3600.0)
    await clock.advance(10.0)
    assert (clock.time(), clock.monotonic()) == (-3590.0, 10.0)


async def test_a_cancelled_sleeper_delays_no_other() -> None:
    clock = ScriptedClock()
    lost, kept = (asyncio.create_task(clock.sleep(seconds)) for seconds in (1.0, 2.0))
    await settle()
    lost.cancel()
    await clock.advance(2.0)
    assert lost.cancelled()
    assert kept.done()


async def test_skipped_sleeps_move_the_time_themselves() -> None:
    clock = ScriptedClock(0.0, skip_sleeps=True)
    await clock.sleep(7.5)
    assert clock.time() == 7.5
    assert clock.slept == [7.5]
