"""Choices for what the API's documentation leaves open: how the simulator responds on the wire."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

CHINA = timedelta(hours=8)
CHOICES = {
    "rows": ("day", "hour", "sum"),
    "rate_format": ("31.42", "31.42%", "0.3142"),
    "domain_filter": ("exact", "ignored", "subdomains"),
    "no_dedicated_ips": ("", "error", "empty", "whole"),
    "clock_text": ("utc", "china"),
    "user_status": ("codes", "bits"),
    "sender_counts": ("used", "limit"),
}
"""The values of each choice that has a fixed set of them."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the API behaves where its documentation is silent. Raise ValueError for an unknown choice."""

    rows: str = "day"
    """A row per `day`, per `hour` of sending (GetTrackList only, and per day where events are booked on their own), or
    one `sum` of all."""
    rate_format: str = "31.42"
    """GetTrackList's rates: `31.42`, `31.42%` or `0.3142`."""
    largest_page: int = 1000
    calls_per_minute: int = 60
    """Of each operation by itself; the documentation lists quotas by operation. DescAccountSummary never has more than
    its documented 10."""
    retry_after: bool = False
    """Whether throttling responses have the time to wait."""
    strict_span: bool = False
    """Whether the days that StartTime may go back are counted to the second, and the delivery operation allows only the
    days that its page names (7 and 30) instead of the official SDK's (31 and 90)."""
    domain_filter: str = "exact"
    """The filter Domain: an `exact` match of the sender's domain, `ignored`, or its `subdomains` too."""
    no_dedicated_ips: str = ""
    """Empty: the account has dedicated IPs. Otherwise what a request gets that filters by Esp, DedicatedIp or
    DedicatedIpPoolId: an `error` (400 InvalidParameter, a made-up choice), an `empty` list, or the `whole`, because the
    filter is ignored."""
    clock_text: str = "china"
    """What the text of a CreateTime shows before its "Z": the time in `utc`, or that of `china`, as the documented
    examples do."""
    user_status: str = "codes"
    """UserStatus of an account in several states: the largest of the `codes`, or all of them as `bits`."""
    sender_counts: str = "used"
    """A sender's DailyCount and MonthCount: the mails `used` up, or the `limit` on them, as the documentation words it.
    DailyReqCount and MonthReqCount are the requested mails either way."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value not in CHOICES.get(each.name, (value,)):
                known = ", ".join(filter(None, CHOICES[each.name]))
                raise ValueError(f"{value!r} is not a value of {each.name}; write one of {known}")

    def clock(self, moment: float) -> str:
        """Return the text of a CreateTime; `moment` is in seconds since the epoch."""
        shown = datetime.fromtimestamp(moment, UTC) + (CHINA if self.clock_text == "china" else timedelta())
        return shown.strftime("%Y-%m-%dT%H:%MZ")
