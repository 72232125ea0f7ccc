"""The vocabulary of the boards: queries, panels, and how they are placed in the grid.

Keys are those of Grafana's dashboard JSON, in the form that 9.4 to 12 read. A panel has no id and no place until
`grid` lays it out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Json = dict[str, Any]

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
"""Columns of Grafana's grid."""

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "text"
PROVIDERS = {
    "gmail.com": "#73BF69",
    "yahoo.com": "#B877D9",
    "outlook.com": "#5794F2",
    "icloud.com": "#2CB5AD",
    "others": "#F2CC0C",
}
"""The same colour for the same provider in every panel. Red and orange are for what is wrong."""
NOTHING = "no data yet"
"""What a panel shows that has no series."""
SOFT_HIGH = {"percentunit": 0.3}
"""What an axis shows at least, by unit; of counts 1. Without it a panel of zeros has an axis to 10000 %."""
Steps = Sequence[tuple[float | None, str]]
"""Thresholds from the lowest: the value at which a colour begins, None for everything below the others."""
AGE: Steps = ((None, GREEN), (900, YELLOW), (3600, RED))


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL and the name of its series."""

    expr: str
    legend: str = ""
    instant: bool = False
    format: str = "time_series"

    @property
    def least_step(self) -> dict[str, str]:
        """The least step of a rate: `$__rate_interval` is four of it, whatever the data source says."""
        return {"interval": "1m"} if "$__rate_interval" in self.expr else {}


@dataclass(frozen=True, slots=True)
class Line:
    """Panels side by side."""

    height: int
    panels: Sequence[Json]
    widths: Sequence[int] = ()
    """None given: equal ones."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the board, above the first one without a title. One that needs something is collapsed and says so."""

    title: str
    lines: Sequence[Line]
    needs: str = ""

    @property
    def heading(self) -> str:
        return f"{self.title}, needs {self.needs}" if self.needs else self.title


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
            **query.least_step,
        }
        for index, query in enumerate(queries)
    ]


def thresholds(steps: Steps) -> Json:
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in steps]}


def override(name: str, **properties: Any) -> Json:
    """Return what is special about the field or series with that name; `__` stands for the dot of a key."""
    return _override("byName", name, properties)


def unset(text: str) -> Json:
    """Return what a field shows for a value that is absent; a panel without any field shows its own `noValue`."""
    return _override("byRegexp", "/.*/", {"noValue": text})


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


def panel(kind: str, title: str, description: str, queries: Iterable[Query], **more: Any) -> Json:
    """Return a panel of a kind with queries; `more` is what only its kind has."""
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
    mappings: Sequence[Json] = (),
    overrides: Sequence[Json] = (),
    text: str = "auto",
    nothing: str = NOTHING,
) -> Json:
    """Return a panel of large numbers, as they are at the end of the range: a range query's are up to a step older."""
    defaults: Json = {"unit": unit, "thresholds": thresholds(steps), "color": {"mode": "thresholds"}}
    if mappings:
        defaults["mappings"] = list(mappings)
    return panel(
        "stat",
        title,
        description,
        queries=[replace(query, instant=True) for query in queries],
        fieldConfig={"defaults": {**defaults, "noValue": nothing}, "overrides": list(overrides)},
        options={
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "vertical",
            "reduceOptions": {"calcs": ["last"], "fields": "", "values": False},
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
    high: float | None = None,
    soft_low: float | None = None,
    soft_high: float | None = None,
    decimals: int | None = None,
    step: str = "",
    overrides: Sequence[Json] = (),
    repeat: str = "",
    nothing: str = NOTHING,
) -> Json:
    """Return a panel of lines without fill; thresholds are dashed lines; the legend below shows the last value.

    `bars` stacks bars instead. `step` is the least time between two points. An axis has ends that always hold (`low`,
    `high`) or that it may exceed. `repeat` makes one panel for each value of a variable. What is absent at the end of
    the range has no last value: `lastNotNull` would show one of last week. Series whose names
    are known have the colours of `overrides`.
    """
    if high is None and soft_high is None:
        soft_high = SOFT_HIGH.get(unit, 1)
    soft = {"axisSoftMin": soft_low, "axisSoftMax": soft_high}
    custom: Json = {
        "drawStyle": "bars" if bars else "line",
        "fillOpacity": 80 if bars else 0,
        "lineInterpolation": "linear",
        "lineWidth": 0 if bars else 2,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if bars else "none"},
        "thresholdsStyle": {"mode": "dashed" if steps else "off"},
        **{key: value for key, value in soft.items() if value is not None},
    }
    defaults: Json = {
        "unit": unit,
        "custom": custom,
        "color": {"mode": "palette-classic"},
        "noValue": nothing,
    }
    defaults["thresholds"] = thresholds(steps or ((None, GREEN),))
    ends = {"min": low, "max": high, "decimals": decimals}
    defaults |= {key: value for key, value in ends.items() if value is not None}
    more: Json = {"interval": step} if step else {}
    if repeat:
        more |= {"repeat": repeat, "repeatDirection": "h", "maxPerRow": 3}
    return panel(
        "timeseries",
        title,
        description,
        queries=queries,
        fieldConfig={"defaults": defaults, "overrides": [unset("-"), *overrides]},
        options={
            "legend": {"calcs": ["last"], "displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        **more,
    )


def heatmap(title: str, description: str, unit: str, query: Query) -> Json:
    """Return the buckets of a histogram over time, the smallest at the bottom."""
    return panel(
        "heatmap",
        title,
        description,
        queries=[query],
        fieldConfig={"defaults": {"noValue": NOTHING}, "overrides": []},
        options={
            "calculate": False,
            "cellGap": 1,
            "color": {"exponent": 0.5, "fill": "dark-orange", "mode": "scheme", "scheme": "Blues", "steps": 64},
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "rowsFrame": {"layout": "auto"},
            "showValue": "never",
            "tooltip": {"mode": "single", "yHistogram": True},
            "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
        },
    )


def timeline(
    title: str, description: str, queries: Sequence[Query], mappings: Sequence[Json], nothing: str = NOTHING
) -> Json:
    """Return bands of states over time. One threshold step, or the legend shows steps instead of the states' names."""
    return panel(
        "state-timeline",
        title,
        description,
        queries=queries,
        fieldConfig={
            "defaults": {
                "unit": "none",
                "color": {"mode": "thresholds"},
                "custom": {"fillOpacity": 80, "lineWidth": 0},
                "mappings": list(mappings),
                "noValue": nothing,
                "thresholds": thresholds(((None, GREEN),)),
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


def grid(rows: Iterable[Row]) -> list[Json]:
    """Return the panels of a board with their ids and places; those of a collapsed row are inside it."""
    placed: list[Json] = []
    number = y = 0
    for row in rows:
        if row.title:
            head: Json = {"type": "row", "title": row.heading, "collapsed": bool(row.needs), "panels": []}
            number += 1
            placed.append({"id": number, **head, "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}})
            y += 1
        inside = placed[-1]["panels"] if row.needs else placed
        below = y
        for line in row.lines:
            x = 0
            widths = line.widths or [WIDTH // len(line.panels)] * len(line.panels)
            for width, each in zip(widths, line.panels, strict=True):
                number += 1
                inside.append({"id": number, **each, "gridPos": {"x": x, "y": below, "w": width, "h": line.height}})
                x += width
            below += line.height
        if inside is placed:
            y = below
    return placed
