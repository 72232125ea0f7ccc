"""Reads responses about the account: quota, reputation and state, each sender's mail of the day, each domain's DNS.

Of DescAccountSummary, QueryMailAddressByParam, QueryDomainByParam and DescDomain (the official SDK's models of
2015-11-23). A missing value is None: absent, never 0.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from exporter.directmail.errors import ParseError
from exporter.directmail.responses import number

SUMMARY = "DescAccountSummary"
DOMAIN = "DescDomain"
CALLS_PER_MINUTE = 10
"""The documented limit of DescAccountSummary; also applied to DescDomain."""
STATES: Mapping[str, int] = {"frozen": 1, "overdue": 2, "restricted": 4, "deleted": 8}
"""States of an account and their numbers in UserStatus. Codes or bits is not documented: each number is one bit."""
STATE_ADVICE: Mapping[str, str] = {
    "frozen": "Stop campaigns; the console and the messages to the account's owner say why. Then open a ticket.",
    "overdue": "Pay the bill in the console.",
    "restricted": "Stop campaigns and clean the lists; the console's overview says why. Then open a ticket.",
    "deleted": "Direct Mail was closed for this account: check that the key belongs to the right one.",
}
UNKNOWN_ADVICE = "Look at the account in the console. Please report the status: Direct Mail documents 0, 1, 2, 4 and 8."
LISTED_CHECKS: Mapping[str, str] = {
    "ownership": "ConfirmStatus",
    "spf": "SpfAuthStatus",
    "mx": "MxAuthStatus",
    "cname": "CnameAuthStatus",
}
"""The checks of a domain that the list of domains has, and their fields: 0 is verified, 1 is not."""
DESCRIBED_CHECKS: Mapping[str, str] = {"dkim": "DkimAuthStatus", "dmarc": "DmarcAuthStatus"}
"""Those that DescDomain has."""
DOMAIN_ID = "DomainId"
CREATED, CREATED_SECONDS = "CreateTime", "UtcCreateTime"
"""When a domain was created: as text, and in seconds since the epoch. Together they show the time zone of the texts."""


class Summary(NamedTuple):
    """DescAccountSummary, in mails."""

    daily_quota: int | None
    """The most mails a day, not what is left of it."""
    monthly_quota: int | None
    free_emails: int | None
    """What is left of the free mails."""
    reputation: int | None
    """QuotaLevel, which the documentation calls the reputation level."""
    highest_reputation: int | None
    states: frozenset[str] | None
    """Those of STATES that hold; None where the response has no status, or one that names none of them."""
    unknown_status: int | None = None
    """A status that is none of STATES, at least in part."""


class Usage(NamedTuple):
    """The mails requested of a sender.

    From DailyReqCount and MonthReqCount: by the documentation and its examples DailyCount and MonthCount are limits
    (10000 beside a DailyReqCount of 100, and -1).
    """

    today: int | None
    month: int | None


_QUOTAS = {
    "DailyQuota": "daily_quota",
    "MonthQuota": "monthly_quota",
    "RemainFreeQuota": "free_emails",
    "QuotaLevel": "reputation",
    "MaxQuotaLevel": "highest_reputation",
}
_STATUS = "UserStatus"
USAGE = ("DailyReqCount", "MonthReqCount")


def summary(document: Mapping[str, Any]) -> Summary:
    """Return the account's summary. Raise ParseError for a value that is not a number, or without any."""
    values = {name: _whole(document, name) for name in (*_QUOTAS, _STATUS)}
    if all(value is None for value in values.values()):
        text = f"the response has none of {', '.join(values)}"
        raise ParseError(text, request_id=str(document.get("RequestId", "")))
    status = values.pop(_STATUS)
    states = frozenset(name for name, bit in STATES.items() if (status or 0) & bit)
    unknown = status if status is not None and status & ~sum(STATES.values()) else None
    is_known = bool(states) or status == 0
    numbers = {_QUOTAS[name]: value for name, value in values.items()}
    return Summary(**numbers, states=states if is_known else None, unknown_status=unknown)


def usage(facts: Mapping[str, Any]) -> Usage:
    """Return the usage of a sender from an item of QueryMailAddressByParam."""
    return Usage(*(number(facts.get(name)) for name in USAGE))


def verified(facts: Mapping[str, Any], checks: Mapping[str, str]) -> dict[str, bool]:
    """Return which checks of a domain are verified, without those that the response lacks."""
    values = {check: number(facts.get(name)) for check, name in checks.items()}
    return {check: value == 0 for check, value in values.items() if value in (0, 1)}


def described(document: Mapping[str, Any]) -> dict[str, bool]:
    """Return which of DESCRIBED_CHECKS are verified. Raise ParseError for a response without any of their fields."""
    if all(document.get(name) is None for name in DESCRIBED_CHECKS.values()):
        text = f"the response has none of {', '.join(DESCRIBED_CHECKS.values())}"
        raise ParseError(text, request_id=str(document.get("RequestId", "")))
    return verified(document, DESCRIBED_CHECKS)


def _whole(document: Mapping[str, Any], name: str) -> int | None:
    """Return a number, None where there is none; -1 is what the API writes where nothing is limited."""
    value = document.get(name)
    if value in (None, "", -1, "-1"):
        return None
    found = number(value)
    if found is None:
        raise ParseError(f"{name} is not a number from 0 up", request_id=str(document.get("RequestId", "")))
    return found
