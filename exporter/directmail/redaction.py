"""Removes the credentials from a response, in every spelling, before anything else reads it.

Any text of a response may be shown: a message, a RequestId, a name, an invalid count. So the document is cleaned as
a whole, once, and its readers need not consider secrets.
"""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from exporter.directmail.decoding import unescaped
from exporter.directmail.errors import ParseError

HIDDEN = "***"
SHORTEST = 8
"""Characters. A shorter credential is none of Alibaba Cloud's, and would take parts out of ordinary words."""

MOST_LAYERS = 16
"""A text with more layers of escapes is hidden as a whole; a proxy adds one or two."""

_ESCAPES = (("\\", re.compile(r"\\u00")), ("&", re.compile("&#")), ("%", re.compile("%[2-7][0-9A-Fa-f]")))
"""Escapes in which letters and digits can be written, each with a character that most responses lack."""
_RUN = re.compile(r"[A-Za-z0-9]{6,}")
_BACKSLASHED = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)


def may_hold(text: str, secrets: Sequence[str]) -> bool:
    """Return whether a text may hold one of the secrets; False is certain, and costs microseconds.

    Letters and digits are hardly ever escaped: without such escapes a run of them is unchanged in every spelling.
    """
    has_escapes = any(sign in text and escape.search(text) for sign, escape in _ESCAPES)
    return has_escapes or any(_run(secret) in text for secret in secrets)


def cleaned(value: Any, secrets: Sequence[str]) -> Any:
    """Return a JSON value without any of the secrets. Raise ParseError for one that is nested without end."""
    try:
        return _cleaned(value, [secret for secret in secrets if len(secret) >= SHORTEST])
    except RecursionError:
        raise ParseError("the response is nested too deeply") from None


def clean(text: str, secrets: Sequence[str]) -> str:
    """Return a text without any of the secrets.

    They are found plain, percent-encoded, escaped as in JSON or HTML, and with several layers of these. Digits alone
    are a number and stay.
    """
    shown = text
    for _ in range(MOST_LAYERS):
        if text.isdecimal():
            return shown
        found = text
        for secret in secrets:
            found = found.replace(secret, HIDDEN)
        if found != text:
            shown = found
        text = _decoded(found)
        if text == found:
            return shown
    return HIDDEN


def _cleaned(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return clean(value, secrets)
    if isinstance(value, list):
        return [_cleaned(each, secrets) for each in value]
    if isinstance(value, dict):
        return {clean(name, secrets): _cleaned(each, secrets) for name, each in value.items()}
    return value


def _run(secret: str) -> str:
    """Return a part of the secret that most spellings leave as it is, "" where there is none."""
    found = _RUN.search(secret)
    return found[0] if found else ""


def _decoded(text: str) -> str:
    """Return the text with one layer of every kind of escape taken off."""
    return unescaped(unquote(_BACKSLASHED.sub(lambda match: match[2] or chr(int(match[1], 16)), text)))
