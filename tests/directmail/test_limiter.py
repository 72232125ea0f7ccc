"""The call budget: even spacing, the sliding minute, throttling and the way back from it."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.directmail.limiter import MARGIN, RECOVERY, STEP_SECONDS, Limiter, Limiters
from tests.support.clock import ScriptedClock, settle


async def take(limiter: Limiter, clock: ScriptedClock, count: int, seconds: float = 3600.0) -> list[float]:
    """Return when that many callers, who all request now, are granted, in the order of requests, from now."""
    start = clock.monotonic()
    callers = [asyncio.create_task(limiter.acquire()) for _ in range(count)]
    await clock.advance(seconds)
    return [await caller - start for caller in callers]


def most_in_a_minute(grants: list[float]) -> int:
    return max(sum(start <= grant <= start + 60.0 for grant in grants) for start in grants)


class TestSpacing:
    async def test_thirty_a_minute_is_a_call_every_two_seconds_and_never_a_burst(self) -> None:
        clock = ScriptedClock()
        grants = await take(Limiter(30, clock), clock, 100)
        assert {round(after - before, 9) for before, after in pairwise(grants)} == {round((60 + MARGIN) / 30, 9)}

    async def test_an_idle_hour_saves_up_nothing(self) -> None:
        clock = ScriptedClock()
        limiter = Limiter(30, clock)
        await limiter.acquire()
        await clock.advance(3600.0)
        first, second = await take(limiter, clock, 2)
        assert first == 0.0
        assert second == pytest.approx(60.25 / 30)

    @given(
        per_minute=st.floats(min_value=1, max_value=500),
        pauses=st.lists(st.floats(min_value=0, max_value=90), min_size=1, max_size=40),
    )
    @settings(max_examples=40)
    def test_no_sliding_minute_ever_holds_more_than_the_limit(self, per_minute: float, pauses: list[float]) -> None:
        async def run() -> list[float]:
            clock = ScriptedClock()
            limiter = Limiter(per_minute, clock)
            callers = []
            for pause in pauses:
                callers += [asyncio.create_task(limiter.acquire()) for _ in range(3)]
                await clock.advance(pause)
            await clock.advance(len(callers) * 61.0)
            return [await caller for caller in callers]

        assert most_in_a_minute(asyncio.run(run())) <= per_minute

    async def test_less_than_one_call_a_minute_is_spread_over_minutes(self) -> None:
        clock = ScriptedClock()
        first, second = await take(Limiter(0.5, clock), clock, 2)
        assert second - first == pytest.approx(120.5)

    async def test_the_phase_delays_the_first_call_by_a_part_of_a_slot(self) -> None:
        clock = ScriptedClock()
        first, second = await take(Limiter(60, clock, phase=0.5), clock, 2)
        assert first == pytest.approx(60.25 / 60 / 2)
        assert second - first == pytest.approx(60.25 / 60)


class TestHolding:
    async def test_nothing_is_granted_while_it_is_held_and_the_rate_stays(self) -> None:
        clock = ScriptedClock()
        limiter = Limiter(60, clock)
        limiter.hold(45.0)
        limiter.hold(5.0)
        grants = await take(limiter, clock, 2)
        assert grants == pytest.approx([45.0, 45.0 + 60.25 / 60])
        assert not limiter.is_throttled


class TestWaiting:
    async def test_callers_are_served_in_order(self) -> None:
        clock = ScriptedClock()
        grants = await take(Limiter(60, clock), clock, 20)
        assert grants == sorted(grants)

    async def test_a_cancelled_caller_takes_no_slot_and_delays_no_other(self) -> None:
        clock = ScriptedClock()
        limiter = Limiter(60, clock)
        await limiter.acquire()
        waiting = [asyncio.create_task(limiter.acquire()) for _ in range(3)]
        await clock.advance(0.5)
        waiting[0].cancel()  # asleep until its slot
        waiting[1].cancel()  # in the queue behind it
        start = clock.monotonic()
        await clock.advance(10.0)
        assert await waiting[2] - start == pytest.approx(60.25 / 60 - 0.5)
        assert limiter.used_last_minute == 2

    @pytest.mark.parametrize("hours", [pytest.param(-30, id="back"), pytest.param(30, id="on")])
    async def test_a_wall_clock_that_jumps_changes_nothing(self, hours: int) -> None:
        clock = ScriptedClock()
        limiter = Limiter(60, clock)
        await limiter.acquire()
        clock.jump(wall=hours * 3600.0)
        assert await take(limiter, clock, 1) == [pytest.approx(60.25 / 60)]

    async def test_after_suspend_the_next_call_is_allowed_at_once(self) -> None:
        clock = ScriptedClock()
        limiter = Limiter(1, clock)
        await limiter.acquire()
        caller = asyncio.create_task(limiter.acquire())
        await settle()
        clock.jump(monotonic=7200.0)
        await clock.advance(0.0)
        assert caller.done()

    async def test_a_turn_comes_when_no_caller_waits_and_uses_no_slot(self) -> None:
        clock = ScriptedClock()
        limiter = Limiter(60, clock)
        await limiter.acquire()
        retry = asyncio.create_task(limiter.acquire())
        turn = asyncio.create_task(limiter.turn())
        await clock.advance(60.25 / 60 + 0.5)
        assert retry.done()
        assert not turn.done()
        await clock.advance(60.25 / 60)
        assert turn.done()
        assert await take(limiter, clock, 1) == [0.0]

    async def test_the_calls_of_the_last_sixty_seconds_are_counted(self) -> None:
        clock = ScriptedClock()
        limiter = Limiter(60, clock)
        await take(limiter, clock, 5, seconds=10.0)
        assert limiter.used_last_minute == 5
        await clock.advance(52.5)  # the first three are a minute old
        assert limiter.used_last_minute == 2


class TestThrottling:
    async def test_the_rate_is_halved_at_once_and_the_next_call_waits_a_slot_of_it(self) -> None:
        clock = ScriptedClock()
        limiter = Limiter(60, clock)
        limiter.throttled(granted_at=await limiter.acquire())
        assert limiter.allowed_per_minute == 30
        assert limiter.is_throttled
        assert await take(limiter, clock, 2) == [pytest.approx(60.25 / 30), pytest.approx(60.25 / 15)]

    async def test_the_api_sets_how_long_to_wait(self) -> None:
        clock = ScriptedClock()
        limiter = Limiter(60, clock)
        limiter.throttled(45.0, granted_at=await limiter.acquire())
        assert await take(limiter, clock, 1) == [45.0]

    async def test_a_wait_of_no_seconds_keeps_the_slot_of_the_call_before(self) -> None:
        clock = ScriptedClock()
        limiter = Limiter(60, clock)
        limiter.throttled(0.0, granted_at=await limiter.acquire())
        assert await take(limiter, clock, 1) == [pytest.approx(60.25 / 60)]

    async def test_a_caller_who_waits_already_waits_longer(self) -> None:
        clock = ScriptedClock()
        limiter = Limiter(60, clock)
        granted_at = await limiter.acquire()
        caller = asyncio.create_task(limiter.acquire())
        await clock.advance(0.5)
        limiter.throttled(20.0, granted_at=granted_at)
        await clock.advance(19.0)
        assert not caller.done()
        await clock.advance(1.0)
        assert caller.done()

    async def test_calls_in_flight_together_halve_once_however_late_their_answers(self) -> None:
        clock = ScriptedClock()
        limiter = Limiter(64, clock)
        calls = [asyncio.create_task(limiter.acquire()) for _ in range(5)]
        await clock.advance(5.0)
        for call in calls:
            limiter.throttled(granted_at=await call)
            await clock.advance(30.0)
        assert limiter.allowed_per_minute == 32

    async def test_a_call_of_the_new_rate_halves_it_again(self) -> None:
        clock = ScriptedClock()
        limiter = Limiter(64, clock)
        for allowed in (32, 16, 8, 4, 2, 1, 1):
            call = asyncio.create_task(limiter.acquire())
            await clock.advance(120.0)
            limiter.throttled(granted_at=await call)
            assert limiter.allowed_per_minute == allowed

    async def test_a_limit_below_one_call_a_minute_is_its_own_floor(self) -> None:
        limiter = Limiter(0.5, ScriptedClock())
        limiter.throttled()
        assert limiter.allowed_per_minute == 0.5
        assert not limiter.is_throttled

    async def test_the_rate_comes_back_in_small_steps_to_exactly_what_is_configured(self) -> None:
        clock = ScriptedClock()
        limiter = Limiter(30, clock)
        limiter.throttled(granted_at=await limiter.acquire())
        seen = [limiter.allowed_per_minute]
        while limiter.is_throttled:
            await clock.advance(STEP_SECONDS)
            limiter.succeeded()
            seen.append(limiter.allowed_per_minute)
        steps = [after - before for before, after in pairwise(seen)]
        assert steps == pytest.approx([30 / RECOVERY] * (RECOVERY // 2))
        assert seen[-1] == 30

    async def test_many_successes_at_once_are_one_step(self) -> None:
        clock = ScriptedClock()
        limiter = Limiter(40, clock)
        limiter.throttled()
        await clock.advance(STEP_SECONDS)
        for _ in range(100):
            limiter.succeeded()
        assert limiter.allowed_per_minute == 22

    async def test_a_success_that_comes_right_after_the_throttling_brings_nothing_back(self) -> None:
        limiter = Limiter(40, ScriptedClock())
        limiter.throttled()
        limiter.succeeded()
        assert limiter.allowed_per_minute == 20


TRACK, DELIVERY, TAGS = "GetTrackList", "SenderStatisticsByTagNameAndBatchID", "QueryTagByParam"


class TestEachOperation:
    """A limiter for each operation of a target."""

    async def test_each_operation_has_the_whole_rate_whatever_the_others_take(self) -> None:
        clock = ScriptedClock()
        limiters, start = Limiters(30, clock), clock.monotonic()
        callers = [
            asyncio.create_task(limiters.of(action).acquire()) for action in (TRACK, DELIVERY, TAGS) for _ in range(40)
        ]
        await clock.advance(3600.0)
        grants = [await caller for caller in callers]
        assert max(grants) - start < 40 * 60.25 / 30, "none waits for another"
        for each in (grants[:40], grants[40:80], grants[80:]):
            assert most_in_a_minute(each) == 30
            assert {round(after - before, 9) for before, after in pairwise(each)} == {round(60.25 / 30, 9)}

    async def test_throttling_slows_down_the_operation_that_was_throttled(self) -> None:
        clock = ScriptedClock()
        limiters = Limiters(60, clock)
        limiters.of(DELIVERY).throttled(45.0, granted_at=await limiters.of(DELIVERY).acquire())
        assert [limiters.of(action).allowed_per_minute for action in (TRACK, DELIVERY)] == [60, 30]
        first, second = await take(limiters.of(TRACK), clock, 2)
        assert first < 60.25 / 60
        assert second - first == pytest.approx(60.25 / 60)
        limiters.of(TRACK).succeeded()
        assert limiters.of(DELIVERY).is_throttled

    async def test_an_operation_keeps_its_limiter(self) -> None:
        limiters = Limiters(60, ScriptedClock())
        assert limiters.of(TRACK) is limiters.of(TRACK)
        assert limiters.of(TRACK) is not limiters.of(DELIVERY)

    async def test_operations_do_not_keep_step(self) -> None:
        clock = ScriptedClock()
        limiters = Limiters(60, clock, phase=0.5)
        start = clock.monotonic()
        callers = [asyncio.create_task(limiters.of(action).acquire()) for action in (TRACK, DELIVERY, TAGS)]
        await clock.advance(60.0)
        firsts = sorted([await caller - start for caller in callers])
        assert firsts[-1] < 60.25 / 60, "each comes within its first slot"
        assert min(after - before for before, after in pairwise(firsts)) > 0.1

    async def test_an_operation_may_have_a_lower_rate_and_never_a_higher_one(self) -> None:
        limiters = Limiters(30, ScriptedClock(), lower={DELIVERY: 10, TAGS: 50})
        assert [limiters.of(action).configured_per_minute for action in (TRACK, DELIVERY, TAGS)] == [30, 10, 30]
