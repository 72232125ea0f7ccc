"""The dashboards as tests see them: panels, queries, and parsed PromQL."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser

FOLDER = Path(__file__).parents[2] / "grafana"
FILES = sorted(FOLDER.glob("*.json"))
Json = dict[str, Any]

RATE_INTERVAL = 4321
"""Seconds that no query uses itself: so $__rate_interval is known again once it is expanded."""
INTERVALS = {"__rate_interval": f"{RATE_INTERVAL}s", "__interval": "1m", "__range": "7d"}


class Query(NamedTuple):
    """A query of a panel."""

    panel: Json
    ref: str
    expr: str
    legend: str
    instant: bool

    @property
    def legend_labels(self) -> list[str]:
        """The labels that the legend shows."""
        return re.findall(r"\{\{(\w+)\}\}", self.legend)


def load(path: Path) -> Json:
    board: Json = json.loads(path.read_text())
    return board


def panels(board: Json) -> Iterator[Json]:
    """Yield every panel, rows and what collapsed rows hold included."""
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", ())


def queries(board: Json) -> Iterator[Query]:
    for panel in panels(board):
        for target in panel.get("targets", ()):
            yield Query(panel, target["refId"], target["expr"], target["legendFormat"], target["instant"])


def variables(board: Json) -> dict[str, Json]:
    return {variable["name"]: variable for variable in board["templating"]["list"]}


def query_values(variable: Json) -> tuple[str, str]:
    """Return series and label of a variable's `label_values(series, label)`."""
    match = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
    assert match is not None, variable["query"]
    return match[1], match[2]


def expanded(expr: str, values: Mapping[str, str]) -> str:
    """Return an expression as Grafana sends it; an unknown variable stays and fails to parse or to match."""
    known = {**INTERVALS, **values}
    return re.sub(r"\$(\w+)", lambda match: known.get(match[1], match[0]), expr)


@cache
def parse(expr: str) -> Any:
    """Return the tree. Raise ValueError for what is not PromQL."""
    return promql_parser.parse(expanded(expr, {}))


def nodes(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Yield each node of a tree with those above it, the nearest last."""
    yield node, above
    for name in ("lhs", "rhs", "expr", "args", "vector_selector"):
        below = getattr(node, name, None)
        for child in below if isinstance(below, list) else [below] if below is not None else []:
            yield from nodes(child, (*above, node))


def selectors(expr: str) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Yield every selector of an expression with the nodes above it."""
    for node, above in nodes(parse(expr)):
        if isinstance(node, promql_parser.VectorSelector):
            yield node, above


def metric_names(selector: Any) -> list[str]:
    """Return the metrics that a selector names, by a name or by a choice of names."""
    return [selector.name] if selector.name else matchers(selector)["__name__"][0][1].split("|")


def matchers(selector: Any) -> dict[str, list[tuple[str, str]]]:
    """Return a selector's matchers by label: `=`, `!=`, `=~` or `!~`, and the value."""
    signs = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
    found: dict[str, list[tuple[str, str]]] = {}
    for matcher in selector.matchers.matchers:
        found.setdefault(matcher.name, []).append((signs[str(matcher.op).rpartition(".")[2]], matcher.value))
    return found
