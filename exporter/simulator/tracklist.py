"""GetTrackList: its rules, its rows and its pages."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from exporter.simulator.account import PROVIDERS
from exporter.simulator.error_answers import Refusal
from exporter.simulator.list_operations import whole
from exporter.simulator.traffic import NOTHING, Counts, Traffic

FILTERS = {
    "AccountName": "sender",
    "TagName": "tag",
    "Esp": "esp",
    "DedicatedIp": "dedicated_ip",
    "DedicatedIpPoolId": "dedicated_ip_pool_id",
    "ConfigSetId": "config_set_id",
}
ROWS = ("day", "hour", "sum")
RATE_FORMATS = ("31.42", "31.42%", "0.3142")
_SPOILT: dict[str, Callable[[dict[str, str]], dict[str, str]]] = {
    "negative": lambda row: {"RcptOpenCount": "-5"},
    "non_numeric": lambda row: {"RcptOpenCount": "many"},
    "exponents": lambda row: {
        name: f"{Decimal(value):E}" for name, value in row.items() if value.replace(".", "", 1).isdecimal()
    },
    "wrong_rates": lambda row: {"RcptOpenRate": "271.83", "RcptUniqueClickRate": "314.16"},
    "more_unique": lambda row: {
        "RcptUniqueOpenCount": str(int(row["RcptOpenCount"]) + 1),
        "RcptUniqueClickCount": str(int(row["RcptClickCount"]) + 1),
    },
}
"""What a fault makes of the first row of a page."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What the API's documentation leaves open, on the wire. Raise ValueError for an unknown choice."""

    rows: str = "day"
    """A row per `day`, per `hour` of sending (per day where events are booked on their own), or one `sum` of all."""
    rate_format: str = "31.42"
    """`31.42`, `31.42%` or `0.3142`."""
    largest_page: int = 1000
    calls_per_minute: int = 60
    retry_after: bool = False
    """Whether throttling tells how long to wait."""
    strict_span: bool = False
    """Whether the 30 days are counted to the second."""

    def __post_init__(self) -> None:
        if self.rows not in ROWS:
            raise ValueError(f"{self.rows!r} is nothing that a row can be of; choose one of {', '.join(ROWS)}")
        if self.rate_format not in RATE_FORMATS:
            raise ValueError(f"{self.rate_format!r} is no format of rates; choose one of {', '.join(RATE_FORMATS)}")


class Question(NamedTuple):
    """What is asked for; the filters have the traffic's names."""

    start: date
    end: date
    filters: dict[str, str]


def read(
    parameters: Mapping[str, str], senders: Sequence[str], traffic: Traffic, now: float, habits: Habits
) -> Question:
    """Return the question that the parameters ask. Raise Refusal where they break a rule of the documentation."""
    start, end = (_date(parameters, name) for name in ("StartTime", "EndTime"))
    today = traffic.today(now)
    oldest = now - 30 * 86_400 if habits.strict_span else traffic.day_start(today - timedelta(days=30))
    if traffic.day_start(start) < oldest or start > min(end, today + timedelta(days=1)):
        raise Refusal(400, "InvalidStartTime.Malformed", "The start must be within the last 30 days.")
    if (end - start).days > 7:
        raise Refusal(400, "InvalidBetweenTime.Malformed", "The span must not be longer than 7 days.")
    filters = {ours: parameters[theirs] for theirs, ours in FILTERS.items() if parameters.get(theirs)}
    if "tag" in filters and "sender" not in filters:
        raise Refusal(400, "MissingParameter", "AccountName is required with TagName.")
    if "sender" in filters and filters["sender"] not in senders:
        raise Refusal(404, "InvalidMailAddress.NotFound", "The specified mail address is not found.")
    filters["esp"] = filters.get("esp", "").lower()
    if filters["esp"] not in ("", *PROVIDERS):
        raise Refusal(400, "InvalidEsp.Malformed", "The specified Esp is not valid.")
    return Question(start, end, filters)


def rows(question: Question, traffic: Traffic, now: float, habits: Habits) -> list[dict[str, str]]:
    """Return all rows of the answer, the oldest first; what has no mail and no events has no row."""
    hourly = habits.rows == "hour" and traffic.choices.attribution == "send"
    found: list[tuple[float, Counts]] = []
    for age in range((question.end - question.start).days + 1):
        day = question.start + timedelta(days=age)
        begin = traffic.day_start(day)
        if hourly:
            hours = traffic.hours(day, now, **question.filters)
            found += [(begin + hour * 3600, counts) for hour, counts in enumerate(hours)]
        else:
            found.append((begin, traffic.counts(day, now, **question.filters)))
    if habits.rows == "sum":
        found = [(found[0][0], Counts(*map(sum, zip(NOTHING, *(counts for _, counts in found), strict=True))))]
    return [row(counts, created, habits.rate_format) for created, counts in found if any(counts)]


def row(counts: Counts, created: float, rate_format: str) -> dict[str, str]:
    """Return a row of `data.stat`; all its values are strings, as documented."""

    def rate(count: int) -> str:
        share = count / counts.emails if counts.emails else 0.0
        written = {"31.42": f"{share * 100:.2f}", "31.42%": f"{share * 100:.2f}%", "0.3142": f"{share:.4f}"}
        return written[rate_format]

    return {
        "CreateTime": datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "TotalNumber": str(counts.emails),
        "RcptOpenCount": str(counts.opens),
        "RcptOpenRate": rate(counts.opens),
        "RcptUniqueOpenCount": str(counts.unique_opens),
        "RcptUniqueOpenRate": rate(counts.unique_opens),
        "RcptClickCount": str(counts.clicks),
        "RcptClickRate": rate(counts.clicks),
        "RcptUniqueClickCount": str(counts.unique_clicks),
        "RcptUniqueClickRate": rate(counts.unique_clicks),
    }


def page(
    found: list[dict[str, str]], parameters: Mapping[str, str], now: float, habits: Habits, fault: str = ""
) -> dict[str, Any]:
    """Return the page that is asked for, spoilt by a fault where one is named."""
    size = 5 if fault == "page_cap" else min(whole(parameters.get("PageSize"), 10), habits.largest_page)
    number = whole(parameters.get("PageNumber"), 1)
    if fault == "rows_added":
        found = found + [row(Counts(1, 0, 0, 0, 0), now, habits.rate_format)] * number
    if fault == "empty":
        found = []
    shown = found[(number - 1) * size : number * size]
    if shown and fault in _SPOILT:
        shown[0] = {**shown[0], **_SPOILT[fault](shown[0])}
    pages = -(-len(found) // size)
    document: dict[str, Any] = {
        "PageNo": number,
        "PageSize": size,
        "Total": len(found),
        "TotalPages": {"pages_up": pages + 3, "pages_down": 1}.get(fault, pages),
        "data": {"stat": None if fault == "stat_null" else shown},
    }
    if fault == "no_data":
        del document["data"]
    return document


def _date(parameters: Mapping[str, str], name: str) -> date:
    text = parameters.get(name)
    if text is None:
        raise Refusal(400, "MissingParameter", f"The parameter {name} is missing.")
    if not text:
        raise Refusal(400, "InvalidDate.NotFound", f"The parameter {name} is empty.")
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):  # fromisoformat knows weeks too
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError:
        raise Refusal(400, "InvalidDate.Malformed", f"The parameter {name} is not yyyy-MM-dd.") from None
