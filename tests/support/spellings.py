"""Encodings of a credential in a response that repeats it."""

from urllib.parse import quote

import pytest


def every_character(text: str, form: str) -> str:
    return "".join(form.format(ord(character)) for character in text)


SPELLINGS = [
    pytest.param(lambda text: text, id="plain"),
    pytest.param(lambda text: quote(text, safe=""), id="percent-encoded"),
    pytest.param(lambda text: quote(text, safe="").replace("%2B", "%2b").replace("%2F", "%2f"), id="in-lower-case"),
    pytest.param(quote, id="percent-encoded-but-for-slashes"),
    pytest.param(lambda text: quote(quote(text, safe=""), safe=""), id="encoded-twice"),
    pytest.param(lambda text: quote(quote(quote(text, safe=""))), id="encoded-three-times"),
    pytest.param(lambda text: every_character(text, "%{:02x}"), id="every-character-percent-encoded"),
    pytest.param(lambda text: text.replace("/", "\\/"), id="escaped-slash"),
    pytest.param(lambda text: text.replace("/", "\\\\\\/"), id="escaped-slash-in-JSON-in-JSON"),
    pytest.param(lambda text: text.replace("+", "\\u002b").replace("/", "\\u002F"), id="escaped-signs"),
    pytest.param(lambda text: every_character(text, "\\u{:04x}"), id="every-character-escaped"),
    pytest.param(lambda text: quote(text.replace("/", "\\/"), safe=""), id="escaped-and-encoded"),
    pytest.param(lambda text: quote(text, safe="").replace("%", "\\u0025"), id="encoded-and-escaped"),
    pytest.param(lambda text: text.replace("+", "&#43;").replace("/", "&#x2F;"), id="as-in-HTML"),
]
