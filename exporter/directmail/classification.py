"""Which error an answer is, by Alibaba's Code and then by the HTTP status; what an operator does about it.

The same Code comes with different statuses, so the Code goes first. Source: the error codes of Direct Mail
and of Alibaba Cloud's gateway.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from exporter.directmail.answers import printable, request_id_of
from exporter.directmail.errors import (
    AuthError,
    DirectMailError,
    InvalidRequest,
    NetworkError,
    NonceUsed,
    PermissionDenied,
    ServerError,
    Throttled,
)
from exporter.directmail.signing import encode

LONGEST_WAIT = 300.0
"""Seconds that an `x-acs-retry-after` is believed."""
LONGEST_MESSAGE = 200
LARGEST_SKEW = 840.0
"""Seconds that a clock may be off without a doubt: the API refuses more than 900, and an answer takes its time."""

_FAMILIES: dict[str, type[DirectMailError]] = {
    "SignatureNonceUsed": NonceUsed,
    "InvalidAccessKeyId": AuthError,
    "InvalidAccessKeySecret": AuthError,
    "SignatureDoesNotMatch": AuthError,
    "Signature": AuthError,
    "IncompleteSignature": AuthError,
    "InvalidSecurityToken": AuthError,
    "MissingSecurityToken": AuthError,
    "InvalidTimeStamp": AuthError,
    "IllegalTimestamp": AuthError,
    "Forbidden": PermissionDenied,
    "NoPermission": PermissionDenied,
    "ServiceUnavailable": ServerError,
    "InternalError": ServerError,
}
"""By the part of a Code before the first dot."""
_PREFIXES: tuple[tuple[str, type[DirectMailError]], ...] = (
    ("Throttling", Throttled),
    ("Missing", InvalidRequest),
    ("Invalid", InvalidRequest),
)
_TEXTS: dict[type[DirectMailError], str] = {
    Throttled: "the API asks to go slower",
    NonceUsed: "the API has seen this nonce before",
    AuthError: "the API refuses the credentials",
    PermissionDenied: "the RAM policy does not allow this call",
    InvalidRequest: "the API does not take this question",
    ServerError: "the API failed",
    NetworkError: "something between here and the API answered in its place",
}


def failure(
    action: str,
    status: int,
    document: Mapping[str, Any],
    headers: Mapping[str, str],
    now: float,
    secrets: Iterable[str] = (),
) -> DirectMailError:
    """Return the error that an answer is.

    The remote Message is kept, cut short and without `secrets`, except where the credentials are refused:
    there it repeats the request. `now` (seconds since the epoch) tells how far off the clock is.
    """
    code = _clean(document.get("Code"), 80, secrets)
    kind = _kind(code, status)
    text = _TEXTS[kind]
    message = "" if issubclass(kind, AuthError) else _clean(document.get("Message"), LONGEST_MESSAGE, secrets)
    return kind(
        f"{text}: {message}" if message else text,
        code=code,
        request_id=_clean(request_id_of(document, headers), 64, secrets),
        status=status,
        advice=_advice(kind, action, code, headers, now),
        retry_after=_retry_after(headers) if kind is Throttled else None,
    )


def _kind(code: str, status: int) -> type[DirectMailError]:
    if (known := _FAMILIES.get(_family(code))) is not None:
        return known
    for prefix, kind in _PREFIXES:
        if code.startswith(prefix):
            return kind
    if status == 429:
        return Throttled
    if not 400 <= status < 500:
        return ServerError
    if not code:
        # The API always sends a Code. A page without one is a proxy's, and says nothing of the question.
        return NetworkError
    return {401: AuthError, 403: PermissionDenied}.get(status, InvalidRequest)


def _family(code: str) -> str:
    return code.partition(".")[0]


def _advice(kind: type[DirectMailError], action: str, code: str, headers: Mapping[str, str], now: float) -> str:
    """Return what an operator does, "" where the kind of error says enough."""
    if kind is Throttled:
        return "Lower the target's rate_limit_per_minute, or find who else uses the account's quota."
    if kind is NonceUsed:
        return "Nothing to do: it is sent again with another nonce."
    if kind is AuthError:
        return _auth_advice(_family(code), headers, now)
    if kind is PermissionDenied:
        return (
            f"Attach a policy that allows dm:{action} on * to the access key's RAM user or role (docs/ram-policy.md)."
        )
    if kind is InvalidRequest:
        return _question_advice(code)
    return ""


def _auth_advice(family: str, headers: Mapping[str, str], now: float) -> str:
    if family in ("InvalidTimeStamp", "IllegalTimestamp"):
        off = _seconds_ahead(headers, now)
        if off is not None and abs(off) < LARGEST_SKEW:
            return "This machine's clock agrees with the API's: look for a proxy that holds requests back."
        by = "" if off is None else f": it is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the API's"
        return f"Set this machine's clock{by}; the API refuses dates more than 15 minutes off."
    if family == "InvalidAccessKeyId":
        return "Check that the access key exists, is enabled, and is of this account."
    if family in ("InvalidSecurityToken", "MissingSecurityToken"):
        return "The temporary credentials have expired or do not belong together; renew them."
    return "Check that the secret belongs to the access key, without stray characters."


def _seconds_ahead(headers: Mapping[str, str], now: float) -> float | None:
    """Return by how much the clock is ahead of the API's, None where the Date header does not tell."""
    try:
        remote = parsedate_to_datetime(headers.get("Date", ""))
        return now - (remote if remote.tzinfo else remote.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _question_advice(code: str) -> str:
    if code == "InvalidMailAddress.NotFound":
        return "The sender is not of this region's account: check its spelling and the target's region."
    if code.startswith("InvalidTagName"):
        return "Check the tag's spelling, and that it belongs to the sender."
    if code.startswith(("InvalidDate", "InvalidStartTime", "InvalidBetweenTime")):
        return "The API does not take this day: check the target's timezone and this machine's clock."
    return "Check the query's filter values against the Direct Mail console."


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait; the header has milliseconds. None where it makes no sense."""
    text = headers.get("x-acs-retry-after", "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        return None
    return min(int(text) / 1000, LONGEST_WAIT)


def _clean(value: object, longest: int, secrets: Iterable[str]) -> str:
    """Return a remote text on one line, cut short, without any of `secrets`, plain or as in a URL."""
    if not isinstance(value, str):
        return ""
    for secret in secrets:
        value = value.replace(secret, "***").replace(encode(secret), "***")
    return printable(" ".join(value.split()), longest)
