"""What a visitor's address selects, and the pages of a list."""

import pytest
from aiohttp.test_utils import make_mocked_request

from exporter.web.status_choice import Choice, Pager


def choice(query: str) -> Choice:
    return Choice.of(make_mocked_request("GET", f"/{query}"))


@pytest.mark.parametrize(
    ("requested", "refresh", "rejected"),
    [
        pytest.param("", None, "", id="never"),
        pytest.param("30", 30, "", id="seconds"),
        pytest.param("5", 5, "", id="shortest"),
        pytest.param("3600", 3600, "", id="longest"),
        pytest.param("4", None, "4", id="too-short"),
        pytest.param("0", None, "0", id="nothing"),
        pytest.param("3601", None, "3601", id="too-long"),
        pytest.param("-30", None, "-30", id="negative"),
        pytest.param("30s", None, "30s", id="with-a-unit"),
        pytest.param(
            "%D9%A3%D9%A0", None, "\N{ARABIC-INDIC DIGIT THREE}\N{ARABIC-INDIC DIGIT ZERO}", id="other-digits"
        ),
        pytest.param("9" * 30, None, "9" * 30, id="endless"),
        pytest.param("9" * 300, None, "9" * 200, id="more-than-is-repeated"),
    ],
)
def test_a_page_reloads_itself_within_bounds(requested: str, refresh: int | None, rejected: str) -> None:
    its = choice(f"?refresh={requested}")
    assert (its.refresh, its.rejected_refresh) == (refresh, rejected)


def test_links_keep_what_was_chosen_but_the_pages() -> None:
    its = choice("?q=++news++letter&target=shop&state=held&refresh=30&page=3&targets_page=2")
    assert its.link() == "./?target=shop&state=held&q=news+letter&refresh=30#combinations"
    assert its.link("targets", state="", refresh="", page=4) == "./?target=shop&q=news+letter&page=4#targets"
    assert its.kept("q") == {"target": "shop", "state": "held", "refresh": 30}


def test_a_search_has_an_end() -> None:
    assert choice("?q=" + "x" * 5000).q == "x" * 200


@pytest.mark.parametrize(
    ("found", "requested", "page", "rows", "numbers"),
    [
        pytest.param(0, 1, 1, (0, 0), [1], id="nothing"),
        pytest.param(50, 1, 1, (0, 50), [1], id="one-page"),
        pytest.param(51, 2, 2, (50, 51), [1, 2], id="two"),
        pytest.param(450, 5, 5, (200, 250), [1, 2, 3, 4, 5, 6, 7, 8, 9], id="few-enough-for-all"),
        pytest.param(20_000, 1, 1, (0, 50), [1, 2, 3, None, 400], id="first-of-many"),
        pytest.param(20_000, 200, 200, (9950, 10_000), [1, None, 198, 199, 200, 201, 202, None, 400], id="middle"),
        pytest.param(20_000, 999, 400, (19_950, 20_000), [1, None, 398, 399, 400], id="beyond"),
    ],
)
def test_pages_near_and_at_the_ends_have_links(
    found: int, requested: int, page: int, rows: tuple[int, int], numbers: list[int | None]
) -> None:
    its = Pager("page", "combinations", found, 50, requested)
    assert (its.page, (its.begin, its.end), list(its.numbers)) == (page, rows, numbers)
