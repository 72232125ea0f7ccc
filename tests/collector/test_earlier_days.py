"""Days before today that the API rejects or fails: one log line each way, and a rejection is not retried all day."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from exporter.directmail.errors import DirectMailError, InvalidRequest, ServerError
from exporter.directmail.model import Filters
from exporter.plan import target_plan
from tests.support.clock import ScriptedClock
from tests.support.tasks import running
from tests.support.worlds import World, make_config

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
START = "2026-04-22T12:00:00+00:00"
TODAY = date(2026, 4, 22)
TOO_OLD = InvalidRequest("the API rejected the request", code="InvalidStartTime.Malformed", request_id="R-1")
EMAILS = "directmail_track_emails"


class Account:
    """Ten senders of an API that keeps only so many days, or fails older ones."""

    def __init__(self, error: DirectMailError = TOO_OLD, *, windows: str = "today, 30d", senders: int = 10) -> None:
        self.error = error
        self.readable = 7
        self.clock = ScriptedClock(START)
        config = make_config(senders=senders, rate=60, head=f"windows: [{windows}]\npoll_interval: 10m")
        self.world = World(config, self.clock, fails=self._fails)

    def _fails(self, filters: Filters, day: date) -> DirectMailError | None:
        return self.error if self.age(day) > self.readable else None

    def age(self, day: date) -> int:
        return (datetime.fromtimestamp(self.clock.time(), UTC).date() - day).days

    def requested(self) -> int:
        """How many requests for days that cannot be read were made since the last call."""
        found = sum(self.age(day) > self.readable for _, _, day in self.world.api.requested)
        self.world.api.requested.clear()
        return found


def lines_of(lines: list[Any]) -> list[Any]:
    return [line for line in lines if line["event"] != "window complete"]


async def test_older_days_that_are_rejected_are_one_line_that_says_which() -> None:
    account = Account()
    with capture_logs() as lines:
        async with running(account.world.collector.run()):
            await account.clock.advance(3 * DAY)
    (line,) = lines_of(lines)
    assert (line["event"], line["log_level"]) == ("older days rejected", "warning")
    assert (line["oldest_day"], line["newest_day"], line["days"]) == ("2026-03-23", "2026-04-14", 23)
    assert (line["combinations"], line["code"], line["request_id"]) == (10, TOO_OLD.code, TOO_OLD.request_id)
    assert "once a day" in line["advice"]


async def test_a_rejected_day_is_requested_once_a_day_by_each_combination() -> None:
    account = Account()
    async with running(account.world.collector.run()):
        await account.clock.advance(11 * HOUR)
        assert account.requested() <= 2 * 10
        for _ in range(3):
            await account.clock.advance(DAY)
            assert 10 <= account.requested() <= 3 * 10, "the newest one, and those known that have become too old"
        assert account.world.collector.backlog() == 0


async def test_a_reload_requests_no_rejected_day_again() -> None:
    account = Account()
    async with running(account.world.collector.run()):
        await account.clock.advance(HOUR)
        account.requested()
        await account.world.collector.follow(account.world.collector.plan)
        await account.clock.advance(HOUR)
        assert account.requested() == 0


async def test_windows_of_rejected_days_are_absent_and_others_are_shown() -> None:
    account = Account(windows="today, 7d, 10d", senders=1)
    await account.world.publisher.show([account.world.collector.plan])
    async with running(account.world.collector.run(), account.world.publisher.run()):
        await account.clock.advance(HOUR)
        shown = await account.world.shown()
        windows = {key[3] for key in shown if key[0] == EMAILS}
        assert windows == {"today", "7d"}
        assert shown["directmail_query_success", "s0@example.com", "", ""] == 1
        await account.clock.advance(4 * DAY)
        shown = await account.world.shown()
    assert {key[3] for key in shown if key[0] == EMAILS} == {"today", "7d", "10d"}, "newer days have filled it"


async def test_days_that_are_readable_again_are_one_line_and_fill_their_windows() -> None:
    account = Account()
    await account.world.publisher.show([account.world.collector.plan])
    with capture_logs() as lines:
        async with running(account.world.collector.run(), account.world.publisher.run()):
            await account.clock.advance(HOUR)
            account.readable = 40
            await account.clock.advance(DAY)
            shown = await account.world.shown()
    assert [line["event"] for line in lines_of(lines)] == ["older days rejected", "older days readable again"]
    assert (EMAILS, "s9@example.com", "", "30d") in shown


@pytest.mark.parametrize(
    "error",
    [
        ServerError("the API failed", code="InternalError"),
        InvalidRequest("the API rejected the request", code="InvalidParameter"),
    ],
)
async def test_older_days_that_fail_otherwise_are_one_line_each_way_and_are_retried(error: DirectMailError) -> None:
    account = Account(error)
    with capture_logs() as lines:
        async with running(account.world.collector.run()):
            await account.clock.advance(3 * HOUR)
            account.readable = 40
            await account.clock.advance(2 * HOUR)
    failing, recovered = (line for line in lines_of(lines) if line["log_level"] != "debug")
    assert (failing["event"], failing["code"], failing["newest_day"]) == ("days failing", error.code, "2026-04-14")
    assert (failing["combinations"], recovered["event"]) == (10, "days recovered")
    assert "advice" in failing


async def test_a_day_that_a_single_combination_fails_delays_no_other() -> None:
    account = Account(windows="today, 7d", senders=2)
    bad = TODAY - timedelta(days=3)
    account.world.api.fails = lambda filters, day: (
        TOO_OLD if filters.account_name == "s0@example.com" and day == bad else None
    )
    await account.world.publisher.show([account.world.collector.plan])
    with capture_logs() as lines:
        async with running(account.world.collector.run(), account.world.publisher.run()):
            await account.clock.advance(HOUR)
            shown = await account.world.shown()
    assert {key[1] for key in shown if key[0] == EMAILS and key[3] == "7d"} == {"s1@example.com"}
    assert [(line["event"], line["combinations"]) for line in lines_of(lines)] == [("older days rejected", 1)]


async def test_a_yesterday_that_is_not_there_yet_is_requested_again_within_the_hour() -> None:
    account = Account(windows="today, yesterday", senders=1)
    account.readable = 0
    await account.world.publisher.show([account.world.collector.plan])
    async with running(account.world.collector.run(), account.world.publisher.run()):
        await account.clock.advance(6 * HOUR)
        assert account.requested() <= 20
        account.readable = 7
        await account.clock.advance(1.2 * HOUR)
        assert (EMAILS, "s0@example.com", "", "yesterday") in await account.world.shown()


async def test_nothing_is_said_of_a_combination_that_was_removed_while_it_failed() -> None:
    """It never recovers: nothing requests it any more."""
    account = Account(ServerError("the API failed"), windows="today", senders=3)
    account.world.api.fails = lambda filters, day: account.error if filters.account_name == "s2@example.com" else None
    whole = account.world.collector.plan
    fewer = target_plan.make(account.world.config, whole.target, "engagement", whole.combinations[:2])
    with capture_logs() as lines:
        async with running(account.world.collector.run()):
            await account.clock.advance(12)
            await account.world.collector.follow(fewer)
            await account.clock.advance(HOUR)
    assert lines_of(lines) == []


async def test_nothing_is_said_of_a_request_that_fails_after_its_combination_was_removed() -> None:
    account = Account(InvalidRequest("no such sender", code="InvalidMailAddress.NotFound"), senders=3)
    account.world.api.fails = lambda filters, day: account.error if filters.account_name == "s2@example.com" else None
    account.world.api.latency = 5.0
    whole = account.world.collector.plan
    fewer = target_plan.make(account.world.config, whole.target, "engagement", whole.combinations[:2])
    with capture_logs() as lines:
        async with running(account.world.collector.run()):
            await account.clock.advance(4)
            await account.world.collector.follow(fewer)
            await account.clock.advance(HOUR)
    assert lines_of(lines) == []
    assert account.world.store.find(whole.combinations[2].key) is None


async def test_nothing_is_said_of_failures_of_a_statistic_that_ended() -> None:
    account = Account(ServerError("the API failed"), windows="today", senders=3)
    account.world.api.fails = lambda filters, day: account.error if filters.account_name == "s2@example.com" else None
    with capture_logs() as lines:
        async with running(account.world.collector.run()):
            await account.clock.advance(12)
        await account.clock.advance(HOUR)
        account.world.outages.report_due()
    assert lines_of(lines) == []
