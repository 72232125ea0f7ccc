"""Checks of time on the way: this machine's clock, and how long answers take."""

from exporter.doctor.evidence import Evidence
from exporter.doctor.findings import NOTE, OK, PROBLEM, Finding
from exporter.doctor.wording import span

CLOCK_NOTE, CLOCK_PROBLEM = 60.0, 900.0
"""Seconds. The API refuses requests that are more than 15 minutes off."""


def clock(known: Evidence) -> Finding:
    """Return whether this machine's clock agrees with the API's."""
    ahead = known.ahead
    if ahead is None:
        return Finding("clock", NOTE, "Cannot tell: the answers have no Date.")
    off = 0.0 if ahead[0] <= 0 <= ahead[1] else min(ahead, key=abs)
    if abs(off) < CLOCK_NOTE:
        return Finding("clock", OK, "This machine's clock agrees with the API's.")
    text = f"This machine's clock is {span(off)} {'ahead of' if off > 0 else 'behind'} the API's."
    mend = "Set the clock, for instance with NTP; the API refuses requests that are more than 15 minutes off."
    return Finding("clock", PROBLEM if abs(off) > CLOCK_PROBLEM else NOTE, text, mend)


def speed(known: Evidence) -> Finding:
    """Return whether answers come well within the timeout."""
    slowest, timeout = known.slowest, known.target.timeout
    if slowest <= timeout / 2:
        return Finding("speed", OK, f"The slowest answer began after {slowest:.1f} s.")
    text = f"The slowest answer began after {slowest:.1f} s; the target's timeout is {timeout:g} s."
    return Finding("speed", NOTE, text, "Raise the target's timeout, or look at the network.")
