"""The unit of the API's own rates, recognised by the counts beside them."""

from typing import Any

import pytest

from exporter.directmail.rates import FRACTION, PERCENT, fitting, implausible, unit_of
from exporter.directmail.responses import Row, page
from exporter.directmail.statistics.engagement import ENGAGEMENT
from tests.support.engagement import RATES

BOTH = (PERCENT, FRACTION)


def row(emails: int, opens: int, written: object) -> Row:
    """Return the row of a response with one open rate as it was sent."""
    counts = {"TotalNumber": emails, "RcptOpenCount": opens, "RcptUniqueOpenCount": 0}
    fields: dict[str, Any] = {**counts, "RcptClickCount": 0, "RcptUniqueClickCount": 0, RATES[0]: written}
    return page(ENGAGEMENT, {"data": {"stat": [fields]}}, "ID").rows[0]


@pytest.mark.parametrize(
    ("emails", "opens", "written", "units"),
    [
        pytest.param(10_000, 3142, "31.42", (PERCENT,), id="percent"),
        pytest.param(10_000, 3142, "31.42%", (PERCENT,), id="percent-with-its-sign"),
        pytest.param(10_000, 3142, "31.42 % ", (PERCENT,), id="percent-with-a-space"),
        pytest.param(10_000, 3142, "0.3142", (FRACTION,), id="fraction"),
        pytest.param(10_000, 3142, 31.42, (PERCENT,), id="a-json-number"),
        pytest.param(10_000, 3142, 31, (PERCENT,), id="a-whole-json-number"),
        pytest.param(3, 1, "33.33", (PERCENT,), id="rounded"),
        pytest.param(3, 2, "66.66", (PERCENT,), id="cut-off"),
        pytest.param(3, 2, "66.67", (PERCENT,), id="rounded-up"),
        pytest.param(3, 2, "66.65", (), id="neither-rounded-nor-cut-off"),
        pytest.param(3, 2, "66.7", (PERCENT,), id="one-decimal"),
        pytest.param(3, 2, "67", (PERCENT,), id="no-decimal"),
        pytest.param(10_000, 5000, "0.5", (FRACTION,), id="a-half-is-0.5-of-1"),
        pytest.param(10_000, 50, "0.5", (PERCENT,), id="and-0.5-of-100"),
        pytest.param(10_000, 25_000, "250", (PERCENT,), id="more-opens-than-mails"),
        pytest.param(10_000, 0, "0", BOTH, id="zero-is-no-evidence"),
        pytest.param(10_000, 0, "0.00", BOTH, id="zero-with-decimals-is-no-evidence"),
        pytest.param(10_000, 3, "0", BOTH, id="next-to-nothing-is-no-evidence"),
        pytest.param(10_000, 5000, "0", (), id="a-zero-beside-many-opens-fits-nothing"),
        pytest.param(10_000, 10_000, "1", (FRACTION,), id="all-of-them-as-a-fraction"),
        pytest.param(10_000, 100, "1", (PERCENT,), id="one-percent"),
        pytest.param(10_000, 3142, "271.83", (), id="something-else"),
        pytest.param(10_000, 3142, "0.3142%", (), id="a-fraction-called-percent"),
        pytest.param(10_000, 5, "5.0E-4", (FRACTION,), id="a-small-fraction-with-an-exponent"),
        pytest.param(10_000, 3142, "3.142E1", (PERCENT,), id="percent-with-an-exponent"),
        pytest.param(10_000, 3142, "2E2", (), id="an-exponent-makes-no-rate-vague"),
        pytest.param(10_000, 50, 5e-05, (), id="a-tiny-json-number-is-exact-too"),
        pytest.param(0, 5, "31.42", None, id="no-mail-to-compare-with"),
        pytest.param(10_000, 3142, "", None, id="no-rate"),
        pytest.param(10_000, 3142, None, None, id="null"),
    ],
)
def test_a_rate_fits_in_the_unit_in_which_it_is_count_by_mails(
    emails: int, opens: int, written: object, units: tuple[float, ...] | None
) -> None:
    assert fitting(ENGAGEMENT, row(emails, opens, written), 0) == units


@pytest.mark.parametrize(
    ("votes", "unit"),
    [((0, 0), None), ((1, 0), PERCENT), ((0, 1), FRACTION), ((2, 3), FRACTION), ((3, 3), PERCENT)],
)
def test_most_rates_decide_the_unit_and_percent_wins_a_draw(votes: tuple[int, int], unit: float | None) -> None:
    assert unit_of(*votes) == unit


@pytest.mark.parametrize(
    ("counts", "odd"),
    [((9, 3, 3, 2, 2), []), ((9, 3, 4, 2, 2), ["unique_opens"]), ((9, 3, 3, 2, 3), ["unique_clicks"])],
)
def test_more_unique_than_all_is_not_plausible(counts: tuple[int, ...], odd: list[str]) -> None:
    assert [pair.part for pair in implausible(ENGAGEMENT, counts)] == odd
