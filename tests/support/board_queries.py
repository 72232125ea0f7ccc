"""The dashboards' queries, sent to a real Prometheus as Grafana sends them."""

import math
import time
from collections.abc import Iterator, Mapping

from tests.support.boards import Json, Query, expanded, variables
from tools.stack.prometheus import Prometheus

SPANS = {"now-7d": 7 * 86_400.0, "now-6h": 6 * 3600.0}
POINTS = 200
"""What Grafana requests in a panel, about."""
USUAL_STEP = 15.0
"""Seconds: the scrape interval of a data source where nobody set it. `$__rate_interval` is four on a wide screen."""
ALL = ".+"
"""What Grafana puts in for a variable at All."""


def chosen(board: Json) -> dict[str, str]:
    """Return the values that the board's variables have when it is opened."""
    values = {name: ALL for name, each in variables(board).items() if each.get("multi")}
    return {**values, **{name: each["current"]["value"] for name, each in variables(board).items() if name == "window"}}


def seconds(span: str) -> float:
    """Return the seconds of a panel's or a target's least step."""
    return float(span[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[span[-1]]


async def result(
    server: Prometheus, board: Json, query: Query, values: Mapping[str, str], at: float | None = None
) -> list[Json]:
    """Return the series that Grafana would get for a query of a panel now or at a moment, those with a number in them.

    Grafana's last point is up to a step ago. Here it is now, when there is what only the live exporter has.
    """
    now, span = time.time() if at is None else at, SPANS[board["time"]["from"]]
    target = next(each for each in query.panel["targets"] if each["refId"] == query.ref)
    scrapes = seconds(target["interval"]) if "interval" in target else USUAL_STEP
    step = max(span / POINTS, scrapes, seconds(query.panel.get("interval", "1s")))
    expr = expanded(query.expr, {"__rate_interval": f"{4 * scrapes:.0f}s", **values})
    if query.instant:
        found = await server.query(expr, now)
    else:
        found = await server.query_range(expr, now - span // step * step, now, step)
    return [
        series
        for series in found
        if any(math.isfinite(float(value)) for _, value in series.get("values") or [series["value"]])
    ]


def numbers(series: Json) -> Iterator[float]:
    """Yield the finite values of a series."""
    for _, value in series.get("values") or [series["value"]]:
        if math.isfinite(float(value)):
            yield float(value)
