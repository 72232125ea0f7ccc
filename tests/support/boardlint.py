"""The rules of grafana/dashboard-linter that concern Prometheus, in our own words.

Source: github.com/grafana/dashboard-linter, lint/rule_*.go. Where a rule of it can be got round, ours is the stricter.
"""

from collections.abc import Callable, Iterator
from typing import Any

import promql_parser
import yaml

from tests.support.boards import (
    FOLDER,
    RATE_INTERVAL,
    Json,
    matchers,
    nodes,
    panels,
    parse,
    queries,
    query_values,
    selectors,
    variables,
)

NEED_QUERIES = ("stat", "gauge", "table", "timeseries")
UNITS = {"bytes", "none", "percentunit", "reqps", "s", "short"}
"""Those of Grafana's units that we use."""

Rule = Callable[[Json], Iterator[str]]


def findings(board: Json) -> list[str]:
    """Return what the rules say against a dashboard, without what is excepted."""
    return [finding for finding in _everything(board) if not finding.startswith(tuple(exceptions(board)))]


def idle_exceptions(board: Json) -> list[str]:
    """Return the exceptions that except nothing."""
    return [each for each in exceptions(board) if not any(finding.startswith(each) for finding in _everything(board))]


def exceptions(board: Json) -> list[str]:
    """Return how the findings begin that the linter's own file of exceptions, `.lint`, takes out."""
    rules = yaml.safe_load((FOLDER / ".lint").read_text())["exclusions"]
    return [
        f"{rule}: {entry['panel']} "
        for rule, given in rules.items()
        for entry in given["entries"]
        if entry["dashboard"] == board["title"] and entry["reason"]
    ]


def _everything(board: Json) -> list[str]:
    return [f"{name}: {finding}" for name, rule in RULES.items() for finding in rule(board)]


def _datasource(board: Json) -> Iterator[str]:
    found = [(each["name"], each["label"]) for each in board["templating"]["list"] if each["type"] == "datasource"]
    if found != [("datasource", "Data source")]:
        yield f"one variable `datasource` labelled `Data source` is wanted, there are {found}"


def _template(name: str) -> Rule:
    def rule(board: Json) -> Iterator[str]:
        variable = variables(board).get(name)
        if variable is None:
            yield "there is no such variable"
            return
        wanted = {"type": "query", "label": name.title(), "multi": True, "allValue": ".+"}
        if {key: variable.get(key) for key in wanted} != wanted or variable["datasource"]["uid"] != "${datasource}":
            yield f"should have {wanted} and ask ${{datasource}}"

    return rule


def _label_promql(board: Json) -> Iterator[str]:
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            series, _ = query_values(variable)
            if (problem := _syntax(series)) is not None:
                yield f"{variable['name']}: {problem}"


def _reload(board: Json) -> Iterator[str]:
    for variable in board["templating"]["list"]:
        if variable["type"] == "query" and variable["refresh"] != 2:
            yield f"{variable['name']} is not refreshed when the time range changes"


def _panel_datasource(board: Json) -> Iterator[str]:
    for panel in panels(board):
        for requesting in (panel, *panel.get("targets", ())) if "targets" in panel else ():
            if requesting.get("datasource", {}).get("uid") != "${datasource}":
                yield f"{panel['title']} does not ask ${{datasource}}"


def _title_description(board: Json) -> Iterator[str]:
    for panel in panels(board):
        if panel["type"] in NEED_QUERIES and not (panel.get("title") and panel.get("description")):
            yield f"panel {panel['id']} has no title or no description"


def _units(board: Json) -> Iterator[str]:
    for panel in panels(board):
        if panel["type"] in NEED_QUERIES:
            config = panel["fieldConfig"]
            properties = [each for override in config["overrides"] for each in override["properties"]]
            units = [config["defaults"].get("unit"), *(each["value"] for each in properties if each["id"] == "unit")]
            if not config["defaults"].get("mappings") and set(units) - UNITS:
                yield f"{panel['title']} has units {units}"


def _no_targets(board: Json) -> Iterator[str]:
    for panel in panels(board):
        if panel["type"] in NEED_QUERIES and not panel.get("targets"):
            yield f"{panel['title']} asks nothing"


def _promql(board: Json) -> Iterator[str]:
    for query in queries(board):
        if (problem := _syntax(query.expr)) is not None:
            yield f"{query.panel['title']} {query.ref}: {problem}"


def _rate_interval(board: Json) -> Iterator[str]:
    for query, tree in _parsed(board):
        for node, above in nodes(tree):
            if not isinstance(node, promql_parser.MatrixSelector):
                continue
            is_rate = above and _function(above[-1]) in ("rate", "irate")
            if is_rate and node.range.total_seconds() != RATE_INTERVAL:
                yield f"{query.panel['title']} {query.ref}: rate() is over $__rate_interval"


def _matcher(label: str) -> Rule:
    def rule(board: Json) -> Iterator[str]:
        for query, _ in _parsed(board):
            for selector, _ in selectors(query.expr):
                if ("=~", f"${label}") not in matchers(selector).get(label, ()):
                    yield f"{query.panel['title']} {query.ref}: {selector.name} is not limited to ${label}"

    return rule


def _counters(board: Json) -> Iterator[str]:
    for query, _ in _parsed(board):
        for selector, above in selectors(query.expr):
            functions = [_function(node) for node in above[-2:]]
            if selector.name.endswith("_total") and not {"rate", "irate", "increase"} & set(functions):
                yield f"{query.panel['title']} {query.ref}: {selector.name} is a counter without rate() or increase()"


def _uneditable(board: Json) -> Iterator[str]:
    if board["editable"]:
        yield "the board can be edited in place"


def _function(node: Any) -> str:
    return node.func.name if isinstance(node, promql_parser.Call) else ""


def _syntax(expr: str) -> str | None:
    try:
        parse(expr)
    except ValueError as error:
        return str(error)
    return None


def _parsed(board: Json) -> Iterator[tuple[Any, Any]]:
    """Yield the queries that are PromQL; those that are not are another rule's."""
    for query in queries(board):
        if _syntax(query.expr) is None:
            yield query, parse(query.expr)


RULES: dict[str, Rule] = {
    "template-datasource-rule": _datasource,
    "template-job-rule": _template("job"),
    "template-instance-rule": _template("instance"),
    "template-label-promql-rule": _label_promql,
    "template-on-time-change-reload-rule": _reload,
    "panel-datasource-rule": _panel_datasource,
    "panel-title-description-rule": _title_description,
    "panel-units-rule": _units,
    "panel-no-targets-rule": _no_targets,
    "target-promql-rule": _promql,
    "target-rate-interval-rule": _rate_interval,
    "target-job-rule": _matcher("job"),
    "target-instance-rule": _matcher("instance"),
    "target-counter-agg-rule": _counters,
    "uneditable-dashboard": _uneditable,
}
