"""The Grafana dashboards: generated, lint-free, and of metrics that exist."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from exporter.directmail.model import Filters
from tests.support.boardlint import RULES, findings, idle_exceptions
from tests.support.boards import (
    FILES,
    FOLDER,
    Json,
    load,
    matchers,
    metric_names,
    panels,
    queries,
    query_values,
    selectors,
    variables,
)
from tests.support.own_metrics import all_metrics, own_metrics
from tools.boards import build, exporter_board
from tools.boards.frame import INPUT
from tools.boards.panels import PROVIDERS

ROOT = FOLDER.parent
BOARDS = pytest.mark.parametrize("board", [pytest.param(load(path), id=path.stem) for path in FILES])
ENGAGEMENT = FOLDER / "directmail-engagement.json"

OF_PROMETHEUS = {"ALERTS", "ALERTS_FOR_STATE", "up", "scrape_duration_seconds", "scrape_samples_scraped"}
OF_THE_PROCESS = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
}
NOT_IN_THE_SCHEMA = {
    "__inputs": "of the import form",
    "__requires": "of the import form",
    "step": "of the data source's annotations",
    "tagKeys": "of the data source's annotations",
    "textFormat": "of the data source's annotations",
    "titleFormat": "of the data source's annotations",
    "useValueForTime": "of the data source's annotations",
}


def recorded() -> set[str]:
    """Return the names that the recording rules make."""
    rules = [
        rule
        for path in (ROOT / "prometheus").glob("*.rules.yml")
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]
    return {rule["record"] for rule in rules if "record" in rule}


def lost(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """Yield the places whose keys or values are not the same in both."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from lost(value, after[key], f"{place}.{key}")
            else:
                yield f"{place}.{key}"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from lost(old, new, f"{place}[{index}]")
    elif before != after:
        yield place


def test_the_files_are_what_the_program_writes() -> None:
    made = build.files()
    assert {path: path.read_text() for path in made} == made, "run `make dashboards`"
    assert {*FILES, *build.RESOURCES.glob("*"), *build.PERSES.glob("*")} == set(made)


@BOARDS
def test_the_linter_finds_nothing(board: Json) -> None:
    assert findings(board) == []
    assert idle_exceptions(board) == []


def _break_variable(name: str, key: str, value: Any) -> Callable[[Json], None]:
    return lambda board: variables(board)[name].update({key: value})


def _break_query(old: str, new: str) -> Callable[[Json], None]:
    def change(board: Json) -> None:
        target = next(target for panel in panels(board) for target in panel.get("targets", ()) if old in target["expr"])
        target["expr"] = target["expr"].replace(old, new)

    return change


def _break_panel(**values: Any) -> Callable[[Json], None]:
    return lambda board: next(panel for panel in panels(board) if panel["type"] == "stat").update(values)


@pytest.mark.parametrize(
    ("rule", "mistake"),
    [
        pytest.param("template-datasource-rule", _break_variable("datasource", "label", "DS"), id="datasource"),
        pytest.param("template-job-rule", _break_variable("job", "multi", False), id="job"),
        pytest.param("template-instance-rule", _break_variable("instance", "name", "host"), id="instance"),
        pytest.param(
            "template-label-promql-rule",
            _break_variable("target", "query", {"query": "label_values(up{, target)"}),
            id="label-promql",
        ),
        pytest.param("template-on-time-change-reload-rule", _break_variable("target", "refresh", 1), id="reload"),
        pytest.param("panel-datasource-rule", _break_panel(datasource={"uid": "abc"}), id="panel-datasource"),
        pytest.param("panel-title-description-rule", _break_panel(description=""), id="description"),
        pytest.param(
            "panel-units-rule", _break_panel(fieldConfig={"defaults": {"unit": "mails"}, "overrides": []}), id="units"
        ),
        pytest.param("panel-no-targets-rule", _break_panel(targets=[]), id="no-targets"),
        pytest.param("target-promql-rule", _break_query("sum(", "sum(("), id="promql"),
        pytest.param("target-rate-interval-rule", _break_query("$__rate_interval", "5m"), id="rate-interval"),
        pytest.param("target-job-rule", _break_query('job=~"$job"', 'job="directmail"'), id="job-matcher"),
        pytest.param("target-instance-rule", _break_query('instance=~"$instance", ', ""), id="instance-matcher"),
        pytest.param("target-counter-agg-rule", _break_query("increase(", "last_over_time("), id="counter"),
        pytest.param("uneditable-dashboard", lambda board: board.update(editable=True), id="editable"),
    ],
)
def test_each_rule_finds_its_mistake(rule: str, mistake: Callable[[Json], None]) -> None:
    board = load(FOLDER / "directmail-exporter.json")
    mistake(board)
    assert {finding.partition(":")[0] for finding in findings(board)} == {rule}
    assert rule in RULES


@BOARDS
def test_grafanas_schema_has_every_key(board: Json) -> None:
    register_default_plugins()
    again = json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))
    assert {place for place in lost(board, again) if place.rpartition(".")[2] not in NOT_IN_THE_SCHEMA} == set()


def test_the_schema_rejects_a_key_that_grafana_does_not_have() -> None:
    board = load(ENGAGEMENT)
    next(panel for panel in panels(board) if panel["type"] == "timeseries")["options"]["legend"]["placment"] = "right"
    again = json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))
    assert any(place.endswith(".options.legend.placment") for place in lost(board, again))


@BOARDS
def test_every_metric_exists(board: Json) -> None:
    histograms = {f"{name}_bucket" for name in own_metrics() if name.endswith("_duration_seconds")}
    known = all_metrics() | histograms | recorded()
    expressions = [
        *(query.expr for query in queries(board)),
        *(query_values(each)[0] for each in variables(board).values() if each["type"] == "query"),
        *(each["expr"] for each in board["annotations"]["list"] if "expr" in each),
    ]
    requested = {name for expr in expressions for selector, _ in selectors(expr) for name in metric_names(selector)}
    assert requested - known - OF_PROMETHEUS - OF_THE_PROCESS == set()


@BOARDS
def test_ids_and_references_are_used_once_and_no_panel_covers_another(board: Json) -> None:
    every = list(panels(board))
    assert len({panel["id"] for panel in every}) == len(every)
    for panel in every:
        refs = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(refs)) == len(refs)
    for together in (board["panels"], *(panel["panels"] for panel in every if panel.get("collapsed"))):
        places = [panel["gridPos"] for panel in together]
        occupied = [
            (x, y)
            for place in places
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(occupied) == len(set(occupied))
        assert {x for x, _ in occupied} == set(range(24))


def test_a_selector_of_data_sets_every_filter_and_the_query() -> None:
    """Otherwise totals and their parts would be added up."""
    board = load(ENGAGEMENT)
    for query in queries(board):
        for selector, _ in selectors(query.expr):
            if re.match("directmail_(track|delivery)_|stream", selector.name):
                found = matchers(selector)
                for label in Filters._fields:
                    assert {("=", ""), ("!=", "")} & set(found.get(label, ())), (query.panel["title"], label)
                assert ("query" in found) is not selector.name.startswith("stream"), query.panel["title"]


def test_a_provider_has_the_same_colour_everywhere() -> None:
    coloured = 0
    for panel in panels(load(ENGAGEMENT)):
        if panel["type"] == "timeseries" and panel["targets"][0]["legendFormat"] == "{{esp}}":
            coloured += 1
            colours = {
                override["matcher"]["options"]: override["properties"][0]["value"]["fixedColor"]
                for override in panel["fieldConfig"]["overrides"]
                if override["properties"][0]["id"] == "color"
            }
            assert {name: colours.get(name) for name in PROVIDERS} == PROVIDERS, panel["title"]
    assert coloured == 7


@BOARDS
def test_lines_have_no_fill_and_their_legend_shows_the_last_value(board: Json) -> None:
    for panel in panels(board):
        if panel["type"] == "timeseries":
            custom, legend = panel["fieldConfig"]["defaults"]["custom"], panel["options"]["legend"]
            assert (custom["fillOpacity"] == 0) is (custom["drawStyle"] == "line"), panel["title"]
            assert legend["calcs"] == ["last"], panel["title"]


@BOARDS
def test_the_boards_link_to_each_other_with_variables_and_time(board: Json) -> None:
    (link,) = board["links"]
    assert (link["includeVars"], link["keepTime"]) == (True, True)
    other = load(FOLDER / f"{link['url'].removeprefix('/d/')}.json")
    assert other["title"] == link["title"]
    assert other["uid"] != board["uid"]


@BOARDS
def test_an_import_by_hand_sets_the_data_source_and_provisioning_needs_none(board: Json) -> None:
    """Only the first choice of the variable names the input, and Grafana corrects a choice that does not exist."""
    (requested,) = board["__inputs"]
    assert (requested["name"], requested["pluginId"]) == (INPUT, "prometheus")
    choice = variables(board)["datasource"]["current"]
    assert choice["value"] == f"${{{INPUT}}}"
    choice.update(text="", value="")
    assert "${DS_" not in json.dumps(board)


@BOARDS
def test_an_import_lists_every_kind_of_panel(board: Json) -> None:
    reported = {each["id"] for each in board["__requires"] if each["type"] == "panel"}
    assert reported == {panel["type"] for panel in panels(board)} - {"row"}


def test_what_grafana_is_provisioned_with_is_there() -> None:
    folder = FOLDER / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "$PROMETHEUS_URL")
    (provider,) = yaml.safe_load((folder / "dashboards" / "directmail.yml").read_text())["providers"]
    assert provider["type"] == "file"
    assert Path(provider["options"]["path"]).is_absolute()


def test_the_documentation_names_every_row_and_variable() -> None:
    text = (ROOT / "docs" / "dashboards.md").read_text()
    for path in FILES:
        board = load(path)
        titles = [panel["title"].partition(", needs ")[0] for panel in panels(board) if panel["type"] == "row"]
        rows = [title.removesuffix(" ($window)") for title in titles]
        names = [variable["label"] for variable in board["templating"]["list"]]
        assert [name for name in (*rows, *names, board["title"]) if name not in text] == []


def test_a_further_statistic_needs_no_colours() -> None:
    colours = exporter_board.call_colours(["GetTrackList", "SenderStatisticsByTagNameAndBatchID", "ListReplies"])
    assert len(set(colours.values())) == len(colours) >= 6
