"""SenderStatisticsByTagNameAndBatchID: the outcome of the mail that was requested.

The operation does not know ConfigSetId. What it does with it is not documented: like any parameter that an operation
does not know, the simulator ignores it.
"""

from typing import Any

from exporter.simulator.call import Call
from exporter.simulator.delivery import NO_MAIL, Delivery
from exporter.simulator.paging import corrupted, listed
from exporter.simulator.statistics_request import FILTERS, ParsedRequest, Rules, read
from exporter.simulator.traffic import added

RULES = Rules(FILTERS, longest_span=31, oldest=90)
"""As the official SDK (1.11.1) describes the dates."""
STRICT_RULES = Rules(FILTERS, longest_span=7, oldest=30)
"""As the operation's page describes them."""


def respond(call: Call) -> dict[str, Any]:
    """Answer the request with all rows at once, corrupted by the call's fault. Raise ApiError."""
    found = _rows(call, read(call, STRICT_RULES if call.behaviour.strict_span else RULES))
    shown = corrupted(found, ("faildCount",), call.fault, ("requestCount", "successCount", "unavailableCount"))
    if shown and call.fault == "wrong_rates":
        shown[0] = {**shown[0], "succeededPercent": "271.83%", "unavailablePercent": "314.16%"}
    rest = {} if call.fault == "no_data" else {"data": listed("stat", shown, call.fault)}
    return {"TotalCount": len(found), **rest}


def _rows(call: Call, request: ParsedRequest) -> list[dict[str, str]]:
    """Return a row a day, the oldest first, or one sum; what has no mail has no row."""
    if request.filters is None:
        return []
    found = [(day, call.traffic.delivery(day, call.now, **request.filters)) for day in request.days()]
    if call.behaviour.rows == "sum":
        found = [(request.start, added(NO_MAIL, (delivery for _, delivery in found)))]
    return [_row(day.isoformat(), delivery) for day, delivery in found if delivery.requested]


def _row(day: str, delivery: Delivery) -> dict[str, str]:
    """Return a row of `data.stat`, its names and types as in the official SDK."""
    return {
        "CreateTime": day,
        "requestCount": str(delivery.requested),
        "successCount": str(delivery.delivered),
        "faildCount": str(delivery.failed),
        "unavailableCount": str(delivery.invalid),
        "succeededPercent": f"{delivery.delivered / delivery.requested:.2%}",
        "unavailablePercent": f"{delivery.invalid / delivery.requested:.2%}",
    }
