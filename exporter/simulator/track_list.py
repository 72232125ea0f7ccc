"""GetTrackList: its rows and its pages."""

from typing import Any

from exporter.clock import HOUR
from exporter.simulator.call import Call
from exporter.simulator.paging import corrupted, listed, whole
from exporter.simulator.statistics_request import FILTERS, ParsedRequest, Rules, read
from exporter.simulator.traffic import NO_EVENTS, Counts, added

RULES = Rules({**FILTERS, "ConfigSetId": "config_set_id"}, longest_span=7, oldest=30)
NUMBERS = (
    "TotalNumber",
    *("RcptOpenRate", "RcptUniqueOpenCount", "RcptUniqueOpenRate"),
    *("RcptClickCount", "RcptClickRate", "RcptUniqueClickCount", "RcptUniqueClickRate"),
)
"""The numbers of a row but for RcptOpenCount, which faults of counts hit."""


def respond(call: Call) -> dict[str, Any]:
    """Answer GetTrackList, corrupted by the call's fault. Raise ApiError."""
    fault = call.fault
    found = _rows(call, read(call, RULES))
    size = 5 if fault == "page_cap" else min(whole(call.parameters.get("PageSize"), 10), call.behaviour.largest_page)
    number = whole(call.parameters.get("PageNumber"), 1)
    if fault == "rows_added":
        found = found + [_row(call, call.now, Counts(1, 0, 0, 0, 0))] * number
    if fault == "empty":
        found = []
    shown = corrupted(found[(number - 1) * size : number * size], ("RcptOpenCount",), fault, NUMBERS)
    if shown and fault == "wrong_rates":
        shown[0] = {**shown[0], "RcptOpenRate": "271.83", "RcptUniqueClickRate": "314.16"}
    if shown and fault == "more_unique":
        more = {name: str(int(shown[0][f"Rcpt{name}Count"]) + 1) for name in ("Open", "Click")}
        shown[0] = {**shown[0], **{f"RcptUnique{name}Count": count for name, count in more.items()}}
    pages = -(-len(found) // size)
    return {
        "PageNo": number,
        "PageSize": size,
        "Total": len(found),
        "TotalPages": {"pages_up": pages + 3, "pages_down": 1}.get(fault, pages),
        **({} if fault == "no_data" else {"data": listed("stat", shown, fault)}),
    }


def _rows(call: Call, request: ParsedRequest) -> list[dict[str, str]]:
    """Return all rows of the response, the oldest first; what has no mail and no events has no row."""
    if request.filters is None:
        return []
    traffic = call.traffic
    hourly = call.behaviour.rows == "hour" and traffic.choices.attribution == "send"
    found: list[tuple[float, Counts]] = []
    for day in request.days():
        begin = traffic.day_start(day)
        if hourly:
            hours = traffic.hours(day, call.now, **request.filters)
            found += [(begin + hour * HOUR, counts) for hour, counts in enumerate(hours)]
        else:
            found.append((begin, traffic.counts(day, call.now, **request.filters)))
    if call.behaviour.rows == "sum":
        found = [(found[0][0], added(NO_EVENTS, (counts for _, counts in found)))]
    return [_row(call, created, counts) for created, counts in found if any(counts)]


def _row(call: Call, created: float, counts: Counts) -> dict[str, str]:
    """Return a row of `data.stat`; all its values are strings, as documented."""

    def rate(count: int) -> str:
        share = count / counts.emails if counts.emails else 0.0
        written = {"31.42": f"{share * 100:.2f}", "31.42%": f"{share * 100:.2f}%", "0.3142": f"{share:.4f}"}
        return written[call.behaviour.rate_format]

    return {
        "CreateTime": call.behaviour.clock(created),
        "TotalNumber": str(counts.emails),
        "RcptOpenCount": str(counts.opens),
        "RcptOpenRate": rate(counts.opens),
        "RcptUniqueOpenCount": str(counts.unique_opens),
        "RcptUniqueOpenRate": rate(counts.unique_opens),
        "RcptClickCount": str(counts.clicks),
        "RcptClickRate": rate(counts.clicks),
        "RcptUniqueClickCount": str(counts.unique_clicks),
        "RcptUniqueClickRate": rate(counts.unique_clicks),
    }
