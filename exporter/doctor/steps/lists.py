"""Requests for the values that discovery needs."""

from exporter.directmail.listing import OPERATIONS, ListPage, is_usable
from exporter.doctor.calls import Calls
from exporter.doctor.evidence import Evidence
from exporter.doctor.findings import OK
from exporter.plan import selection


async def discovered(calls: Calls, evidence: Evidence) -> None:
    """Request one page of every operation that discovery needs: each has a permission of its own.

    What a page brings is planned with, as the exporter does: combinations that exist only then are requested too.
    """
    for key, page in (await _planned(calls, evidence)).items():
        count = len(page.names) if page.total is None else page.total
        calls.find("discovery", OK, f"{OPERATIONS[key].action} works: {count} values for {key}.")


async def planned(calls: Calls, evidence: Evidence) -> None:
    """Plan another statistic with what was listed for the first one."""
    await _planned(calls, evidence)


async def _planned(calls: Calls, evidence: Evidence) -> dict[str, ListPage]:
    """Return the lists that came, each requested once for all statistics, and plan with them."""
    pages = {key: await calls.values_of(key) for key in evidence.target.discovered}
    found = {key: page for key, page in pages.items() if page is not None}
    listed = {key: {name: evidence.began_at for name in page.names if is_usable(name)} for key, page in found.items()}
    plans = selection.plans(evidence.settings, {evidence.target.name: selection.Discovered(listed)})
    evidence.plan = next(each for each in plans if each.statistic == evidence.statistic.name)
    return found
