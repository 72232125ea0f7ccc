"""Decodes the bytes of a response: JSON, or an error in XML, in UTF-8 or the encodings of China.

Errors are read as Alibaba Cloud's official SDK reads them: XML too, and their fields in lower case too.
"""

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from exporter.directmail.errors import ParseError

_XML_ERROR = re.compile(r"\s*(?:<\?xml[^>]*>\s*)?<Error\b[^>]*>(.*)", re.DOTALL)
_XML_FIELD = re.compile(r"<(Code|Message|RequestId)>([^<]*)</\1>", re.IGNORECASE)
"""Found by pattern and not parsed: an error may be cut short, and entities are never expanded."""
_REFERENCE = re.compile("&#(?:([xX])0*([0-9a-fA-F]+)|0*([0-9]+))")
_MOST_DIGITS = 7
"""Digits of the largest character's number, 1114111."""
_NAMES = {"code": "Code", "message": "Message", "requestid": "RequestId"}
_REQUEST_ID = re.compile(r"[\w-]{1,64}", re.ASCII)


def text_of(body: bytes) -> str:
    """Return the text of a body: UTF-8, else GB 18030, of which GBK is a part; what is neither is replaced."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("gb18030", "replace")


def decode(text: str) -> dict[str, Any]:
    """Return the JSON object in `text`, or the fields of an error in XML. Raise ParseError for anything else."""
    if (error := _XML_ERROR.match(text)) is not None:
        return {_NAMES[name.lower()]: unescaped(value) for name, value in _XML_FIELD.findall(error[1])}
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ParseError("the response is not JSON, or was truncated") from None
    if not isinstance(document, dict):
        raise ParseError("the response is not a JSON object")
    return document


def unescaped(text: str) -> str:
    """Return a text without HTML's references to characters, however many digits a reference has.

    html.unescape converts their digits to a number, which is a ValueError for some thousands.
    """
    return html.unescape(_REFERENCE.sub(_short, text) if "&#" in text else text)


def field(document: Mapping[str, Any], name: str) -> Any:
    """Return a field of an error, whose name may begin in lower case; None where there is none."""
    value = document.get(name)
    return document.get(name[:1].lower() + name[1:]) if value is None else value


def request_id_of(document: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """Return Alibaba's RequestId, "" where neither the body nor the headers have one that looks like it."""
    for value in (field(document, "RequestId"), headers.get("x-acs-request-id")):
        if isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            return value
    return ""


def _short(reference: re.Match[str]) -> str:
    """Return a numeric reference without leading zeros, or the character for one beyond the last."""
    sign, digits = reference[1] or "", reference[2] or reference[3]
    return f"&#{sign}{digits}" if len(digits) <= _MOST_DIGITS else "\ufffd"
