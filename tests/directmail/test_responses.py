"""Rows in every spelling, and arbitrary JSON: counts that are right, or a ParseError."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.directmail.decoding import decode, request_id_of
from exporter.directmail.errors import ParseError
from exporter.directmail.responses import LARGEST, page, summed
from exporter.directmail.statistics.delivery import DELIVERY, Delivery
from exporter.directmail.statistics.engagement import ENGAGEMENT, Engagement
from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.statistics.statistic import RateSums, Statistic, Totals
from tests.support.engagement import COUNTS, RATES

ALL = pytest.mark.parametrize("statistic", STATISTICS.values(), ids=STATISTICS)
EACH_FIELD = pytest.mark.parametrize(
    ("statistic", "field"),
    [
        pytest.param(statistic, field, id=f"{name}-{field}")
        for name, statistic in STATISTICS.items()
        for field in statistic.fields
    ],
)


def row(statistic: Statistic = ENGAGEMENT, **fields: Any) -> dict[str, Any]:
    rates = [rate.field for rate in statistic.rates.values()]
    return {**dict.fromkeys(statistic.fields, "0"), **dict.fromkeys(rates, "0"), **fields}


def read(*rows: Any, statistic: Statistic = ENGAGEMENT) -> tuple[Totals, RateSums]:
    return summed(statistic, page(statistic, {"data": {"stat": list(rows)}}, "R-1").rows, "R-1")


class TestCounts:
    @pytest.mark.parametrize(
        ("written", "count"),
        [
            pytest.param("0", 0, id="zero"),
            pytest.param(12, 12, id="integer"),
            pytest.param("12", 12, id="digits"),
            pytest.param(" 12 ", 12, id="blanks around"),
            pytest.param("1,234", 1234, id="thousands"),
            pytest.param("1,234,567", 1234567, id="millions"),
            pytest.param(12.0, 12, id="float without a fraction"),
            pytest.param("12.0", 12, id="the same as text"),
            pytest.param(1e3, 1000, id="exponent"),
            pytest.param("1.2345678E7", 12345678, id="exponent as text"),
            pytest.param("1e3", 1000, id="exponent without a fraction"),
            pytest.param("120E-1", 12, id="negative exponent of a whole number"),
            pytest.param(None, 0, id="null beside other counts"),
            pytest.param("", 0, id="empty beside other counts"),
            pytest.param(LARGEST, LARGEST, id="the largest"),
            pytest.param("007", 7, id="leading zeros"),
        ],
    )
    def test_a_count_is_read_however_it_is_written(self, written: object, count: int) -> None:
        assert read(row(RcptOpenCount=written))[0].opens == count

    @pytest.mark.parametrize(
        "written",
        [
            pytest.param(-1, id="negative"),
            pytest.param("-1", id="negative text"),
            pytest.param(1.5, id="fraction"),
            pytest.param("1.5", id="fraction as text"),
            pytest.param(True, id="true"),
            pytest.param(False, id="false"),
            pytest.param(math.nan, id="NaN"),
            pytest.param(math.inf, id="infinity"),
            pytest.param("NaN", id="NaN as text"),
            pytest.param("many", id="word"),
            pytest.param("1,23", id="comma in the wrong place"),
            pytest.param("12 000", id="blank inside"),
            pytest.param("1.25E1", id="exponent that leaves a fraction"),
            pytest.param("1E99", id="far too large exponent"),
            pytest.param("1E999999999", id="endless exponent"),
            pytest.param("E3", id="exponent alone"),
            pytest.param("0x10", id="hexadecimal"),
            pytest.param("١٢", id="other digits"),
            pytest.param(LARGEST + 1, id="too large"),
            pytest.param(10**4000, id="far too large"),
            pytest.param("9" * 5000, id="far too long"),
            pytest.param([], id="list"),
            pytest.param({"a": 1}, id="object"),
        ],
    )
    @EACH_FIELD
    def test_what_is_no_count_is_an_error_that_names_field_and_request(
        self, statistic: Statistic, field: str, written: object
    ) -> None:
        with pytest.raises(ParseError, match=field) as caught:
            read(row(statistic), row(statistic, **{field: written}), statistic=statistic)
        assert caught.value.request_id == "R-1"
        assert len(str(caught.value)) < 120

    @EACH_FIELD
    def test_a_missing_count_is_an_error_that_names_field_and_request(self, statistic: Statistic, field: str) -> None:
        fields = row(statistic)
        del fields[field]
        with pytest.raises(ParseError, match=f"has no {field}") as caught:
            read(fields, statistic=statistic)
        assert caught.value.request_id == "R-1"

    @pytest.mark.parametrize("blank", [pytest.param(None, id="null"), pytest.param("", id="empty")])
    @ALL
    def test_a_row_of_blanks_only_is_not_a_row_of_zeros(self, statistic: Statistic, blank: object) -> None:
        with pytest.raises(ParseError, match=f"{statistic.fields[0]} and the others are empty"):
            read(row(statistic, **dict.fromkeys(statistic.fields, blank)), statistic=statistic)

    def test_rows_add_up_field_by_field(self) -> None:
        first = row(
            TotalNumber="1,000",
            RcptOpenCount=50,
            RcptUniqueOpenCount="40",
            RcptClickCount=9,
            RcptUniqueClickCount="7",
        )
        assert read(first, row(TotalNumber=1), first)[0] == Engagement(2001, 100, 80, 18, 14)

    def test_more_unique_than_total_is_passed_on(self) -> None:
        assert read(row(RcptOpenCount=1, RcptUniqueOpenCount=5))[0] == Engagement(0, 1, 5, 0, 0)

    def test_a_sum_that_a_float_cannot_hold_is_an_error(self) -> None:
        with pytest.raises(ParseError, match="sum of TotalNumber is too large"):
            read(row(TotalNumber=LARGEST), row(TotalNumber=1))

    def test_of_a_key_that_comes_twice_the_last_counts(self) -> None:
        text = json.dumps({"data": {"stat": [row()]}}).replace(
            '"TotalNumber": "0"', '"TotalNumber": "1", "TotalNumber": "2"'
        )
        assert summed(ENGAGEMENT, page(ENGAGEMENT, decode(text), "").rows, "")[0].emails == 2


class TestRates:
    @pytest.mark.parametrize(
        ("written", "rate"),
        [
            pytest.param("85.34", 85.34, id="percent"),
            pytest.param("85.34%", 85.34, id="with its sign"),
            pytest.param("85.34 %", 85.34, id="with a blank"),
            pytest.param("0", 0.0, id="zero"),
            pytest.param(0.8534, 0.8534, id="fraction"),
            pytest.param(85, 85.0, id="integer"),
            pytest.param("5.0E-4", 0.0005, id="exponent"),
            pytest.param("8.5e1%", 85.0, id="exponent with its sign"),
            pytest.param("1E30", None, id="exponent of no rate"),
            pytest.param("high", None, id="word"),
            pytest.param(None, None, id="null"),
            pytest.param(True, None, id="true"),
            pytest.param("-1", None, id="negative"),
            pytest.param(math.nan, None, id="NaN"),
            pytest.param(math.inf, None, id="infinity"),
            pytest.param(10**400, None, id="too large for a float"),
            pytest.param([], None, id="list"),
        ],
    )
    def test_a_rate_is_weighted_by_the_mails_and_absent_where_it_cannot_be_read(
        self, written: object, rate: float | None
    ) -> None:
        rates = read(row(TotalNumber=10, RcptOpenRate=written), row(TotalNumber=30, RcptOpenRate="1"))[1]
        assert rates == (None if rate is None else rate * 10 + 30, 0.0, 0.0, 0.0)

    def test_the_unreadable_rate_of_no_mails_spoils_nothing(self) -> None:
        rates = read(row(TotalNumber=0, RcptClickRate="-"), row(TotalNumber=2, RcptClickRate="50"))[1]
        assert rates == (0.0, 0.0, 100.0, 0.0)

    def test_a_missing_rate_is_absent(self) -> None:
        fields = row(TotalNumber=1)
        del fields["RcptUniqueOpenRate"]
        assert read(fields)[1] == (0.0, None, 0.0, 0.0)


class TestDelivery:
    """What became of the requested mail."""

    def test_the_counts_are_where_the_api_has_them(self) -> None:
        sent = row(DELIVERY, requestCount="1,234", successCount="1200", faildCount="30", unavailableCount=4)
        assert read(sent, statistic=DELIVERY) == (Delivery(requested=1234, delivered=1200, failed=30, invalid=4), ())
        assert read(sent, sent, statistic=DELIVERY)[0] == Delivery(2468, 2400, 60, 8)

    def test_the_right_spelling_of_failed_is_not_the_apis(self) -> None:
        fields = row(DELIVERY, requestCount="9", failedCount="9")
        assert read(fields, statistic=DELIVERY)[0] == Delivery(9, 0, 0, 0)
        del fields["faildCount"]
        with pytest.raises(ParseError, match="has no faildCount"):
            read(fields, statistic=DELIVERY)

    @pytest.mark.parametrize(
        "percents",
        [
            pytest.param({}, id="missing"),
            pytest.param({"succeededPercent": "100.00%", "unavailablePercent": "0.00%"}, id="right"),
            pytest.param({"succeededPercent": "271.83%", "unavailablePercent": "314.16%"}, id="wrong"),
            pytest.param({"succeededPercent": "-", "unavailablePercent": ["many"]}, id="unreadable"),
            pytest.param({"succeededPercent": -1, "unavailablePercent": None}, id="negative"),
        ],
    )
    def test_percents_are_not_read(self, percents: dict[str, object]) -> None:
        sent = row(DELIVERY, requestCount="40", successCount="40", **percents)
        assert read(sent, statistic=DELIVERY) == (Delivery(40, 40, 0, 0), ())

    def test_a_percentage_never_replaces_a_missing_count(self) -> None:
        sent = row(DELIVERY, requestCount="40", succeededPercent="100.00%")
        del sent["successCount"]
        with pytest.raises(ParseError, match="has no successCount"):
            read(sent, statistic=DELIVERY)

    def test_more_delivered_than_requested_is_passed_on(self) -> None:
        assert read(row(DELIVERY, requestCount="1", successCount="2"), statistic=DELIVERY)[0] == Delivery(1, 2, 0, 0)


class TestPages:
    @pytest.mark.parametrize(
        "document",
        [
            pytest.param({}, id="no data"),
            pytest.param({"data": None}, id="data null"),
            pytest.param({"data": []}, id="data a list"),
            pytest.param({"data": {}}, id="no stat"),
            pytest.param({"data": {"stat": None}}, id="stat null"),
            pytest.param({"data": {"stat": {}}}, id="stat an object"),
            pytest.param({"data": {"stat": ""}}, id="stat a text"),
            pytest.param({"data": {"stat": [None]}}, id="row null"),
            pytest.param({"data": {"stat": [[]]}}, id="row a list"),
        ],
    )
    @ALL
    def test_missing_is_never_zero(self, statistic: Statistic, document: dict[str, Any]) -> None:
        with pytest.raises(ParseError, match=r"data\.stat") as caught:
            page(statistic, document, "R-2")
        assert caught.value.request_id == "R-2"

    def test_an_empty_list_is_a_real_zero(self) -> None:
        assert read() == (Engagement(0, 0, 0, 0, 0), (0.0, 0.0, 0.0, 0.0))
        assert read(statistic=DELIVERY) == (Delivery(0, 0, 0, 0), ())

    @pytest.mark.parametrize(
        ("written", "number"),
        [
            pytest.param(3, 3, id="integer"),
            pytest.param("3", 3, id="text"),
            pytest.param(3.0, 3, id="float"),
            pytest.param(None, None, id="null"),
            pytest.param("three", None, id="word"),
            pytest.param(-3, None, id="negative"),
            pytest.param(True, None, id="true"),
            pytest.param({}, None, id="object"),
        ],
    )
    def test_a_page_number_that_makes_no_sense_is_a_missing_one(self, written: object, number: int | None) -> None:
        keys = ("PageNo", "PageSize", "Total", "TotalPages")
        read_page = page(ENGAGEMENT, {"data": {"stat": []}, **dict.fromkeys(keys, written)}, "")
        assert (read_page.number, read_page.size, read_page.total, read_page.pages) == (number,) * 4


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1,234", "85.34%", "", "-1", "12.0", 2**53, 10**30])
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)
rows = (
    st.dictionaries(st.sampled_from([*COUNTS, *RATES, *DELIVERY.fields, "CreateTime"]), trees)
    | st.fixed_dictionaries(dict.fromkeys([*COUNTS, *RATES], scalars))
    | st.fixed_dictionaries(dict.fromkeys(DELIVERY.fields, scalars))
)
documents = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("RequestId", "PageNo", "PageSize", "Total", "TotalPages"), trees),
        "data": trees | st.fixed_dictionaries({"stat": trees | st.lists(rows | trees, max_size=4)}),
    },
)


class TestAnything:
    @ALL
    @given(document=documents)
    def test_arbitrary_json_gives_counts_or_a_parse_error(self, statistic: Statistic, document: dict[str, Any]) -> None:
        try:
            decoded = decode(json.dumps(document))
            totals, rates = summed(statistic, page(statistic, decoded, request_id_of(decoded, {})).rows, "")
        except ParseError:
            return
        assert (len(totals), len(rates)) == (len(statistic.fields), len(statistic.rates))
        assert all(type(count) is int and 0 <= count <= LARGEST for count in totals)
        assert all(rate is None or math.isfinite(rate) for rate in rates)

    @pytest.mark.parametrize("depth", [100, 400, 900, 5000])
    def test_a_deeply_nested_row_is_no_other_exception(self, depth: int) -> None:
        deep = "[" * depth + "]" * depth
        for field in (*COUNTS, *RATES, "CreateTime"):
            text = json.dumps({"data": {"stat": [row(**{field: "DEEP"})]}}).replace('"DEEP"', deep)
            try:
                read_page = page(ENGAGEMENT, decode(text), "")
                assert read_page == page(ENGAGEMENT, decode(text), "")
            except ParseError:
                continue
