"""The vocabulary of the boards: queries, panels, and how they stand in the grid.

Keys are those of Grafana's dashboard JSON, in the form that 9.4 to 12 read. A panel has no id and no place until
`grid` lays it out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
"""Columns of Grafana's grid."""

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "text"
PROVIDERS = {
    "gmail.com": "#F2495C",
    "yahoo.com": "#B877D9",
    "outlook.com": "#5794F2",
    "icloud.com": "#2CB5AD",
    "others": "#CCA300",
}
"""The same colour for the same provider in every panel."""
Steps = Sequence[tuple[float | None, str]]
"""Thresholds from the lowest: the value at which a colour begins, None for everything below the others."""


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL and the name of its series."""

    expr: str
    legend: str = ""
    instant: bool = False
    format: str = "time_series"


@dataclass(frozen=True, slots=True)
class Line:
    """Panels side by side."""

    height: int
    panels: Sequence[Json]
    widths: Sequence[int] = ()
    """None given: equal ones."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the board. Without a title it stands above the first one."""

    title: str
    lines: Sequence[Line]
    collapsed: bool = False


def targets(queries: Iterable[Query]) -> list[Json]:
    """Return queries as a panel's targets, refIds from A."""
    return [
        {
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": query.expr,
            "format": query.format,
            "instant": query.instant,
            "legendFormat": query.legend,
            "range": not query.instant,
            "refId": chr(ord("A") + index),
        }
        for index, query in enumerate(queries)
    ]


def thresholds(steps: Steps) -> Json:
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in steps]}


def override(name: str, **properties: Any) -> Json:
    """Return what is special about the field or series with that name; `__` stands for the dot of a key."""
    return _override("byName", name, properties)


def fixed(colors: Mapping[str, str]) -> list[Json]:
    """Return overrides that give series their colours, by name."""
    return [override(name, color={"mode": "fixed", "fixedColor": color}) for name, color in colors.items()]


def dashed(ref: str, **properties: Any) -> Json:
    """Return what makes the series of a query dashed."""
    return _override("byFrameRefID", ref, {"custom__lineStyle": {"fill": "dash", "dash": [8, 6]}, **properties})


def _override(matcher: str, what: str, properties: Mapping[str, Any]) -> Json:
    return {
        "matcher": {"id": matcher, "options": what},
        "properties": [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()],
    }


def _panel(kind: str, title: str, description: str, queries: Iterable[Query], **more: Any) -> Json:
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "targets": targets(queries),
        **more,
    }


def stat(
    title: str,
    description: str,
    unit: str,
    queries: Sequence[Query],
    steps: Steps = ((None, BLUE),),
    *,
    decimals: int | None = None,
    sparkline: bool = True,
    mappings: Sequence[Json] = (),
    overrides: Sequence[Json] = (),
    text: str = "auto",
) -> Json:
    """Return a panel of large numbers, each with the line of its past behind it."""
    defaults: Json = {"unit": unit, "thresholds": thresholds(steps), "color": {"mode": "thresholds"}}
    if decimals is not None:
        defaults["decimals"] = decimals
    if mappings:
        defaults["mappings"] = list(mappings)
    return _panel(
        *("stat", title, description, queries),
        fieldConfig={"defaults": defaults, "overrides": list(overrides)},
        options={
            "colorMode": "value",
            "graphMode": "area" if sparkline else "none",
            "justifyMode": "auto",
            "orientation": "vertical",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": text,
        },
    )


def lines(
    title: str,
    description: str,
    unit: str,
    queries: Sequence[Query],
    *,
    steps: Steps = (),
    bars: bool = False,
    low: float | None = 0,
    decimals: int | None = None,
    step: str = "",
    worst_first: bool = False,
    below: bool = False,
    overrides: Sequence[Json] = (),
    repeat: str = "",
) -> Json:
    """Return a panel of lines without fill; thresholds are dashed lines; the legend is sorted by the last value.

    `bars` stacks hours instead. `step` is the least time between two points. `below` is where a short legend stands in
    one line. `repeat` makes one panel for each value of a variable.
    """
    custom: Json = {
        "drawStyle": "bars" if bars else "line",
        "fillOpacity": 80 if bars else 0,
        "lineInterpolation": "linear",
        "lineWidth": 0 if bars else 2,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if bars else "none"},
        "thresholdsStyle": {"mode": "dashed" if steps else "off"},
    }
    defaults: Json = {"unit": unit, "custom": custom, "color": {"mode": "palette-classic"}}
    defaults["thresholds"] = thresholds(steps or ((None, GREEN),))
    if low is not None:
        defaults["min"] = low
    if decimals is not None:
        defaults["decimals"] = decimals
    more: Json = {"interval": step} if step else {}
    if repeat:
        more |= {"repeat": repeat, "repeatDirection": "h", "maxPerRow": 3}
    return _panel(
        *("timeseries", title, description, queries),
        fieldConfig={"defaults": defaults, "overrides": list(overrides)},
        options={
            "legend": {
                "calcs": ["lastNotNull"],
                "displayMode": "list" if below else "table",
                "placement": "bottom" if below else "right",
                "showLegend": True,
                "sortBy": "Last *",
                "sortDesc": not worst_first,
            },
            "tooltip": {"mode": "multi", "sort": "asc" if worst_first else "desc"},
        },
        **more,
    )


def table(title: str, description: str, columns: Mapping[str, str], overrides: Sequence[Json]) -> Json:
    """Return a table: one line for each value of the expressions' label, one column for each expression."""
    names = {f"Value #{chr(ord('A') + index)}": name for index, name in enumerate(columns)}
    return _panel(
        *("table", title, description, [Query(expr, instant=True, format="table") for expr in columns.values()]),
        fieldConfig={
            "defaults": {
                "unit": "short",
                "custom": {"align": "auto", "minWidth": 130},
                "thresholds": thresholds(((None, GREY),)),
            },
            "overrides": list(overrides),
        },
        options={
            "cellHeight": "sm",
            "footer": {"show": False},
            "showHeader": True,
            "sortBy": [{"displayName": next(iter(columns)), "desc": True}],
        },
        transformations=[
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": names}},
        ],
    )


def heatmap(title: str, description: str, unit: str, query: Query) -> Json:
    """Return the buckets of a histogram over time, the smallest at the bottom."""
    return _panel(
        *("heatmap", title, description, [query]),
        fieldConfig={"defaults": {}, "overrides": []},
        options={
            "calculate": False,
            "cellGap": 1,
            "color": {"exponent": 0.5, "fill": "dark-orange", "mode": "scheme", "scheme": "Blues", "steps": 64},
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "rowsFrame": {"layout": "auto"},
            "showValue": "never",
            "tooltip": {"mode": "single", "show": True, "yHistogram": True},
            "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
        },
    )


def timeline(title: str, description: str, queries: Sequence[Query], steps: Steps, mappings: Sequence[Json]) -> Json:
    """Return bands of states over time."""
    return _panel(
        *("state-timeline", title, description, queries),
        fieldConfig={
            "defaults": {
                "unit": "none",
                "color": {"mode": "thresholds"},
                "custom": {"fillOpacity": 80, "lineWidth": 0},
                "mappings": list(mappings),
                "thresholds": thresholds(steps),
            },
            "overrides": [],
        },
        options={
            "alignValue": "left",
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "mergeValues": True,
            "rowHeight": 0.8,
            "showValue": "never",
            "tooltip": {"mode": "single", "sort": "none"},
        },
    )


def states(names: Mapping[str, tuple[str, str]]) -> list[Json]:
    """Return a mapping from values to (text, colour)."""
    options = {
        value: {"text": text, "color": color, "index": at} for at, (value, (text, color)) in enumerate(names.items())
    }
    return [{"type": "value", "options": options}]


def note(text: str, title: str = "") -> Json:
    """Return a panel of Markdown."""
    return {
        "type": "text",
        "title": title,
        "transparent": not title,
        "options": {"code": {"language": "plaintext", "showLineNumbers": False}, "content": text, "mode": "markdown"},
    }


def alerts() -> Json:
    """Return the list of our alerts that fire or are about to."""
    return {
        "type": "alertlist",
        "title": "Firing and pending alerts",
        "description": "Alerts of the Direct Mail rules, of every exporter that the data sources know.",
        "options": {
            "alertInstanceLabelFilter": "",
            "alertName": "DirectMail",
            "dashboardAlerts": False,
            "groupBy": [],
            "groupMode": "default",
            "maxItems": 20,
            "sortOrder": 3,
            "stateFilter": {"error": True, "firing": True, "noData": False, "normal": False, "pending": True},
            "viewMode": "list",
        },
    }


def grid(rows: Iterable[Row]) -> list[Json]:
    """Return the panels of a board with their ids and places; those of a collapsed row stand inside it."""
    placed: list[Json] = []
    number = y = 0
    for row in rows:
        if row.title:
            head: Json = {"type": "row", "title": row.title, "collapsed": row.collapsed, "panels": []}
            number += 1
            placed.append({"id": number, **head, "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}})
            y += 1
        inside = placed[-1]["panels"] if row.collapsed else placed
        below = y
        for line in row.lines:
            x = 0
            widths = line.widths or [WIDTH // len(line.panels)] * len(line.panels)
            for width, panel in zip(widths, line.panels, strict=True):
                number += 1
                inside.append({"id": number, **panel, "gridPos": {"x": x, "y": below, "w": width, "h": line.height}})
                x += width
            below += line.height
        if not row.collapsed:
            y = below
    return placed
