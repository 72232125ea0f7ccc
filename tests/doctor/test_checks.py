"""What the doctor makes of good responses: oddities that no simulator has, and what is unknown."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from exporter.config import loader
from exporter.directmail import listing
from exporter.directmail.listing import Item
from exporter.directmail.model import Filters
from exporter.directmail.responses import Row, StatisticPage
from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.directmail.statistics.statistic import Statistic
from exporter.doctor.checks import breakdowns, clock, days, numbers, pages
from exporter.doctor.evidence import Account, Evidence
from exporter.doctor.findings import NOTE, OK, PROBLEM, Finding, Response, StatisticRequest
from exporter.plan import target_plan
from tests.support.doctor import assert_single_spaced, config_text

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime.fromisoformat("2026-04-22T10:15:30+00:00").timestamp()
TODAY, YESTERDAY, MONDAY = date(2026, 4, 22), date(2026, 4, 21), date(2026, 4, 20)
COUNTS = (1000, 300, 200, 50, 40)
PERCENT, FRACTION = (30.0, 20.0, 5.0, 4.0), (0.3, 0.2, 0.05, 0.04)
NO_FILTER = Filters()
MADE = 1_569_734_892
"""When the documentation's example of a domain was made."""
WEEK_AGO = TODAY - timedelta(days=6)


def row(
    created: str | None = "2026-04-21T02:00Z",
    counts: tuple[int, ...] = COUNTS,
    rates: tuple[float | None, ...] = PERCENT,
) -> Row:
    return Row(created, counts, rates)


def response(
    *rows: Row,
    start: date = YESTERDAY,
    end: date | None = None,
    filters: Filters = NO_FILTER,
    statistic: Statistic = ENGAGEMENT,
    **page: int | None,
) -> Response:
    """Return a response of one full page, `page` says otherwise."""
    numbers: dict[str, int | None] = {"number": 1, "size": 100, "total": len(rows), "pages": 1, **page}
    return Response(
        StatisticRequest(statistic, start, end or start, filters), StatisticPage(list(rows), **numbers), "ID-1"
    )


def week(*rows: Row, **page: int | None) -> Response:
    return response(*rows, start=WEEK_AGO, end=TODAY, **page)  # type: ignore[arg-type]


def account(*ahead: float) -> Account:
    """Return what is known of an account with a domain for each clock: the texts are so many hours ahead of UTC."""
    items = [
        Item(f"{hours}.example.com", {"CreateTime": shown(MADE + hours * 3600), "UtcCreateTime": MADE})
        for hours in ahead
    ]
    return Account(NOW, domains=listing.ListPage(items, 1, 100, len(items), None))


def shown(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ")


def evidence(
    *of_days: Response, zone: str = "Asia/Shanghai", statistic: Statistic = ENGAGEMENT, **known: Any
) -> Evidence:
    """Return what is known of a target whose days were answered like this, and whose texts are UTC."""
    sound, _ = loader.parse(config_text("https://dm.example.com", zone=zone))
    assert sound is not None
    (target,) = sound.targets
    plan = target_plan.make(sound, target, statistic.name)
    made = Evidence(sound, target, statistic, plan, NOW, TODAY, account(0), ended_at=NOW, days=list(of_days))
    for name, value in known.items():
        setattr(made, name, value)
    return made


def found_by(check: Callable[[Evidence], Finding | None], known: Evidence) -> Finding:
    finding = check(known)
    assert finding is not None
    assert_single_spaced(finding)
    return finding


@pytest.mark.parametrize(
    ("ahead", "level", "says"),
    [
        pytest.param(None, NOTE, "Unknown", id="no-date"),
        pytest.param((-1.0, 0.2), OK, "agrees", id="the-same-second"),
        pytest.param((-61.0, 30.0), OK, "agrees", id="an-answer-that-took-a-minute"),
        pytest.param((61.0, 62.0), NOTE, "61 s ahead", id="a-minute-ahead"),
        pytest.param((-7201.0, -7200.0), PROBLEM, "2h behind", id="two-hours-behind"),
    ],
)
def test_the_clock(ahead: tuple[float, float] | None, level: str, says: str) -> None:
    found = clock.clock(evidence(ahead=ahead))
    assert (found.level, says in found.text) == (level, True)


@pytest.mark.parametrize(
    ("rows", "level", "says"),
    [
        pytest.param([row()], OK, "percent", id="percent"),
        pytest.param([row(rates=FRACTION)], OK, "fractions", id="fraction"),
        pytest.param([row(rates=(30, 20, 5, 4))], OK, "percent", id="whole-numbers"),
        pytest.param([row(rates=(None, None, None, 4.0))], OK, "percent", id="only-one-can-be-read"),
        pytest.param(
            [row(rates=(70.0, 20.0, 5.0, 4.0))], NOTE, "RcptOpenRate do not match", id="one-is-of-something-else"
        ),
        pytest.param([row(), row(rates=FRACTION)], NOTE, "in one unit", id="both-units"),
        pytest.param([row(counts=(1000, 1, 1, 1, 1), rates=(0.1,) * 4)], NOTE, "unknown", id="too-few-opens"),
        pytest.param([row(counts=(0, 5, 5, 0, 0))], NOTE, "unknown", id="opens-without-mail"),
        pytest.param([], NOTE, "unknown", id="no-rows"),
    ],
)
def test_the_unit_of_rates(rows: list[Row], level: str, says: str) -> None:
    found = found_by(numbers.rates, evidence(response(*rows)))
    assert (found.level, says in found.text) == (level, True)


@pytest.mark.parametrize(
    ("created", "level", "says"),
    [
        pytest.param("2026-04-22T10:00Z", OK, "16m ago", id="minutes"),
        pytest.param("2026-04-22T18:00:00+08:00", OK, "16m ago", id="another-offset"),
        pytest.param("1776852000", OK, "16m ago", id="seconds"),
        pytest.param("1776852000000", OK, "16m ago", id="milliseconds"),
        pytest.param("2026-04-18T10:00Z", NOTE, "compare", id="days-old"),
        pytest.param("2026-04-22T18:00Z", NOTE, "another time zone", id="from-the-future"),
        pytest.param("2026-04-22 10:00", NOTE, "Unknown", id="no-zone"),
        pytest.param("yesterday", NOTE, "Unknown", id="no-time"),
        pytest.param(None, NOTE, "Unknown", id="none"),
    ],
)
def test_how_fresh_the_newest_record_is(created: str | None, level: str, says: str) -> None:
    found = days.freshness(evidence(response(row(created))))
    assert found.level == level
    assert says in found.text + found.fix


def test_the_newest_of_all_records_counts_and_one_without_numbers_does_not() -> None:
    empty = row("2026-04-22T10:14Z", counts=(0, 0, 0, 0, 0))
    found = days.freshness(evidence(response(row("2026-04-22T10:00Z"), empty), response(row("2026-04-21T10:00Z"))))
    assert "16m ago" in found.text


@pytest.mark.parametrize(
    ("ahead", "created", "level", "says"),
    [
        pytest.param((8,), "2026-04-22T18:00Z", OK, "2026-04-22 10:00 UTC, 16m ago", id="china-with-a-z"),
        pytest.param((8,), "2026-04-22T10:00Z", OK, "2026-04-22 02:00 UTC, 8h16m ago", id="china-hours-ago"),
        pytest.param(
            (), "2026-04-22T18:00Z", NOTE, "says 2026-04-22T18:00Z, in an unknown time zone", id="not-measured"
        ),
        pytest.param((8, 9), "2026-04-22T18:00Z", NOTE, "in an unknown time zone", id="two-clocks"),
        pytest.param((), "2026-04-22T18:00:00+08:00", OK, "16m ago", id="an-offset-needs-no-measure"),
        pytest.param((), "1776852000", OK, "16m ago", id="seconds-need-no-measure"),
    ],
)
def test_the_age_of_a_record_goes_by_the_clock_that_was_measured(
    ahead: tuple[float, ...], created: str, level: str, says: str
) -> None:
    found = days.freshness(evidence(response(row(created)), account=account(*ahead)))
    assert (found.level, says in found.text) == (level, True)


def test_the_only_record_of_a_day_does_not_show_its_age() -> None:
    whole = week(row("2026-04-20T16:00Z"), row("2026-04-21T16:00Z"))
    alone, beside = (response(*rows, start=TODAY) for rows in (whole.page.rows[1:], whole.page.rows))
    assert "the start of the day" in days.freshness(evidence(whole, alone)).text
    assert "the start of the day" not in days.freshness(evidence(whole, beside)).text


def test_an_empty_day_within_a_week_that_has_it_is_a_problem() -> None:
    whole = week(row("2026-04-20T02:00Z"), row("2026-04-21T02:00Z"))
    found = found_by(days.one_day, evidence(response(start=TODAY), response(), whole=whole))
    assert found.level == PROBLEM
    assert "some of it of 2026-04-21" in found.text
    assert "timezone" in found.fix


@pytest.mark.parametrize(
    "whole",
    [
        pytest.param(week(), id="no-mail-at-all"),
        pytest.param(week(row("2026-04-21T02:00Z")), id="one-sum-of-all-days"),
        pytest.param(week(row("2026-04-17T02:00Z"), row("2026-04-18T02:00Z")), id="mail-of-other-days"),
        pytest.param(week(row(None), row(None)), id="no-create-time"),
    ],
)
def test_an_empty_day_may_be_right(whole: Response) -> None:
    found = found_by(days.one_day, evidence(response(start=TODAY), response(), whole=whole))
    assert (found.level, found.text.startswith("Unknown")) == (NOTE, True)


@pytest.mark.parametrize(
    ("rows", "day"),
    [
        pytest.param(["2026-04-19T02:00Z", "2026-04-19T17:00Z", "2026-04-22T01:00Z"], MONDAY, id="in-the-targets-zone"),
        pytest.param(["2026-04-16T02:00Z"], YESTERDAY, id="a-single-row-may-be-a-sum"),
        pytest.param([], YESTERDAY, id="nothing"),
        pytest.param([None, None], YESTERDAY, id="no-create-time"),
    ],
)
def test_the_day_that_is_requested_alone_is_the_newest_closed_one_with_mail(rows: list[str | None], day: date) -> None:
    assert days.newest_closed_day(week(*map(row, rows)), TODAY, SHANGHAI, 0.0) == day


@pytest.mark.parametrize(
    ("ahead", "day"),
    [
        pytest.param(8 * 3600.0, MONDAY, id="china-with-a-z"),
        pytest.param(0.0, YESTERDAY, id="utc"),
        pytest.param(None, YESTERDAY, id="not-known"),
    ],
)
def test_the_newest_closed_day_goes_by_the_clock_that_was_measured(ahead: float | None, day: date) -> None:
    """5 pm on Monday in China, or 1 am on Tuesday if it were UTC."""
    rows = [row("2026-04-19T00:00Z"), row("2026-04-20T17:00Z"), row("2026-04-22T00:00Z")]
    assert days.newest_closed_day(week(*rows), TODAY, SHANGHAI, ahead) == day


def test_a_date_is_a_day_whatever_the_clock() -> None:
    rows = [row("2026-04-19"), row("2026-04-20"), row("2026-04-22")]
    assert days.newest_closed_day(week(*rows), TODAY, SHANGHAI, None) == MONDAY


@pytest.mark.parametrize(
    ("created", "level", "says"),
    [
        pytest.param(["2026-04-20T16:00Z", "2026-04-21T15:00Z"], OK, "begins at UTC+08:00", id="a-whole-day"),
        pytest.param(["2026-04-21T02:00Z", "2026-04-21T09:00Z"], OK, "any zone from UTC-02:00 ", id="a-few-hours"),
        pytest.param(["2026-04-21T02:00Z", "2026-04-21T22:00Z"], NOTE, "to before UTC+02:00", id="between-two"),
        pytest.param(["2026-04-21T00:00Z", "2026-04-21T23:00Z"], NOTE, "fit UTC+00:00, not", id="another-zone"),
        pytest.param(["2026-04-20T10:00Z", "2026-04-21T23:00Z"], NOTE, "unknown", id="more-than-a-day"),
        pytest.param(["2026-04-23T00:00Z"], NOTE, "unknown", id="from-the-future"),
        pytest.param([None], NOTE, "unknown", id="no-create-time"),
        pytest.param([], NOTE, "unknown", id="no-rows"),
    ],
)
def test_where_the_day_begins(created: list[str | None], level: str, says: str) -> None:
    found = found_by(
        days.timezone, evidence(response(*map(row, created)), tomorrow=response(start=TODAY + timedelta(days=1)))
    )
    assert found.level == level
    assert says in found.text


@pytest.mark.parametrize(
    ("ahead", "level", "says"),
    [
        pytest.param((8,), OK, "begins at UTC+08:00", id="china-with-a-z"),
        pytest.param((0,), NOTE, "fit UTC+00:00, not", id="utc"),
        pytest.param((), NOTE, "unknown", id="not-measured"),
    ],
)
def test_where_the_day_begins_goes_by_the_clock_that_was_measured(
    ahead: tuple[float, ...], level: str, says: str
) -> None:
    hours = [row("2026-04-21T00:00Z"), row("2026-04-21T23:00Z")]
    found = found_by(days.timezone, evidence(response(*hours), account=account(*ahead)))
    assert (found.level, says in found.text) == (level, True)


@pytest.mark.parametrize(
    ("known", "level", "says"),
    [
        pytest.param(account(8), OK, 'UTC+08:00, although it ends in "Z"', id="china"),
        pytest.param(account(8, 8), OK, "UTC+08:00", id="two-domains-that-agree"),
        pytest.param(account(0), OK, 'UTC, as its "Z" says', id="utc"),
        pytest.param(account(-7), OK, "UTC-07:00", id="america"),
        pytest.param(account(8, 9), NOTE, "UTC+08:00 and UTC+09:00", id="two-clocks"),
        pytest.param(account(), NOTE, "no domain", id="no-domain"),
        pytest.param(Account(NOW), NOTE, "were not listed", id="not-listed"),
    ],
)
def test_what_clock_the_texts_show(known: Account, level: str, says: str) -> None:
    found = found_by(clock.clock_text, evidence(account=known))
    assert (found.level, says in found.text) == (level, True)


def test_nothing_is_reported_on_an_account_that_was_not_read() -> None:
    assert clock.clock_text(evidence(account=Account())) is None


def test_mail_of_tomorrow_names_the_first_zone_that_could_be_right() -> None:
    tomorrow = response(row(), start=date(2026, 4, 23))
    found = found_by(days.timezone, evidence(zone="America/New_York", tomorrow=tomorrow))
    assert found.level == PROBLEM
    assert "UTC+13:45 or further east" in found.fix
    assert "Shanghai" not in found.fix


@pytest.mark.parametrize(
    ("first", "second", "level", "says"),
    [
        pytest.param(week(row(), row()), None, OK, "agree", id="one-page"),
        pytest.param(week(total=0, pages=0), None, OK, "agree", id="no-page"),
        pytest.param(week(row(), pages=4), None, NOTE, "1 pages, but the response says 4", id="too-many-pages"),
        pytest.param(week(row(), total=None, size=None), None, OK, "agree", id="numbers-missing"),
        pytest.param(week(row(), row()), week(row(), number=2, total=2, size=1, pages=2), OK, "follows", id="follows"),
        pytest.param(
            week(row(), row()), week(row(), number=2, total=3, size=2, pages=2), NOTE, "changed", id="changed"
        ),
        pytest.param(week(row(), row()), week(number=2, total=2, size=1, pages=2), PROBLEM, "empty", id="empty"),
        pytest.param(
            week(row(), row()),
            week(row(), number=1, total=2, size=1, pages=2),
            PROBLEM,
            "returns page 1",
            id="the-first",
        ),
    ],
)
def test_pages(first: Response, second: Response | None, level: str, says: str) -> None:
    found = found_by(pages.pages, evidence(first, whole=first, second_page=second))
    assert (found.level, says in found.text) == (level, True)


@pytest.mark.parametrize(
    ("day", "level", "says"),
    [
        pytest.param(response(row()), OK, "as requested", id="as-requested"),
        pytest.param(response(row(), size=1000), OK, "1000 rows a page", id="more-than-requested"),
        pytest.param(response(row(), size=50), NOTE, "returns 50", id="less-than-requested"),
        pytest.param(response(row(), size=None), NOTE, "no PageSize", id="absent"),
        pytest.param(response(row(), total=250, pages=3), NOTE, "takes 3 calls", id="many-pages"),
    ],
)
def test_the_page_size(day: Response, level: str, says: str) -> None:
    found = found_by(pages.page_size, evidence(day))
    assert (found.level, says in found.text) == (level, True)


@pytest.mark.parametrize(
    ("filters", "emails", "level"),
    [
        pytest.param(Filters("a@example.com", esp="gmail.com"), 100, PROBLEM, id="esp"),
        pytest.param(Filters("a@example.com", esp="gmail.com"), 99, NOTE, id="esp-and-too-little-mail-to-be-sure"),
        pytest.param(Filters(dedicated_ip="192.0.2.1"), 100, PROBLEM, id="dedicated-ip"),
        pytest.param(Filters("a@example.com", tag_name="x"), 10_000, NOTE, id="tag"),
        pytest.param(Filters("a@example.com"), 10_000, NOTE, id="sender"),
        pytest.param(Filters(config_set_id="x"), 10_000, NOTE, id="config-set"),
        pytest.param(Filters(dedicated_ip="192.0.2.1"), 0, NOTE, id="nothing-to-compare-with"),
    ],
)
def test_an_empty_breakdown(filters: Filters, emails: int, level: str) -> None:
    whole = week(row(counts=(emails, 0, 0, 0, 0)))
    found = breakdowns.compared(response(filters=filters), whole)
    assert found.level == level
    assert found.fix


def test_a_second_page_without_a_total_is_a_change_in_words() -> None:
    first, second = week(row(), total=300, size=100, pages=3), week(row(), total=None, pages=3)
    found = found_by(pages.pages, evidence(first, whole=first, second_page=second))
    assert found.text == "The rows changed between two calls: 300, then no number."
