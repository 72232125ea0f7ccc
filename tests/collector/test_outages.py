"""One fact, one line: what concerns a whole target is logged once each way, and one call a back-off probes it."""

import itertools
from datetime import date
from typing import Any

import pytest
from structlog.testing import capture_logs

from exporter.collector.outages import Outages
from exporter.directmail.errors import (
    AuthError,
    DirectMailError,
    InvalidRequest,
    NetworkError,
    PermissionDenied,
    RequestTimeout,
    ServerError,
)
from exporter.directmail.model import Filters
from tests.support.clock import ScriptedClock
from tests.support.tasks import running
from tests.support.worlds import World, make_config, make_outages

MINUTE, HOUR = 60.0, 3600.0
SENDERS = 40


class Weather:
    """A world of forty senders whose API fails from one moment to another."""

    def __init__(self, error: DirectMailError, *, senders: int = SENDERS, **options: Any) -> None:
        self.error = error
        self.clock = ScriptedClock()
        self.is_failing = False
        self.world = World(make_config(senders=senders, rate=60, **options), self.clock, fails=self._fails)

    def _fails(self, filters: Filters, day: date) -> DirectMailError | None:
        return self.error if self.is_failing else None

    def calls(self) -> int:
        return len(self.world.api.requested)

    def failing(self) -> int:
        """How many combinations are shown as failing."""
        records = [self.world.store.get(each.key) for each in self.world.combinations]
        return sum(record.last_attempt_ok is False for record in records)


def events(lines: list[Any]) -> list[str]:
    return [line["event"] for line in lines if line["event"] != "window complete"]


@pytest.mark.parametrize(
    ("error", "begins", "ends"),
    [
        pytest.param(AuthError("refused"), "target failing", "target recovered", id="the-key"),
        pytest.param(NetworkError("connection refused"), "target failing", "target recovered", id="the-network"),
        pytest.param(ServerError("the API failed"), "target failing", "target recovered", id="the-api"),
        pytest.param(PermissionDenied("no"), "operation failing", "operation recovered", id="a-permission"),
    ],
)
async def test_what_concerns_everything_is_one_line_when_it_begins_and_one_when_it_ends(
    error: DirectMailError, begins: str, ends: str
) -> None:
    weather = Weather(error, head="windows: [today, 7d]\npoll_interval: 5m")
    with capture_logs() as lines:
        async with running(weather.world.collector.run()):
            await weather.clock.advance(10 * MINUTE)
            weather.is_failing = True
            await weather.clock.advance(HOUR)
            assert weather.failing() == SENDERS
            weather.is_failing = False
            await weather.clock.advance(10 * MINUTE)
            assert weather.failing() == 0
    assert events(lines) == [begins, ends]
    failing, _ = (line for line in lines if line["event"] in (begins, ends))
    assert (failing["reason"], failing["error"]) == (error.reason, error.text)


async def test_meanwhile_one_call_a_back_off_probes_instead_of_the_whole_budget() -> None:
    weather = Weather(AuthError("refused"), head="windows: [today, 7d]\npoll_interval: 5m")
    async with running(weather.world.collector.run()):
        await weather.clock.advance(5 * MINUTE)
        weather.is_failing = True
        before = weather.calls()
        await weather.clock.advance(HOUR)
    probes = [at for at, _, _ in weather.world.api.requested[before:]]
    assert len(probes) <= 3 + 80
    gaps = [after - before for before, after in itertools.pairwise(probes[2:])]
    assert gaps[0] >= 12
    assert min(gaps[3:]) >= 0.8 * MINUTE
    assert max(gaps) <= 1.2 * MINUTE + 1


async def test_a_key_that_is_replaced_within_40_seconds_is_two_lines_and_six_calls() -> None:
    weather = Weather(AuthError("refused"), head="windows: [today]\npoll_interval: 1m")
    with capture_logs() as lines:
        async with running(weather.world.collector.run()):
            await weather.clock.advance(3 * MINUTE)
            before = weather.calls()
            weather.is_failing = True
            await weather.clock.advance(40)
            assert weather.calls() - before <= 6
            weather.is_failing = False
            await weather.clock.advance(2 * MINUTE)
    assert events(lines) == ["target failing", "target recovered"]
    assert weather.failing() == 0


async def test_an_account_that_never_worked_is_one_line_and_every_combination_counts_as_tried() -> None:
    weather = Weather(AuthError("no credentials"))
    weather.is_failing = True
    with capture_logs() as lines:
        async with running(weather.world.collector.run()):
            await weather.clock.advance(MINUTE)
            assert weather.world.collector.untried() == 0
            await weather.clock.advance(HOUR)
    assert events(lines) == ["target failing"]


async def test_three_combinations_that_fail_beside_others_that_work_are_three_lines_each_way() -> None:
    weather = Weather(ServerError("the API failed"), senders=10, head="windows: [today]\npoll_interval: 5m")
    bad = {f"s{number}@example.com" for number in (2, 3, 7)}
    weather.world.api.fails = lambda filters, day: weather._fails(filters, day) if filters.account_name in bad else None
    with capture_logs() as lines:
        async with running(weather.world.collector.run()):
            await weather.clock.advance(10 * MINUTE)
            weather.is_failing = True
            await weather.clock.advance(HOUR)
            assert weather.failing() == 3
            weather.is_failing = False
            await weather.clock.advance(HOUR)
    assert events(lines) == ["query combination failing"] * 3 + ["query combination recovered"] * 3


async def test_a_request_rejected_for_its_parameters_does_not_count_against_the_target() -> None:
    weather = Weather(InvalidRequest("no such sender", code="InvalidMailAddress.NotFound"), senders=5)
    weather.is_failing = True
    with capture_logs() as lines:
        async with running(weather.world.collector.run()):
            await weather.clock.advance(10 * MINUTE)
    assert events(lines) == ["query combination failing"] * 5


async def test_a_day_that_fails_for_every_combination_is_no_outage() -> None:
    """Whether all fails is judged by today's numbers then."""
    weather = Weather(ServerError("the API failed"), senders=10, head="windows: [today, 7d]\npoll_interval: 5m")
    weather.world.api.fails = lambda filters, day: weather.error if day == date(2026, 4, 20) else None
    with capture_logs() as lines:
        async with running(weather.world.collector.run()):
            await weather.clock.advance(HOUR)
            assert weather.failing() == 0
    assert events(lines) == ["days failing"]


async def test_an_outage_while_old_days_are_read_is_found_before_todays_numbers_are_due() -> None:
    weather = Weather(AuthError("refused"), senders=10, head="windows: [today, 30d]\npoll_interval: 10m")
    with capture_logs() as lines:
        async with running(weather.world.collector.run()):
            await weather.clock.advance(MINUTE)
            weather.is_failing = True
            before = weather.calls()
            await weather.clock.advance(MINUTE)
            assert weather.calls() - before <= 8
    assert events(lines) == ["target failing"]


async def test_the_line_about_one_combination_waits_at_most_two_minutes_for_the_others() -> None:
    weather = Weather(ServerError("the API failed"), senders=3, head="windows: [today]\npoll_interval: 1h")
    weather.world.api.fails = lambda filters, day: (
        weather._fails(filters, day) if filters.account_name == "s2@example.com" else None
    )
    with capture_logs() as lines:
        async with running(weather.world.collector.run()):
            weather.is_failing = True
            await weather.clock.advance(10 + 2 * MINUTE)
    assert events(lines) == ["query combination failing"]


async def test_a_lone_failure_that_is_tried_again_often_is_logged_all_the_same() -> None:
    clock, logged = ScriptedClock(), list[float]()
    outages = make_outages(clock, lambda: 5)
    for _ in range(12):
        outages.failed(
            "Op",
            "one",
            PermissionDenied("no"),
            clock.monotonic(),
            of=1,
            report=lambda: logged.append(clock.monotonic()),
        )
        outages.report_due()
        if logged:
            break
        await clock.advance(30)
        outages.report_due()
    assert logged, "it has failed for six minutes"


def test_the_end_of_an_outage_wakes_a_loop_only_while_it_runs() -> None:
    """A statistic that a reload drops and adds again leaves nothing behind."""
    clock, woken = ScriptedClock(), list[str]()
    outages = make_outages(clock, lambda: 1)

    def outage() -> None:
        clock.jump(monotonic=1)
        outages.failed("GetTrackList", "news", ServerError("the API failed"), 0.0, of=1, report=lambda: None)
        outages.succeeded("GetTrackList", outages.requesting("GetTrackList"))

    with outages.waking(lambda: woken.append("first")):
        outage()
        with outages.waking(lambda: woken.append("second")):
            outage()
    outage()
    assert woken == ["first", "first", "second"]


def retried(outages: Outages, times: int) -> list[str]:
    """Let requests time out and be made again; return the lines about that."""
    with capture_logs() as lines:
        for _ in range(times):
            outages.retrying("GetTrackList", RequestTimeout("no complete response within 10 s"))
    return events(lines)


def test_an_account_that_never_answered_is_known_by_the_first_timeouts() -> None:
    outages = make_outages(ScriptedClock(), lambda: 40)
    assert retried(outages, 2) == []
    assert retried(outages, 1) == ["target failing"]
    assert retried(outages, 9) == []


def test_an_operation_that_never_answered_is_known_by_the_first_timeouts() -> None:
    outages = make_outages(ScriptedClock(), lambda: 40)
    outages.succeeded("DescAccountSummary", 0.0)
    assert retried(outages, 9) == ["operation failing"]


def test_an_operation_that_never_answered_is_known_though_another_one_works_meanwhile() -> None:
    outages = make_outages(ScriptedClock(), lambda: 40)
    lines = []
    for _ in range(3):
        outages.succeeded("DescAccountSummary", 0.0)
        lines += retried(outages, 1)
    assert lines == ["operation failing"]


def test_a_later_attempt_of_the_same_requests_ends_the_outage() -> None:
    outages = make_outages(ScriptedClock(), lambda: 40)
    assert retried(outages, 3) == ["target failing"]
    with capture_logs() as lines:
        outages.succeeded("GetTrackList", requested_at=0.0)
    assert events(lines) == ["target recovered"]


def test_timeouts_after_a_last_attempt_failed_are_left_to_the_next_one() -> None:
    outages, reported = make_outages(ScriptedClock(), lambda: 40), list[str]()
    error = RequestTimeout("no complete response within 10 s")
    outages.failed("GetTrackList", "news", error, 0.0, of=1, report=lambda: reported.append("news"))
    assert retried(outages, 9) == []


def test_timeouts_of_an_operation_that_has_worked_are_left_to_its_last_attempt() -> None:
    outages = make_outages(ScriptedClock(), lambda: 40)
    outages.succeeded("GetTrackList", 0.0)
    assert retried(outages, 9) == []


@pytest.mark.parametrize("error", [PermissionDenied("no"), ServerError("the API failed")])
def test_what_fails_alone_while_others_work_is_logged_at_once(error: DirectMailError) -> None:
    outages, reported = make_outages(ScriptedClock(), lambda: 40), list[str]()
    outages.failed("DescAccountSummary", "", error, 0.0, of=1, report=lambda: reported.append("account"))
    outages.succeeded("GetTrackList", 0.0)
    assert reported == ["account"]


def test_a_permission_that_is_missing_for_a_lone_request_is_logged_at_once() -> None:
    outages, reported = make_outages(ScriptedClock(), lambda: 40), list[str]()
    outages.failed("DescAccountSummary", "", PermissionDenied("no"), 0.0, of=1, report=lambda: reported.append("it"))
    assert reported == ["it"]


async def test_when_one_loop_finds_that_the_outage_is_over_the_others_continue_at_once() -> None:
    weather = Weather(AuthError("refused"), head="windows: [today]\npoll_interval: 1m")
    config = make_config(senders=3, head="windows: [today]\npoll_interval: 1m")
    others = [World(config, weather.clock, fails=weather._fails, outages=weather.world.outages) for _ in range(3)]
    worlds = [weather.world, *others]
    async with running(*(each.collector.run() for each in worlds)):
        for _ in range(5):
            weather.is_failing = False
            await weather.clock.advance(5 * MINUTE)
            weather.is_failing = True
            await weather.clock.advance(10 * MINUTE)
            weather.is_failing = False
            while weather.world.outages.of("GetTrackList"):
                await weather.clock.advance(1)
            for each in worlds:
                each.api.requested.clear()
            await weather.clock.advance(5)
            assert all(each.api.requested for each in worlds)
