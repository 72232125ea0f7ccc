"""What the responses about an account say: numbers that are right or absent, states by codes and by bits."""

from typing import Any

import pytest

from exporter.directmail import account
from exporter.directmail.account import DESCRIBED_CHECKS, LISTED_CHECKS, STATES, Summary, Usage
from exporter.directmail.errors import ParseError

WHOLE = {
    "RequestId": "ID-1",
    "DailyQuota": 2000,
    "MonthQuota": 60_000,
    "RemainFreeQuota": 150,
    "QuotaLevel": 4,
    "MaxQuotaLevel": 10,
    "UserStatus": 0,
}
FIELDS = {
    "DailyQuota": "daily_quota",
    "MonthQuota": "monthly_quota",
    "RemainFreeQuota": "free_emails",
    "QuotaLevel": "reputation",
    "MaxQuotaLevel": "highest_reputation",
    "UserStatus": "states",
}


def with_(**changes: Any) -> dict[str, Any]:
    return {**WHOLE, **changes}


def test_a_complete_response_is_read() -> None:
    assert account.summary(WHOLE) == Summary(2000, 60_000, 150, 4, 10, frozenset())


@pytest.mark.parametrize("field", FIELDS)
def test_numbers_as_text_are_read_like_numbers(field: str) -> None:
    assert account.summary(with_(**{field: str(WHOLE[field])})) == account.summary(WHOLE)


@pytest.mark.parametrize("value", [-1, "-1", None, ""], ids=["minus-one", "as-text", "null", "empty"])
@pytest.mark.parametrize("field", FIELDS)
def test_a_number_that_is_not_there_or_has_no_limit_is_absent_and_never_0(field: str, value: object) -> None:
    found = account.summary(with_(**{field: value}))
    assert getattr(found, FIELDS[field]) is None
    assert account.summary({name: each for name, each in WHOLE.items() if name != field}) == found


def test_zero_is_a_number() -> None:
    assert account.summary(with_(DailyQuota=0, RemainFreeQuota="0")) == Summary(0, 60_000, 0, 4, 10, frozenset())


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("many", id="a-word"),
        pytest.param(-5, id="less-than-minus-one"),
        pytest.param("-5", id="the-same-as-text"),
        pytest.param(1.5, id="a-fraction"),
        pytest.param(True, id="a-truth"),
        pytest.param([], id="a-list"),
        pytest.param("9" * 40, id="endless"),
    ],
)
@pytest.mark.parametrize("field", FIELDS)
def test_what_is_no_number_is_a_parse_error_that_names_field_and_request_id(field: str, value: object) -> None:
    with pytest.raises(ParseError) as caught:
        account.summary(with_(**{field: value}))
    assert field in caught.value.text
    assert caught.value.request_id == "ID-1"
    assert "ID-1" in str(caught.value)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"RequestId": "ID-1"}, id="nothing"),
        pytest.param({"RequestId": "ID-1", **dict.fromkeys(FIELDS)}, id="only-nulls"),
    ],
)
def test_an_answer_without_any_number_is_a_parse_error(document: dict[str, Any]) -> None:
    with pytest.raises(ParseError) as caught:
        account.summary(document)
    assert caught.value.request_id == "ID-1"
    assert "DailyQuota" in caught.value.text


@pytest.mark.parametrize(
    ("status", "states"),
    [
        pytest.param(0, set(), id="normal"),
        pytest.param(1, {"frozen"}, id="frozen"),
        pytest.param(2, {"overdue"}, id="overdue"),
        pytest.param(4, {"restricted"}, id="restricted"),
        pytest.param(8, {"deleted"}, id="deleted"),
        pytest.param("1", {"frozen"}, id="as-text"),
        pytest.param(3, {"frozen", "overdue"}, id="bits-of-two"),
        pytest.param(13, {"frozen", "restricted", "deleted"}, id="bits-of-three"),
        pytest.param(15, set(STATES), id="bits-of-all"),
        pytest.param(17, {"frozen"}, id="a-bit-that-is-not-known-beside-one-that-is"),
    ],
)
def test_a_status_is_read_right_whether_it_is_a_code_or_bits(status: object, states: set[str]) -> None:
    assert account.summary(with_(UserStatus=status)).states == states


@pytest.mark.parametrize("status", [16, 32, "16", 2**40])
def test_a_status_that_names_no_known_state_is_absent_and_not_normal(status: object) -> None:
    found = account.summary(with_(UserStatus=status))
    assert found.states is None
    assert found.unknown_status == int(str(status))
    assert account.summary(WHOLE).unknown_status is None


@pytest.mark.parametrize(
    ("facts", "usage"),
    [
        pytest.param({"DailyReqCount": "100", "MonthReqCount": "2,000"}, Usage(100, 2000), id="requested"),
        pytest.param({"DailyReqCount": 0, "MonthReqCount": 7}, Usage(0, 7), id="none-today"),
        pytest.param({"DailyReqCount": "-1", "MonthReqCount": -1}, Usage(None, None), id="minus-one"),
        pytest.param({"DailyReqCount": "many", "MonthReqCount": "7"}, Usage(None, 7), id="no-number"),
        pytest.param({"DailyCount": "10000", "MonthCount": "300000"}, Usage(None, None), id="limits-are-not-usage"),
        pytest.param({}, Usage(None, None), id="nothing"),
    ],
)
def test_usage_of_a_sender_is_right_or_absent(facts: dict[str, Any], usage: Usage) -> None:
    """A list of senders is of use without its counts: a bad one costs its own series and not the list."""
    assert account.usage(facts) == usage


@pytest.mark.parametrize("checks", [LISTED_CHECKS, DESCRIBED_CHECKS], ids=["listed", "described"])
@pytest.mark.parametrize(
    ("value", "is_verified"),
    [
        pytest.param("0", True, id="well"),
        pytest.param(0, True, id="well-as-a-number"),
        pytest.param("1", False, id="not"),
        pytest.param(1, False, id="not-as-a-number"),
    ],
)
def test_0_is_verified_and_1_is_not(checks: dict[str, str], value: object, is_verified: bool) -> None:
    assert account.verified(dict.fromkeys(checks.values(), value), checks) == dict.fromkeys(checks, is_verified)


@pytest.mark.parametrize("value", [None, "", "2", -1, "maybe", True], ids=repr)
def test_a_check_with_an_unknown_status_is_absent(value: object) -> None:
    assert account.verified({"CnameAuthStatus": value, "SpfAuthStatus": "0"}, LISTED_CHECKS) == {"spf": True}


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"RequestId": "ID-1"}, id="nothing"),
        pytest.param({"RequestId": "ID-1", "DailyQuota": 7}, id="another-operations-document"),
        pytest.param({"RequestId": "ID-1", **dict.fromkeys(DESCRIBED_CHECKS.values())}, id="only-nulls"),
    ],
)
def test_a_description_without_any_check_is_a_parse_error(document: dict[str, Any]) -> None:
    with pytest.raises(ParseError, match="DkimAuthStatus, DmarcAuthStatus") as caught:
        account.described(document)
    assert caught.value.request_id == "ID-1"


def test_a_description_is_read_where_it_has_one_check() -> None:
    assert account.described({"DkimAuthStatus": "0"}) == {"dkim": True}
    assert account.described({"DkimAuthStatus": "0", "DmarcAuthStatus": 7}) == {"dkim": True}
