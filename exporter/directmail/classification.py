"""Maps a response to an error, by Alibaba's Code and then by the HTTP status, with advice for the operator.

The same Code comes with different statuses, so the Code goes first. Source: the error codes of Direct Mail
and of Alibaba Cloud's gateway.
"""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from exporter.directmail.decoding import field, request_id_of
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
from exporter.directmail.responses import printable

LONGEST_WAIT = 300.0
"""The longest wait, in seconds, that is accepted from a response."""
LONGEST_MESSAGE = 200
LARGEST_SKEW = 840.0
"""The clock skew, in seconds, that is certainly accepted: the API rejects more than 900, and responses take time."""

_SUCCESS = ("ok", "200", "success")
"""Codes that mean success, in lower case."""
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
    "User": PermissionDenied,
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
    Throttled: "the API throttled the request",
    NonceUsed: "the API reports a reused nonce",
    AuthError: "the API rejected the credentials",
    PermissionDenied: "the RAM policy does not allow this operation",
    InvalidRequest: "the API rejected the request",
    ServerError: "the API failed",
    NetworkError: "something on the path responded instead of the API",
}


_OF_ACCOUNT = "the API rejected the account"
_ACCOUNT_ADVICE = (
    "Read the messages to the account's owner and the Direct Mail console, then open a ticket. "
    "Changing the RAM policy does not help."
)
"""Of Codes such as User.Blacklisted, which are about the account and not about what its key may do."""


def is_about_account(code: str) -> bool:
    """Return whether a Code is about the account itself: it is blacklisted, or may not use Direct Mail."""
    return _family(code) == "User"


def is_failure(document: Mapping[str, Any]) -> bool:
    """Return whether a response with status 200 reports a failure."""
    code = _code(document)
    success = field(document, "Success")
    has_failed = success is False or (isinstance(success, str) and success.lower() == "false")
    return has_failed or (bool(code) and code.lower() not in _SUCCESS)


def failure(
    action: str, status: int, document: Mapping[str, Any], headers: Mapping[str, str], now: float
) -> DirectMailError:
    """Return the error of a response; the document is free of credentials.

    The remote Message is kept, cut short, except where the credentials are rejected: there it repeats the request.
    `now` (seconds since the epoch) serves to compute the clock skew.
    """
    code = _code(document)
    kind = _kind(code, status)
    text = _OF_ACCOUNT if is_about_account(code) else _TEXTS[kind]
    message = "" if issubclass(kind, AuthError) else _one_line(field(document, "Message"), LONGEST_MESSAGE)
    has_wait = kind is Throttled or (kind is ServerError and status == HTTPStatus.SERVICE_UNAVAILABLE)
    return kind(
        f"{text}: {message}" if message else text,
        code=code,
        request_id=request_id_of(document, headers),
        status=status,
        advice=_advice(kind, action, f"{code} {message}", headers, now),
        retry_after=_retry_after(headers, now) if has_wait else None,
    )


def is_about_dates(code: str) -> bool:
    """Return whether a Code is about the requested days."""
    return code.startswith(("InvalidDate", "InvalidStartTime", "InvalidEndTime", "InvalidBetweenTime"))


def is_about_page_size(reported: str) -> bool:
    """Return whether a Code or a Message names the size of pages."""
    return "pagesize" in reported.lower().replace(" ", "").replace("_", "")


def _code(document: Mapping[str, Any]) -> str:
    """Return the response's Code, a number as text; "" where it has none."""
    code = field(document, "Code")
    if isinstance(code, int | float) and not isinstance(code, bool):
        code = str(code).removesuffix(".0")
    return _one_line(code, 80)


def _kind(code: str, status: int) -> type[DirectMailError]:
    if (known := _FAMILIES.get(_family(code))) is not None:
        return known
    for prefix, kind in _PREFIXES:
        if code.startswith(prefix):
            return kind
    if status == HTTPStatus.OK and code.isdecimal():
        status = int(code)  # a Code such as 403 replaces the status
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled
    if not 400 <= status < 500:
        return ServerError
    if not code:
        # The API always sends a Code. A page without one is a proxy's, and no judgement of the request.
        return NetworkError
    return {401: AuthError, 403: PermissionDenied}.get(status, InvalidRequest)


def _family(code: str) -> str:
    return code.partition(".")[0]


def _advice(kind: type[DirectMailError], action: str, reported: str, headers: Mapping[str, str], now: float) -> str:
    """Return what an operator should do, "" where the kind of error is enough; `reported` is Code and Message."""
    code, _, _ = reported.partition(" ")
    if is_about_account(code):
        return _ACCOUNT_ADVICE
    if kind is NonceUsed:
        return "Nothing to do: the request is retried with a new nonce."
    if kind is AuthError:
        return _auth_advice(_family(code), headers, now)
    if kind is PermissionDenied:
        return (
            f"Attach a policy that allows dm:{action} on * to the access key's RAM user or role (docs/ram-policy.md)."
        )
    if kind is InvalidRequest:
        return _request_advice(code, reported)
    return ""


def _auth_advice(family: str, headers: Mapping[str, str], now: float) -> str:
    if family in ("InvalidTimeStamp", "IllegalTimestamp"):
        off = _seconds_ahead(headers, now)
        if off is not None and abs(off) < LARGEST_SKEW:
            return "This machine's clock agrees with the API's: look for a proxy that holds requests back."
        by = "" if off is None else f": it is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the API's"
        return f"Set this machine's clock{by}; the API rejects dates more than 15 minutes off."
    if family == "InvalidAccessKeyId":
        return "Check that the access key exists, is enabled, and belongs to this account."
    if family in ("InvalidSecurityToken", "MissingSecurityToken"):
        return "The temporary credentials have expired or do not belong together; renew them."
    return "Check that the secret belongs to the access key, without stray characters."


def _seconds_ahead(headers: Mapping[str, str], now: float) -> float | None:
    """Return by how much the clock is ahead of the API's, None without a usable Date header."""
    remote = http_date(headers.get("Date", ""))
    return None if remote is None else now - remote


def http_date(text: str) -> float | None:
    """Return an HTTP date in seconds since the epoch, None for what is none."""
    try:
        at = parsedate_to_datetime(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _request_advice(code: str, reported: str) -> str:
    if is_about_page_size(reported):
        return "Lower the target's page_size: the API rejects pages of this size."
    if code == "InvalidMailAddress.NotFound":
        return "The account has no such sender in this region: check its spelling and the target's region."
    if code.startswith("InvalidTagName"):
        return "Check the tag's spelling, and that it belongs to the sender."
    if is_about_dates(code):
        return "The API rejected the day: check the target's timezone and this machine's clock."
    return "Check the query's filter values against the Direct Mail console."


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds to wait, None where no header makes sense.

    Alibaba's header has milliseconds; a gateway's has seconds or a date (RFC 9110), by the clock of its own Date.
    """
    if (milliseconds := _digits(headers.get("x-acs-retry-after", ""))) is not None:
        return min(milliseconds / 1000, LONGEST_WAIT)
    text = headers.get("Retry-After", "")
    if (seconds := _digits(text)) is not None:
        return min(float(seconds), LONGEST_WAIT)
    if (until := http_date(text)) is None:
        return None
    sent = http_date(headers.get("Date", ""))
    return min(max(0.0, until - (now if sent is None else sent)), LONGEST_WAIT)


def _digits(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _one_line(value: object, longest: int) -> str:
    """Return a remote text on one line, cut short; "" for what is none."""
    return printable(" ".join(value.split()), longest) if isinstance(value, str) else ""
