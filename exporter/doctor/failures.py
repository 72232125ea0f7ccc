"""Explains a failed call in plain words, with the fix."""

from collections.abc import Sequence

from yarl import URL

from exporter.config.durations import format_duration
from exporter.config.model import Config, Target
from exporter.directmail.classification import is_about_account, is_about_page_size
from exporter.directmail.errors import (
    AuthError,
    DirectMailError,
    InvalidRequest,
    NetworkError,
    NonceUsed,
    PermissionDenied,
    RequestTimeout,
    ServerError,
    Throttled,
)
from exporter.directmail.listing import OPERATIONS
from exporter.directmail.model import Filters
from exporter.directmail.ram_policy import ACCOUNT, DISCOVERY, allowing, assuming
from exporter.directmail.statistics.registry import STATISTICS
from exporter.doctor.findings import NOTE, PROBLEM, Finding, StatisticRequest
from exporter.plan.combinations import describe

_KEYS = {
    "InvalidAccessKeyId": "The API does not recognize the access key.",
    "InvalidSecurityToken": "The API rejected the security token.",
    "MissingSecurityToken": "The access key is a temporary one, and its security token is missing.",
    "InvalidTimeStamp": "The API rejected the date of the requests.",
    "IllegalTimestamp": "The API rejected the date of the requests.",
    "IncompleteSignature": "The signature was changed on the way: something between here and the API changes headers.",
    "SignatureDoesNotMatch": "The signature is wrong: the secret does not belong to the access key.",
    "InvalidAccessKeySecret": "The signature is wrong: the secret does not belong to the access key.",
    "SignatureNonceUsed": "A request reached the API twice: something on the path repeats requests.",
}
"""By the part of a Code before the first dot."""


def explain(error: DirectMailError, target: Target, request: StatisticRequest) -> Finding:
    """Return what a failed request for a statistic means."""
    if isinstance(error, AuthError):
        return _key(error, target)
    if is_about_account(error.code):
        return account_rejected(error)
    if isinstance(error, PermissionDenied):
        text = f"The key is accepted, but its RAM user or role may not call {request.statistic.action}"
        fix = f"Attach this policy to it (docs/ram-policy.md):\n{allowing([request.statistic.action])}"
        return _finding("access", f"{text}{_details(error)}.", fix, error)
    if isinstance(error, Throttled):
        return too_fast(error)
    if isinstance(error, RequestTimeout):
        text = f"{URL(target.endpoint).host} sent no complete response within {target.timeout:g} s."
        return _finding("connection", text, error.advice, error)
    if isinstance(error, NetworkError):
        return _connection(error, target)
    if isinstance(error, InvalidRequest):
        return _request(error, target, request.filters)
    if isinstance(error, ServerError):
        return _finding(
            "api", f"The API failed{_details(error)}; the request was for {_requested(request)}.", _again(error), error
        )
    text = f"The response for {_requested(request)} is invalid: {error.text}."
    return _finding("api", text, _again(error), error)


def account_rejected(error: DirectMailError) -> Finding:
    """Return what it means that a Code is about the account itself."""
    text = f"The API rejected the account itself, independent of the key's permissions{_details(error)}."
    return _finding("account", text, error.advice, error)


def too_fast(error: Throttled) -> Finding:
    """Return what it means that the API throttles."""
    wait = f"; wait {format_duration(error.retry_after)}" if error.retry_after else ""
    text = f"The API throttles requests{wait}{_details(error)}."
    return _finding("throttling", text, f"{error.advice} Then run the doctor again.", error)


def _again(error: DirectMailError) -> str:
    if error.request_id:
        return "Run the doctor again. If it persists, report the RequestId to Alibaba Cloud's support."
    return "Run the doctor again. If it persists, check proxies: the response lacks the API's RequestId."


def unread(error: DirectMailError, action: str, needed: Sequence[str], target: Target) -> Finding:
    """Return what it means that an operation failed which the config needs, beside those of statistics."""
    check = "discovery" if action in [OPERATIONS[key].action for key in target.discovered] else "account"
    if isinstance(error, PermissionDenied):
        text = f"The key is accepted, but its RAM user or role may not call {action}{_details(error)}."
        return _finding(check, text, f"Attach this policy to it (docs/ram-policy.md):\n{allowing(needed)}", error)
    what = "list" if action in [operation.action for operation in OPERATIONS.values()] else "answer"
    return _finding(check, f"{action} returns no {what}: {error.text}{_details(error)}.", error.advice, error)


def not_needed(error: DirectMailError, action: str) -> Finding:
    """Return what it means that an operation failed which the config does not need."""
    text = f"{action} failed: {error.text}{_details(error)}. The config does not need it."
    return Finding("account", NOTE, text, "Run the doctor again to include it.", error.request_id)


def needed(settings: Config, target: Target) -> list[str]:
    """Return the operations that a target's config needs, each once."""
    polled = (STATISTICS[name].action for name in target.statistics)
    discovered = (DISCOVERY[key] for key in target.discovered)
    intervals = {"account_interval": settings.account_interval, "domains_interval": settings.domains_interval}
    read = (action for name, interval in intervals.items() if interval is not None for action in ACCOUNT[name])
    return list(dict.fromkeys((*polled, *discovered, *read)))


def _key(error: AuthError, target: Target) -> Finding:
    if not error.code and error.status is None:
        return _finding("access", f"{error.text[:1].upper()}{error.text[1:]}.", _assume(error.advice, target), error)
    if error.status is None:  # rejected by a credentials server, before any request to Direct Mail
        return _finding("access", f"{error.text}{_details(error)}.", _assume(error.advice, target), error)
    text = _KEYS.get(error.code.partition(".")[0], "The API rejected the credentials.")
    advice = error.advice
    if isinstance(error, NonceUsed):
        advice = "Look for a proxy or gateway that repeats requests; each must reach the API once."
    return _finding("access", f"{text.removesuffix('.')}{_details(error)}.", advice, error)


def _assume(advice: str, target: Target) -> str:
    role = target.credentials.options.get("role_arn", "")
    if target.credentials.type != "ram_role_arn" or not role:
        return advice
    return f"{advice} The access key needs this policy (docs/ram-policy.md):\n{assuming(role)}"


def _request(error: InvalidRequest, target: Target, filters: Filters) -> Finding:
    details = f" ({error.code})" if error.code else ""
    if is_about_page_size(f"{error.code} {error.text}"):
        text = f"The API rejected pages of {target.page_size} rows{details}. {error.text}."
        return _finding("page_size", text, error.advice, error)
    if error.code == "InvalidMailAddress.NotFound" and filters.account_name:
        region = target.region or target.endpoint
        text = f"The account in {region} has no sender {filters.account_name}{details}."
        fix = "Check its spelling. For a sender of another region add a target with that region."
        return _finding("sender", text, fix, error)
    if error.code.startswith("InvalidMailAddress"):
        text = f"The API rejected the sender: {describe(filters)}{details}."
        if not filters.account_name:
            text = f"The API requires a sender, although the request is for all{details}."
        return _finding("sender", text, error.advice, error)
    if error.code.startswith("Missing"):
        text = f"The API requires another parameter with {describe(filters)}{details}. {error.text}."
        fix = "TagName needs AccountName: add account_name to every query that has tag_name."
        return _finding("filters", text, fix, error)
    text = f"The API rejected {describe(filters)}{details}. {error.text[:1].upper()}{error.text[1:].rstrip('.')}."
    return _finding("filters", text, of_dedicated_ips(filters) or error.advice, error)


def of_dedicated_ips(filters: Filters) -> str:
    """Return what to do about filters that only users of dedicated IPs may have, "" where there are none."""
    names = [key for key in ("esp", "dedicated_ip", "dedicated_ip_pool_id") if getattr(filters, key)]
    if not names:
        return ""
    fix = f"{' and '.join(names)} is documented for users of dedicated IPs. Without them drop the query: it "
    return fix + "would show nothing. With them compare the value with the console."


def _connection(error: NetworkError, target: Target) -> Finding:
    if error.status is None:
        return _finding("connection", f"{error.text[:1].upper()}{error.text[1:]}.", error.advice, error)
    text = f"Something between here and {URL(target.endpoint).host} responded instead of the API (HTTP {error.status})."
    return _finding("connection", text, "Check proxies, firewalls and the target's endpoint.", error)


def _requested(request: StatisticRequest) -> str:
    return f"{request.days}, {describe(request.filters) if any(request.filters) else 'the whole account'}"


def _details(error: DirectMailError) -> str:
    """Return the error's Code and RequestId in brackets."""
    facts = [error.code, f"HTTP {error.status}" if error.status else ""]
    details = ", ".join(fact for fact in facts if fact)
    return f" ({details})" if details else ""


def _finding(check: str, text: str, fix: str, error: DirectMailError) -> Finding:
    return Finding(check, PROBLEM, text, fix, error.request_id)
