"""Credentials are found in whatever a response brings, however they are written there, and nothing else is touched."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.directmail.errors import ParseError
from exporter.directmail.redaction import clean, cleaned, may_hold
from tests.support.spellings import SPELLINGS

KEY, SECRET, TOKEN = "LTAI4FAKEKEYID0001", "FakeSecret/With+Signs", "CAIS+FAKE/TOKEN=="
SECRETS = (KEY, SECRET, TOKEN)


@pytest.mark.parametrize("secret", SECRETS, ids=["key-id", "secret", "token"])
@pytest.mark.parametrize("spell", SPELLINGS)
def test_a_secret_is_removed_in_every_spelling(spell: Any, secret: str) -> None:
    written = f"before {spell(secret)} after"
    assert may_hold(json.dumps({"Message": written}), SECRETS)
    assert may_hold(written, SECRETS)
    assert clean(written, SECRETS) == "before *** after"


def test_it_is_removed_wherever_it_is_in_a_document() -> None:
    document = {"RequestId": KEY, "data": {"stat": [{"TotalNumber": KEY, SECRET: [TOKEN, 7, None, True]}]}}
    assert cleaned(document, SECRETS) == {
        "RequestId": "***",
        "data": {"stat": [{"TotalNumber": "***", "***": ["***", 7, None, True]}]},
    }


@pytest.mark.parametrize(
    "text",
    ["", "100%", "85.34%", "news%40example.com", "a\\u6807b", "C:\\temp", "1 &lt; 2", "LTAI4FAKE", "标签", "%zz", "\\"],
)
def test_text_without_a_secret_is_unchanged(text: str) -> None:
    assert clean(text, SECRETS) == text


def test_digits_alone_are_a_number_even_where_a_key_has_only_digits() -> None:
    assert cleaned({"TotalNumber": "1234567890", "n": 1234567890}, ("1234567890",)) == {
        "TotalNumber": "1234567890",
        "n": 1234567890,
    }


def test_a_credential_that_is_too_short_removes_nothing_from_words() -> None:
    assert cleaned({"Message": "the secret of it"}, ("secret", "t")) == {"Message": "the secret of it"}


def test_an_ordinary_response_needs_no_full_search() -> None:
    row = {"CreateTime": "2026-04-22T10:15Z", "TotalNumber": "1,234", "RcptOpenRate": "85.34%", "Tag": "标签"}
    assert not may_hold(json.dumps({"RequestId": "10A1AD70-E48E-476D", "data": {"stat": [row]}}), (KEY, SECRET))


def test_a_secret_without_a_run_of_letters_is_always_searched() -> None:
    assert may_hold("anything", ("a+b/c+d/e+f/",))


def test_a_document_that_is_nested_without_end_is_a_parse_error() -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ParseError, match="nested"):
        cleaned(deep, SECRETS)


spelt = st.sampled_from([spelling.values[0] for spelling in SPELLINGS])


@given(before=st.text(max_size=20), after=st.text(max_size=20), secret=st.sampled_from(SECRETS), layers=st.lists(spelt))
def test_no_layers_of_escapes_and_no_text_around_hide_a_secret(
    before: str, after: str, secret: str, layers: list[Any]
) -> None:
    written = secret
    for spell in layers[:3]:
        written = spell(written)
    found = clean(f"{before}|{written}|{after}", SECRETS)
    assert secret not in found
    assert written not in found
