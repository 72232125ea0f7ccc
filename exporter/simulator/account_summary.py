"""DescAccountSummary and QueryMailAddressByParam: quota, reputation and state of the account, and its senders.

All of them follow the mail: a sender's count of today is what it requested since midnight in the account's zone, and
the senders' counts add up to what the account has used of its quota.

A frozen account sends nothing, but its calls still work and its summary says what it is. Whether the real API rejects
the calls of such an account (`User.*`) is not documented.
"""

import math
from collections.abc import Sequence
from datetime import date, timedelta
from functools import reduce
from operator import or_
from typing import Any

from exporter.simulator import account
from exporter.simulator.account import STREAMS, domain_of
from exporter.simulator.call import Call
from exporter.simulator.domains import OPENED, id_of, unverified
from exporter.simulator.incidents import Incident, active
from exporter.simulator.list_operations import matching
from exporter.simulator.paging import flat, numbered

COUNTS = ("DailyCount", "DailyReqCount", "MonthCount", "MonthReqCount")
TRIGGERED = frozenset(stream.sender for stream in STREAMS if stream.kind == "steady")
"""The senders of mail that somebody's action triggers; the others send batches."""


def summary(call: Call) -> dict[str, Any]:
    """Answer DescAccountSummary; its fields are integers, as documented."""
    days = _month(call)
    daily_quota, monthly_quota = _quotas(call)
    level = account.QUOTA_LEVEL * math.prod(each.factor for each in _active(call, "reputation_fell"))
    fields: dict[str, Any] = {
        "DailyQuota": daily_quota,
        "MonthQuota": monthly_quota,
        "DailyRemainFreeQuota": max(0, account.DAILY_FREE - _requested(call, days[-1:])),
        "RemainFreeQuota": max(0, account.FREE - _requested(call, days)),
        "QuotaLevel": min(int(level), account.MAX_QUOTA_LEVEL),
        "MaxQuotaLevel": account.MAX_QUOTA_LEVEL,
        "UserStatus": _user_status(call),
        "EnableTimes": 0,
        "IpChannelType": "normal",
        "Domains": len(call.inventory.domains),
        "MailAddresses": len(call.senders),
        "Tags": len(call.inventory.tags),
        "Templates": 12,
        **dict.fromkeys(("Receivers", "DayuStatus", "SmsRecord", "SmsSign", "SmsTemplates"), 0),
    }
    return flat(fields, ("DailyQuota", "RemainFreeQuota", "QuotaLevel"), call.fault)


def senders(call: Call) -> dict[str, Any]:
    """Answer QueryMailAddressByParam."""
    found = [
        name
        for name in matching(call, "KeyWord", call.senders)
        if call.parameters.get("Sendtype", "") in ("", _send_type(name))
    ]
    return numbered(call, "mailAddress", found, lambda name: _sender(call, name), COUNTS)


def _sender(call: Call, name: str) -> dict[str, str]:
    """Return one item of the list of senders; all its fields are strings, as documented."""
    days = _month(call)
    of_day, of_month = (_requested(call, some, sender=name) for some in (days[-1:], days))
    is_limit = call.behaviour.sender_counts == "limit"
    return {
        "AccountName": name,
        "AccountStatus": "1" if _active(call, "account_frozen") else "0",
        "CreateTime": call.behaviour.clock(OPENED + int(id_of(name))),
        "DailyCount": str(account.DAILY_QUOTA if is_limit else of_day),
        "DailyReqCount": str(of_day),
        "DomainStatus": "1" if "ownership" in unverified(call, domain_of(name)) else "0",
        "MailAddressId": id_of(name),
        "MonthCount": str(account.MONTHLY_QUOTA if is_limit else of_month),
        "MonthReqCount": str(of_month),
        "ReplyAddress": "",
        "ReplyStatus": "0",
        "Sendtype": _send_type(name),
    }


def _send_type(sender: str) -> str:
    return "trigger" if sender in TRIGGERED else "batch"


def _active(call: Call, name: str) -> Sequence[Incident]:
    return active(call.traffic.incidents, name, call.now)


def _month(call: Call, last: date | None = None) -> list[date]:
    """Return the days of a month up to a day, today unless another one is given."""
    last = last or call.traffic.today(call.now)
    return [last.replace(day=number) for number in range(1, last.day + 1)]


def _requested(call: Call, days: Sequence[date], at: float | None = None, **filters: str) -> int:
    """Return the mails requested on some days up to now, or up to another moment."""
    moment = call.now if at is None else at
    return sum(call.traffic.delivery(day, moment, **filters).requested for day in days)


def _quotas(call: Call) -> tuple[int, int]:
    """Return the mails that the account may send a day and a month.

    Where a quota is to be used up, it is set by the mail of the day on which that incident begins.
    """
    daily, monthly = account.DAILY_QUOTA, account.MONTHLY_QUOTA
    for incident in _active(call, "quota_used"):
        days = _month(call, call.traffic.today(incident.start))
        end = call.traffic.day_start(days[-1] + timedelta(days=1))
        daily, monthly = (
            math.ceil(_requested(call, some, end) / max(incident.factor, 0.01)) for some in (days[-1:], days)
        )
    return daily, monthly


def _user_status(call: Call) -> int:
    """Return the state of the account; a state is the factor of its incident: 1 frozen, 2 overdue, 4, 8."""
    states = reduce(or_, (int(each.factor) for each in _active(call, "account_frozen")), 0)
    return states if call.behaviour.user_status == "bits" or not states else 1 << states.bit_length() - 1
