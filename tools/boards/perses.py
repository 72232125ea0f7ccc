"""A board as a dashboard of Perses: the same queries and rows, with what Perses has for each kind of panel.

Left out are links and small lines in tables, marks of alerts, words for a panel without data, and heat maps, which
Perses draws of native histograms only. A figure whose change has a unit or colours of its own becomes two.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tools.boards.panels import WIDTH, Json

COLOURS = {
    "green": "#73BF69",
    "yellow": "#FADE2A",
    "orange": "#FF9830",
    "red": "#F2495C",
    "blue": "#5794F2",
    "text": "#CCCCDC",
}
"""Grafana's names of colours as numbers."""
UNITS: Mapping[str, Json] = {
    "percentunit": {"unit": "percent-decimal", "decimalPlaces": 1},
    "short": {"unit": "decimal", "shortValues": True},
    "none": {"unit": "decimal", "decimalPlaces": 2},
    "s": {"unit": "seconds"},
    "bytes": {"unit": "bytes", "shortValues": True},
    "reqps": {"unit": "requests/sec"},
}
SORT = {1: "alphabetical-asc", 3: "numerical-asc"}
LEGEND = {"position": "bottom", "mode": "list", "values": ["last"]}
NOT_THERE = ("heatmap",)


def dashboard(board: Json) -> Json:
    """Return a board of Grafana as one of Perses, of the project `directmail`."""
    panels: Json = {}
    layouts = list(_layouts(board["panels"], panels))
    return {
        "kind": "Dashboard",
        "metadata": {"name": board["uid"], "project": "directmail"},
        "spec": {
            "display": {"name": board["title"], "description": board["description"]},
            "duration": board["time"]["from"].removeprefix("now-"),
            "refreshInterval": board["refresh"],
            "variables": [_variable(each) for each in board["templating"]["list"] if each["type"] == "query"],
            "panels": panels,
            "layouts": layouts,
        },
    }


def _variable(each: Json) -> Json:
    series = each["query"]["query"].removeprefix("label_values(").rpartition(", ")[0]
    many = each["multi"]
    return {
        "kind": "ListVariable",
        "spec": {
            "name": each["name"],
            "display": {"name": each["label"]},
            "allowAllValue": many,
            "allowMultiple": many,
            **({"customAllValue": each["allValue"]} if many else {}),
            "defaultValue": ["$__all"] if many else each["current"]["value"],
            "sort": SORT[each["sort"]],
            "plugin": {
                "kind": "PrometheusLabelValuesVariable",
                "spec": {"labelName": each["name"], "matchers": [series]},
            },
        },
    }


def _layouts(shown: Sequence[Json], panels: Json) -> Iterator[Json]:
    """Yield the rows, and add their panels. What is repeated repeats its row, so it has one of its own."""
    inside: list[Json] = []
    title, is_open = "", True
    for panel in shown:
        if panel["type"] == "row":
            yield from _grids(title, is_open, inside, panels)
            title, is_open, inside = panel["title"], not panel["collapsed"], list(panel["panels"])
        else:
            inside.append(panel)
    yield from _grids(title, is_open, inside, panels)


def _grids(title: str, is_open: bool, inside: Sequence[Json], panels: Json) -> Iterator[Json]:
    display = {"display": {"title": title, "collapse": {"open": is_open}}} if title else {}
    items: list[Json] = []
    for panel in inside:
        if panel["type"] in NOT_THERE:
            continue
        if "repeat" in panel:
            if items:
                yield {"kind": "Grid", "spec": {**display, "items": items}}
                display, items = {}, []
            item = _item(panel, {**panel["gridPos"], "x": 0, "y": 0, "w": WIDTH}, panels)
            yield {"kind": "Grid", "spec": {"items": [item], "repeatVariable": panel["repeat"]}}
        else:
            parts = _parts(panel)
            width = panel["gridPos"]["w"] // len(parts)
            for number, part in enumerate(parts):
                place = {**panel["gridPos"], "x": panel["gridPos"]["x"] + number * width, "w": width}
                items.append(_item(part, {**place, "y": place["y"] - inside[0]["gridPos"]["y"]}, panels, number))
    if items:
        yield {"kind": "Grid", "spec": {**display, "items": items}}


def _item(panel: Json, place: Json, panels: Json, part: int = 0) -> Json:
    name = f"panel-{panel['id']}" + (f"-{part + 1}" if part else "")
    panels[name] = _panel(panel)
    return {
        "x": place["x"],
        "y": place["y"],
        "width": place["w"],
        "height": place["h"],
        "content": {"$ref": f"#/spec/panels/{name}"},
    }


def _parts(panel: Json) -> list[Json]:
    """Return a panel, or one for each query where a query's number has a look of its own."""
    special = {name: own for name, own in _special(panel).items() if "thresholds" in own}
    if panel["type"] != "stat" or not special:
        return [panel]
    parts = []
    for target in panel["targets"]:
        own = special.get(target["legendFormat"], {})
        title = f"{panel['title']} {target['legendFormat']}" if own else panel["title"]
        look = {"defaults": {**panel["fieldConfig"]["defaults"], **own}, "overrides": []}
        parts.append({**panel, "title": title, "targets": [target], "fieldConfig": look})
    return parts


def _special(panel: Json) -> dict[str, Json]:
    """Return what is special about a name or about a query, by it."""
    return {
        each["matcher"]["options"]: {own["id"]: own["value"] for own in each["properties"]}
        for each in panel.get("fieldConfig", {}).get("overrides", ())
        if each["matcher"]["id"] in ("byName", "byFrameRefID")
    }


def _panel(panel: Json) -> Json:
    kind, spec = _PLUGINS[panel["type"]](panel)
    queries = [_query(panel, target) for target in panel.get("targets", ()) if not _is_trend(panel, target)]
    return {
        "kind": "Panel",
        "spec": {
            "display": {"name": panel["title"], "description": panel.get("description", "")},
            "plugin": {"kind": kind, "spec": spec},
            **({"queries": queries} if queries else {}),
        },
    }


def _is_trend(panel: Json, target: Json) -> bool:
    return panel["type"] == "table" and not target["instant"]


def _query(panel: Json, target: Json) -> Json:
    step = target.get("interval", panel.get("interval"))
    return {
        "kind": "TimeSeriesQuery",
        "spec": {
            "plugin": {
                "kind": "PrometheusTimeSeriesQuery",
                "spec": {
                    "query": target["expr"],
                    "seriesNameFormat": target["legendFormat"],
                    "instant": target["instant"],
                    **({"minStep": step} if step else {}),
                },
            }
        },
    }


def _format(defaults: Json) -> Json:
    own = {"decimalPlaces": defaults["decimals"]} if "decimals" in defaults else {}
    return {**UNITS[defaults["unit"]], **own}


def _thresholds(defaults: Json) -> Json:
    """Return the steps; what is below the first has the default colour."""
    first, *rest = defaults["thresholds"]["steps"]
    steps = [{"value": step["value"], "color": COLOURS[step["color"]]} for step in rest]
    return {"mode": "absolute", "defaultColor": COLOURS[first["color"]], "steps": steps}


def _mappings(defaults: Json) -> Json:
    return {
        "mappings": [
            {"kind": "Value", "spec": {"value": value, "result": {"value": to["text"], "color": COLOURS[to["color"]]}}}
            for each in defaults.get("mappings", ())
            for value, to in each["options"].items()
        ]
    }


def _stat(panel: Json) -> tuple[str, Json]:
    defaults = panel["fieldConfig"]["defaults"]
    name = {"metricLabel": "version"} if panel["options"]["textMode"] == "name" else {}
    spec = {"calculation": "last", "format": _format(defaults), "thresholds": _thresholds(defaults), **name}
    return "StatChart", {**spec, **_mappings(defaults)}


def _lines(panel: Json) -> tuple[str, Json]:
    defaults, special = panel["fieldConfig"]["defaults"], _special(panel)
    is_bars = defaults["custom"]["drawStyle"] == "bars"
    limits = {"min": defaults.get("min"), "max": defaults.get("max")}
    axis = {"format": _format(defaults), **{name: limit for name, limit in limits.items() if limit is not None}}
    settings = []
    for index, target in enumerate(panel["targets"]):
        own = {**special.get(target["legendFormat"], {}), **special.get(target["refId"], {})}
        look: Json = {}
        if "color" in own:
            look |= {"colorMode": "fixed-single", "colorValue": own["color"]["fixedColor"]}
        if "custom.lineStyle" in own:
            look["lineStyle"] = "dashed"
        if look:
            settings.append({"queryIndex": index, **look})
    visual: Json = {"display": "bar" if is_bars else "line", "areaOpacity": 0, "connectNulls": False}
    if is_bars:
        visual["stack"] = "all"
    spec: Json = {"legend": LEGEND, "yAxis": axis, "visual": visual}
    if len(defaults["thresholds"]["steps"]) > 1:
        spec["thresholds"] = _thresholds(defaults)
    return "TimeSeriesChart", {**spec, **({"querySettings": settings} if settings else {})}


def _table(panel: Json) -> tuple[str, Json]:
    """Return a table: a column for each label and for each query, as the transformations of Grafana's name them."""
    special = _special(panel)
    (arranged,) = [each["options"] for each in panel["transformations"] if each["id"] == "organize"]
    sorted_by = panel["options"]["sortBy"][0]
    columns = [{"name": "timestamp", "hide": True}]
    for name, header in arranged["renameByName"].items():
        if not name.startswith("Trend"):
            columns.append(_column(name, header, special.get(header, {}), sorted_by))
    known = set(arranged["renameByName"])
    labels = [name for name, own in special.items() if "displayName" in own and name not in known]
    columns[1:1] = [_column(name, special[name]["displayName"], {}, sorted_by) for name in labels]
    if "Value" in arranged["excludeByName"]:
        columns.append({"name": "value", "hide": True})
    spec = {"density": "compact", "columnSettings": columns}
    return "Table", {**spec, "transforms": [{"kind": "MergeSeries", "spec": {}}]}


def _column(name: str, header: str, own: Json, sorted_by: Json) -> Json:
    column: Json = {"name": name, "header": header, "enableSorting": True}
    if name.startswith("Value #"):
        number = ord(name[-1]) - ord("A") + 1
        column = {**column, "name": f"value #{number}", "format": _format({"unit": "short", **own})}
    cells = _cells(own)
    if cells:
        column["cellSettings"] = cells
    if header == sorted_by["displayName"]:
        column["sort"] = "desc" if sorted_by["desc"] else "asc"
    return column


def _cells(own: Json) -> list[Json]:
    return [
        {
            "condition": {"kind": "Value", "spec": {"value": value}},
            "text": to["text"],
            "textColor": COLOURS[to["color"]],
        }
        for each in own.get("mappings", ())
        for value, to in each["options"].items()
    ]


def _bars(panel: Json) -> tuple[str, Json]:
    return "BarChart", {"calculation": "last", "format": _format(panel["fieldConfig"]["defaults"]), "mode": "value"}


def _states(panel: Json) -> tuple[str, Json]:
    legend = {"position": "bottom", "mode": "list"}
    return "StatusHistoryChart", {"legend": legend, **_mappings(panel["fieldConfig"]["defaults"])}


def _note(panel: Json) -> tuple[str, Json]:
    return "Markdown", {"text": panel["options"]["content"]}


_PLUGINS: Mapping[str, Any] = {
    "stat": _stat,
    "timeseries": _lines,
    "table": _table,
    "bargauge": _bars,
    "state-timeline": _states,
    "text": _note,
}
