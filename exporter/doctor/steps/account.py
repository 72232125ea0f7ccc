"""Requests about the account itself: its domains, its quota and state, its senders' mail of the day."""

from exporter.directmail import account
from exporter.directmail.listing import domain_id
from exporter.doctor.calls import Calls
from exporter.doctor.evidence import Evidence

MOST_DESCRIBED = 3
"""Domains whose DKIM and DMARC are checked: each takes a call."""
MOST_CALLS = 3 + MOST_DESCRIBED
"""Requests of all steps here."""


async def domains(calls: Calls, evidence: Evidence) -> None:
    """List the sender domains, which also show the time zone of CreateTime."""
    evidence.account.requested_at = evidence.began_at
    evidence.account.domains = await calls.values_of("domain")


async def summary(calls: Calls, evidence: Evidence) -> None:
    """Request quota, reputation and state."""
    evidence.account.summary = await calls.read(account.SUMMARY, {}, account.summary)


async def senders(calls: Calls, evidence: Evidence) -> None:
    """List the senders, with the mails requested of each."""
    evidence.account.senders = await calls.values_of("account_name")


async def descriptions(calls: Calls, evidence: Evidence) -> None:
    """Request what the list of domains lacks: DKIM and DMARC, of domains with senders first."""
    listed = evidence.account.domains.items if evidence.account.domains else []
    sending = evidence.account.domains_in_use
    by_use = sorted(listed, key=lambda item: sending is not None and item.name not in sending)
    for item in by_use[:MOST_DESCRIBED]:
        number = domain_id(item.facts)
        if not number or account.DOMAIN in calls.denied:
            continue
        checks = await calls.read(account.DOMAIN, {account.DOMAIN_ID: number}, account.described)
        if checks is not None:
            evidence.account.described[item.name] = checks
