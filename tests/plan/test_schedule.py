"""Which cell is requested next."""

from collections import deque
from datetime import date, datetime, timedelta

import pytest

from exporter.plan.combinations import Combination
from exporter.plan.schedule import Schedule, Slot, round_robin
from exporter.plan.target_plan import TargetPlan
from tests.support.worlds import make_config, make_plan

NOON = datetime.fromisoformat("2026-04-22T12:00:00+00:00").timestamp()
TODAY = date(2026, 4, 22)
HOUR, DAY = 3600.0, 86_400.0


class Remembering(Schedule):
    """A schedule whose reads are known to it, as the store would have them."""

    def __init__(self, plan: TargetPlan, now: float) -> None:
        self.reads: dict[tuple[Combination, date], float] = {}
        super().__init__(plan, lambda combination, day: self.reads.get((combination, day)), now)
        deque(self.fill(now), maxlen=0)

    def done(self, slot: Slot, read_at: float) -> None:
        self.reads[slot.combination, slot.day] = read_at
        super().done(slot, read_at)


def schedule(now: float = NOON, **config: object) -> Remembering:
    return Remembering(make_plan(make_config(**config)), now)  # type: ignore[arg-type]


def roll(each: Schedule, now: float) -> None:
    """Follow the clock in one go."""
    deque(each.roll(now), maxlen=0)


def drain(each: Schedule, now: float) -> list[Slot]:
    """Take and read everything that is due."""
    slots = []
    while (slot := each.take(now)) is not None:
        slots.append(slot)
        each.done(slot, now)
    return slots


def test_the_newest_day_of_all_combinations_comes_first() -> None:
    days = [slot.day for slot in drain(schedule(senders=3, head="windows: [today, 7d]"), NOON)]
    assert days == [TODAY - timedelta(days=age) for age in range(8) for _ in range(3)]


def test_a_cell_that_was_read_is_not_due_before_its_time() -> None:
    each = schedule(senders=1, head="windows: [today, yesterday]\npoll_interval: 5m")
    drain(each, NOON)
    assert each.take(NOON + 299) is None
    assert each.wake_at(NOON + 299) == NOON + 300
    assert [slot.day for slot in drain(each, NOON + 300)] == [TODAY]
    assert [slot.day for slot in drain(each, NOON + HOUR)] == [TODAY, TODAY - timedelta(days=1)]


def test_a_settled_day_is_not_requested_again_before_twelve_hours() -> None:
    each = schedule(senders=1, head="windows: [7d]\npoll_interval: 1h")
    drain(each, NOON)
    requested = [slot.day for hour in range(1, 12) for slot in drain(each, NOON + hour * HOUR)]
    assert min(requested) == TODAY - timedelta(days=3)


MIDNIGHT, TOMORROW = NOON + 12 * HOUR, TODAY + timedelta(days=1)


def at_midnight(senders: int = 2, head: str = "windows: [today]\npoll_interval: 1h") -> Remembering:
    """Return a schedule at midnight, when everything was read seconds before."""
    each = schedule(senders=senders, head=head)
    drain(each, MIDNIGHT - 10)
    assert each.wake_at(MIDNIGHT - 10) == MIDNIGHT
    roll(each, MIDNIGHT)
    return each


class TestMidnight:
    def test_the_day_that_ended_is_read_once_more_before_the_new_one(self) -> None:
        each = at_midnight()
        assert [slot.day for slot in drain(each, MIDNIGHT)] == [TODAY, TODAY, TOMORROW, TOMORROW]
        later = [slot.day for hour in range(1, 24) for slot in drain(each, MIDNIGHT + hour * HOUR)]
        assert TODAY not in later

    def test_a_cold_start_after_midnight_begins_with_the_new_day(self) -> None:
        each = Remembering(make_plan(make_config(senders=2, head="windows: [today, yesterday]")), MIDNIGHT + 300)
        assert [slot.day for slot in drain(each, MIDNIGHT + 300)] == [TOMORROW, TOMORROW, TODAY, TODAY]

    def test_after_a_night_without_reads_the_new_day_is_first_again(self) -> None:
        """Nothing is shown any more that a read of yesterday could keep."""
        each = schedule(senders=20)
        drain(each, MIDNIGHT - 10)
        roll(each, MIDNIGHT + 9 * HOUR)
        days = [slot.day for slot in drain(each, MIDNIGHT + 9 * HOUR)]
        assert days[:20].count(TOMORROW) == 15, "every fourth call is for the day that ended"

    def test_the_day_that_ended_does_not_keep_today_waiting_until_it_is_stale(self) -> None:
        """Calls for two hundred combinations take longer than the time between poll interval and stale_after."""
        each = at_midnight(200, "windows: [today, yesterday]\npoll_interval: 10m\nstale_after: 12m")
        days = []
        for call in range(100):
            slot = each.take(MIDNIGHT + 2 * call)
            assert slot is not None
            each.done(slot, MIDNIGHT + 2 * call)
            days.append(slot.day)
        assert set(days[:31]) == {TODAY}, "one minute is half of the slack"
        assert days[32:].count(TOMORROW) == pytest.approx(0.75 * 68, abs=1)
        assert days[32:].count(TODAY) == pytest.approx(0.25 * 68, abs=1)

    def test_a_day_whose_read_failed_goes_first_again_when_it_is_retried(self) -> None:
        each = at_midnight(3)
        failed = each.take(MIDNIGHT)
        assert failed is not None
        each.failed(failed, MIDNIGHT + 15)
        assert [slot.day for slot in (each.take(MIDNIGHT) for _ in range(3)) if slot] == [TODAY, TODAY, TOMORROW]
        assert each.take(MIDNIGHT + 15) == failed

    def test_a_read_in_flight_over_midnight_that_fails_leaves_the_day_to_be_closed_first(self) -> None:
        each = schedule(senders=3, head="windows: [today]\npoll_interval: 1h")
        drain(each, MIDNIGHT - 3700)
        in_flight = each.take(MIDNIGHT - 10)
        assert in_flight is not None
        drain(each, MIDNIGHT - 10)
        roll(each, MIDNIGHT)
        each.failed(in_flight, MIDNIGHT + 15)
        days = [slot.day for slot in (each.take(MIDNIGHT + 20) for _ in range(3)) if slot]
        assert days == [TODAY] * 3


def test_the_edge_is_requested_on_a_cold_start_and_never_again() -> None:
    each = schedule(senders=1, head="windows: [30d]\npoll_interval: 1h")
    assert TODAY - timedelta(days=30) in [slot.day for slot in drain(each, NOON)]
    for day in range(1, 4):
        now = NOON + day * DAY
        roll(each, now)
        oldest = min(slot.day for slot in drain(each, now))
        assert oldest >= TODAY + timedelta(days=day) - timedelta(days=29)


def test_nothing_older_than_thirty_days_is_ever_requested() -> None:
    each = schedule(senders=1, head="windows: [30d]")
    assert len(drain(each, NOON)) == 31


def test_a_failing_combination_waits_alone() -> None:
    each = schedule(senders=2, head="windows: [today]\npoll_interval: 5m")
    bad = each.take(NOON)
    assert bad is not None
    each.failed(bad, NOON + 60)
    good = drain(each, NOON)
    assert len(good) == 1
    assert good[0].combination != bad.combination
    assert each.wake_at(NOON) == NOON + 60


def test_the_other_days_of_a_failing_combination_wait_until_today_works_again() -> None:
    each = schedule(senders=1, head="windows: [today, 7d]")
    first = each.take(NOON)
    assert first is not None
    each.failed(first, NOON + 15)
    assert each.take(NOON) is None
    again = each.take(NOON + 15)
    assert again == first
    assert each.take(NOON + 15) is None
    each.done(first, NOON + 15)
    assert len(drain(each, NOON + 60)) == 7


def test_an_older_day_that_fails_holds_up_only_itself() -> None:
    each = schedule(senders=1, head="windows: [today, 7d]\npoll_interval: 5m")
    today, yesterday = each.take(NOON), each.take(NOON)
    assert today is not None
    assert yesterday is not None
    each.done(today, NOON)
    each.failed(yesterday, NOON + 900)
    assert len(drain(each, NOON)) == 6
    assert [slot.day for slot in drain(each, NOON + 300)] == [TODAY]
    assert yesterday in drain(each, NOON + 900)


def test_a_large_matrix_does_not_go_before_a_small_query() -> None:
    each = schedule(senders=50, small_query=True, head="windows: [today]")
    first_two = {slot.combination.query for slot in drain(each, NOON)[:2]}
    assert first_two == {"senders", "small"}


def test_queries_take_turns() -> None:
    order = round_robin(make_plan(make_config(senders=3, small_query=True)).combinations)
    assert [combination.query for combination in order] == ["senders", "small", "senders", "senders"]


def test_older_days_are_read_eventually_though_today_could_use_every_call() -> None:
    """With one call for each poll of today there would be none left, were it strictly newest first."""
    each = schedule(senders=1, head="windows: [today, 7d]\npoll_interval: 5m")
    requested = set()
    for call in range(3000):
        now = NOON + call * 300
        roll(each, now)
        slot = each.take(now)
        assert slot is not None
        requested.add((each.today - slot.day).days)
        each.done(slot, now)
    assert requested == set(range(8))


def test_a_clock_set_back_does_not_stop_the_polling() -> None:
    each = schedule(senders=1, head="windows: [today]\npoll_interval: 5m")
    drain(each, NOON)
    roll(each, NOON - 2 * HOUR)
    assert each.wake_at(NOON - 2 * HOUR) == NOON - 2 * HOUR + 300


def test_a_clock_that_jumps_over_days_starts_with_the_new_today() -> None:
    each = schedule(senders=1, head="windows: [today, yesterday]")
    drain(each, NOON)
    roll(each, NOON + 5 * DAY)
    assert next(slot.day for slot in drain(each, NOON + 5 * DAY)) == TODAY + timedelta(days=5)


def test_a_cell_in_flight_over_midnight_is_due_again() -> None:
    each = schedule(senders=1, head="windows: [today]\npoll_interval: 1h")
    slot = each.take(NOON)
    assert slot is not None
    midnight = NOON + 12 * HOUR
    roll(each, midnight)
    each.done(slot, midnight - 5)
    assert sorted(slot.day for slot in drain(each, midnight)) == [TODAY, TODAY + timedelta(days=1)]


def test_the_backlog_is_unknown_until_every_cell_is_scheduled() -> None:
    each = Schedule(make_plan(make_config(senders=300, head="windows: [today]")), lambda *cell: None, NOON)
    filling = each.fill(NOON)
    assert each.backlog(NOON) is None
    next(filling)
    assert each.backlog(NOON) is None
    deque(filling, maxlen=0)
    assert each.backlog(NOON) == 300


@pytest.mark.parametrize(("read", "left"), [(0, 16), (5, 11), (16, 0)])
def test_the_backlog_is_what_is_due_and_not_read(read: int, left: int) -> None:
    each = schedule(senders=2, head="windows: [today, 7d]")
    for _ in range(read):
        slot = each.take(NOON)
        assert slot is not None
        each.done(slot, NOON)
    assert each.backlog(NOON) == left


def test_a_cell_that_failed_counts_as_backlog_until_it_is_read() -> None:
    each = schedule(senders=1, head="windows: [today, 7d]\npoll_interval: 1h")
    today, yesterday = each.take(NOON), each.take(NOON)
    assert today is not None
    assert yesterday is not None
    each.done(today, NOON)
    each.failed(yesterday, NOON + 900)
    drain(each, NOON)
    assert [each.backlog(NOON), each.backlog(NOON + 900)] == [1, 1]
    assert each.take(NOON + 900) == yesterday
    assert each.backlog(NOON + 900) == 1
    each.done(yesterday, NOON + 900)
    assert each.backlog(NOON + 900) == 0


def test_the_days_of_a_failing_combination_count_as_backlog_while_they_wait_for_it() -> None:
    each = schedule(senders=1, head="windows: [today, 7d]")
    today = each.take(NOON)
    assert today is not None
    each.failed(today, NOON + 60)
    assert each.take(NOON) is None
    assert each.backlog(NOON) == 8


def test_a_cell_in_flight_still_counts_as_backlog() -> None:
    each = schedule(senders=1, head="windows: [today]")
    each.take(NOON)
    assert each.backlog(NOON) == 1


def test_the_preview_shows_what_is_due_or_what_comes_next() -> None:
    each = schedule(senders=2, head="windows: [today]")
    assert [slot.day for slot in each.preview(NOON)] == [TODAY, TODAY]
    drain(each, NOON)
    assert [slot.day for slot in each.preview(NOON)] == [TODAY, TODAY]


def test_the_preview_is_in_the_order_of_the_due_times() -> None:
    each = schedule(senders=40, head="windows: [30d]")
    due = [slot.day for slot in each.preview(NOON, 100)]
    assert due == [TODAY] * 40 + [TODAY - timedelta(days=1)] * 40 + [TODAY - timedelta(days=2)] * 20
    drain(each, NOON)
    due = each._cells._due
    times = [due[slot.day][each._place[slot.combination.key]] for slot in each.preview(NOON, 100)]
    assert times == sorted(time for times in due.values() for time in times.values())[:100]
