"""Panels that list: tables of one label with links into it, and bars of one number each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tools.boards.panels import (
    BLUE,
    GREEN,
    GREY,
    NOTHING,
    ORANGE,
    RED,
    YELLOW,
    Json,
    Query,
    Steps,
    override,
    panel,
    states,
    thresholds,
    unset,
)
from tools.boards.selectors import change, counts, ratio

CHANGE: Steps = ((-1, RED), (-0.4, ORANGE), (-0.25, YELLOW), (-0.1, GREEN))
"""Of a rate against last week. The lowest change has a number: not every Grafana reads null as less than -0.1."""
VARIABLES = ("datasource", "job", "instance", "target", "query", "account_name", "tag_name", "esp", "domain", "window")
NO_DATA = "no data"
SUPPORTED = "Supported"
COLOURED = {"custom__cellOptions": {"type": "color-text"}}


def table(
    title: str,
    description: str,
    columns: Mapping[str, str],
    overrides: Sequence[Json],
    *,
    trend: tuple[str, Query] | None = None,
    by: str = "",
    nothing: str = NOTHING,
) -> Json:
    """Return a table: one line for each value of the expressions' label, one column for each expression.

    `trend` is the name and the query of a column of small lines, which Grafana draws from 10.1 on. `by` is the column
    that sorts, else the first.
    """
    refs = [chr(ord("A") + index) for index in range(len(columns) + 1)]
    names = {f"Value #{ref}": name for ref, name in zip(refs, columns, strict=False)}
    queries = [Query(expr, instant=True, format="table") for expr in columns.values()]
    transformations: list[Json] = []
    if trend is not None:
        queries.append(trend[1])
        numbers = "|".join(refs[:-1])
        transformations += [
            {
                "id": "filterFieldsByName",
                "filter": {"id": "byRefId", "options": f"/^({numbers})$/"},
                "options": {"exclude": {"names": ["Time"]}},
            },
            {"id": "timeSeriesTable", "options": {refs[-1]: {"stat": "last"}}},
        ]
        names[f"Trend #{refs[-1]}"] = trend[0]
        overrides = [*overrides, override(trend[0], custom__cellOptions={"type": "sparkline"}, custom__minWidth=200)]
    transformations += [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": names}},
    ]
    sorted_by = by or next(iter(columns))
    return listing(title, description, queries, overrides, transformations, by=sorted_by, nothing=nothing)


def listing(
    title: str,
    description: str,
    queries: Sequence[Query],
    overrides: Sequence[Json],
    transformations: Sequence[Json],
    *,
    by: str,
    descending: bool = True,
    absent: str = NO_DATA,
    nothing: str = NOTHING,
) -> Json:
    """Return a table of whatever its transformations leave; `absent` is what a cell without a value shows."""
    return panel(
        "table",
        title,
        description,
        queries=queries,
        fieldConfig={
            "defaults": {
                "unit": "short",
                "custom": {"align": "auto", "minWidth": 100},
                "noValue": nothing,
                "thresholds": thresholds(((None, GREY),)),
            },
            "overrides": [unset(absent), *overrides],
        },
        options={
            "cellHeight": "sm",
            "showHeader": True,
            "sortBy": [{"displayName": by, "desc": descending}],
        },
        transformations=list(transformations),
    )


def narrowing(label: str) -> Json:
    """Return a link that shows this board for one value of a variable, all else kept; a tag belongs to one sender."""
    lost = {label, "tag_name"} if label == "account_name" else {label}
    kept = "&".join(f"${{{name}:queryparam}}" for name in VARIABLES if name not in lost)
    return {
        "title": "Show ${__value.text} alone",
        "url": f"/d/directmail-engagement?${{__url_time_range}}&{kept}&var-{label}=${{__value.raw}}",
    }


def first_column(label: str, name: str, *, links: bool = True) -> Json:
    """Return what makes a label the first column, with links that narrow the board down to its values."""
    return override(label, displayName=name, custom__minWidth=200, **({"links": [narrowing(label)]} if links else {}))


def supported(level: str, label: str, statistic: str) -> dict[str, str]:
    """Return the column that says whether the account can use a filter: its values are there without data, too."""
    return {SUPPORTED: f'min by ({label}) (directmail_query_supported{{{level}, statistic="{statistic}"}})'}


def is_supported() -> Json:
    """Return how the column of `supported` looks."""
    return override(SUPPORTED, mappings=states({"0": (NO_DATA, YELLOW), "1": ("yes", GREEN)}), **COLOURED)


def breakdown(
    title: str, description: str, label: str, name: str, level: str, *, links: bool = True, nothing: str = NOTHING
) -> Json:
    """Return the table of one label: volume, rates, and the change against last week."""
    opened, before = (ratio("track_unique_opens", "track_emails", level, label, ago=ago) for ago in ("", "1w"))
    columns = {
        "Emails": counts("track_emails", level, label),
        "Unique open rate": opened,
        "Open rate vs last week": change(opened, before),
        "Unique click rate": ratio("track_unique_clicks", "track_emails", level, label),
        "Click-to-open rate": ratio("track_unique_clicks", "track_unique_opens", level, label),
        "Opens per opener": ratio("track_opens", "track_unique_opens", level, label),
    }
    look = [
        first_column(label, name, links=links),
        override("Emails", unit="short"),
        *(
            override(column, unit="percentunit", decimals=1)
            for column in ("Unique open rate", "Unique click rate", "Click-to-open rate")
        ),
        override("Open rate vs last week", unit="percentunit", decimals=1, thresholds=thresholds(CHANGE), **COLOURED),
        override("Opens per opener", unit="none", decimals=2),
    ]
    if label == "esp":
        columns |= supported(level, label, "engagement")
        look.append(is_supported())
    return table(title, description, columns, look, by="Emails", nothing=nothing)


def bars(title: str, description: str, queries: Sequence[Query], nothing: str) -> Json:
    """Return one bar below the other, each as long as its number is of the largest."""
    defaults: Json = {"unit": "short", "min": 0, "noValue": nothing, "thresholds": thresholds(((None, BLUE),))}
    options: dict[str, Any] = {
        "displayMode": "basic",
        "minVizHeight": 16,
        "minVizWidth": 8,
        "orientation": "horizontal",
        "reduceOptions": {"calcs": ["last"], "fields": "", "values": False},
        "showUnfilled": True,
        "valueMode": "color",
    }
    return panel(
        "bargauge",
        title,
        description,
        queries=[replace(query, instant=True) for query in queries],
        fieldConfig={"defaults": {**defaults, "color": {"mode": "thresholds"}}, "overrides": []},
        options=options,
    )
