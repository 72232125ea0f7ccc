"""What the store keeps, and the growth that it sees."""

import math
from datetime import date

from exporter.directmail.errors import ServerError
from exporter.directmail.model import Filters
from exporter.directmail.statistics.delivery import Delivery
from exporter.directmail.statistics.engagement import Engagement
from exporter.store.memory import KEEP_DAYS, PRUNED, Cell, Record, Store
from tests.support.clock import ScriptedClock

KEY = ("shop", "engagement", Filters(account_name="a@example.com"))
DAY, NEXT = date(2026, 4, 22), date(2026, 4, 23)
START, MIDNIGHT = 1_000_000.0, 1_086_400.0
DAY_ENDS = {DAY: MIDNIGHT, NEXT: MIDNIGHT + 86_400}


def cell(opens: int, read_at: float) -> Cell:
    return Cell(Engagement(100, opens, opens, 0, 0), None, read_at)


def opens(store: Store) -> int:
    observed = store.get(KEY).observed
    assert observed is not None
    return Engagement._make(observed).opens


def test_the_first_read_of_a_cell_counts_nothing() -> None:
    store = Store()
    store.put(KEY, DAY, cell(50, START + 3600), day_start=START)
    assert opens(store) == 0


def test_growth_between_two_reads_is_counted() -> None:
    store = Store()
    store.put(KEY, DAY, cell(50, START + 3600), day_start=START)
    store.put(KEY, DAY, cell(57, START + 7200), day_start=START)
    assert opens(store) == 7


def test_a_day_that_begins_after_the_first_read_counts_in_full() -> None:
    store = Store()
    store.put(KEY, DAY, cell(50, MIDNIGHT - 60), day_start=START)
    store.put(KEY, NEXT, cell(3, MIDNIGHT + 60), day_start=MIDNIGHT)
    assert opens(store) == 3


def test_an_older_day_read_for_the_first_time_counts_nothing() -> None:
    store = Store()
    store.put(KEY, NEXT, cell(5, MIDNIGHT + 60), day_start=MIDNIGHT)
    store.put(KEY, DAY, cell(500, MIDNIGHT + 120), day_start=START)
    assert opens(store) == 0


def test_late_opens_of_an_older_day_are_growth_too() -> None:
    store = Store()
    store.put(KEY, DAY, cell(50, MIDNIGHT - 60), day_start=START)
    store.put(KEY, NEXT, cell(3, MIDNIGHT + 60), day_start=MIDNIGHT)
    store.put(KEY, DAY, cell(60, MIDNIGHT + 120), day_start=START)
    assert opens(store) == 13


def test_a_count_that_goes_down_adds_nothing_and_is_counted() -> None:
    store = Store()
    for count in (50, 40, 45):
        store.put(KEY, DAY, cell(count, START), day_start=START)
    assert opens(store) == 0
    assert store.decreases["shop"] == 2  # opens and unique opens, once each


def test_growth_is_what_a_count_is_above_the_highest_it_has_been() -> None:
    """Two replicas of the API that lag behind each other result in turn."""
    store = Store()
    for count in (40, 30, 40, 30, 41, 30, 41):
        store.put(KEY, DAY, cell(count, START), day_start=START)
    assert opens(store) == 1
    assert store.get(KEY).cells[DAY].totals == Engagement(100, 41, 41, 0, 0)


def test_a_day_that_is_empty_once_is_not_counted_again() -> None:
    store = Store()
    store.put(KEY, DAY, cell(50, MIDNIGHT - 60), day_start=START)
    for count in (0, 50, 52):
        store.put(KEY, DAY, Cell(Engagement(count, count, 0, 0, 0), None, MIDNIGHT), day_start=START)
    assert opens(store) == 2


def test_statistics_of_the_same_filters_count_each_for_itself() -> None:
    store, mails = Store(), ("shop", "delivery", KEY[2])
    for opened, delivered in ((50, 70), (57, 90)):
        store.put(KEY, DAY, cell(opened, START), day_start=START)
        store.put(mails, DAY, Cell(Delivery(100, delivered, 2, 1), None, START), day_start=START)
    assert opens(store) == 7
    assert store.get(mails).observed == Delivery(0, 20, 0, 0)
    store.failed(mails, ServerError("the API failed"), START)
    assert store.get(KEY).last_attempt_ok is None


def test_while_counters_wait_for_the_disk_what_grew_is_not_shown() -> None:
    store = Store()
    store.waits_for_disk = True
    store.put(KEY, DAY, cell(50, START), day_start=START)
    assert store.get(KEY).observed is None
    store.get(KEY).observed = store.get(KEY).counted
    store.put(KEY, DAY, cell(57, START), day_start=START)
    assert opens(store) == 0
    assert Engagement._make(store.get(KEY).counted).opens == 7


def test_what_a_clock_too_far_ahead_read_is_not_of_a_later_time_than_now() -> None:
    store = Store()
    store.put(KEY, DAY, cell(50, MIDNIGHT + 60), day_start=START)
    store.put(KEY, NEXT, cell(3, MIDNIGHT + 60), day_start=MIDNIGHT)
    store.succeeded(KEY, MIDNIGHT + 60)
    assert list(store.setting_back("other", "engagement", MIDNIGHT - 3600, 3700, DAY_ENDS.__getitem__)) == []
    assert store.get(KEY).cells[DAY].read_at == MIDNIGHT + 60
    assert list(store.setting_back("shop", "engagement", MIDNIGHT - 3600, 3700, DAY_ENDS.__getitem__)) == [KEY]
    assert [each.read_at for each in store.get(KEY).cells.values()] == [MIDNIGHT - 3640] * 2
    assert store.get(KEY).first_read_at == MIDNIGHT - 3600
    assert store.get(KEY).last_success_at == MIDNIGHT - 3640


def test_a_day_that_a_clock_too_far_ahead_closed_is_not_closed_when_that_is_noticed_after_midnight() -> None:
    """The clock said 00:01 at 23:56, and is set right at 00:03."""
    store = Store()
    store.put(KEY, DAY, cell(50, MIDNIGHT + 60), day_start=START)
    assert list(store.setting_back("shop", "engagement", MIDNIGHT + 180, 300, DAY_ENDS.__getitem__)) == [KEY]
    assert store.get(KEY).cells[DAY].read_at == MIDNIGHT - 240


def test_many_records_are_set_back_in_slices() -> None:
    store = Store()
    for number in range(3 * PRUNED):
        read_at = MIDNIGHT + 60 if number == PRUNED // 2 else START
        store.put(("shop", "engagement", Filters(tag_name=str(number))), DAY, cell(1, read_at), day_start=START)
    changed = ("shop", "engagement", Filters(tag_name=str(PRUNED // 2)))
    slices = list(store.setting_back("shop", "engagement", MIDNIGHT, 3600, DAY_ENDS.__getitem__))
    assert slices == [changed, None, None, None]


def test_a_result_that_was_requested_before_the_stored_one_changes_nothing() -> None:
    store = Store()
    assert store.put(KEY, DAY, cell(50, MIDNIGHT + 60), day_start=START)
    assert not store.put(KEY, DAY, cell(40, MIDNIGHT - 60), day_start=START)
    assert store.get(KEY).cells[DAY] == cell(50, MIDNIGHT + 60)
    assert store.decreases == {}
    store.succeeded(KEY, MIDNIGHT + 60)
    store.succeeded(KEY, MIDNIGHT - 60)
    assert store.get(KEY).last_success_at == MIDNIGHT + 60


class TestTheAgeOfARecord:
    def test_it_grows_with_the_time(self) -> None:
        clock, store = ScriptedClock(), Store()
        store.succeeded(KEY, clock.time() - 5)
        assert store.get(KEY).age(clock) == 5
        clock.jump(wall=10, monotonic=10)
        assert store.get(KEY).age(clock) == 15

    def test_a_clock_set_back_makes_nothing_younger_and_one_set_forward_older(self) -> None:
        clock, store = ScriptedClock(), Store()
        store.succeeded(KEY, clock.time())
        assert store.get(KEY).age(clock) == 0
        clock.jump(wall=-7200, monotonic=10)
        assert store.get(KEY).age(clock) == 10
        clock.jump(wall=7200 + 60)
        assert store.get(KEY).age(clock) == 60

    def test_a_success_in_the_future_is_of_unknown_age(self) -> None:
        clock, store = ScriptedClock(), Store()
        store.restore(KEY, Record(last_success_at=clock.time() + 3600))
        assert store.get(KEY).age(clock) == math.inf
        store.succeeded(KEY, clock.time())
        assert store.get(KEY).age(clock) == 0

    def test_without_a_success_there_is_none(self) -> None:
        assert Record().age(ScriptedClock()) is None


def test_health_follows_the_last_attempt() -> None:
    store = Store()
    store.failed(KEY, ServerError("the API failed"), 5.0)
    assert (store.get(KEY).last_attempt_ok, store.get(KEY).last_success_at) == (False, None)
    store.succeeded(KEY, START)
    assert (store.get(KEY).last_attempt_ok, store.get(KEY).failure) == (True, None)


def test_days_outside_every_window_are_discarded_and_counters_kept() -> None:
    store = Store()
    store.put(KEY, DAY, cell(50, START), day_start=START)
    store.put(KEY, DAY, cell(57, START), day_start=START)
    last = date.fromordinal(DAY.toordinal() + KEEP_DAYS)
    store.prune("shop", "engagement", last, {KEY})
    assert DAY in store.get(KEY).cells
    after = date.fromordinal(last.toordinal() + 1)
    store.prune("shop", "engagement", after, {KEY})
    assert DAY not in store.get(KEY).cells
    assert opens(store) == 7
    store.prune("other", "engagement", after, set())
    store.prune("shop", "delivery", after, set())
    assert list(store.keys()) == [KEY]
    store.prune("shop", "engagement", after, set())
    assert list(store.keys()) == []
    assert store.discarded == {KEY}


def test_many_records_are_pruned_in_slices() -> None:
    """Between two slices records may come and go."""
    store = Store()
    keys = [("shop", "engagement", Filters(tag_name=str(number))) for number in range(3 * PRUNED)]
    for key in keys:
        store.put(key, DAY, cell(1, START), day_start=START)
    later = date.fromordinal(DAY.toordinal() + KEEP_DAYS + 1)
    left = []
    for _ in store.pruning("shop", "engagement", later, ()):
        left.append(len(list(store.keys())))
        store.claim("shop", f"account-{len(left)}")  # the second one makes all be discarded
    assert left == [2 * PRUNED, PRUNED, 0]
    assert list(store.keys()) == []


def test_looking_up_an_unknown_key_stores_nothing() -> None:
    store = Store()
    assert store.get(KEY).cells == {}
    assert list(store.keys()) == []


def test_data_of_another_account_is_discarded() -> None:
    store = Store()
    assert not store.claim("shop", "ap-southeast-1 Asia/Shanghai")
    store.put(KEY, DAY, cell(50, START), day_start=START)
    assert not store.claim("shop", "ap-southeast-1 Asia/Shanghai")
    assert DAY in store.get(KEY).cells
    assert not store.claim("other", "us-east-1 UTC")
    assert store.claim("shop", "ap-southeast-1 UTC")
    assert list(store.keys()) == []
    assert store.changed == set()
