"""Parses requests of both statistics: dates, filters, and the rules that reject a request."""

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import NamedTuple

from exporter.clock import DAY
from exporter.simulator.account import PROVIDERS
from exporter.simulator.call import Call
from exporter.simulator.error_responses import ApiError

FILTERS = {
    "AccountName": "sender",
    "TagName": "tag",
    "Domain": "domain",
    "Esp": "esp",
    "DedicatedIp": "dedicated_ip",
    "DedicatedIpPoolId": "dedicated_ip_pool_id",
}
"""The parameters that filter, and the traffic's names for them."""
OF_DEDICATED_IPS = ("Esp", "DedicatedIp", "DedicatedIpPoolId")
"""The filters that are described as for users of dedicated IPs."""


class Rules(NamedTuple):
    """The limits of an operation."""

    filters: Mapping[str, str]
    longest_span: int
    """Days between StartTime and EndTime."""
    oldest: int
    """Days that StartTime may be back."""


class ParsedRequest(NamedTuple):
    """The days and filters of a request."""

    start: date
    end: date
    filters: Mapping[str, str] | None
    """By the traffic's names; None where they match nothing."""

    def days(self) -> Iterator[date]:
        """Yield the days, the oldest first."""
        return (self.start + timedelta(days=age) for age in range((self.end - self.start).days + 1))


def read(call: Call, rules: Rules) -> ParsedRequest:
    """Return the days and filters of the request. Raise ApiError where it breaks a rule of the documentation."""
    start, end = (_date(call.parameters, name) for name in ("StartTime", "EndTime"))
    traffic = call.traffic
    today = traffic.today(call.now)
    since_midnight = traffic.day_start(today - timedelta(days=rules.oldest))
    oldest = call.now - rules.oldest * DAY if call.behaviour.strict_span else since_midnight
    if traffic.day_start(start) < oldest or start > min(end, today + timedelta(days=1)):
        raise ApiError(400, "InvalidStartTime.Malformed", f"The start must be within the last {rules.oldest} days.")
    if (end - start).days > rules.longest_span:
        text = f"The span must not be longer than {rules.longest_span} days."
        raise ApiError(400, "InvalidBetweenTime.Malformed", text)
    return ParsedRequest(start, end, _filters(call, rules))


def _filters(call: Call, rules: Rules) -> dict[str, str] | None:
    given = {name: value for name in rules.filters if (value := call.parameters.get(name))}
    if "TagName" in given and "AccountName" not in given:
        raise ApiError(400, "MissingParameter", "AccountName is required with TagName.")
    if "AccountName" in given and given["AccountName"] not in call.senders:
        raise ApiError(404, "InvalidMailAddress.NotFound", "The specified mail address is not found.")
    unsupported = [name for name in OF_DEDICATED_IPS if name in given] if call.behaviour.no_dedicated_ips else []
    if unsupported and call.behaviour.no_dedicated_ips == "error":
        text = f"The parameter {unsupported[0]} is for users of dedicated IPs."
        raise ApiError(400, "InvalidParameter", text)
    if unsupported and call.behaviour.no_dedicated_ips == "empty":
        return None
    filters = {rules.filters[name]: value for name, value in given.items() if name not in unsupported}
    if (domain := filters.pop("domain", "")) and call.behaviour.domain_filter != "ignored":
        filters["domain" if call.behaviour.domain_filter == "exact" else "parent_domain"] = domain.lower()
    filters["esp"] = filters.get("esp", "").lower()
    if filters["esp"] not in ("", *PROVIDERS):
        raise ApiError(400, "InvalidEsp.Malformed", "The specified Esp is not valid.")
    return filters


def _date(parameters: Mapping[str, str], name: str) -> date:
    text = parameters.get(name)
    if text is None:
        raise ApiError(400, "MissingParameter", f"The parameter {name} is missing.")
    if not text:
        raise ApiError(400, "InvalidDate.NotFound", f"The parameter {name} is empty.")
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):  # fromisoformat knows weeks too
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError:
        raise ApiError(400, "InvalidDate.Malformed", f"The parameter {name} is not yyyy-MM-dd.") from None
