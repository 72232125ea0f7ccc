"""Checks of the account itself: its state, quota and reputation, and the DNS records of its domains."""

from collections.abc import Iterator
from datetime import timedelta

from exporter.directmail import account
from exporter.directmail.listing import ListPage
from exporter.directmail.ram_policy import allowing
from exporter.doctor.evidence import Evidence
from exporter.doctor.findings import NOTE, OK, PROBLEM, Finding
from exporter.plan.calendar import day_end, day_start

USED_NOTE, USED_PROBLEM = 0.7, 0.95
"""Shares of a quota, the same as in DirectMailQuotaNearlyUsed."""
LOW = 0.5
"""The share of the highest reputation level below which a level is worth a note."""
_CHECKS = {
    "ownership": "Restore the TXT record that proves ownership: without it Direct Mail may reject the domain's mail.",
    "spf": "Restore the SPF record: without it providers reject the mail or treat it as spam.",
    "cname": "Restore the CNAME of the tracking domain: without it tracked links do not resolve, and no open or click "
    "is counted.",
    "dkim": "Restore the DKIM record: without it the mail's signature does not verify, and providers trust it less.",
    "dmarc": "Restore the DMARC record: large providers require one from bulk senders.",
    "mx": "Restore the MX record: without it bounces are not received.",
}
"""What to do about a check that fails, in the order of harm."""
_LIGHT = ("mx", "dmarc")
"""Checks without which mail is delivered and tracked."""


def _see(alert: str) -> str:
    """Return the link to an alert's runbook."""
    return f" More: {alert} in docs/runbooks.md."


def state(evidence: Evidence) -> Finding | None:
    """Return whether the account is frozen, overdue, restricted or deleted."""
    summary = evidence.account.summary
    if summary is None:
        return None
    if summary.states is None:
        if summary.unknown_status is None:
            return Finding("account", NOTE, "The account's state is unknown: the response has no UserStatus.")
        text = f"The account's state is unknown: UserStatus {summary.unknown_status} is not documented."
        return Finding("account", NOTE, text, account.UNKNOWN_ADVICE)
    found = [name for name in account.STATES if name in summary.states]
    if not found:
        *states, last = account.STATES
        return Finding("account", OK, f"The account is neither {', '.join(states)} nor {last}.")
    fix = " ".join(account.STATE_ADVICE[name] for name in found) + _see("DirectMailAccountRestricted")
    return Finding("account", PROBLEM, f"The account is {' and '.join(found)}: it may send no mail, or less.", fix)


def reputation(evidence: Evidence) -> Finding | None:
    """Return the account's reputation level."""
    summary = evidence.account.summary
    if summary is None or summary.reputation is None:
        return None
    level, highest = summary.reputation, summary.highest_reputation
    text = f"The account's reputation level is {level}" + (f" of {highest}." if highest is not None else ".")
    if highest is None or level >= LOW * highest:
        return Finding("reputation", OK, text)
    fix = "New accounts start low. If it fell, check invalid addresses and complaints; the quota may fall too."
    fix += _see("DirectMailReputationFell")
    return Finding("reputation", NOTE, text, fix)


def quota(evidence: Evidence) -> Finding | None:
    """Return how much of the daily and monthly quota is used, and whether it is nearly all."""
    summary, senders = evidence.account.summary, evidence.account.senders
    if summary is None:
        return None
    limits = {"daily": summary.daily_quota, "monthly": summary.monthly_quota}
    texts, level = [], OK
    for place, (name, limit) in enumerate(limits.items()):
        if limit is None:
            texts.append(f"The response has no {name} quota.")
            continue
        used, is_whole = _used(senders, place)
        if used is None:
            texts.append(f"The {name} quota is {limit} mails; the number used is unknown.")
            continue
        share, pace = (used / limit if limit else 1.0), used / max(_elapsed(evidence, place), 0.01)
        least = "" if is_whole else "at least "
        texts.append(f"{least}{share:.0%} of the {name} quota is used: {used} of {limit} mails.".capitalize())
        if share >= USED_PROBLEM:
            level = PROBLEM
        elif share >= USED_NOTE and pace > limit:
            texts.append(f"At this pace it is used up before the {('day', 'month')[place]} ends.")
            level = NOTE if level == OK else level
    fix = "Mail beyond the quota is rejected: stop or move campaigns, or have the quota raised."
    fix += _see("DirectMailQuotaNearlyUsed")
    return Finding("quota", level, " ".join(texts), fix if level != OK else "")


def domains(evidence: Evidence) -> Finding | None:
    """Return which checks of the sender domains fail; a domain that no sender uses is only a note."""
    listed = evidence.account.domains
    if listed is None:
        return None
    if not listed.items:
        return Finding(
            "domains", NOTE, "The account has no sender domain.", "Check the region: accounts are per region."
        )
    used = evidence.account.domains_in_use
    texts, failing, level = [], set[str](), OK
    for item in listed.items:
        checks = {
            **account.verified(item.facts, account.LISTED_CHECKS),
            **evidence.account.described.get(item.name, {}),
        }
        lost = [name for name in _CHECKS if checks.get(name) is False]
        if not lost:
            continue
        failing.update(lost)
        is_used = used is None or item.name.lower() in used
        texts.append(f"{item.name}{'' if is_used else ', which no sender uses'}: {', '.join(lost)} not verified")
        is_heavy = is_used and not set(lost) <= set(_LIGHT)
        level = PROBLEM if is_heavy or level == PROBLEM else NOTE
    if not texts:
        return Finding("domains", OK, f"{_named(listed)}: all checks pass{_not_described(evidence)}.")
    fix = " ".join(advice for name, advice in _CHECKS.items() if name in failing)
    text = f"{'. '.join(texts)}{_not_described(evidence)}."
    return Finding(
        "domains", level, text, f"{fix} The console shows the records.{_see('DirectMailDomainVerificationLost')}"
    )


def unread(evidence: Evidence) -> Finding | None:
    """Return what the key may not read of the account, where the config does not need it."""
    denied = list(evidence.account.denied)
    if not denied:
        return None
    wanted = denied + [account.DOMAIN] * (account.DOMAIN not in denied and evidence.account.domains is None)
    text = f"The key may not call {', '.join(denied)}. Not checked: {', '.join(_unknown(evidence))}."
    fix = f"Nothing to do if that is intended; otherwise allow this too (docs/ram-policy.md):\n{allowing(wanted)}"
    return Finding("account", NOTE, text, fix)


def _unknown(evidence: Evidence) -> Iterator[str]:
    """Yield what is not known of the account."""
    seen = evidence.account
    if seen.summary is None:
        yield "quota, reputation, state"
    if seen.senders is None:
        yield "the senders' mail"
    if seen.domains is None:
        yield "the domains"
    elif not seen.described:
        yield "DKIM and DMARC"


def _used(senders: ListPage | None, place: int) -> tuple[int | None, bool]:
    """Return the mails requested of all senders today (0) or this month (1), and whether no sender is missing."""
    if senders is None:
        return None, False
    counts = [account.usage(item.facts)[place] for item in senders.items]
    evidence = [count for count in counts if count is not None]
    is_whole = len(evidence) == len(counts) and senders.total in (None, len(counts))
    return (sum(evidence) if evidence or not counts else None), is_whole


def _elapsed(evidence: Evidence, place: int) -> float:
    """Return the part of the day (0) or of the month (1) that is over, in the target's zone."""
    zone, now = evidence.target.timezone, evidence.account.requested_at or evidence.began_at
    first = evidence.today if place == 0 else evidence.today.replace(day=1)
    last = evidence.today if place == 0 else (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    begin, end = day_start(first, zone), day_end(last, zone)
    return (min(max(now, begin), end) - begin) / (end - begin)


def _named(listed: ListPage) -> str:
    names = listed.names
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _not_described(evidence: Evidence) -> str:
    """Return for how many domains DKIM and DMARC were not read, in words; "" for none."""
    listed = evidence.account.domains.names if evidence.account.domains else []
    left = [name for name in listed if name not in evidence.account.described]
    return f"; DKIM and DMARC of {len(left)} not checked" if left else ""
