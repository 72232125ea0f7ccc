"""Combinations, windows, refresh times and cost, over midnights, month ends, leap days and changes of the clock."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from exporter.config import loader
from exporter.config.durations import format_duration
from exporter.config.model import Config
from exporter.directmail.model import Filters
from exporter.directmail.statistics.registry import STATISTICS
from exporter.metrics import tables
from exporter.plan import calendar, cardinality, target_plan, validation
from exporter.plan.combinations import Combination
from exporter.plan.pacing import AUTO_SHARE, budget

HEAD = "targets:\n  - name: shop\n    region: ap-southeast-1\n    timezone: UTC\n"


def load(text: str) -> Config:
    config, problems = loader.parse(text)
    assert config is not None
    assert problems == ()
    return config


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def senders(count: int) -> str:
    return ", ".join(f"s{number}@example.com" for number in range(count))


def by_sender(count: int, extra: str = "") -> Config:
    return load(f"{extra}\n{HEAD}    queries:\n      - name: by_sender\n        account_name: [{senders(count)}]\n")


def only_plan(config: Config, pages: float = 1.0) -> target_plan.TargetPlan:
    return target_plan.make(config, config.targets[0], "engagement", pages_per_cell=pages)


class TestCombinations:
    def test_lists_multiply_in_the_configs_order(self) -> None:
        config = load(
            f"{HEAD}    queries:\n      - name: q\n        account_name: [a@x.com, b@x.com]\n"
            "        esp: [gmail.com, others]\n"
        )
        filters = [combination.filters for combination in only_plan(config).combinations]
        assert filters == [
            Filters(account_name="a@x.com", esp="gmail.com"),
            Filters(account_name="a@x.com", esp="others"),
            Filters(account_name="b@x.com", esp="gmail.com"),
            Filters(account_name="b@x.com", esp="others"),
        ]

    def test_exclude_removes_every_combination_that_it_matches(self) -> None:
        config = load(
            f"{HEAD}    queries:\n      - name: q\n        account_name: [a@x.com, b@x.com]\n        tag_name: [t, u]\n"
            "        exclude: [{tag_name: t}, {account_name: b@x.com, tag_name: u}]\n"
        )
        assert [combination.filters.tag_name for combination in only_plan(config).combinations] == ["u"]

    def test_a_query_without_filters_is_one_combination(self) -> None:
        config = load(f"{HEAD}    queries:\n      - name: account\n")
        assert only_plan(config).combinations == (Combination("shop", "engagement", "account", Filters()),)


@pytest.mark.parametrize(
    ("window", "first", "last"),
    [
        pytest.param("today", "2024-03-01", "2024-03-01", id="today"),
        pytest.param("yesterday", "2024-02-29", "2024-02-29", id="the-day-before-is-a-leap-day"),
        pytest.param("7d", "2024-02-23", "2024-02-29", id="seven-closed-days-over-a-month-end"),
        pytest.param("30d", "2024-01-31", "2024-02-29", id="thirty-closed-days"),
    ],
)
def test_a_window_ends_yesterday_unless_it_is_today(window: str, first: str, last: str) -> None:
    days = calendar.window_days(window, date(2024, 3, 1))
    assert (days[0].isoformat(), days[-1].isoformat()) == (first, last)


@pytest.mark.parametrize(
    ("zone", "now", "day"),
    [
        pytest.param("UTC", "2026-01-31T23:59:59+00:00", "2026-01-31", id="last-second-of-a-month"),
        pytest.param("UTC", "2026-02-01T00:00:00+00:00", "2026-02-01", id="first-second-of-a-month"),
        pytest.param("Asia/Shanghai", "2026-01-31T16:00:00+00:00", "2026-02-01", id="ahead-of-utc"),
        pytest.param("America/Los_Angeles", "2026-02-01T07:59:59+00:00", "2026-01-31", id="behind-utc"),
        pytest.param("Pacific/Kiritimati", "2024-02-28T10:00:00+00:00", "2024-02-29", id="fourteen-hours-ahead"),
    ],
)
def test_today_is_the_day_of_the_targets_zone(zone: str, now: str, day: str) -> None:
    assert calendar.today(at(now), ZoneInfo(zone)).isoformat() == day


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        pytest.param("UTC", date(2026, 3, 29), 24, id="no-dst"),
        pytest.param("Europe/Berlin", date(2024, 3, 31), 23, id="spring"),
        pytest.param("Europe/Berlin", date(2024, 10, 27), 25, id="autumn"),
        pytest.param("Asia/Beirut", date(2024, 3, 31), 23, id="midnight-does-not-exist"),
        pytest.param("America/Havana", date(2024, 11, 3), 25, id="midnight-happens-twice"),
    ],
)
def test_days_are_as_long_as_the_zone_makes_them(zone: str, day: date, hours: int) -> None:
    """In a year whose rules no later version of the zones changes, as Cuba did with those of 2026."""
    length = calendar.day_end(day, ZoneInfo(zone)) - calendar.day_start(day, ZoneInfo(zone))
    assert length == hours * 3600
    assert calendar.today(calendar.day_start(day, ZoneInfo(zone)), ZoneInfo(zone)) == day
    assert calendar.today(calendar.day_end(day, ZoneInfo(zone)) - 1, ZoneInfo(zone)) == day


def test_the_bounds_of_a_window_are_the_starts_of_days_and_today_ends_at_the_coming_midnight() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    midnight = datetime(2026, 4, 22, tzinfo=zone).timestamp()
    assert calendar.window_bounds("today", date(2026, 4, 22), zone) == (midnight, midnight + 86_400)
    assert calendar.window_bounds("7d", date(2026, 4, 22), zone) == (midnight - 7 * 86_400, midnight)


NOON = at("2026-04-22T12:00:00+00:00")
MIDNIGHT = at("2026-04-22T00:00:00+00:00")


class TestWhenACellIsRead:
    @pytest.mark.parametrize(
        ("age", "read_at", "expected"),
        [
            pytest.param(0, None, 0.0, id="today-never-read-is-due"),
            pytest.param(0, NOON, NOON + 300, id="today-after-the-poll-interval"),
            pytest.param(1, MIDNIGHT - 60, MIDNIGHT, id="yesterday-once-more-after-its-end"),
            pytest.param(1, MIDNIGHT + 60, MIDNIGHT + 60 + 3600, id="a-recent-day-after-an-hour"),
            pytest.param(3, NOON, NOON + 3600, id="the-last-recent-day"),
            pytest.param(4, NOON, NOON + 12 * 3600, id="an-older-day-after-twelve-hours"),
            pytest.param(29, NOON, NOON + 12 * 3600, id="the-oldest-day-that-is-refreshed"),
            pytest.param(30, None, 0.0, id="the-edge-is-requested-if-never-read"),
            pytest.param(30, NOON, None, id="the-edge-is-not-requested-again"),
            pytest.param(31, None, None, id="nothing-older-is-requested"),
            pytest.param(-1, None, None, id="tomorrow-is-not-requested"),
        ],
    )
    def test_a_day_is_due_by_its_age(self, age: int, read_at: float | None, expected: float | None) -> None:
        config = by_sender(1, "windows: [today, 7d, 30d]\npoll_interval: 5m")
        end = MIDNIGHT + 86_400 if age == 0 else MIDNIGHT - (age - 1) * 86_400
        assert only_plan(config).next_read(age, read_at, end) == expected

    def test_without_windows_on_past_days_only_today_is_read_and_each_day_once_after_its_end(self) -> None:
        each = only_plan(by_sender(1, "windows: [today]\npoll_interval: 5m"))
        assert each.next_read(1, None, MIDNIGHT) is None
        assert each.next_read(1, MIDNIGHT - 60, MIDNIGHT) == MIDNIGHT
        assert each.next_read(1, MIDNIGHT + 60, MIDNIGHT) is None

    def test_today_is_read_whatever_the_windows(self) -> None:
        assert 0 in only_plan(by_sender(1, "windows: [7d]")).ages


class TestCost:
    def test_a_small_config_polls_every_five_minutes(self) -> None:
        assert only_plan(by_sender(10)).poll_interval == 300

    @pytest.mark.parametrize("count", [1, 50, 101, 300, 1000])
    def test_auto_costs_at_most_one_and_a_half_calls_a_combination_and_interval(self, count: int) -> None:
        each = only_plan(by_sender(count, "windows: [today, 7d, 30d]"))
        calls = each.requests_per_minute / count * each.poll_interval / 60
        assert 1 < calls <= 1.5
        assert each.requests_per_minute <= 30 * AUTO_SHARE

    def test_of_two_and_a_half_calls_a_minute_two_fit_into_every_one(self) -> None:
        config = load(f"{HEAD}    rate_limit_per_minute: 2.5\n    queries: [{{name: account}}]\n")
        assert budget(config.targets[0]) == 2

    def test_auto_is_as_fast_as_the_budget_allows(self) -> None:
        each = only_plan(by_sender(300))
        assert each.requests_per_minute > 0.99 * 30 * AUTO_SHARE

    def test_cells_of_several_pages_cost_as_many_calls(self) -> None:
        fixed = "poll_interval: 10m"
        one, three = only_plan(by_sender(5, fixed)), only_plan(by_sender(5, fixed), pages=3)
        assert three.requests_per_minute == pytest.approx(3 * one.requests_per_minute)

    def test_fixed_refresh_times_are_kept_as_written(self) -> None:
        each = only_plan(by_sender(5, "poll_interval: 1h\nrefresh: {recent: 30m, older: 2h}"))
        assert (each.poll_interval, each.recent, each.older) == (3600, 1800, 7200)

    def test_data_is_stale_after_three_polls_but_not_before_a_quarter_of_an_hour(self) -> None:
        assert only_plan(by_sender(1, "poll_interval: 1m")).stale_after == 900
        assert only_plan(by_sender(1, "poll_interval: 1h")).stale_after == 3 * 3600
        assert only_plan(by_sender(1, "poll_interval: 1m\nstale_after: 2m")).stale_after == 120

    def test_windows_take_longer_to_fill_the_older_they_reach(self) -> None:
        each = only_plan(by_sender(50))
        minutes = [each.minutes_to_fill(window) for window in ("today", "yesterday", "7d", "30d")]
        assert minutes == sorted(minutes)
        assert minutes[0] == pytest.approx(50 / 30)


class TestProblems:
    def test_the_shortest_poll_interval_that_fits_is_named_and_fits(self) -> None:
        config = by_sender(100, "poll_interval: 1m")
        (problem,) = validation.problems(config)
        assert problem.place == "poll_interval"
        shortest = problem.text.split("the shortest poll_interval that fits is ")[1].split(";")[0]
        assert validation.problems(by_sender(100, f"poll_interval: {shortest}")) == ()
        seconds = only_plan(by_sender(100, f"poll_interval: {shortest}")).poll_interval
        assert validation.problems(by_sender(100, f"poll_interval: {seconds - 1:.0f}s")) != ()

    def test_a_combination_in_two_queries_names_both(self) -> None:
        config = load(
            f"{HEAD}    queries:\n      - name: one\n        account_name: a@x.com\n"
            "      - name: two\n        account_name: [a@x.com, b@x.com]\n"
        )
        (problem,) = validation.problems(config)
        assert problem.place == "targets[0].queries[1]"
        assert "'one'" in problem.text
        assert "account_name=a@x.com" in problem.text

    def test_more_series_than_allowed_name_their_number(self) -> None:
        (problem,) = validation.problems(by_sender(10, "max_series: 100"))
        assert problem.place == "max_series"
        assert validation.problems(by_sender(10, f"max_series: {problem.text.rsplit(' ', 1)[1]}")) == ()

    def test_a_stale_time_shorter_than_what_auto_can_keep_is_rejected(self) -> None:
        (problem,) = validation.problems(by_sender(300, "stale_after: 6m"))
        assert problem.place == "stale_after"

    def test_refresh_times_that_fit_no_poll_interval_are_an_error(self) -> None:
        (problem,) = validation.problems(by_sender(200, "poll_interval: 5m\nrefresh: {recent: 5m}"))
        assert "no poll_interval fits" in problem.text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(1, "1s", id="second"),
        pytest.param(90, "1m30s", id="mixed"),
        pytest.param(86_400, "1d", id="day"),
        pytest.param(3600.2, "1h1s", id="rounded-up"),
    ],
)
def test_durations_are_written_as_the_config_accepts_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in STATISTICS])
def test_the_numbers_of_series_are_those_of_the_tables_of_metrics(name: str) -> None:
    """The plan is below the metrics and cannot count them."""
    config, table = by_sender(1, "windows: [today]\nreported_rates: true"), tables.TABLES[name]
    exposed = len(table.rows) + len(table.counters) + len(tables.HEALTH)
    assert cardinality.of_a_combination(config, name) == exposed
    assert len(tables.BOUNDS) == cardinality.SERIES_PER_TARGET_WINDOW


class TestStatistics:
    QUERIES = "    queries:\n      - {name: one, account_name: a@x.com, statistics: [engagement, delivery]}\n"

    def test_a_combination_may_occur_once_in_each_statistic(self) -> None:
        config = load(f"{HEAD}{self.QUERIES}      - {{name: two, statistics: [delivery]}}\n")
        assert validation.problems(config) == ()
        (problem,) = validation.problems(
            load(f"{HEAD}{self.QUERIES}      - {{name: two, account_name: a@x.com, statistics: delivery}}\n")
        )
        assert problem.place == "targets[0].queries[1]"

    def test_each_has_the_whole_call_budget_of_its_own_operation(self) -> None:
        """The documentation lists quotas for each operation by itself."""
        config = load(f"poll_interval: 2s\nwindows: [today]\n{HEAD}{self.QUERIES}")
        plans = target_plan.make_all(config)
        assert [each.requests_per_minute for each in plans] == [pytest.approx(30, rel=0.01)] * 2
        assert [problem.place for problem in validation.problems(config)] == ["poll_interval"] * 2
        assert "SenderStatisticsByTagNameAndBatchID" in validation.problems(config)[1].text
