"""What leaves the machine in a recording: nothing that is not known to be safe, in the shape that it had."""

import json
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import alibabacloud_dm20151123.models as sdk
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.directmail import account
from exporter.directmail.listing import OPERATIONS
from exporter.directmail.rates import fitting
from exporter.directmail.responses import page
from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.directmail.statistics.registry import STATISTICS
from exporter.doctor.sanitizing import FACTORS, WEEKS, Sanitizer
from exporter.simulator import error_responses

WEEKS_BACK = 100
DOCUMENTED_CODES = (
    *("Throttling.User", "Throttling.Api", "ServiceUnavailable", "InternalError", "InvalidAccessKeyId.NotFound"),
    *("SignatureDoesNotMatch", "IncompleteSignature", "InvalidSecurityToken.Expired", "InvalidTimeStamp.Expired"),
    *("IllegalTimestamp", "SignatureNonceUsed", "User.Blacklisted", "User.RegisterTooMuch", "Forbidden.RAM"),
    *("NoPermission", "MissingParameter", "InvalidDate.Malformed", "InvalidStartTime.Malformed"),
    *("InvalidBetweenTime.Malformed", "InvalidMailAddressName.Malformed", "InvalidMailAddress.NotFound"),
    *("InvalidTagName.Malformed", "InvalidParameter", "InvalidEsp.NotSupported"),
)


def sanitizer(factor: str = "1", secret: bytes = b"secret") -> Sanitizer:
    return Sanitizer(secret, WEEKS_BACK, Decimal(factor))


def strings(value: Any) -> Iterator[str]:
    """Yield every name and every scalar of a JSON value, as text."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)
    else:
        yield str(value)


SCALARS = st.text() | st.integers() | st.floats() | st.booleans() | st.none()
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=10
)
CANARIES: dict[str, Any] = {
    "sender": {"AccountName": "Zanary.News+7@mail.zanary-shop.example"},
    "tag": {"TagName": "zanary-weekly"},
    "tag beyond ASCII": {"TagName": "周刊秘密"},
    "domain": {"DomainName": "mail.zanary-shop.example"},
    "address": {"Ip": "203.0.113.77"},
    "address of six": {"Ip": "2001:db8::77a:1"},
    "request id": {"RequestId": "ZANARY12-E48E-476D-98D9-39BD92193837"},
    "host": {"HostId": "zanary.internal:8443"},
    "url": {"Recommend": "https://zanary.example/help?sender=zanary"},
    "message": {"Message": "Specified signature does not match for Credential=ZanaryKey, zanary@zanary.example"},
    "message with words around": {"Message": "The specified tag zanary is not valid."},
    "code": {"Code": "Zanary.NotFound"},
    "code in lower case": {"code": "Zanary"},
    "unknown field": {"Zanary": "x"},
    "unknown field's value": {"AccountComment": "zanary"},
    "unknown number": {"PhoneNumber": 8613912345678},
    "unknown float": {"Latitude": 31.230416},
    "a text where a count is due": {"TotalNumber": "zanary"},
    "a text where a rate is due": {"RcptOpenRate": "zanary"},
    "a text where a time is due": {"CreateTime": "zanary 2026-04-22"},
    "a text where a page is due": {"PageNo": "zanary"},
    "a list where a word is due": {"Code": ["zanary"]},
    "an object where a word is due": {"Code": {"zanary": "zanary"}},
    "a name that is an ESP's field": {"Esp": "zanary.example"},
    "items of a list": {"data": {"stat": ["zanary", ["zanary"]]}},
    "object by domain": {"data": {"mail.zanary.example": {"PageNo": 1}}},
    "a number with an exponent": {"Note": 1.234567e21},
    "a negative number": {"Note": -7654321},
    "half a character": {"TagName": "\ud800zanary"},
    "sign": {"TagName": "🍀🍀🍀🍀"},
}


class TestNothingRealRemains:
    @pytest.mark.parametrize("name", CANARIES)
    def test_of_a_value_that_is_not_known_to_be_safe(self, name: str) -> None:
        shown = " ".join(strings(sanitizer().document(CANARIES[name])))
        for real in ("zanary", "Zanary", "ZANARY", "周刊", "203.0", "2001:db8", "39123", "230416", "234567", "654321"):
            assert real not in shown, shown
        assert "🍀" not in shown

    @given(st.text(alphabet=st.characters(exclude_categories=("M", "Z")), min_size=3))
    def test_of_any_name_that_has_letters(self, text: str) -> None:
        """A replacement is another text of the same length, whatever the name."""
        made = sanitizer().name(text)
        assert len(made) >= len(text)
        for word in re.findall(r"[^\W_]{8,}", text):
            assert word not in made

    @given(ANYTHING)
    def test_any_answer_can_be_recorded(self, value: Any) -> None:
        json.dumps(sanitizer().document({"data": value, "Message": value, "TotalNumber": value, "CreateTime": value}))


class TestShapes:
    def test_equal_values_have_equal_replacements_and_different_ones_different(self) -> None:
        one = sanitizer()
        names = [f"tag-{number}" for number in range(200)]
        made = [one.name(name) for name in names]
        assert made == [one.name(name) for name in names]
        assert len(set(made)) == len(names)

    def test_one_letter_has_few_replacements_so_some_are_longer(self) -> None:
        one = sanitizer()
        made = [one.name(chr(ord("a") + number)) for number in range(26)]
        assert len(set(made)) == 26

    def test_another_secret_gives_other_replacements(self) -> None:
        assert sanitizer(secret=b"a").name("weekly") != sanitizer(secret=b"b").name("weekly")

    @pytest.mark.parametrize(
        ("real", "shape"),
        [
            pytest.param("News+Flash_2", r"[A-Z][a-z]{3}\+[A-Z][a-z]{4}_\d", id="case-and-signs"),
            pytest.param("a.b@mail.example.com", r"[a-z]\.[a-z]@[a-z]{4}\.[a-z]{7}\.[a-z]{3}", id="address"),
            pytest.param("标签/é x", r"[\u4e00-\u9fa5]{2}/[à-ý] [a-z]", id="beyond-ascii"),
            pytest.param("10A1AD70-E48E", r"\d\d[A-Z]\d[A-Z]{2}\d\d-[A-Z]\d\d[A-Z]", id="request-id"),
        ],
    )
    def test_length_case_and_punctuation_are_kept(self, real: str, shape: str) -> None:
        assert re.fullmatch(shape, sanitizer().name(real))

    def test_a_domain_is_the_same_in_a_sender_and_by_itself(self) -> None:
        one = sanitizer()
        assert one.name("news@mail.shop.example").endswith("@" + one.name("mail.shop.example"))
        assert one.name("mail.shop.example").endswith("." + one.name("shop.example"))

    def test_case_makes_no_other_domain(self) -> None:
        one = sanitizer()
        assert one.name("Mail.Shop.EXAMPLE").lower() == one.name("mail.shop.example")

    @pytest.mark.parametrize("real", ["192.0.2.10", "8.8.8.8", "203.0.113.255", "2001:db8::77a:1"])
    def test_an_ip_becomes_another_ip_as_long(self, real: str) -> None:
        made = sanitizer().name(real)
        assert ip_address(made) != ip_address(real)
        assert list(map(len, re.split("[.:]", made))) == list(map(len, re.split("[.:]", real)))


class TestWhatIsKept:
    @pytest.mark.parametrize("code", DOCUMENTED_CODES)
    def test_documented_codes_and_those_that_are_made_of_their_words(self, code: str) -> None:
        assert sanitizer().document({"Code": code}) == {"Code": code}

    @pytest.mark.parametrize("code", [403, "403", "OK"])
    def test_a_code_of_the_outcome(self, code: Any) -> None:
        assert sanitizer().document({"Code": code}) == {"Code": code}

    def test_messages_of_the_api_but_for_what_they_repeat(self) -> None:
        text = "The specified parameter PageSize is not valid."
        assert sanitizer().words(text) == text
        error = error_responses.ApiError(404, "InvalidMailAddress.NotFound", "The specified mail address is not found.")
        assert sanitizer().document({"Message": error.message}) == {"Message": error.message}

    def test_every_field_of_the_official_sdks_models(self) -> None:
        """So that a response keeps the names of its fields, also of those that the exporter does not read."""
        actions = {each.action for each in (*STATISTICS.values(), *OPERATIONS.values())}
        actions |= {account.SUMMARY, account.DOMAIN}
        models = Path(sdk.__file__).parent.glob("*response_body.py")
        named = {path: path.name.removesuffix("response_body.py").replace("_", "") for path in models}
        wanted = {path: name for path, name in named.items() if name in {each.lower() for each in actions}}
        assert len(wanted) == len(actions)
        fields = {field for path in wanted for field in re.findall(r"result\['(\w+)'\]", path.read_text())}
        assert set(sanitizer().document(dict.fromkeys(fields))) == fields

    def test_flags_nothing_and_the_absence_of_a_limit(self) -> None:
        kept = {"Success": False, "HasMore": True, "data": None, "TagName": "", "DailyQuota": -1, "Id": "-1"}
        assert sanitizer().document(kept) == kept

    def test_the_mailbox_providers_of_the_api(self) -> None:
        assert sanitizer().parameters({"Esp": "gmail.com", "PageSize": "100"}) == {
            "Esp": "gmail.com",
            "PageSize": "100",
        }

    @pytest.mark.parametrize("value", ["0", "42", 42, "1,234", "1.2E3", None, ""])
    def test_counts_as_they_were_written(self, value: Any) -> None:
        assert sanitizer().document({"TotalNumber": value}) == {"TotalNumber": value}


class TestTimes:
    @pytest.mark.parametrize(
        "text", ["2026-04-22", "2026-04-22T16:00Z", "2026-04-22T16:00:01.5+08:00", "2026-04-22 16:00:00"]
    )
    def test_a_day_moves_by_whole_weeks_and_keeps_its_form(self, text: str) -> None:
        made = sanitizer().document({"CreateTime": text})["CreateTime"]
        assert made[10:] == text[10:]
        moved = date.fromisoformat(text[:10]) - date.fromisoformat(made[:10])
        assert moved.days == 7 * WEEKS_BACK

    def test_moments_in_text_and_in_seconds_keep_their_distance(self) -> None:
        made = sanitizer().document({"CreateTime": "2019-09-29T13:28Z", "UtcCreateTime": 1569734892})
        assert made["UtcCreateTime"] == 1569734892 - WEEKS_BACK * 7 * 86_400
        assert made["CreateTime"] == "2017-10-29T13:28Z"

    def test_a_date_before_the_calendar_is_replaced(self) -> None:
        assert sanitizer().document({"CreateTime": "0001-01-01"})["CreateTime"] != "0001-01-01"


ROW = {
    "TotalNumber": "1,234",
    "RcptOpenCount": 617,
    "RcptUniqueOpenCount": "411",
    "RcptClickCount": "1",
    "RcptUniqueClickCount": "0",
    "RcptOpenRate": "50.00",
    "RcptUniqueOpenRate": "33.31%",
    "RcptClickRate": "0.08",
    "RcptUniqueClickRate": "0",
}


class TestScaledCounts:
    def test_counts_are_multiplied_in_their_form_and_no_count_becomes_none(self) -> None:
        made = sanitizer("3.7").document(ROW)
        assert (made["TotalNumber"], made["RcptOpenCount"], made["RcptClickCount"]) == ("4,566", 2283, "4")
        assert made["RcptUniqueClickCount"] == "0"

    @given(st.integers(50, 10**6), st.decimals(*FACTORS, places=6), st.data())
    def test_rates_still_fit_their_counts(self, emails: int, factor: Decimal, data: st.DataObject) -> None:
        opens = data.draw(st.integers(1, emails))
        row = {
            **ROW,
            "TotalNumber": str(emails),
            "RcptOpenCount": str(opens),
            "RcptOpenRate": f"{100 * opens / emails:.2f}",
        }
        made = sanitizer(str(factor)).document({"data": {"stat": [row]}})
        (found,) = page(ENGAGEMENT, made, "").rows
        assert fitting(ENGAGEMENT, found, 0)

    @given(st.from_regex(r"[0-9]{1,20}(\.[0-9]{1,20})?%?", fullmatch=True))
    def test_a_rate_keeps_its_decimals_whatever_they_are(self, rate: str) -> None:
        made = sanitizer("8.123456").document({**ROW, "RcptOpenRate": rate})["RcptOpenRate"]
        assert len(made.partition(".")[2]) == len(rate.partition(".")[2])

    def test_pages_and_states_are_not_counts(self) -> None:
        kept = {"Total": 100, "TotalPages": 2, "PageSize": 10, "UserStatus": 2}
        assert sanitizer("3.7").document(kept) == kept


def test_a_random_one_has_a_secret_shift_and_scales_only_on_request() -> None:
    plain, scaled = Sanitizer.random(scaled=False), Sanitizer.random(scaled=True)
    assert plain.document({"TotalNumber": 1000}) == {"TotalNumber": 1000}
    assert FACTORS[0] * 1000 <= scaled.document({"TotalNumber": 1000})["TotalNumber"] <= FACTORS[1] * 1000
    moved = date(2026, 4, 22) - date.fromisoformat(plain.document({"CreateTime": "2026-04-22"})["CreateTime"])
    assert moved.days % 7 == 0
    assert moved.days // 7 in WEEKS
    assert plain.name("weekly") != scaled.name("weekly")
