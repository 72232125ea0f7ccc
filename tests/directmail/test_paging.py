"""Pages of servers that tell the truth, that do not, and that change their minds."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.directmail.errors import ParseError
from exporter.directmail.paging import MOST_PAGES, Pages
from exporter.directmail.responses import Row, StatisticPage
from exporter.directmail.statistics.engagement import ENGAGEMENT

Server = Callable[[int], StatisticPage]


def rows(first: int, count: int) -> list[Row]:
    """Return rows that differ by their time and have one mail each."""
    return [Row(f"{number}", (1, 0, 0, 0, 0), (0.0,) * 4) for number in range(first, first + count)]


ZERO = Row(None, (0,) * 5, (0.0,) * 4)


def server(
    held: int,
    size: int | None,
    *,
    total: int | None,
    pages: int | None,
    clamps: bool = False,
    numbered: bool = True,
) -> Server:
    """Return a server that holds so many rows, serves them by `size`, and says what it says."""
    step = size or 10

    def response(number: int) -> StatisticPage:
        shown = min(number, max(-(-held // step), 1)) if clamps else number
        found = rows((shown - 1) * step, max(min(step, held - (shown - 1) * step), 0))
        return StatisticPage(found, shown if numbered else None, size, total, pages)

    return response


def walk(response: Server) -> Pages:
    pages = Pages(ENGAGEMENT)
    while (number := pages.wanted) is not None:
        pages.add(response(number), f"R-{number}")
    return pages


@pytest.mark.parametrize(
    ("response", "sent", "count"),
    [
        pytest.param(server(25, 10, total=25, pages=3), 3, 25, id="the truth"),
        pytest.param(server(30, 10, total=30, pages=3), 3, 30, id="the truth, last page full"),
        pytest.param(server(7, 10, total=7, pages=1), 1, 7, id="one page"),
        pytest.param(server(0, 10, total=0, pages=0), 1, 0, id="nothing, no page"),
        pytest.param(server(0, 10, total=0, pages=1), 1, 0, id="nothing, one page"),
        pytest.param(server(0, 10, total=0, pages=4), 1, 0, id="nothing, TotalPages lies"),
        pytest.param(server(0, 10, total=None, pages=1), 1, 0, id="nothing, no Total"),
        pytest.param(server(0, None, total=None, pages=None), 1, 0, id="no items, no totals"),
        pytest.param(server(25, 10, total=25, pages=1), 3, 25, id="TotalPages lies downwards"),
        pytest.param(server(25, 10, total=25, pages=9), 4, 25, id="TotalPages lies upwards"),
        pytest.param(server(25, 10, total=3, pages=3), 3, 25, id="Total lies downwards"),
        pytest.param(server(25, 10, total=99, pages=3), 4, 25, id="Total lies upwards"),
        pytest.param(server(25, 10, total=0, pages=0), 4, 25, id="both are less than has arrived and say nothing"),
        pytest.param(server(25, 10, total=10, pages=1), 1, 10, id="both lie in the same way and are believed"),
        pytest.param(server(25, 10, total=None, pages=3), 3, 25, id="no Total"),
        pytest.param(server(25, 10, total=25, pages=None), 3, 25, id="no TotalPages"),
        pytest.param(server(25, 10, total=None, pages=None), 4, 25, id="neither, a short page may be a limit"),
        pytest.param(server(30, 10, total=None, pages=None), 4, 30, id="neither, an empty page ends it"),
        pytest.param(server(25, None, total=None, pages=None), 4, 25, id="no totals, an empty page ends it"),
        pytest.param(server(25, 10, total=25, pages=9, clamps=True), 4, 25, id="clamped and numbered so"),
        pytest.param(
            server(25, 10, total=25, pages=9, clamps=True, numbered=False),
            4,
            25,
            id="clamped, a page repeats",
        ),
        pytest.param(server(20, 10, total=None, pages=None, clamps=True), 3, 20, id="clamped, no totals"),
    ],
)
def test_every_row_arrives_once(response: Server, sent: int, count: int) -> None:
    pages = walk(response)
    assert (pages.sent, pages.changed) == (sent, False)
    assert pages.items == rows(0, count)
    assert pages.request_id == f"R-{sent}"


@pytest.mark.parametrize(
    ("response", "text"),
    [
        pytest.param(server(0, 10, total=25, pages=3), "page 1 is empty", id="nothing of 25"),
        pytest.param(server(0, 10, total=25, pages=0), "page 1 is empty", id="nothing of 25, pages disagree"),
        pytest.param(server(0, 10, total=None, pages=3), "page 1 is empty", id="nothing of three pages"),
        pytest.param(server(10, 10, total=25, pages=3), "page 2 is empty", id="an empty page in the middle"),
        pytest.param(server(10, 10, total=25, pages=None), "page 2 is empty", id="the same, only Total"),
        pytest.param(server(10, 10, total=None, pages=3), "page 2 is empty", id="the same, only TotalPages"),
        pytest.param(
            server(10, 10, total=25, pages=3, clamps=True),
            "page 2 came as page 1",
            id="another page than requested",
        ),
        pytest.param(
            server(10, 10, total=25, pages=3, clamps=True, numbered=False),
            "page 2 repeats the previous one",
            id="a page that repeats",
        ),
        pytest.param(lambda _: StatisticPage(rows(0, 1), 2, 10, 1, 1), "page 1 came as page 2", id="not the first"),
        pytest.param(server(10_000, 10, total=10_000, pages=1000), f"more than {MOST_PAGES} pages", id="no end"),
    ],
)
def test_rows_that_were_promised_and_do_not_come_are_an_error(response: Server, text: str) -> None:
    with pytest.raises(ParseError, match=text) as caught:
        walk(response)
    assert caught.value.request_id.startswith("R-")


ALIKE = [Row(None, (7, 0, 0, 0, 0), (0.0,) * 4)]
"""A page whose row is equal to that of another page."""
SAME_DAY = [Row("2026-01-01", (7, 0, 0, 0, 0), (0.0,) * 4)] * 2


@pytest.mark.parametrize(
    ("response", "sent", "count"),
    [
        pytest.param(
            lambda number: StatisticPage(rows(number, int(number < 4)), number, 100, None, None), 4, 3, id="1"
        ),
        pytest.param(
            lambda number: StatisticPage(rows(3 * number, 3 * (number < 3)), None, 100, None, None), 3, 6, id="3"
        ),
    ],
)
def test_a_limit_below_the_echoed_page_size_hides_no_rows(response: Server, sent: int, count: int) -> None:
    pages = walk(response)
    assert (pages.sent, len(pages.items)) == (sent, count)


@pytest.mark.parametrize("equal", [ALIKE, SAME_DAY], ids=["no-time", "one-day"])
@pytest.mark.parametrize(
    ("total", "announced", "numbered"),
    [
        pytest.param(6, 0, True, id="TotalPages is 0"),
        pytest.param(6, 1, True, id="TotalPages is 1"),
        pytest.param(6, 1, False, id="TotalPages is 1, no numbers"),
        pytest.param(6, None, True, id="no TotalPages"),
        pytest.param(None, 3, True, id="no Total"),
        pytest.param(None, None, True, id="neither"),
    ],
)
def test_equal_pages_are_not_the_end(
    equal: list[Row], total: int | None, announced: int | None, numbered: bool
) -> None:
    with pytest.raises(ParseError, match="page 2 repeats the previous one"):
        walk(lambda number: StatisticPage(equal, number if numbered else None, 2, total, announced))


def test_pages_of_zeros_before_others_hide_nothing_where_only_total_announces_more() -> None:
    held = [[ZERO], [ZERO], rows(0, 1)]
    pages = walk(lambda number: StatisticPage(held[number - 1], number, 1, 3, 0))
    assert pages.items == [ZERO, ZERO, *rows(0, 1)]


@pytest.mark.parametrize("announced", [0, 1, 3, None])
@pytest.mark.parametrize("numbered", [True, False])
def test_a_server_that_sends_its_first_page_only_is_no_whole_list_of_more(
    announced: int | None, numbered: bool
) -> None:
    with pytest.raises(ParseError, match="10 of 25 items received"):
        walk(server(10, 10, total=25, pages=announced, clamps=True, numbered=numbered))


def test_a_page_that_has_the_number_of_another_but_not_its_rows_is_a_change() -> None:
    pages = walk(lambda number: StatisticPage(rows(10 * number, 10), 1, 10, None, None))
    assert pages.changed


def test_a_page_that_comes_again_later_is_not_added_again() -> None:
    held = [rows(0, 2), rows(2, 2), rows(0, 2)]
    pages = walk(lambda number: StatisticPage(held[number - 1], None, 2, None, None))
    assert pages.items == rows(0, 4)


def test_equal_rows_that_come_again_later_are_an_unknown_end() -> None:
    held = [ALIKE, rows(0, 1), ALIKE]
    with pytest.raises(ParseError, match="the end of the list is unknown"):
        walk(lambda number: StatisticPage(held[number - 1], number, 1, None, None))
    assert len(walk(lambda number: StatisticPage(held[number - 1], number, 1, 3, 3)).items) == 3


def test_a_server_without_any_numbers_that_repeats_its_only_page_is_believed() -> None:
    assert walk(lambda number: StatisticPage(ALIKE, None, None, None, None)).items == ALIKE


def test_pages_may_call_themselves_from_0() -> None:
    truth = server(25, 10, total=25, pages=3)
    pages = walk(lambda number: truth(number)._replace(number=number - 1))
    assert pages.items == rows(0, 25)


def test_two_hundred_pages_are_not_too_many() -> None:
    assert walk(server(2000, 10, total=2000, pages=200)).sent == 200


def test_promised_pages_of_zeros_may_look_alike() -> None:
    pages = walk(lambda number: StatisticPage([ZERO, ZERO], number, 2, 6, 3))
    assert pages.items == [ZERO] * 6


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(StatisticPage(rows(10, 10), 2, 10, 26, 3), id="Total"),
        pytest.param(StatisticPage(rows(10, 10), 2, 10, 25, 4), id="TotalPages"),
        pytest.param(StatisticPage(rows(5, 5), 2, 5, 25, 3), id="PageSize"),
        pytest.param(StatisticPage([], 2, 10, 0, 0), id="rows are gone"),
        pytest.param(StatisticPage(rows(10, 10), 2, 10, None, 3), id="Total is missing"),
    ],
)
def test_a_list_that_changes_between_two_pages_is_worth_nothing(second: StatisticPage) -> None:
    pages = Pages(ENGAGEMENT)
    pages.add(StatisticPage(rows(0, 10), 1, 10, 25, 3), "R-1")
    pages.add(second, "R-2")
    assert pages.changed
    assert pages.wanted is None


def test_the_last_page_may_give_its_own_length_as_its_size() -> None:
    pages = walk(
        lambda number: StatisticPage(
            rows((number - 1) * 10, 10 if number < 3 else 5), number, [10, 10, 5][number - 1], 25, 3
        )
    )
    assert pages.items == rows(0, 25)


@given(
    held=st.integers(0, 60),
    size=st.integers(1, 20),
    total=st.none() | st.integers(0, 80),
    pages=st.none() | st.integers(0, 9),
    clamps=st.booleans(),
    numbered=st.booleans(),
)
def test_no_row_is_ever_counted_twice_or_invented(
    held: int, size: int, total: int | None, pages: int | None, clamps: bool, numbered: bool
) -> None:
    try:
        walked = walk(server(held, size, total=total, pages=pages, clamps=clamps, numbered=numbered))
    except ParseError:
        return
    assert walked.items == rows(0, len(walked.items))
    announcements = (total, None if pages is None else pages * size)
    understated = [announced < held for announced in announcements if announced is not None]
    if not understated or not all(understated):
        assert walked.changed or len(walked.items) == held
