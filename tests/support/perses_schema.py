"""What Perses accepts of a dashboard, in our own words: JSON Schemas of the kinds of panels and queries that we use.

Perses describes its plugins in CUE, for which there is no checker in Python, and of which only the types are published
in packages (test_published_types.py). Patterns and limits are here. Sources: github.com/perses/plugins,
*/schemas/*.cue; github.com/perses/shared, cue/common; github.com/perses/perses, pkg/model/api/v1/dashboard.
"""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
COLOUR: Schema = {"type": "string", "pattern": "^#(?:[0-9a-fA-F]{3}){1,2}$"}
DURATION: Schema = {"type": "string", "pattern": r"^(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$"}


def one_of(*values: str) -> Schema:
    return {"enum": list(values)}


def only(required: tuple[str, ...] = (), **keys: Schema) -> Schema:
    """Return the schema of an object that has no other keys."""
    return {"type": "object", "properties": keys, "required": list(required), "additionalProperties": False}


def kind(name: str, spec: Schema) -> Schema:
    return only(("kind", "spec"), kind={"const": name}, spec=spec)


def listed(item: Schema) -> Schema:
    return {"type": "array", "items": item}


FORMAT = only(
    unit=one_of("percent-decimal", "decimal", "seconds", "bytes", "requests/sec"),
    decimalPlaces=NUMBER,
    shortValues=FLAG,
)
CALCULATION = one_of("first", "last", "first-number", "last-number", "mean", "sum", "min", "max")
THRESHOLDS = only(
    mode=one_of("percent", "absolute"),
    defaultColor={"type": "string"},
    steps=listed(only(("value",), value=NUMBER, color={"type": "string"}, name={"type": "string"})),
)
MAPPING = kind("Value", only(("value", "result"), value=TEXT, result=only(("value",), value=TEXT, color=COLOUR)))
LEGEND = only(
    ("position",), position=one_of("bottom", "right"), mode=one_of("list", "table"), values=listed(CALCULATION)
)
STYLE = one_of("solid", "dashed", "dotted")
CELL = only(("condition",), condition=kind("Value", only(("value",), value=TEXT)), text=TEXT, textColor=COLOUR)
COLUMN = only(
    ("name",),
    name=TEXT,
    header=TEXT,
    format=FORMAT,
    enableSorting=FLAG,
    sort=one_of("asc", "desc"),
    hide=FLAG,
    cellSettings=listed(CELL),
)
PLUGINS = {
    "StatChart": only(
        ("calculation",),
        calculation=CALCULATION,
        metricLabel=TEXT,
        format=FORMAT,
        thresholds=THRESHOLDS,
        mappings=listed(MAPPING),
    ),
    "TimeSeriesChart": only(
        legend=LEGEND,
        yAxis=only(format=FORMAT, min=NUMBER, max=NUMBER),
        thresholds=THRESHOLDS,
        visual=only(
            display=one_of("line", "bar"),
            areaOpacity={"type": "number", "minimum": 0, "maximum": 1},
            connectNulls=FLAG,
            stack=one_of("all", "percent"),
        ),
        querySettings=listed(
            only(
                ("queryIndex",),
                queryIndex=WHOLE,
                colorMode=one_of("fixed", "fixed-single"),
                colorValue=COLOUR,
                lineStyle=STYLE,
            )
        ),
    ),
    "Table": only(
        density=one_of("compact", "standard", "comfortable"),
        columnSettings=listed(COLUMN),
        transforms=listed(kind("MergeSeries", only(disabled=FLAG))),
    ),
    "BarChart": only(("calculation",), calculation=CALCULATION, format=FORMAT, mode=one_of("value", "percentage")),
    "StatusHistoryChart": only(legend=LEGEND, mappings=listed(MAPPING)),
    "Markdown": only(("text",), text={"type": "string"}),
}
QUERY = kind(
    "TimeSeriesQuery",
    only(
        ("plugin",),
        plugin=kind(
            "PrometheusTimeSeriesQuery",
            only(("query",), query=TEXT, seriesNameFormat={"type": "string"}, minStep=DURATION, instant=FLAG),
        ),
    ),
)
PANEL = kind(
    "Panel",
    only(
        ("plugin",),
        display=only(name={"type": "string"}, description={"type": "string"}),
        plugin={"anyOf": [kind(name, spec) for name, spec in PLUGINS.items()]},
        queries=listed(QUERY),
    ),
)
VARIABLE = kind(
    "ListVariable",
    only(
        ("name", "allowAllValue", "allowMultiple", "plugin"),
        name=TEXT,
        display=only(name=TEXT),
        allowAllValue=FLAG,
        allowMultiple=FLAG,
        customAllValue=TEXT,
        defaultValue={"anyOf": [TEXT, listed(TEXT)]},
        sort=one_of("none", "alphabetical-asc", "alphabetical-desc", "numerical-asc", "numerical-desc"),
        plugin=kind("PrometheusLabelValuesVariable", only(("labelName",), labelName=TEXT, matchers=listed(TEXT))),
    ),
)
GRID = kind(
    "Grid",
    only(
        ("items",),
        display=only(("title",), title=TEXT, collapse=only(("open",), open=FLAG)),
        repeatVariable=TEXT,
        items=listed(
            only(
                ("x", "y", "width", "height", "content"),
                x=WHOLE,
                y=WHOLE,
                width=WHOLE,
                height=WHOLE,
                content=only(("$ref",), **{"$ref": {"type": "string", "pattern": "^#/spec/panels/[a-zA-Z0-9-]+$"}}),
            )
        ),
    ),
)
DASHBOARD = only(
    ("kind", "metadata", "spec"),
    kind={"const": "Dashboard"},
    metadata=only(("name", "project"), name={"type": "string", "pattern": "^[a-zA-Z0-9_.-]+$"}, project=TEXT),
    spec=only(
        ("panels", "layouts", "duration"),
        display=only(name=TEXT, description=TEXT),
        duration=DURATION,
        refreshInterval=DURATION,
        variables=listed(VARIABLE),
        panels={"type": "object", "additionalProperties": PANEL},
        layouts=listed(GRID),
    ),
)
