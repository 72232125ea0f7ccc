"""A board in Grafana's newer form, the resource `dashboard.grafana.app/v2` of Grafana 13: for Git Sync and `kubectl`.

It is the same board: every panel is an element, and the layout names the elements row by row.
"""

from collections.abc import Iterator, Sequence

from tools.boards.panels import Json

VERSION = "dashboard.grafana.app/v2"
REFRESH = {0: "never", 1: "onDashboardLoad", 2: "onTimeRangeChanged"}
SORT = {0: "disabled", 1: "alphabeticalAsc", 3: "numericalAsc"}
OF_A_TARGET = ("refId", "datasource")
"""Keys of a query that have a place of their own."""
OF_AN_ANNOTATION = ("name", "datasource", "enable", "hide", "iconColor", "builtIn", "type")
BUILT_IN = {"type": "grafana", "uid": "-- Grafana --"}


def resource(board: Json) -> Json:
    """Return a classic board as a resource with the same name."""
    return {
        "apiVersion": VERSION,
        "kind": "Dashboard",
        "metadata": {"name": board["uid"]},
        "spec": {
            "annotations": [_annotation(each) for each in board["annotations"]["list"]],
            "cursorSync": "Crosshair",
            "description": board["description"],
            "editable": board["editable"],
            "elements": {_name(panel): _element(panel) for panel in _panels(board["panels"])},
            "layout": {"kind": "RowsLayout", "spec": {"rows": list(_rows(board["panels"]))}},
            "links": board["links"],
            "liveNow": board["liveNow"],
            "preload": False,
            "tags": board["tags"],
            "timeSettings": {
                "autoRefresh": board["refresh"],
                "autoRefreshIntervals": ["30s", "1m", "5m", "15m", "30m", "1h"],
                "fiscalYearStartMonth": board["fiscalYearStartMonth"],
                "from": board["time"]["from"],
                "hideTimepicker": False,
                "timezone": board["timezone"],
                "to": board["time"]["to"],
            },
            "title": board["title"],
            "variables": [_variable(each) for each in board["templating"]["list"]],
        },
    }


def _panels(panels: Sequence[Json]) -> Iterator[Json]:
    """Yield every panel that shows something."""
    for panel in panels:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def _name(panel: Json) -> str:
    return f"panel-{panel['id']}"


def _element(panel: Json) -> Json:
    queries = [
        {"kind": "PanelQuery", "spec": {"hidden": False, "query": _query(target), "refId": target["refId"]}}
        for target in panel.get("targets", ())
    ]
    transformations = [
        {
            "kind": "Transformation",
            "group": each["id"],
            "spec": {key: value for key, value in each.items() if key != "id"},
        }
        for each in panel.get("transformations", ())
    ]
    options = {"interval": panel["interval"]} if "interval" in panel else {}
    look = {"options": panel["options"], "fieldConfig": panel.get("fieldConfig", {"defaults": {}, "overrides": []})}
    return {
        "kind": "Panel",
        "spec": {
            "id": panel["id"],
            "title": panel["title"],
            "description": panel.get("description", ""),
            "links": [],
            "data": {
                "kind": "QueryGroup",
                "spec": {"queries": queries, "transformations": transformations, "queryOptions": options},
            },
            "vizConfig": {"kind": "VizConfig", "group": panel["type"], "version": "", "spec": look},
            **({"transparent": True} if panel.get("transparent") else {}),
        },
    }


def _query(target: Json) -> Json:
    """Return the query to the chosen Prometheus."""
    return {
        "kind": "DataQuery",
        "group": "prometheus",
        "version": "v0",
        "datasource": {"name": "${datasource}"},
        "spec": {key: value for key, value in target.items() if key not in OF_A_TARGET},
    }


def _rows(panels: Sequence[Json]) -> Iterator[Json]:
    """Yield the rows of the layout; what is above the first one is a row without a header."""
    title, collapsed, inside = "", False, list[Json]()
    for panel in panels:
        if panel["type"] != "row":
            inside.append(panel)
            continue
        if inside:
            yield _row(title, collapsed, inside)
        title, collapsed, inside = panel["title"], panel["collapsed"], list(panel["panels"])
    if inside:
        yield _row(title, collapsed, inside)


def _row(title: str, collapsed: bool, panels: Sequence[Json]) -> Json:
    top = min(panel["gridPos"]["y"] for panel in panels)
    items = [{"kind": "GridLayoutItem", "spec": _place(panel, top)} for panel in panels]
    layout = {"kind": "GridLayout", "spec": {"items": items}}
    return {
        "kind": "RowsLayoutRow",
        "spec": {"title": title, "collapse": collapsed, "hideHeader": not title, "layout": layout},
    }


def _place(panel: Json, top: int) -> Json:
    place = panel["gridPos"]
    repeat = {}
    if "repeat" in panel:
        repeat["repeat"] = {
            "mode": "variable",
            "value": panel["repeat"],
            "direction": panel["repeatDirection"],
            "maxPerRow": panel["maxPerRow"],
        }
    return {
        "x": place["x"],
        "y": place["y"] - top,
        "width": place["w"],
        "height": place["h"],
        "element": {"kind": "ElementReference", "name": _name(panel)},
        **repeat,
    }


def _annotation(each: Json) -> Json:
    is_built_in = each["datasource"] == BUILT_IN
    own = {key: value for key, value in each.items() if key not in OF_AN_ANNOTATION}
    if is_built_in:
        query: Json = {
            "kind": "DataQuery",
            "group": "grafana",
            "version": "v0",
            "datasource": {"name": BUILT_IN["uid"]},
            "spec": {},
        }
    else:
        query = _query({"expr": own.pop("expr"), "interval": own.pop("step")})
    return {
        "kind": "AnnotationQuery",
        "spec": {
            "name": each["name"],
            "query": query,
            "enable": each["enable"],
            "hide": each.get("hide", False),
            "iconColor": each["iconColor"],
            "builtIn": is_built_in,
            **({"legacyOptions": own} if own else {}),
        },
    }


def _variable(each: Json) -> Json:
    spec = {
        "name": each["name"],
        "label": each["label"],
        "current": {"text": each["current"]["text"], "value": each["current"]["value"]},
        "hide": "dontHide",
        "refresh": REFRESH[each["refresh"]],
        "skipUrlSync": each["skipUrlSync"],
        "regex": each["regex"],
        "options": [],
        "multi": each["multi"],
        "includeAll": each["includeAll"],
        "allowCustomValue": True,
    }
    if each["type"] == "datasource":
        spec["current"] = {"text": "default", "value": "default"}
        return {"kind": "DatasourceVariable", "spec": {**spec, "pluginId": each["query"]}}
    all_value = {"allValue": each["allValue"]} if "allValue" in each else {}
    query = {**_query(each["query"]), "spec": {**each["query"]}}
    return {
        "kind": "QueryVariable",
        "spec": {
            **spec,
            "query": query,
            "sort": SORT[each["sort"]],
            "definition": each["query"]["query"],
            **all_value,
        },
    }
