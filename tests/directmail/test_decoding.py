"""Bodies become documents: JSON and errors in XML, whatever the encoding, or a ParseError."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.directmail.decoding import decode, request_id_of, text_of
from exporter.directmail.errors import ParseError


class TestBodies:
    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"<html></html>", id="HTML"),
            pytest.param(b'{"data": {"stat": [', id="cut short"),
            pytest.param(b"\xff\xfe\x00", id="not UTF-8"),
            pytest.param(b"[]", id="a list"),
            pytest.param(b"null", id="null"),
            pytest.param(b"[" * 100_000, id="very deep"),
            pytest.param(b'{"a": ' + b"9" * 10_000 + b"}", id="a number of ten thousand digits"),
        ],
    )
    def test_a_body_that_is_no_json_object_is_a_parse_error(self, body: bytes) -> None:
        with pytest.raises(ParseError):
            decode(text_of(body))

    def test_a_byte_order_mark_does_no_harm(self) -> None:
        assert decode(text_of(b'\xef\xbb\xbf{"a": 1}')) == {"a": 1}

    @pytest.mark.parametrize(
        ("body", "header", "expected"),
        [
            pytest.param("10A1AD70-E48E", "other", "10A1AD70-E48E", id="from the body"),
            pytest.param(None, "F-1", "F-1", id="from the header"),
            pytest.param({"deep": []}, "F-1", "F-1", id="not a text"),
            pytest.param("two\nlines", "x" * 65, "", id="nothing that looks like one"),
        ],
    )
    def test_the_request_id_comes_from_the_body_or_the_header(self, body: object, header: str, expected: str) -> None:
        assert request_id_of({"RequestId": body}, {"x-acs-request-id": header}) == expected

    def test_an_error_in_xml_that_was_cut_short_still_has_its_code(self) -> None:
        assert decode("<Error><Code>Throttling</Code><Message>slo") == {"Code": "Throttling"}

    def test_entities_of_a_document_in_xml_are_not_expanded(self) -> None:
        bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Error><Code>&b;</Code></Error>'
        with pytest.raises(ParseError):
            decode(bomb)
        assert decode("<Error><Code>&b;</Code></Error>") == {"Code": "&b;"}


@given(body=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_arbitrary_bytes_give_an_object_or_a_parse_error(body: bytes) -> None:
    try:
        assert isinstance(decode(text_of(body)), dict)
    except ParseError:
        return
