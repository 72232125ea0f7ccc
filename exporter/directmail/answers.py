"""What an answer says: an error by its Code, or counts that are right or a ParseError. Nothing else ever comes out."""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from exporter.directmail.errors import (
    AuthError,
    DirectMailError,
    InvalidRequest,
    NonceUsed,
    ParseError,
    PermissionDenied,
    ServerError,
    Throttled,
)
from exporter.directmail.model import RateSums, Totals

COUNTS = ("TotalNumber", "RcptOpenCount", "RcptUniqueOpenCount", "RcptClickCount", "RcptUniqueClickCount")
"""The fields of Totals, in its order."""
RATES = ("RcptOpenRate", "RcptUniqueOpenRate", "RcptClickRate", "RcptUniqueClickRate")
"""The fields of RateSums, in its order."""
LARGEST = 2**53
"""Beyond this a float, and so Prometheus, cannot hold a count exactly."""
LONGEST_WAIT = 300.0
"""Seconds that an `x-acs-retry-after` is believed."""

_PERMISSION = ("Forbidden", "NoPermission")
_AUTH = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "Signature",
    "IncompleteSignature",
    "InvalidSecurityToken",
    "InvalidTimeStamp",
    "IllegalTimestamp",
    "MissingSecurityToken",
)
_SERVER = ("ServiceUnavailable", "InternalError")
_COUNT = re.compile(r"\d{1,3}(,\d{3})+|\d+")
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*%?")


class Page(NamedTuple):
    """One page of GetTrackList; a number that the answer lacks is None."""

    rows: list[Any]
    number: int | None
    size: int | None
    total: int | None
    pages: int | None


def decode(body: bytes, request_id: str) -> dict[str, Any]:
    """Return the JSON object in `body`. Raise ParseError for anything else."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise ParseError("the answer is not JSON, or was cut short", request_id=request_id) from None
    if not isinstance(document, dict):
        raise ParseError("the answer is not a JSON object", request_id=request_id)
    return document


def request_id_of(document: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """Return Alibaba's RequestId, "" where neither the body nor the headers have it."""
    value = document.get("RequestId") or headers.get("x-acs-request-id") or ""
    return _printable(str(value), 64)


def failure(
    action: str, status: int, document: Mapping[str, Any], headers: Mapping[str, str], now: float
) -> DirectMailError:
    """Return the error that an answer is, by its Code and then by its HTTP status.

    The remote Message is not kept: it may repeat the request. `now` (seconds since the epoch) tells how far off the
    clock is where the API says that the date expired.
    """
    code = _printable(str(document.get("Code") or ""), 80)
    kind, text, advice = _classified(action, code, status, headers, now)
    return kind(
        text,
        code=code,
        request_id=request_id_of(document, headers),
        status=status,
        advice=advice,
        retry_after=_retry_after(headers),
    )


def _classified(
    action: str, code: str, status: int, headers: Mapping[str, str], now: float
) -> tuple[type[DirectMailError], str, str]:
    """Return the kind of error, what it says, and what to do about it."""
    family = code.split(".")[0]
    if family == "Throttling" or status == 429:
        advice = "Lower rate_limit_per_minute, or find who else uses the account's quota."
        return Throttled, "the API asks to go slower", advice
    if family == "SignatureNonceUsed":
        return (
            NonceUsed,
            "the API has seen this nonce before",
            "Nothing to do: it is sent again with another.",
        )
    if family in _AUTH:
        return AuthError, "the API refuses the credentials", _auth_advice(family, headers, now)
    if family in _PERMISSION:
        advice = f"Attach a policy that allows dm:{action} on * to the access key's RAM user or role."
        return PermissionDenied, "the RAM policy does not allow this call", advice
    if family in _SERVER or status >= 500:
        return ServerError, "the API failed", "Nothing to do: it is tried again."
    if not code and status in (401, 403, 407):
        advice = "Look at the proxy between here and the endpoint."
        return PermissionDenied, "the call was refused on the way", advice
    if not code and not 400 <= status < 500:
        return ServerError, "the answer is none of the API's", "Look at the endpoint and the proxy."
    return InvalidRequest, "the API does not take this question", _question_advice(code)


def page(document: Mapping[str, Any], request_id: str) -> Page:
    """Return the page that a 200 holds. Raise ParseError where `data.stat` is no list: missing is never 0."""
    data = document.get("data")
    rows = data.get("stat") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise ParseError("the answer has no data.stat", request_id=request_id)
    return Page(
        rows, *(_optional(document.get(name)) for name in ("PageNo", "PageSize", "Total", "TotalPages"))
    )


def summed(rows: list[Any], request_id: str) -> tuple[Totals, RateSums]:
    """Return the rows' counts, and their rates each times TotalNumber. Raise ParseError for a row that makes no sense."""
    totals = [0] * len(COUNTS)
    rates: list[float | None] = [0.0] * len(RATES)
    for row in rows:
        if not isinstance(row, dict):
            raise ParseError("a row of data.stat is no object", request_id=request_id)
        counts = _counts(row, request_id)
        for index, count in enumerate(counts):
            totals[index] += count
        for index, name in enumerate(RATES):
            held, rate = rates[index], _rate(row.get(name))
            rates[index] = None if held is None or rate is None else held + rate * counts[0]
    if max(totals) > LARGEST:
        raise ParseError("the counts add up to more than can be right", request_id=request_id)
    return Totals(*totals), RateSums(*rates)


def _counts(row: Mapping[str, Any], request_id: str) -> list[int]:
    values = [row.get(name, "missing") for name in COUNTS]
    if all(value is None or value == "" for value in values):
        raise ParseError("a row of data.stat has no counts", request_id=request_id)
    return [_count(name, value, request_id) for name, value in zip(COUNTS, values, strict=True)]


def _count(name: str, value: Any, request_id: str) -> int:
    """Return a count as the API may write it: a number, digits, digits with commas; null and "" are 0."""
    if value is None or value == "":
        return 0
    if isinstance(value, str):
        text = value.strip()
        if len(text) <= 24 and _COUNT.fullmatch(text) and text.isascii():
            value = int(text.replace(",", ""))
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST:
        return value
    raise ParseError(f"{name} is no count: {_printable(repr(value), 40)}", request_id=request_id)


def _rate(value: Any) -> float | None:
    """Return a rate in the API's own unit, None where it cannot be read."""
    if isinstance(value, str):
        match = _RATE.fullmatch(value.strip())
        value = float(match[1]) if match and len(value) <= 24 else None
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 <= value < LARGEST
    ):
        return float(value)
    return None


def _optional(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("x-acs-retry-after", "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        return None
    return min(int(text) / 1000, LONGEST_WAIT)


def _auth_advice(family: str, headers: Mapping[str, str], now: float) -> str:
    if family in ("InvalidTimeStamp", "IllegalTimestamp"):
        return f"Set this machine's clock{_clock_error(headers, now)}; the API refuses dates more than 15 minutes off."
    if family == "InvalidAccessKeyId":
        return "Check that the access key exists and is enabled."
    if family in ("InvalidSecurityToken", "MissingSecurityToken"):
        return "The temporary credentials have expired or do not belong together; renew them."
    return "Check that the secret belongs to the access key, without stray characters."


def _clock_error(headers: Mapping[str, str], now: float) -> str:
    try:
        remote = parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        return ""
    off = now - (remote if remote.tzinfo else remote.replace(tzinfo=UTC)).timestamp()
    return f": it is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the API's"


def _question_advice(code: str) -> str:
    if code == "InvalidMailAddress.NotFound":
        return "The sender is not of this region's account: check its spelling and the target's region."
    if code.startswith("InvalidTagName"):
        return "Check the tag's spelling, and that it belongs to the sender."
    if code.startswith(("InvalidDate", "InvalidStartTime", "InvalidBetweenTime")):
        return "The API does not take this day: check the target's timezone and this machine's clock."
    return "Check the query's filter values against the Direct Mail console."


def _printable(text: str, longest: int) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:longest])


def moment(now: float) -> str:
    """Return `x-acs-date` for a time in seconds since the epoch."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
