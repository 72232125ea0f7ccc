"""Responses compared with each other: what is counted, how often, and what is reported."""

from datetime import date, timedelta

import pytest
from structlog.testing import capture_logs

from exporter.directmail.client import Result
from exporter.directmail.crosscheck import MOST_ROWS, Crosscheck
from exporter.directmail.model import Filters
from exporter.directmail.responses import Row
from exporter.directmail.statistics.delivery import DELIVERY
from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.directmail.statistics.statistic import Statistic
from tests.support.clock import ScriptedClock
from tests.support.tasks import running
from tests.support.worlds import Api, World, make_config

COUNTS = (10_000, 3142, 2000, 500, 400)
PERCENT, FRACTION = ("31.42", "20.00", "5.00", "4.00"), ("0.3142", "0.2000", "0.0500", "0.0400")
WRONG = ("31.42", "27.18", "5.00", "4.00")
NOTHING = ("0", "0", "0", "0")
SENDER, DAY = Filters("news@mail.example.com"), date(2026, 4, 22)


def row(written: tuple[str, ...] = PERCENT, counts: tuple[int, ...] = COUNTS) -> Row:
    return Row(None, counts, tuple(map(float, written)), written)


def seen(*results: list[Row]) -> Crosscheck:
    """Return a cross-check that saw each response as one of a day of its own."""
    check = Crosscheck(ENGAGEMENT)
    for age, rows in enumerate(results):
        check.compare(SENDER, DAY - timedelta(days=age), rows)
    return check


def mismatches(check: Crosscheck) -> dict[str, int]:
    return {name: count for name, count in check.mismatches.items() if count}


def test_every_name_is_there_from_the_start_at_0() -> None:
    check = Crosscheck(ENGAGEMENT)
    assert check.mismatches == {"open": 0, "unique_open": 0, "click": 0, "unique_click": 0}
    assert check.implausible == {"unique_opens": 0, "unique_clicks": 0}
    of_delivery = Crosscheck(DELIVERY)
    assert (of_delivery.mismatches, of_delivery.implausible) == ({}, {"delivered": 0})


@pytest.mark.parametrize(
    ("results", "counted"),
    [
        pytest.param([[row()]] * 3, {}, id="percent-throughout"),
        pytest.param([[row(FRACTION)]] * 3, {}, id="fraction-throughout"),
        pytest.param([[row(WRONG)]], {"unique_open": 1}, id="one-is-of-something-else"),
        pytest.param([[row()], [row(WRONG)]], {"unique_open": 1}, id="after-the-unit-was-known"),
        pytest.param([[row(), row(WRONG), row(WRONG)]], {"unique_open": 1}, id="a-day-counts-once-whatever-its-rows"),
        pytest.param(
            [[row()], [row()], [row(FRACTION)]], dict.fromkeys(ENGAGEMENT.rates, 1), id="another-unit-all-at-once"
        ),
        pytest.param([[row(("31.42", "20", "5.0", "4"))]], {}, id="decimals-as-they-come"),
        pytest.param([[row()], [row(("31", "20", "5", "4"))]], {}, id="fewer-decimals-than-before"),
        pytest.param([[row(NOTHING, (10_000, 0, 0, 0, 0))]] * 3, {}, id="all-zero-is-no-evidence"),
        pytest.param([[row(NOTHING)]], {"open": 1, "unique_open": 1}, id="zero-beside-many-opens"),
        pytest.param([[row(counts=(0, 5, 5, 1, 1))]], {}, id="no-mail-nothing-to-compare"),
        pytest.param([[]], {}, id="no-rows"),
        pytest.param([[Row(None, COUNTS, (None,) * 4, ("",) * 4)]], {}, id="no-rates"),
    ],
)
def test_a_rate_that_does_not_fit_in_the_unit_of_the_others_is_counted(
    results: list[list[Row]], counted: dict[str, int]
) -> None:
    assert mismatches(seen(*results)) == counted


def test_of_a_very_long_answer_the_first_rows_are_compared() -> None:
    """A row whose rates are in doubt takes ten times as long as another, and the loop waits."""
    check = seen([*[row()] * MOST_ROWS, row(WRONG)], [*[row()] * (MOST_ROWS - 1), row(WRONG)])
    assert mismatches(check) == {"unique_open": 1}


def test_a_rate_that_could_be_either_fits_in_the_unit_that_the_others_have() -> None:
    """0.5 is 0.5 % of 10,000 beside 50 opens, and 50 % beside 5000."""
    half = ("0.50", "0.50", "0.50", "0.50")
    few, many = row(half, (10_000, 50, 50, 50, 50)), row(half, (10_000, 5000, 5000, 5000, 5000))
    assert mismatches(seen([row()], [few])) == {}
    assert mismatches(seen([row(FRACTION)], [many])) == {}
    assert mismatches(seen([row(), row()], [many])) == dict.fromkeys(ENGAGEMENT.rates, 1)


def test_one_rate_in_the_wrong_unit_does_not_change_the_unit_of_a_target() -> None:
    odd = row(("31.42", "0.2000", "5.00", "4.00"))
    assert mismatches(seen([row()], [odd], [row()])) == {"unique_open": 1}


def test_a_day_that_is_read_again_counts_once_until_it_was_right_in_between() -> None:
    check = Crosscheck(ENGAGEMENT)
    for rows in ([row(WRONG)], [row(WRONG)], [row(WRONG)]):
        check.compare(SENDER, DAY, rows)
    assert mismatches(check) == {"unique_open": 1}
    check.compare(SENDER, DAY, [row()])
    check.compare(SENDER, DAY, [row(WRONG)])
    assert mismatches(check) == {"unique_open": 2}


def test_each_combination_and_each_day_counts_for_itself() -> None:
    check = Crosscheck(ENGAGEMENT)
    for filters in (SENDER, Filters()):
        for age in range(3):
            check.compare(filters, DAY - timedelta(days=age), [row(WRONG)])
    assert mismatches(check) == {"unique_open": 6}


def test_days_outside_every_window_are_discarded() -> None:
    check = seen([row(WRONG)], [row(WRONG)], [row(WRONG)])
    check.discard(DAY - timedelta(days=1))
    assert {key[1] for key in check._mismatched} == {DAY, DAY - timedelta(days=1)}


@pytest.mark.parametrize(
    ("counts", "counted"),
    [
        pytest.param((10_000, 3142, 3143, 500, 400), {"unique_opens": 1, "unique_clicks": 0}, id="opens"),
        pytest.param((10_000, 3142, 2000, 500, 501), {"unique_opens": 0, "unique_clicks": 1}, id="clicks"),
        pytest.param((0, 1, 2, 0, 0), {"unique_opens": 1, "unique_clicks": 0}, id="without-mail"),
        pytest.param(COUNTS, {"unique_opens": 0, "unique_clicks": 0}, id="plausible"),
    ],
)
def test_more_unique_than_total_is_counted(counts: tuple[int, ...], counted: dict[str, int]) -> None:
    written = tuple(f"{100 * count / (counts[0] or 1):.2f}" for count in counts[1:])
    check = Crosscheck(ENGAGEMENT)
    for _ in range(2):
        check.compare(SENDER, DAY, [row(written, counts)])
    assert check.implausible == counted
    assert mismatches(check) == {}


def test_the_first_of_each_kind_is_logged_with_what_would_fit() -> None:
    check = Crosscheck(ENGAGEMENT)
    check.compare(SENDER, DAY, [row()])
    (rate,) = check.compare(SENDER, DAY, [row(WRONG)])
    assert (rate.what, rate.reported) == ("RcptUniqueOpenRate", "27.18")
    assert rate.counted == "20 (percent): RcptUniqueOpenCount 2000 of TotalNumber 10000"
    (count,) = check.compare(SENDER, DAY, [row(PERCENT, (10_000, 3142, 2000, 500, 501)), row(WRONG)])
    assert (count.what, count.reported, count.counted) == ("RcptUniqueClickCount", "501", "RcptClickCount 500")
    assert check.compare(Filters(), DAY, [row(NOTHING), row(counts=(9, 1, 2, 1, 2))]) == []


def test_before_the_unit_is_known_both_are_named() -> None:
    (first,) = Crosscheck(ENGAGEMENT).compare(SENDER, DAY, [row(("50", "50", "50", "50"), (100, 20, 20, 20, 20))])
    assert first.counted.startswith("20 (percent) or 0.2 (fraction): ")


def test_more_delivered_than_requested_is_counted_and_percents_are_not_compared() -> None:
    check = Crosscheck(DELIVERY)
    rows = [Row(None, counts, (), ()) for counts in ((100, 90, 5, 5), (100, 101, 0, 0), (0, 0, 0, 0))]
    assert check.compare(SENDER, DAY, rows[:1]) == []
    (mismatch,) = check.compare(SENDER, DAY, rows)
    assert (mismatch.what, mismatch.reported, mismatch.counted) == ("successCount", "101", "requestCount 100")
    assert (check.mismatches, check.implausible) == ({}, {"delivered": 1})


class Contrary(Api):
    """Answers whose rates do not fit."""

    async def read(self, statistic: Statistic, filters: Filters, day: date) -> Result:
        result = await super().read(statistic, filters, day)
        return result._replace(rows=[row(WRONG)])


async def test_the_loop_logs_the_first_one_and_counts_the_rest() -> None:
    clock = ScriptedClock()
    world = World(make_config(senders=3, head="poll_interval: 5m\nwindows: [today]"), clock)
    world.api.__class__ = Contrary
    with capture_logs() as lines:
        async with running(world.collector.run()):
            await clock.advance(1200)
    (reported,) = [line for line in lines if line["event"] == "response is inconsistent"]
    assert (reported["what"], reported["reported"], reported["request_id"]) == (
        "RcptUniqueOpenRate",
        "27.18",
        "REQUEST",
    )
    assert reported["advice"]
    assert len(world.api.requested) > 6
    assert mismatches(world.collector.crosscheck) == {"unique_open": 3}


async def test_the_loop_discards_at_midnight_what_is_too_old_to_be_requested_again() -> None:
    clock = ScriptedClock("2026-04-22T23:50:00+00:00")
    world = World(make_config(senders=1, head="poll_interval: 5m\nwindows: [today]"), clock)
    world.api.__class__ = Contrary
    old = date(2026, 3, 22)
    world.collector.crosscheck.compare(SENDER, old, [row(WRONG)])
    async with running(world.collector.run()):
        await clock.advance(300)
        assert old in {day for _, day in world.collector.crosscheck._mismatched}
        await clock.advance(600)
    assert {day for _, day in world.collector.crosscheck._mismatched} == {DAY, DAY + timedelta(days=1)}
