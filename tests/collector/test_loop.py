"""The loop of a target over simulated days: what is requested, what is shown meanwhile, what is reported."""

import itertools
from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from exporter.directmail.errors import AuthError, DirectMailError, InvalidRequest, ServerError
from exporter.directmail.model import Filters
from exporter.plan import target_plan
from tests.support.clock import ScriptedClock, settle
from tests.support.tasks import running
from tests.support.worlds import World, make_config

DAY, HOUR, MINUTE = 86_400.0, 3600.0, 60.0
EMAILS = "directmail_track_emails"


def world(clock: ScriptedClock | None = None, **options: Any) -> World:
    api = {name: options.pop(name) for name in ("fails", "counts", "pages", "latency") if name in options}
    return World(make_config(**options), clock or ScriptedClock(), **api)


def rising(filters: Filters, day: date, now: float) -> int:
    """A count that grows by one every ten seconds from the beginning of the day, in UTC."""
    begin = datetime.fromisoformat(f"{day.isoformat()}T00:00:00+00:00").timestamp()
    return max(0, int((now - begin) / 10))


async def test_three_days_cost_at_most_one_and_a_half_calls_a_combination_and_interval() -> None:
    clock = ScriptedClock()
    each = world(clock, senders=10, head="windows: [today, 7d, 30d]")
    async with running(each.collector.run()):
        await clock.advance(DAY)
        each.api.requested.clear()
        await clock.advance(3 * DAY)
    intervals = 3 * DAY / each.collector.plan.poll_interval
    per_interval = len(each.api.requested) / intervals / 10
    assert 1 < per_interval <= 1.5
    planned = each.collector.plan.requests_per_minute
    assert len(each.api.requested) / (3 * DAY / MINUTE) == pytest.approx(planned, rel=0.05)


async def test_the_first_minutes_are_no_burst() -> None:
    clock = ScriptedClock()
    each = world(clock, senders=30)
    async with running(each.collector.run()):
        await clock.advance(10 * MINUTE)
    times = [at for at, _, _ in each.api.requested]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert min(gaps) >= 2.0
    assert max(sum(start <= at < start + 60 for at in times) for start in times) <= 30


async def test_midnight_is_no_burst_either() -> None:
    clock = ScriptedClock("2026-04-22T23:50:00+00:00")
    each = world(clock, senders=30, head="windows: [today, yesterday]")
    async with running(each.collector.run()):
        await clock.advance(30 * MINUTE)
    times = [at for at, _, _ in each.api.requested]
    assert max(sum(start <= at < start + 60 for at in times) for start in times) <= 30


async def test_at_midnight_the_day_that_ended_is_read_first() -> None:
    clock = ScriptedClock("2026-04-22T23:50:00+00:00")
    each = world(clock, senders=2, head="windows: [today, yesterday]\npoll_interval: 1h")
    async with running(each.collector.run()):
        await clock.advance(10 * MINUTE)
        each.api.requested.clear()
        await clock.advance(MINUTE)
    assert [day.isoformat() for _, _, day in each.api.requested] == ["2026-04-22"] * 2 + ["2026-04-23"] * 2


async def test_closed_windows_slide_when_the_day_that_ended_was_read() -> None:
    clock = ScriptedClock("2026-04-22T23:00:00+00:00")
    each = world(clock, senders=3, head="windows: [today, yesterday, 7d]\npoll_interval: 5m", counts=rising)
    await each.publisher.show([each.collector.plan])
    async with running(each.collector.run(), each.publisher.run()):
        await clock.advance(59 * MINUTE + 59)
        before = await each.shown()
        await clock.advance(1.01)
        after = await each.shown()
        await clock.advance(MINUTE)
        later = await each.shown()
    start = "directmail_track_window_start_timestamp_seconds"
    assert after[start, "", "", "today"] - before[start, "", "", "today"] == DAY
    for window in ("yesterday", "7d"):
        assert after[start, "", "", window] == before[start, "", "", window]
        assert later[start, "", "", window] - before[start, "", "", window] == DAY
    for sender in ("s0@example.com", "s1@example.com", "s2@example.com"):
        assert after[EMAILS, sender, "", "yesterday"] == before[EMAILS, sender, "", "yesterday"]
        assert (EMAILS, sender, "", "today") not in after
        assert later[EMAILS, sender, "", "yesterday"] >= 4 * DAY / 10 > before[EMAILS, sender, "", "today"]
        assert later[EMAILS, sender, "", "today"] < 100


@pytest.mark.parametrize(
    ("start", "hours"),
    [
        pytest.param("2026-03-28T12:00:00+01:00", 23, id="spring"),
        pytest.param("2026-10-24T12:00:00+02:00", 25, id="autumn"),
    ],
)
async def test_a_day_of_23_or_25_hours_is_one_day(start: str, hours: int) -> None:
    clock = ScriptedClock(start)
    each = world(clock, senders=1, zone="Europe/Berlin", head="windows: [today, yesterday]\npoll_interval: 5m")
    await each.publisher.show([each.collector.plan])
    async with running(each.collector.run(), each.publisher.run()):
        await clock.advance(24 * HOUR)
        shown = await each.shown()
    start_metric, end_metric = (f"directmail_track_window_{edge}_timestamp_seconds" for edge in ("start", "end"))
    length = shown[end_metric, "", "", "today"] - shown[start_metric, "", "", "today"]
    assert length == hours * HOUR
    assert (EMAILS, "s0@example.com", "", "today") in shown


async def test_a_window_is_shown_only_when_all_of_its_days_are_known() -> None:
    clock = ScriptedClock()
    each = world(clock, senders=1, head="windows: [today, yesterday, 7d]")
    await each.publisher.show([each.collector.plan])
    windows = []
    async with running(each.collector.run()):
        for _ in range(16):
            await clock.advance(1)
            windows.append({key[3] for key in await each.shown() if key[0] == EMAILS})
    assert windows[0] == {"today"}
    assert {"today", "yesterday"} in windows
    assert windows[-1] == {"today", "yesterday", "7d"}
    assert all(earlier <= later for earlier, later in itertools.pairwise(windows))


async def test_a_bad_combination_neither_delays_nor_hides_another() -> None:
    def fails(filters: Filters, day: date) -> DirectMailError | None:
        return ServerError("the API failed") if filters.account_name == "s0@example.com" else None

    clock = ScriptedClock()
    each = world(clock, senders=2, head="windows: [today, yesterday]\npoll_interval: 5m", fails=fails)
    await each.publisher.show([each.collector.plan])
    async with running(each.collector.run(), each.publisher.run()):
        await clock.advance(HOUR)
        shown = await each.shown()
    good = [
        at
        for at, filters, day in each.api.requested
        if filters.account_name == "s1@example.com" and day == date(2026, 4, 22)
    ]
    assert len(good) >= 11
    assert shown["directmail_query_success", "s0@example.com", "", ""] == 0
    assert shown["directmail_query_success", "s1@example.com", "", ""] == 1
    assert not any(key[0].startswith("directmail_track") for key in shown if key[1] == "s0@example.com")


async def test_a_failing_combination_is_tried_less_and_less_often() -> None:
    clock = ScriptedClock()
    each = world(
        clock,
        senders=1,
        head="windows: [today]\npoll_interval: 5m",
        fails=lambda filters, day: ServerError("the API failed"),
    )
    async with running(each.collector.run()):
        await clock.advance(HOUR)
    times = [at for at, _, _ in each.api.requested]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps[0] < gaps[1] < gaps[2] < gaps[3]
    assert max(gaps) < 1.25 * 300


class TestStaleness:
    """Held until `stale_after`, then dropped, back at the first success."""

    @pytest.fixture
    async def broken(self) -> Any:
        clock = ScriptedClock()
        state = {"down": False}

        def fails(filters: Filters, day: date) -> DirectMailError | None:
            return ServerError("the API failed", code="InternalError", request_id="R-1") if state["down"] else None

        each = world(clock, senders=1, head="windows: [today]\npoll_interval: 5m\nstale_after: 20m", fails=fails)
        await each.publisher.show([each.collector.plan])
        return each, clock, state

    async def test_values_are_held_then_dropped_then_shown_again(self, broken: Any) -> None:
        each, clock, state = broken
        async with running(each.collector.run(), each.publisher.run()):
            await clock.advance(10)
            held_since = (await each.shown())[
                "directmail_query_last_success_timestamp_seconds", "s0@example.com", "", ""
            ]
            state["down"] = True
            await clock.advance(20 * MINUTE - (clock.time() - held_since) - 2)
            held = await each.shown()
            assert (EMAILS, "s0@example.com", "", "today") in held
            assert held["directmail_query_success", "s0@example.com", "", ""] == 0
            assert held["directmail_query_stale", "s0@example.com", "", ""] == 0
            assert not each.collector.is_up()
            await clock.advance(5)
            dropped = await each.shown()
            assert not any(key[0].startswith("directmail_track") and key[1] for key in dropped)
            assert dropped["directmail_query_stale", "s0@example.com", "", ""] == 1
            state["down"] = False
            await clock.advance(6 * MINUTE)
            back = await each.shown()
            assert (EMAILS, "s0@example.com", "", "today") in back
            assert back["directmail_query_stale", "s0@example.com", "", ""] == 0
            assert each.collector.is_up()

    async def test_a_failure_and_a_recovery_are_logged_once_each(self, broken: Any) -> None:
        each, clock, state = broken
        with capture_logs() as lines:
            async with running(each.collector.run()):
                await clock.advance(10)
                state["down"] = True
                await clock.advance(HOUR)
                state["down"] = False
                await clock.advance(HOUR)
        lost, back = [line for line in lines if line["event"] != "window complete"]
        assert (lost["event"], lost["reason"], lost["code"], lost["request_id"]) == (
            "target failing",
            "server",
            "InternalError",
            "R-1",
        )
        assert back["event"] == "target recovered"


class TestADayThatLosesItsMail:
    """It is requested once more before that is believed."""

    @staticmethod
    async def polled(*counts: int) -> tuple[World, list[float | None], list[Any]]:
        """Answer one number after the other, the last forever; return what is shown a minute after each poll."""
        clock = ScriptedClock()
        results = iter(counts)
        each = world(
            clock,
            senders=1,
            head="windows: [today]\npoll_interval: 10m\nstale_after: 1h",
            counts=lambda filters, day, now: next(results, counts[-1]),
        )
        await each.publisher.show([each.collector.plan])
        shown = []
        with capture_logs() as lines:
            async with running(each.collector.run(), each.publisher.run()):
                for _ in range(4):
                    await clock.advance(MINUTE)
                    shown.append((await each.shown()).get((EMAILS, "s0@example.com", "", "today")))
                    await clock.advance(9 * MINUTE)
        return each, shown, [line for line in lines if line["log_level"] == "warning"]

    async def test_one_empty_answer_between_good_ones_changes_nothing(self) -> None:
        each, shown, lines = await self.polled(40, 0, 40, 41)
        assert shown == [160, 160, 164, 164]
        assert each.store.get(each.combinations[0].key).counted[0] == 4
        assert [line["event"] for line in lines] == [
            "day with mail has none now; requesting it again before showing that"
        ]
        assert (lines[0]["day"], lines[0]["request_id"]) == ("2026-04-22", "REQUEST")

    async def test_the_second_one_in_a_row_is_accepted_and_logged(self) -> None:
        _, shown, lines = await self.polled(40, 0)
        assert shown == [160, 0, 0, 0]
        assert [line["event"] for line in lines][1:] == ["day with mail has none; the API confirms it"]

    async def test_an_api_that_has_the_mail_every_other_time_is_logged_once(self) -> None:
        each, shown, lines = await self.polled(40, 0, 40, 0, 40, 0, 40, 0, 40)
        assert set(shown) == {160}
        assert each.store.get(each.combinations[0].key).counted[0] == 0
        assert len(lines) == 1

    async def test_while_it_is_requested_again_it_is_due(self) -> None:
        clock = ScriptedClock()
        results = iter([40, 0])
        each = world(
            clock,
            senders=1,
            head="windows: [today]\npoll_interval: 10m",
            counts=lambda filters, day, now: next(results, 0),
        )
        async with running(each.collector.run()):
            await clock.advance(10 * MINUTE + 1)
            assert each.collector.backlog() == 1
            await clock.advance(MINUTE)
            assert each.collector.backlog() == 0


async def test_what_is_due_is_unknown_until_the_schedule_is_filled() -> None:
    each = world(ScriptedClock(), senders=1, head="windows: [today]")
    assert each.collector.backlog() is None
    async with running(each.collector.run()):
        await settle()
        assert isinstance(each.collector.backlog(), int)


async def test_a_clock_that_was_too_far_ahead_at_night_leaves_no_half_day() -> None:
    """It is 22:05, and the clock has said 00:05: what was read then closes no day."""
    clock = ScriptedClock("2026-04-22T23:30:00+00:00")
    each = world(clock, senders=1, head="windows: [today, yesterday]\npoll_interval: 3h", counts=rising, latency=3.0)
    await each.publisher.show([each.collector.plan])
    async with running(each.collector.run(), each.publisher.run()):
        await clock.advance(35 * MINUTE)
        clock.jump(wall=-2 * HOUR)
        await clock.advance(115 * MINUTE)
        today, yesterday = [], []
        for _ in range(10):
            await clock.advance(1)
            shown = await each.shown()
            today.append(shown.get((EMAILS, "s0@example.com", "", "today")))
            yesterday.append(shown.get((EMAILS, "s0@example.com", "", "yesterday")))
    assert today[:2] == [None, None], "the new day was read before it began"
    assert all(value is None or value >= 4 * DAY / 10 for value in yesterday)
    assert None not in (today[-1], yesterday[-1])


async def test_a_result_that_was_requested_before_the_clock_was_set_back_is_of_no_later_time_than_now() -> None:
    clock = ScriptedClock("2026-04-22T23:30:00+00:00")
    each = world(clock, senders=1, head="windows: [today]\npoll_interval: 3h", latency=3.0)
    async with running(each.collector.run()):
        await clock.advance(1)
        clock.jump(wall=-300)
        await clock.advance(3)
        (cell,) = each.store.get(each.combinations[0].key).cells.values()
        assert cell.read_at == pytest.approx(clock.time() - 4, rel=0, abs=0.5)


async def test_a_combination_that_never_succeeded_has_no_data_at_all() -> None:
    clock = ScriptedClock()
    each = world(clock, senders=1, fails=lambda filters, day: AuthError("the API rejected the credentials"))
    await each.publisher.show([each.collector.plan])
    async with running(each.collector.run(), each.publisher.run()):
        await clock.advance(HOUR)
        shown = await each.shown()
    of_sender = {key[0] for key in shown if key[1]}
    assert of_sender == {"directmail_query_success", "directmail_query_stale", "directmail_query_supported"}


@pytest.mark.parametrize(
    ("fails_on", "reported"),
    [
        pytest.param("every-day", ["target failing"], id="a-rejected-key-is-one-line"),
        pytest.param("yesterday", ["days failing"], id="a-day-that-fails-alone-is-logged"),
    ],
)
async def test_a_failure_is_logged_once_and_not_for_each_day(fails_on: str, reported: list[str]) -> None:
    def fails(filters: Filters, day: date) -> DirectMailError | None:
        return AuthError("refused") if fails_on == "every-day" or day == date(2026, 4, 21) else None

    clock = ScriptedClock()
    each = world(clock, senders=2, fails=fails, head="windows: [today, 7d]")
    with capture_logs() as lines:
        async with running(each.collector.run()):
            await clock.advance(HOUR)
    assert [line["event"] for line in lines if line["event"] != "window complete"] == reported


async def test_an_edge_that_the_api_rejects_leaves_the_combination_healthy() -> None:
    def fails(filters: Filters, day: date) -> DirectMailError | None:
        oldest = (datetime.fromtimestamp(clock.time(), UTC).date() - day).days >= 30
        return InvalidRequest("the API rejected the request") if oldest else None

    clock = ScriptedClock("2026-04-22T12:00:00+00:00")
    each = world(clock, senders=1, head="windows: [today, 30d]\npoll_interval: 5m", fails=fails)
    await each.publisher.show([each.collector.plan])
    with capture_logs() as lines:
        async with running(each.collector.run(), each.publisher.run()):
            await clock.advance(6 * HOUR)
            first = await each.shown()
            await clock.advance(18 * HOUR)
            second = await each.shown()
    edge = [day for _, _, day in each.api.requested if day == date(2026, 3, 23)]
    assert len(edge) == 1
    assert (EMAILS, "s0@example.com", "", "30d") not in first
    assert first["directmail_query_success", "s0@example.com", "", ""] == 1
    assert (EMAILS, "s0@example.com", "", "30d") in second
    assert [line for line in lines if line["log_level"] == "warning"] == []


async def test_when_throttling_makes_the_plan_impossible_the_loop_stretches() -> None:
    """At one call a minute ten combinations are read every ten minutes, in turn, and the rest waits as backlog."""
    clock = ScriptedClock()
    each = world(clock, senders=10, head="windows: [today]\npoll_interval: 1m")
    async with running(each.collector.run()):
        await clock.advance(5 * MINUTE)
        assert each.collector.backlog() <= 1
        each.limiter.configured_per_minute = each.limiter.allowed_per_minute = 1.0
        await clock.advance(10 * MINUTE)
        each.api.requested.clear()
        await clock.advance(HOUR)
        assert each.collector.backlog() >= 8
    per_sender = Counter(filters.account_name for _, filters, _ in each.api.requested)
    assert len(per_sender) == 10
    assert max(per_sender.values()) - min(per_sender.values()) <= 1


async def test_cells_of_several_pages_stretch_the_interval_that_auto_keeps() -> None:
    clock = ScriptedClock()
    each = world(clock, senders=60, pages=3, head="windows: [today]")
    before = each.collector.plan.poll_interval
    await each.publisher.show([each.collector.plan])
    async with running(each.collector.run()):
        await clock.advance(4 * HOUR)
    after = each.collector.plan
    assert after.pages_per_cell == pytest.approx(3, rel=0.15)
    assert after.poll_interval > before
    assert after.requests_per_minute <= 30


async def test_a_combination_counts_as_tried_after_its_first_attempt() -> None:
    clock = ScriptedClock()
    each = world(clock, senders=3, head="windows: [today]", fails=lambda filters, day: ServerError("the API failed"))
    assert each.collector.untried() == 3
    async with running(each.collector.run()):
        await clock.advance(MINUTE)
    assert each.collector.untried() == 0


async def test_observed_counters_are_exact_across_midnight() -> None:
    clock = ScriptedClock("2026-04-22T12:00:00+00:00")
    each = world(clock, senders=1, head="windows: [today]\npoll_interval: 5m", counts=rising)
    async with running(each.collector.run()):
        await clock.advance(2 * MINUTE)
        record = each.store.get(each.combinations[0].key)
        begun_at = record.cells[date(2026, 4, 22)].totals[2]
        await clock.advance(24 * HOUR)
        observed = record.observed[2]
    yesterday, today = (each.api.results[each.combinations[0].filters, date(2026, 4, day)][2] for day in (22, 23))
    # Yesterday was read again after its end, when `rising` had gone on growing.
    assert observed == yesterday - begun_at + today


async def test_a_bug_ends_the_loop() -> None:
    clock = ScriptedClock()
    each = world(clock, senders=1, counts=lambda filters, day, now: 1 // 0)
    with pytest.raises(ExceptionGroup) as caught:
        async with running(each.collector.run()):
            await clock.advance(HOUR)
    assert caught.group_contains(ZeroDivisionError)


async def test_a_new_plan_does_not_request_fresh_cells_again() -> None:
    clock = ScriptedClock()
    each = world(clock, senders=2, head="windows: [today, yesterday]\npoll_interval: 5m")
    bigger = World(make_config(senders=3, head="windows: [today, yesterday]\npoll_interval: 5m"), clock)
    async with running(each.collector.run()):
        await clock.advance(MINUTE)
        each.api.requested.clear()
        await each.collector.follow(bigger.collector.plan)
        await clock.advance(MINUTE)
    assert {filters.account_name for _, filters, _ in each.api.requested} == {"s2@example.com"}
    assert len(each.api.requested) == 2


async def test_a_new_plan_does_not_repeat_requests_in_flight() -> None:
    clock = ScriptedClock()
    each = world(clock, senders=3, rate=600, head="windows: [today, yesterday]\npoll_interval: 5m", latency=1.5)
    async with running(each.collector.run()):
        for _ in range(20):
            await clock.advance(0.7)
            await each.collector.follow(each.collector.plan)
        await clock.advance(10)
    requested = Counter((filters, day) for _, filters, day in each.api.requested)
    assert set(requested.values()) == {1}
    assert len(requested) == 6


async def test_a_result_that_arrives_after_its_combination_was_removed_is_kept_and_not_requested_again() -> None:
    clock = ScriptedClock()
    each = world(clock, senders=2, head="windows: [today]\npoll_interval: 5m", latency=1.0)
    whole = each.collector.plan
    async with running(each.collector.run()):
        await clock.advance(0.5)
        await each.collector.follow(target_plan.make(each.config, whole.target, "engagement", whole.combinations[1:]))
        await clock.advance(20 * MINUTE)
    requested = Counter(filters.account_name for _, filters, _ in each.api.requested)
    assert requested["s0@example.com"] == 1
    assert requested["s1@example.com"] >= 3
    assert each.store.get(whole.combinations[0].key).last_success_at is not None
