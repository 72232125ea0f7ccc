"""What discovery has found: what comes is known at once, what goes is confirmed first, and the order of age stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.directmail.errors import ServerError
from exporter.directmail.listing import Listed
from exporter.store.discovered_values import Change, DiscoveredValues


def listed(values: str, *, pages: int = 1) -> Listed:
    return Listed(tuple(values), 0, pages, "REQUEST")


def known(discovered: DiscoveredValues) -> dict[str, float]:
    return discovered.values("shop", ["tag_name"])["tag_name"]


def after(*lists: str) -> DiscoveredValues:
    """Return the values of a discovery that has read these lists, a second apart."""
    discovered = DiscoveredValues()
    for at, values in enumerate(lists, 1):
        discovered.succeeded("shop", "tag_name", listed(values), float(at))
    return discovered


@pytest.mark.parametrize(
    ("lists", "values"),
    [
        pytest.param(["ba"], {"b": 1, "a": 1}, id="in-the-apis-order"),
        pytest.param(["b", "ab"], {"b": 1, "a": 2}, id="new-ones-come-after-the-old"),
        pytest.param(["ab", "b"], {"a": 1, "b": 1}, id="gone-once-and-still-known"),
        pytest.param(["ab", "b", "b"], {"b": 1}, id="gone-twice-and-dropped"),
        pytest.param(["ab", "b", "ab", "b"], {"a": 1, "b": 1}, id="back-in-between-begins-anew"),
        pytest.param(["ab", "", ""], {}, id="all-gone"),
        pytest.param(["ab", "b", "b", "ab"], {"b": 1, "a": 4}, id="back-after-it-was-dropped-is-young"),
    ],
)
def test_a_value_is_added_at_once_and_dropped_when_a_second_list_confirms_it(
    lists: list[str], values: dict[str, float]
) -> None:
    found = known(after(*lists))
    assert list(found.items()) == list(values.items())


def test_a_list_reports_how_many_appeared_and_vanished() -> None:
    discovered = after("abc", "cd")
    assert discovered.succeeded("shop", "tag_name", listed("cdef"), 3.0) == Change(2, 2)
    assert discovered.succeeded("shop", "tag_name", listed("cdef"), 4.0) == Change(0, 0)


def test_a_failure_keeps_what_is_known_and_confirms_nothing() -> None:
    discovered = after("ab", "b")
    discovered.failed("shop", "tag_name", ServerError("the API failed"), 3.0)
    entry = discovered.get("shop", "tag_name")
    assert list(entry.values) == ["a", "b"]
    assert (entry.last_attempt_ok, entry.failed_at) == (False, 3.0)
    discovered.succeeded("shop", "tag_name", listed("ab"), 4.0)
    assert entry.failure is None
    assert discovered.succeeded("shop", "tag_name", listed("b"), 5.0) == Change(0, 0)


def test_a_clock_that_is_set_back_makes_nothing_older_than_what_was_known_before() -> None:
    discovered = DiscoveredValues()
    discovered.succeeded("shop", "tag_name", listed("a"), 1000.0)
    discovered.succeeded("shop", "tag_name", listed("ab"), 500.0)
    assert known(discovered) == {"a": 1000.0, "b": 1000.0}


def test_only_entries_whose_values_changed_are_to_be_written() -> None:
    discovered = after("ab")
    assert discovered.pop_changes() == {("shop", "tag_name"): {"a": 1.0, "b": 1.0}}
    discovered.succeeded("shop", "tag_name", listed("ba"), 2.0)
    discovered.failed("shop", "tag_name", ServerError("the API failed"), 3.0)
    assert discovered.pop_changes() == {}


def test_what_was_known_before_a_restart_is_confirmed_gone_like_any_other() -> None:
    discovered = DiscoveredValues()
    discovered.restore([("shop", "tag_name", "a", 1.0), ("shop", "tag_name", "b", 2.0)])
    assert discovered.get("shop", "tag_name").last_attempt_ok is None
    discovered.succeeded("shop", "tag_name", listed("b"), 10.0)
    assert known(discovered) == {"a": 1.0, "b": 2.0}
    discovered.succeeded("shop", "tag_name", listed("b"), 11.0)
    assert known(discovered) == {"b": 2.0}


@given(st.lists(st.lists(st.sampled_from("abcdef"), unique=True), min_size=1, max_size=12))
def test_what_is_known_is_what_one_of_the_last_two_lists_had_the_oldest_first(lists: list[list[str]]) -> None:
    found = known(after(*("".join(values) for values in lists)))
    assert set(found) == set(lists[-1]) | set(lists[-2] if len(lists) > 1 else [])
    assert list(found.values()) == sorted(found.values())
