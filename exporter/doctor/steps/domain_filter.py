"""Requests that show whether the filter `domain` works: one domain, and each of its senders.

GetTrackList's documentation does not have the filter, only the official SDK does.
"""

from exporter.config.model import Target
from exporter.directmail.model import Filters
from exporter.doctor.calls import Calls
from exporter.doctor.checks.domain_filter import compared
from exporter.doctor.evidence import Evidence, domain_of
from exporter.doctor.findings import OK, PROBLEM, StatisticRequest
from exporter.doctor.steps.breakdowns import part_of
from exporter.plan.combinations import configured

MOST_SENDERS = 5
"""Senders of a domain; of more they cannot all be requested."""


def most_calls(target: Target) -> int:
    """Return how many requests this takes at most, 0 for a target without the filter."""
    is_used = any("domain" in query.keys for query in target.queries)
    return 2 + MOST_SENDERS if is_used else 0


async def compare(calls: Calls, evidence: Evidence) -> None:
    """Request a domain of the config and its senders, and say whether their sums agree."""
    domain, senders = _choose(evidence)
    if not domain or any(filters.domain for filters in evidence.rejected):
        return
    wanted = [Filters(domain=domain), *(Filters(account_name=sender) for sender in senders)]
    for filters in wanted[: 1 + MOST_SENDERS]:
        if filters not in evidence.parts and calls.left > 0:
            await part_of(calls, evidence, filters)
    found = compared(evidence, domain, senders)
    if found is not None and found.level == PROBLEM and calls.left > 0:  # mail may have been sent meanwhile
        again = await calls.request(StatisticRequest(evidence.statistic, *evidence.span, wanted[0]))
        found = compared(evidence, domain, senders, again)
    if found is not None and found.level == PROBLEM:  # then no number with this filter is right
        others, own = calls.findings[: calls.begun], calls.findings[calls.begun :]
        own = [each for each in own if (each.check, each.level) != ("filters", OK) or "domain=" not in each.text]
        calls.findings = [*others, *own]
    calls.findings += filter(None, [found])


def _choose(evidence: Evidence) -> tuple[str, list[str]]:
    """Return the domain with the fewest senders, and those; "" where the config requests no domain."""
    wanted = dict.fromkeys(each.filters.domain for each in evidence.plan.combinations if each.filters.domain)
    listed = evidence.account.senders.names if evidence.account.senders else []
    named = [each.filters.account_name for each in configured(evidence.target, evidence.statistic.name)]
    senders = dict.fromkeys(filter(None, (*listed, *named)))
    by_domain = {domain: [each for each in senders if domain_of(each) == domain.lower()] for domain in wanted}
    choice = min(by_domain, key=lambda domain: len(by_domain[domain]) or MOST_SENDERS + 1, default="")
    return choice, by_domain.get(choice, [])
