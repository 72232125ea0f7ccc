"""Requests for the values that discovery needs."""

from exporter.directmail.listing import OPERATIONS, is_usable
from exporter.doctor.calls import Calls
from exporter.doctor.evidence import Evidence
from exporter.doctor.findings import OK
from exporter.plan import selection


async def discovered(calls: Calls, known: Evidence) -> None:
    """Ask every operation that discovery needs for one page: each has a permission of its own.

    What a page brings is planned with, as the exporter does: shapes that it has only then are asked too.
    """
    listed = {}
    for key in known.target.discovered[: calls.left]:
        found = await calls.values_of(key)
        if found is not None:
            count = len(found.names) if found.total is None else found.total
            calls.find("discovery", OK, f"{OPERATIONS[key].action} answers: {count} values for {key}.")
            listed[key] = {name: known.began_at for name in found.names if is_usable(name)}
    plans = selection.plans(known.settings, {known.target.name: selection.Found(listed)})
    known.plan = next(each for each in plans if each.statistic == known.statistic.name)
