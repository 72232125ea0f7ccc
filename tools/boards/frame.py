"""What both boards have around their panels: variables, links, annotations, and what an import prompts for."""

from collections.abc import Iterable, Sequence

from tools.boards.panels import DATASOURCE, Json, Row, grid
from tools.boards.selectors import JI, alerts

INPUT = "DS_PROMETHEUS"
"""What an import by hand prompts for. It is only the first choice of the variable `datasource`: provisioned files keep
the placeholder, and Grafana then takes its default Prometheus."""
KINDS = {
    "bargauge": "Bar gauge",
    "heatmap": "Heatmap",
    "stat": "Stat",
    "state-timeline": "State timeline",
    "table": "Table",
    "text": "Text",
    "timeseries": "Time series",
}


def data_source() -> Json:
    """Return the variable that names the Prometheus to query."""
    choice = f"${{{INPUT}}}"
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {"selected": False, "text": choice, "value": choice},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
    }


def labels(name: str, label: str, series: str, *, single: str = "") -> Json:
    """Return a variable with the values that a label has on those series: many of them, or `single` at first."""
    query = f"label_values({series}, {name})"
    many = not single
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": "StandardVariableQuery"},
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]}
        if many
        else {"selected": True, "text": single, "value": single},
        "hide": 0,
        "includeAll": many,
        "multi": many,
        "options": [],
        "refresh": 2,
        "regex": "",
        "skipUrlSync": False,
        "sort": 1 if many else 3,
        **({"allValue": ".+"} if many else {}),
    }


def scope() -> list[Json]:
    """Return the variables that both boards begin with."""
    return [
        data_source(),
        labels("job", "Job", "directmail_exporter_build_info"),
        labels("instance", "Instance", 'directmail_exporter_build_info{job=~"$job"}'),
        labels("target", "Target", f"directmail_up{{{JI}}}"),
    ]


def annotations(variables: Sequence[str]) -> list[Json]:
    """Return what is marked in every graph: when alerts began to hold, and when the exporter was started.

    Grafana requests 100 points at most and marks each of them. Both series have as their value the moment that is
    meant, which is marked instead of the points: one mark each, at every range. `variables` are followed by alerts.
    """

    def mark(name: str, color: str, series: str, title: str, text: str, tags: str) -> Json:
        return {
            "name": name,
            "datasource": DATASOURCE,
            "enable": True,
            "expr": f"max_over_time({series}[$__interval] offset -$__interval) * 1000",
            "iconColor": color,
            "step": "60s",
            "tagKeys": tags,
            "textFormat": text,
            "titleFormat": title,
            "useValueForTime": "on",
        }

    return [
        {
            "name": "Annotations & Alerts",
            "builtIn": 1,
            "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "enable": True,
            "hide": True,
            "iconColor": "rgba(0, 211, 255, 1)",
            "type": "dashboard",
        },
        mark(
            "Firing alerts",
            color="red",
            series=f"ALERTS_FOR_STATE{{{alerts(variables)}}}",
            title="{{alertname}}",
            text="{{account_name}} {{tag_name}} {{esp}}",
            tags="severity,target",
        ),
        mark(
            "Exporter restarts",
            color="blue",
            series=f"process_start_time_seconds{{{JI}}}",
            title="Exporter restarted",
            text="{{instance}}",
            tags="job",
        ),
    ]


def board(
    uid: str,
    title: str,
    description: str,
    *,
    span: str,
    refresh: str,
    variables: Sequence[Json],
    followed: Sequence[str],
    other: tuple[str, str],
    rows: Iterable[Row],
) -> Json:
    """Return a dashboard.

    `span` is the range that it opens with, `followed` are the variables that its alerts follow, `other` is uid and
    title of the board it links to.
    """
    panels = grid(rows)
    every: list[Json] = [inner for panel in panels for inner in (panel, *panel.get("panels", ()))]
    kinds = sorted({panel["type"] for panel in every} - {"row"})
    return {
        "__inputs": [
            {
                "name": INPUT,
                "label": "Prometheus",
                "description": "The Prometheus that scrapes directmail-exporter",
                "type": "datasource",
                "pluginId": "prometheus",
                "pluginName": "Prometheus",
            }
        ],
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": "9.4.0"},
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
            *({"type": "panel", "id": kind, "name": KINDS[kind], "version": ""} for kind in kinds),
        ],
        "annotations": {"list": annotations(followed)},
        "description": description,
        "editable": False,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "links": [_link(*other)],
        "liveNow": False,
        "panels": panels,
        "refresh": refresh,
        "schemaVersion": 39,
        "tags": ["directmail"],
        "templating": {"list": list(variables)},
        "time": {"from": span, "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": title,
        "uid": uid,
        "version": 1,
        "weekStart": "",
    }


def _link(uid: str, title: str) -> Json:
    return {
        "asDropdown": False,
        "icon": "dashboard",
        "includeVars": True,
        "keepTime": True,
        "tags": [],
        "targetBlank": False,
        "title": title,
        "tooltip": "The other board, with the same variables and time",
        "type": "link",
        "url": f"/d/{uid}",
    }
