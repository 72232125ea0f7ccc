"""Checks of clocks: this machine's, the one that the API writes its texts in, and how long responses take."""

from exporter.directmail.listing import OPERATIONS
from exporter.doctor.evidence import Evidence
from exporter.doctor.findings import NOTE, OK, PROBLEM, Finding
from exporter.doctor.wording import offset, span

CLOCK_NOTE, CLOCK_PROBLEM = 60.0, 900.0
"""Seconds. The API rejects requests that are more than 15 minutes off."""


def clock(evidence: Evidence) -> Finding:
    """Return whether this machine's clock agrees with the API's."""
    ahead = evidence.ahead
    if ahead is None:
        return Finding("clock", NOTE, "Unknown: the responses have no Date.")
    off = 0.0 if ahead[0] <= 0 <= ahead[1] else min(ahead, key=abs)
    if abs(off) < CLOCK_NOTE:
        return Finding("clock", OK, "This machine's clock agrees with the API's.")
    text = f"This machine's clock is {span(off)} {'ahead of' if off > 0 else 'behind'} the API's."
    fix = "Set the clock, for instance with NTP; the API rejects requests more than 15 minutes off."
    return Finding("clock", PROBLEM if abs(off) > CLOCK_PROBLEM else NOTE, text, fix)


def clock_text(evidence: Evidence) -> Finding | None:
    """Return what clock the texts of CreateTime show, by the domains' CreateTime beside their UtcCreateTime."""
    listed, clocks = evidence.account.domains, sorted(evidence.account.clocks)
    if evidence.account.requested_at is None:
        return None
    if listed is None:
        text = "The time zone of CreateTime is unknown: the domains, which have it in Unix seconds too, "
        fix = f"Allow dm:{OPERATIONS['domain'].action} (docs/ram-policy.md) and run the doctor again."
        return Finding("clock_text", NOTE, f"{text}were not listed.", fix)
    if not clocks:
        text = "The time zone of CreateTime is unknown: no domain has both it and UtcCreateTime."
        return Finding("clock_text", NOTE, text, "Nothing to do: the exporter does not use CreateTime.")
    if len(clocks) > 1:
        shown = " and ".join(offset(each / 3600) for each in clocks)
        text = f"CreateTime is in {shown}, depending on the domain."
        return Finding("clock_text", NOTE, text, "Nothing to do: the exporter does not use CreateTime.")
    text = 'CreateTime is in UTC, as its "Z" says.'
    if clocks[0]:
        text = f'CreateTime is in {offset(clocks[0] / 3600)}, although it ends in "Z".'
    return Finding("clock_text", OK, text)


def speed(evidence: Evidence) -> Finding:
    """Return whether answers come well within the timeout."""
    slowest, timeout = evidence.slowest, evidence.target.timeout
    if slowest <= timeout / 2:
        return Finding("speed", OK, f"The slowest response started after {slowest:.1f} s.")
    text = f"The slowest response started after {slowest:.1f} s; the target's timeout is {timeout:g} s."
    return Finding("speed", NOTE, text, "Raise the target's timeout, or check the network.")
