"""Rules for mistakes that appeared in Grafana's front-end and that no schema detects."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any

import promql_parser

from tests.support.boards import Json, Query, matchers, nodes, panels, parse, queries, selectors, variables
from tests.support.title_width import room, text_width

Rule = Callable[[Json], Iterator[str]]

PAGE = 1200
"""Pixels: the narrowest page on which a title is read whole."""
LONGEST = {"$account_name": "no-reply@notify.example.com", "$window": "yesterday"}
LEAST_STAT, LEAST_ALERTS = 4, 6
ONE_MARK = re.compile(r"max_over_time\((\w+\{.*\})\[\$__interval\] offset -\$__interval\) \* 1000")
LEAST_DIFFERENCE = 30.0
"""Of two colours, in CIELAB: 18 and 21 could not be distinguished in thin lines."""
WRONG = {
    *("throttled", "auth", "permission", "server", "network", "timeout"),
    *("failing", "stale", "failed", "invalid"),
}
"""Series that may be red or orange."""
OF_NO_ALERT = {"datasource", "query", "window"}
"""Variables whose values are not labels of an alert."""


def findings(board: Json) -> list[str]:
    """Return what the rules say against a board."""
    return [f"{name}: {finding}" for name, rule in RULES.items() for finding in rule(board)]


def _requesting(board: Json) -> Iterator[Json]:
    return (panel for panel in panels(board) if panel.get("targets"))


def _instant(board: Json) -> Iterator[str]:
    for panel in _requesting(board):
        for target in panel["targets"] if panel["type"] in ("stat", "bargauge") else ():
            if (target["instant"], target["range"]) != (True, False):
                yield f"{panel['title']} {target['refId']} is up to a step old"
        if panel["type"] == "stat" and panel["options"]["graphMode"] != "none":
            yield f"{panel['title']} draws a line through numbers of different scales"


def _one_mark(board: Json) -> Iterator[str]:
    for each in board["annotations"]["list"]:
        if "expr" in each and (each.get("useValueForTime") != "on" or not ONE_MARK.fullmatch(each["expr"])):
            yield f"{each['name']} marks every point of a series, not one moment"


def _rate_step(board: Json) -> Iterator[str]:
    for panel in _requesting(board):
        for target in panel["targets"]:
            if "$__rate_interval" in target["expr"] and target.get("interval") != "1m":
                yield f"{panel['title']} {target['refId']} has no data where Prometheus scrapes every minute"


def _alerts(board: Json) -> Iterator[str]:
    for panel in panels(board):
        if panel["type"] == "alertlist":
            yield f"{panel['title']} shows neither sender nor provider"
        if panel["type"] == "table" and "ALERTS{" in json.dumps(panel["targets"]):
            (target,) = panel["targets"]
            if not target["instant"] or '"DirectMail(.*)"' not in target["expr"]:
                yield f"{panel['title']} is a step old or shows the prefix of every name"
            if panel["gridPos"]["h"] < LEAST_ALERTS:
                yield f"{panel['title']} shows too few lines"


def _legends(board: Json) -> Iterator[str]:
    for panel in _requesting(board):
        legend = panel["options"].get("legend", {})
        if panel["type"] in ("timeseries", "state-timeline") and (
            (legend["displayMode"], legend["placement"]) != ("list", "bottom")
        ):
            yield f"{panel['title']} has a legend that takes a part of the plot's width"


def _hours(board: Json) -> Iterator[str]:
    for query in _lines(board):
        for selector, above in selectors(query.expr):
            span = next(
                (node.range.total_seconds() for node in above if isinstance(node, promql_parser.MatrixSelector)), 0
            )
            if "_observed_" in selector.name and span < 2 * 3600:
                yield f"{query.panel['title']} {query.ref} draws the teeth of a sender with little mail"


def _lines(board: Json) -> Iterator[Query]:
    for query in queries(board):
        custom = query.panel["fieldConfig"]["defaults"].get("custom", {})
        if query.panel["type"] == "timeseries" and custom["drawStyle"] == "line":
            yield query


def _axes(board: Json) -> Iterator[str]:
    for panel in _requesting(board):
        defaults = panel["fieldConfig"]["defaults"]
        if panel["type"] == "timeseries":
            if not ("max" in defaults or defaults["custom"].get("axisSoftMax", 0) > 0):
                yield f"{panel['title']} has an axis to 10000 % where all is zero"
            if not ("min" in defaults or "axisSoftMin" in defaults["custom"]):
                yield f"{panel['title']} has an axis that begins anywhere"


def _decimals(board: Json) -> Iterator[str]:
    for panel in _requesting(board):
        config = panel["fieldConfig"]
        properties = [each for override in config["overrides"] for each in override["properties"]]
        found = [
            config["defaults"].get("decimals"),
            *(each["value"] for each in properties if each["id"] == "decimals"),
        ]
        if 0 in found:
            yield f"{panel['title']} would write the same number at two lines of its axis"


def _steps(board: Json) -> Iterator[str]:
    for panel in _requesting(board):
        if panel["type"] == "state-timeline" and len(panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) != 1:
            yield f"{panel['title']} has a legend of steps, not of states"


def _sizes(board: Json) -> Iterator[str]:
    for panel in _requesting(board):
        width, title = panel["gridPos"]["w"], panel["title"]
        if panel["type"] == "stat" and width < LEAST_STAT:
            yield f"{title} is too narrow"
        if "repeat" in panel:
            width //= panel["maxPerRow"]
        for name, value in LONGEST.items():
            title = title.replace(name, value)
        if text_width(title) > room(width, PAGE):
            yield f"{title} is cut: {text_width(title):.0f} px in {room(width, PAGE):.0f}"


def _last(board: Json) -> Iterator[str]:
    for panel in _requesting(board):
        if "lastNotNull" in json.dumps(panel):
            yield f"{panel['title']} shows a value of last week for what is absent"
        if any("vector(0)" in target["expr"] for target in panel["targets"]):
            yield f"{panel['title']} shows 0 for what is absent"


OF_ALERTS = {"no rules loaded", "no alerts"}
"""What is known of alerts where there are none."""


def _nothing(board: Json) -> Iterator[str]:
    for panel in _requesting(board):
        said = panel["fieldConfig"]["defaults"].get("noValue", "")
        if not said.startswith("no data yet") and said not in OF_ALERTS:
            yield f"{panel['title']} says {said!r} where nothing is known"


def _divisors(board: Json) -> Iterator[str]:
    for query in queries(board):
        for node, _ in nodes(parse(query.expr)):
            if isinstance(node, promql_parser.BinaryExpr) and str(node.op) == "/" and not _is_never_0(node.rhs):
                yield f"{query.panel['title']} {query.ref} shows NaN where there is nothing to divide by"
        if "histogram_quantile(" in query.expr and not query.expr.endswith(">= 0"):
            yield f"{query.panel['title']} {query.ref} shows NaN where nothing happened"


def _is_never_0(node: Any) -> bool:
    """Return whether an expression has no value instead of 0: compared, counted, a number, or a past's mean."""
    while isinstance(node, promql_parser.ParenExpr):
        node = node.expr
    if isinstance(node, promql_parser.BinaryExpr):
        is_mean = isinstance(node.lhs, promql_parser.Call) and node.lhs.func.name == "avg_over_time"
        return str(node.op) in (">", ">=") or is_mean
    return isinstance(node, promql_parser.NumberLiteral) or str(node).startswith("count(")


def _follows(board: Json) -> Iterator[str]:
    known = set(variables(board)) - {"datasource"}
    for query in queries(board):
        title = re.findall(r"\$(\w+)", query.panel["title"])
        shown = {*query.legend_labels, *title, *_grouped(query.expr), *_narrowed(query.expr)} & known - {"window"}
        for label in sorted(shown):
            chosen = {("=~", f"${label}"), ("=~", f"${label}|")}
            if not any(chosen & set(matchers(selector).get(label, ())) for selector, _ in selectors(query.expr)):
                yield f"{query.panel['title']} {query.ref} shows {label} and does not follow it"
    for panel in _requesting(board):
        if ("$window" in panel["title"]) and not any("$window" in target["expr"] for target in panel["targets"]):
            yield f"{panel['title']} does not follow the window"


def _alerts_follow(board: Json) -> Iterator[str]:
    requested = [(query.panel["title"], query.expr) for query in queries(board)]
    requested += [(each["name"], each["expr"]) for each in board["annotations"]["list"] if "expr" in each]
    labels = set(variables(board)) - OF_NO_ALERT
    for title, expr in requested:
        for selector, _ in selectors(expr):
            if selector.name in ("ALERTS", "ALERTS_FOR_STATE"):
                found = matchers(selector)
                for label in sorted(label for label in labels if ("=~", f"${label}|") not in found.get(label, ())):
                    yield f"{title} shows alerts that {label} does not choose"


def _grouped(expr: str) -> set[str]:
    """Return the labels that the outermost sum of an expression is by."""
    tree = parse(expr)
    while not isinstance(tree, promql_parser.AggregateExpr):
        below = getattr(tree, "lhs", None) or getattr(tree, "expr", None)
        if below is None:
            return set()
        tree = below
    modifier = tree.modifier
    return set(modifier.labels) if modifier is not None else set()


def _narrowed(expr: str) -> set[str]:
    """Return the labels that must have a value."""
    return {label for each, _ in selectors(expr) for label, found in matchers(each).items() if ("!=", "") in found}


def _links(board: Json) -> Iterator[str]:
    for panel in _requesting(board):
        for override in panel["fieldConfig"]["overrides"]:
            for link in (link for each in override["properties"] if each["id"] == "links" for link in each["value"]):
                kept = {*re.findall(r"\$\{(\w+):queryparam\}", link["url"]), *re.findall(r"var-(\w+)=", link["url"])}
                lost = set(variables(board)) - kept - {"datasource"}
                if lost - ({"tag_name"} if "var-account_name=" in link["url"] else set()):
                    yield f"{panel['title']} has a link that forgets {sorted(lost)}"


UNKNOWN = {"account_name", "domain", "instance", "tag_name", "target"}
"""Labels whose values are unknown beforehand: Grafana colours them by its palette, which has orange and red."""


def _colours(board: Json) -> Iterator[str]:
    for panel in _requesting(board):
        colours = _fixed(panel)
        for one, other in combinations(colours, 2):
            if difference(colours[one], colours[other]) < LEAST_DIFFERENCE:
                yield f"{panel['title']}: {one} and {other} look the same"
        for name, colour in colours.items():
            if is_alarming(colour) and name not in WRONG:
                yield f"{panel['title']}: {name} looks wrong and is not"


def _own_colours(board: Json) -> Iterator[str]:
    for panel in _requesting(board):
        if panel["type"] != "timeseries":
            continue
        coloured = _fixed(panel)
        for target in panel["targets"]:
            legend = target["legendFormat"]
            name = ".+".join(map(re.escape, re.split(r"\{\{\w+\}\}", legend)))
            if UNKNOWN.isdisjoint(re.findall(r"\{\{(\w+)\}\}", legend)) and not any(
                re.fullmatch(name, each) for each in coloured
            ):
                yield f"{panel['title']} {target['refId']} has no colour of its own"


def _fixed(panel: Json) -> Mapping[str, str]:
    return {
        override["matcher"]["options"]: each["value"]["fixedColor"]
        for override in panel["fieldConfig"]["overrides"]
        for each in override["properties"]
        if each["id"] == "color"
    }


def difference(one: str, other: str) -> float:
    """Return how far two colours (`#RRGGBB`) are apart for the eye: the distance in CIELAB (CIE 1976)."""
    return math.dist(_lab(one), _lab(other))


def is_alarming(colour: str) -> bool:
    """Return whether a colour is red or orange: strong, and of a hue between 340 and 42 degrees."""
    red, green, blue = _parts(colour)
    high, low = max(red, green, blue), min(red, green, blue)
    if high - low < 0.25 or high != red:
        return False
    hue = 60 * (green - blue) / (high - low)
    return -20 <= hue <= 42


def _parts(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def _lab(colour: str) -> tuple[float, float, float]:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in _parts(colour))
    x, y, z = (
        _cube_root(part)
        for part in (
            (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047,
            0.2126 * red + 0.7152 * green + 0.0722 * blue,
            (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883,
        )
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _cube_root(part: float) -> float:
    return float(part ** (1 / 3)) if part > 0.008856 else 7.787 * part + 16 / 116


RULES: dict[str, Rule] = {
    "stats-are-of-now": _instant,
    "annotations-mark-moments": _one_mark,
    "rates-have-a-step": _rate_step,
    "alerts-say-who": _alerts,
    "legends-are-below": _legends,
    "hours-are-smooth": _hours,
    "axes-have-bounds": _axes,
    "numbers-are-not-cut": _decimals,
    "timelines-have-one-step": _steps,
    "titles-fit": _sizes,
    "absent-is-absent": _last,
    "nothing-is-explained": _nothing,
    "nothing-is-divided-by-0": _divisors,
    "filters-are-followed": _follows,
    "alerts-follow-too": _alerts_follow,
    "links-keep-what-is-chosen": _links,
    "colours-differ": _colours,
    "colours-are-ours": _own_colours,
}
