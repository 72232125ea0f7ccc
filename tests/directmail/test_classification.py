"""Which error a response is, what it says, what it advises, and what it never holds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.directmail import errors
from exporter.directmail.classification import failure
from exporter.directmail.errors import REASONS, DirectMailError, NonceUsed

NOW = 1_776_852_930.0  # 2026-04-22T10:15:30Z


def classify(
    code: object = None, status: int = 400, headers: dict[str, str] | None = None, **body: object
) -> DirectMailError:
    document: dict[str, Any] = {**({} if code is None else {"Code": code}), **body}
    return failure("GetTrackList", status, document, headers or {}, NOW)


@pytest.mark.parametrize(
    ("code", "statuses", "reason"),
    [
        pytest.param("Throttling", (400, 429, 503), "throttled", id="Throttling"),
        pytest.param("Throttling.User", (400, 403, 429, 503, 200), "throttled", id="Throttling.User"),
        pytest.param("Throttling.Api", (400, 429, 503), "throttled", id="Throttling.Api"),
        pytest.param("ThrottlingAnything", (400,), "throttled", id="Throttling*"),
        pytest.param("ServiceUnavailable", (503, 500, 400, 200), "server", id="ServiceUnavailable"),
        pytest.param("InternalError", (500, 400), "server", id="InternalError"),
        pytest.param("InvalidAccessKeyId.NotFound", (404, 400, 403, 500), "auth", id="InvalidAccessKeyId"),
        pytest.param("InvalidAccessKeyId.Inactive", (400,), "auth", id="InvalidAccessKeyId.Inactive"),
        pytest.param("SignatureDoesNotMatch", (400, 403), "auth", id="SignatureDoesNotMatch"),
        pytest.param("Signature", (400,), "auth", id="Signature"),
        pytest.param("IncompleteSignature", (400,), "auth", id="IncompleteSignature"),
        pytest.param("InvalidSecurityToken.Expired", (400, 403), "auth", id="InvalidSecurityToken"),
        pytest.param("InvalidTimeStamp.Expired", (400,), "auth", id="InvalidTimeStamp"),
        pytest.param("IllegalTimestamp", (400,), "auth", id="IllegalTimestamp"),
        pytest.param("SignatureNonceUsed", (400,), "auth", id="SignatureNonceUsed"),
        pytest.param("Forbidden", (400, 403), "permission", id="Forbidden"),
        pytest.param("Forbidden.RAM", (400, 403, 429), "permission", id="Forbidden.RAM"),
        pytest.param("NoPermission", (400, 403), "permission", id="NoPermission"),
        pytest.param("User.Blacklisted", (200, 400, 403), "permission", id="User.Blacklisted"),
        pytest.param("MissingParameter", (400,), "invalid_request", id="MissingParameter"),
        pytest.param("InvalidDate.Malformed", (400,), "invalid_request", id="InvalidDate.Malformed"),
        pytest.param("InvalidDate.NotFound", (400, 404), "invalid_request", id="InvalidDate.NotFound"),
        pytest.param("InvalidStartTime.Malformed", (400,), "invalid_request", id="InvalidStartTime"),
        pytest.param("InvalidBetweenTime.Malformed", (400,), "invalid_request", id="InvalidBetweenTime"),
        pytest.param("InvalidMailAddress.NotFound", (404, 400, 500), "invalid_request", id="InvalidMailAddress"),
        pytest.param("InvalidTagName.Malformed", (400,), "invalid_request", id="InvalidTagName"),
        pytest.param("Brand.New", (400, 404, 409), "invalid_request", id="unknown code, 4xx"),
        pytest.param("Brand.New", (401,), "auth", id="unknown code, 401"),
        pytest.param("Brand.New", (403,), "permission", id="unknown code, 403"),
        pytest.param("Brand.New", (429,), "throttled", id="unknown code, 429"),
        pytest.param("Brand.New", (500, 502, 504, 599, 200, 302), "server", id="unknown code, others"),
        pytest.param(None, (500, 502, 503), "server", id="a proxy's page, 5xx"),
        pytest.param(None, (400, 401, 403, 404, 407, 408), "network", id="a proxy's page, 4xx"),
        pytest.param(None, (429,), "throttled", id="a proxy's page, 429"),
        pytest.param(None, (204, 301, 302, 307), "server", id="no content, redirects"),
        pytest.param(["Forbidden"], (400,), "network", id="a code that is no text"),
    ],
)
def test_an_answer_is_classified_by_its_code_and_then_by_its_status(
    code: object, statuses: tuple[int, ...], reason: str
) -> None:
    assert {classify(code, status).reason for status in statuses} == {reason}


def test_only_transient_errors_and_a_used_nonce_are_worth_a_retry() -> None:
    named = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    kinds = [kind for kind in named if issubclass(kind, DirectMailError) and hasattr(kind, "reason")]
    retried = {kind.__name__ for kind in kinds if kind.retry}
    assert retried == {"NonceUsed", "Throttled", "ServerError", "NetworkError", "RequestTimeout"}
    assert {kind.reason for kind in kinds} == set(REASONS)
    assert isinstance(classify("SignatureNonceUsed"), NonceUsed)


def test_an_error_keeps_code_status_and_request_id() -> None:
    error = classify("Forbidden.RAM", 403, RequestId="10A1AD70", Message="User not authorized.")
    assert (error.code, error.status, error.request_id) == ("Forbidden.RAM", 403, "10A1AD70")
    assert str(error) == (
        "the RAM policy does not allow this operation: User not authorized."
        " (Code Forbidden.RAM, HTTP 403, RequestId 10A1AD70)"
    )


def test_the_request_id_may_come_in_a_header() -> None:
    assert classify(None, 502, {"x-acs-request-id": "F-2"}).request_id == "F-2"


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        pytest.param("NoPermission", 403, ("dm:GetTrackList", "docs/ram-policy.md"), id="permission"),
        pytest.param("User.Blacklisted", 403, ("the account's owner", "ticket"), id="the-account-itself"),
        pytest.param("InvalidMailAddress.NotFound", 404, ("region",), id="unknown sender"),
        pytest.param("InvalidTagName.Malformed", 400, ("tag",), id="tag"),
        pytest.param("InvalidStartTime.Malformed", 400, ("timezone", "clock"), id="day"),
        pytest.param("InvalidEndTime.Malformed", 400, ("timezone", "clock"), id="end-of-the-day"),
        pytest.param("InvalidAccessKeyId.NotFound", 404, ("exists", "enabled"), id="key"),
        pytest.param("SignatureDoesNotMatch", 400, ("secret",), id="secret"),
        pytest.param("InvalidSecurityToken.Expired", 400, ("expired", "renew"), id="token"),
        pytest.param("SignatureNonceUsed", 400, ("nonce",), id="nonce"),
        pytest.param("Throttling.User", 400, ("rate_limit_per_minute",), id="throttled"),
        pytest.param("MissingParameter", 400, ("filter values",), id="request"),
        pytest.param("InternalError", 500, ("retried",), id="server"),
        pytest.param(None, 404, ("proxy",), id="a proxy's page"),
    ],
)
def test_advice_names_what_an_operator_does(code: str | None, status: int, words: tuple[str, ...]) -> None:
    advice = classify(code, status).advice
    assert all(word in advice for word in words)
    assert advice.endswith(".")


@pytest.mark.parametrize("kind", [errors.ParseError, errors.RequestTimeout, errors.NetworkError])
def test_errors_without_a_response_have_advice_too(kind: type[DirectMailError]) -> None:
    assert kind("text").advice
    assert kind("text", advice="Look there.").advice == "Look there."


@pytest.mark.parametrize(
    ("date", "says"),
    [
        pytest.param("Wed, 22 Apr 2026 09:55:30 GMT", "it is 1200 s ahead of the API's", id="ahead"),
        pytest.param("Wed, 22 Apr 2026 11:15:30 +0000", "it is 3600 s behind the API's", id="behind"),
        pytest.param("Wed, 22 Apr 2026 09:55:30 -0000", "it is 1200 s ahead of the API's", id="no zone"),
        pytest.param("yesterday", "clock; the API", id="no date"),
        pytest.param("Wed, 99 Apr 2026 09:55:30 GMT", "clock; the API", id="no such day"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 -2300", "clock", id="the end of time"),
        pytest.param("Mon, 01 Jan 2001 00:00:00 +9999", "clock", id="no such zone"),
    ],
)
def test_a_rejected_date_shows_how_far_off_the_clock_is(date: str, says: str) -> None:
    assert says in classify("InvalidTimeStamp.Expired", 400, {"Date": date}).advice


@given(date=st.text(max_size=40) | st.from_regex(r"\w{3}, \d{1,2} \w{3} \d{1,5} \d\d:\d\d:\d\d [+-]?\d{0,6}"))
def test_no_date_header_is_an_exception(date: str) -> None:
    assert "clock" in classify("IllegalTimestamp", 400, {"Date": date}).advice


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param("1500", 1.5, id="milliseconds"),
        pytest.param(" 20 ", 0.02, id="blanks"),
        pytest.param("0", 0.0, id="zero"),
        pytest.param("99999999", 300.0, id="bounded"),
        pytest.param("9" * 40, None, id="absurd"),
        pytest.param("-5", None, id="negative"),
        pytest.param("1.5", None, id="fraction"),
        pytest.param("soon", None, id="word"),
        pytest.param("²", None, id="no decimal digit"),
        pytest.param("", None, id="empty"),
    ],
)
def test_retry_after_of_the_api_is_read_in_milliseconds(header: str, seconds: float | None) -> None:
    assert classify("Throttling.User", 400, {"x-acs-retry-after": header}).retry_after == seconds


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param("60", 60.0, id="seconds"),
        pytest.param(" 7 ", 7.0, id="blanks"),
        pytest.param("0", 0.0, id="zero"),
        pytest.param("86400", 300.0, id="bounded"),
        pytest.param("Wed, 22 Apr 2026 10:16:00 GMT", 30.0, id="date"),
        pytest.param("Wed, 22 Apr 2026 10:15:00 GMT", 0.0, id="date-that-has-passed"),
        pytest.param("Thu, 23 Apr 2026 10:15:30 GMT", 300.0, id="date-far-ahead"),
        pytest.param("Wed, 99 Apr 2026 10:16:00 GMT", None, id="no-such-day"),
        pytest.param("Wed, 22 Apr 99999 10:16:00 GMT", None, id="no-such-year"),
        pytest.param("1.5", None, id="fraction"),
        pytest.param("-5", None, id="negative"),
        pytest.param("9" * 40, None, id="absurd"),
        pytest.param("soon", None, id="word"),
        pytest.param("", None, id="empty"),
    ],
)
@pytest.mark.parametrize(("code", "status"), [("Throttling.User", 400), (None, 429), ("ServiceUnavailable", 503)])
def test_retry_after_of_a_gateway_is_read_in_seconds_or_as_a_date(
    code: str | None, status: int, header: str, seconds: float | None
) -> None:
    assert classify(code, status, {"Retry-After": header}).retry_after == seconds


def test_a_date_to_wait_for_is_read_by_the_clock_of_who_sent_it() -> None:
    headers = {"Date": "Wed, 22 Apr 2026 09:00:00 GMT", "Retry-After": "Wed, 22 Apr 2026 09:00:45 GMT"}
    assert classify(None, 503, headers).retry_after == 45.0


def test_the_apis_own_header_outvotes_a_gateways() -> None:
    assert classify("Throttling", 429, {"x-acs-retry-after": "1500", "Retry-After": "60"}).retry_after == 1.5


@pytest.mark.parametrize(
    ("code", "status", "has_wait"),
    [
        pytest.param("ServiceUnavailable", 503, True, id="503"),
        pytest.param("InternalError", 503, True, id="503-of-another-code"),
        pytest.param(None, 503, True, id="503-of-a-proxy"),
        pytest.param("Throttling", 200, True, id="throttling"),
        pytest.param("InternalError", 500, False, id="500"),
        pytest.param("NoPermission", 503, False, id="a-rejection-stays-one"),
        pytest.param("InvalidTagName", 400, False, id="400"),
    ],
)
def test_throttling_and_503_have_a_wait(code: str | None, status: int, has_wait: bool) -> None:
    for headers in ({"x-acs-retry-after": "1500"}, {"Retry-After": "2"}):
        assert (classify(code, status, headers).retry_after is not None) == has_wait


@pytest.mark.parametrize(
    ("code", "message"),
    [
        pytest.param("InvalidParameter.PageSize", "", id="code"),
        pytest.param("InvalidParameter", "The parameter PageSize is not valid.", id="message"),
        pytest.param("Illegal", "the page size must not exceed 100", id="in-words"),
    ],
)
def test_a_page_size_that_is_rejected_points_to_page_size(code: str, message: str) -> None:
    error = classify(code, 400, Message=message)
    assert (error.reason, "page_size" in error.advice) == ("invalid_request", True)
    assert "filter" not in error.advice


class TestWhatIsNeverStored:
    def reported(self, error: DirectMailError) -> str:
        return "".join((str(error), repr(error), repr(error.args), repr(vars(error)), repr(error.__cause__)))

    @pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "InvalidAccessKeyId.NotFound", "SignatureNonceUsed"])
    def test_the_message_of_a_rejected_signature_is_not_kept(self, code: str) -> None:
        error = classify(code, Message="server string to sign is POST AccountName=news@example.com")
        assert "news@example.com" not in self.reported(error)

    @pytest.mark.parametrize("code", ["InvalidTagName.Malformed", "NoPermission", "Throttling.User", "InternalError"])
    def test_other_messages_are_kept_short_and_on_one_line(self, code: str) -> None:
        error = classify(code, Message="one\n two\t\x00 " + "x" * 500, RequestId="R")
        assert "one two ? xxx" in error.text
        assert len(error.text) < 260

    @given(message=st.text() | st.integers() | st.lists(st.text()))
    def test_any_message_gives_one_printable_line(self, message: object) -> None:
        assert str(classify("InternalError", 500, Message=message)).isprintable()
