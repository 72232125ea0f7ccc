"""What the store keeps, and the growth that it sees."""

from datetime import date

from exporter.directmail.errors import ServerError
from exporter.directmail.model import Filters, Totals
from exporter.store.memory import KEEP_DAYS, Cell, Store

KEY = ("shop", Filters(account_name="a@example.com"))
DAY, NEXT = date(2026, 4, 22), date(2026, 4, 23)
START, MIDNIGHT = 1_000_000.0, 1_086_400.0


def cell(opens: int, read_at: float) -> Cell:
    return Cell(Totals(100, opens, opens, 0, 0), None, read_at)


def opens(store: Store) -> int:
    return store.get(KEY).observed.opens


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


def test_a_count_that_goes_down_adds_nothing_and_is_told() -> None:
    store = Store()
    for count in (50, 40, 45):
        store.put(KEY, DAY, cell(count, START), day_start=START)
    assert opens(store) == 5
    assert store.decreases["shop"] == 2  # opens and unique opens, once each


def test_health_follows_the_last_attempt() -> None:
    store = Store()
    store.failed(KEY, ServerError("the API failed"), 5.0)
    assert (store.get(KEY).last_attempt_ok, store.get(KEY).last_success_at) == (False, None)
    store.succeeded(KEY, START)
    assert (store.get(KEY).last_attempt_ok, store.get(KEY).failure) == (True, None)


def test_days_that_nothing_reaches_are_forgotten_and_counters_stay() -> None:
    store = Store()
    store.put(KEY, DAY, cell(50, START), day_start=START)
    store.put(KEY, DAY, cell(57, START), day_start=START)
    last = date.fromordinal(DAY.toordinal() + KEEP_DAYS)
    store.prune("shop", last, {KEY})
    assert DAY in store.get(KEY).cells
    after = date.fromordinal(last.toordinal() + 1)
    store.prune("shop", after, {KEY})
    assert DAY not in store.get(KEY).cells
    assert opens(store) == 7
    store.prune("other", after, set())
    assert list(store.keys()) == [KEY]
    store.prune("shop", after, set())
    assert list(store.keys()) == []
    assert store.forgotten == {KEY}


def test_asking_for_what_is_not_known_keeps_nothing() -> None:
    store = Store()
    assert store.get(KEY).cells == {}
    assert list(store.keys()) == []


def test_what_is_known_of_another_account_is_forgotten() -> None:
    store = Store()
    assert not store.claim("shop", "ap-southeast-1 Asia/Shanghai")
    store.put(KEY, DAY, cell(50, START), day_start=START)
    assert not store.claim("shop", "ap-southeast-1 Asia/Shanghai")
    assert DAY in store.get(KEY).cells
    assert not store.claim("other", "us-east-1 UTC")
    assert store.claim("shop", "ap-southeast-1 UTC")
    assert list(store.keys()) == []
    assert store.take_changes() == {}
