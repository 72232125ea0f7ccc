"""The dashboards for Perses: valid, and with every query of Grafana's that Perses can show."""

from collections.abc import Callable

import jsonschema
import pytest

from tests.support.boards import FILES, Json, load, panels, variables
from tests.support.perses_schema import DASHBOARD
from tools.boards import build
from tools.boards.perses import NOT_THERE

NAMES = pytest.mark.parametrize("name", [path.name for path in FILES])


def written(name: str) -> Json:
    return load(build.PERSES / name)


def queries(dashboard: Json) -> list[Json]:
    """Return what is requested of Prometheus."""
    return [
        each["spec"]["plugin"]["spec"]
        for panel in dashboard["spec"]["panels"].values()
        for each in panel["spec"].get("queries", ())
    ]


@NAMES
def test_a_dashboard_is_what_perses_accepts(name: str) -> None:
    jsonschema.validate(written(name), DASHBOARD)


@pytest.mark.parametrize(
    "mistake",
    [
        pytest.param(lambda spec: spec.update(calculation="lately"), id="unknown-word"),
        pytest.param(lambda spec: spec.pop("calculation"), id="missing-key"),
        pytest.param(lambda spec: spec.update(wings=2), id="unknown-key"),
        pytest.param(lambda spec: spec["format"].update(unit="percentunit"), id="grafanas-unit"),
        pytest.param(lambda spec: spec["thresholds"]["steps"].append({"color": "#FFFFFF"}), id="step-without-value"),
    ],
)
def test_a_mistake_is_found(mistake: Callable[[Json], object]) -> None:
    dashboard = written(FILES[0].name)
    mistake(dashboard["spec"]["panels"]["panel-1"]["spec"]["plugin"]["spec"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(dashboard, DASHBOARD)


@NAMES
def test_every_query_has_its_time_and_step(name: str) -> None:
    requested = {(each["query"], each["instant"], each.get("minStep")) for each in queries(written(name))}
    for panel in panels(load(build.CLASSIC / name)):
        for target in panel.get("targets", ()):
            is_trend = panel["type"] == "table" and not target["instant"]
            if panel["type"] not in NOT_THERE and not is_trend:
                assert (target["expr"], target["instant"], target.get("interval", panel.get("interval"))) in requested


@NAMES
def test_every_panel_has_one_place_and_none_covers_another(name: str) -> None:
    spec = written(name)["spec"]
    grids = [layout["spec"]["items"] for layout in spec["layouts"]]
    placed = [each["content"]["$ref"].rpartition("/")[2] for items in grids for each in items]
    assert sorted(placed) == sorted(spec["panels"])
    for items in grids:
        occupied = [
            (x, y)
            for each in items
            for x in range(each["x"], each["x"] + each["width"])
            for y in range(each["y"], each["y"] + each["height"])
        ]
        assert len(occupied) == len(set(occupied))
        assert all(x < 24 for x, _ in occupied)


@NAMES
def test_rows_are_open_or_not_as_in_grafana_and_in_its_order(name: str) -> None:
    heads = [panel for panel in load(build.CLASSIC / name)["panels"] if panel["type"] == "row"]
    shown = [layout["spec"]["display"] for layout in written(name)["spec"]["layouts"] if "display" in layout["spec"]]
    assert [(each["title"], each["collapse"]["open"]) for each in shown] == [
        (head["title"], not head["collapsed"]) for head in heads
    ]


def test_what_is_repeated_repeats_its_row_below_the_alerts() -> None:
    repeated = [layout["spec"].get("repeatVariable") for layout in written(FILES[0].name)["spec"]["layouts"]]
    assert repeated[:4] == [None, "account_name", "account_name", None]


@NAMES
def test_variables_are_the_same(name: str) -> None:
    classic = variables(load(build.CLASSIC / name))
    for each in (variable["spec"] for variable in written(name)["spec"]["variables"]):
        (series,) = each["plugin"]["spec"]["matchers"]
        assert classic[each["name"]]["query"]["query"] == f"label_values({series}, {each['name']})"
        assert (each["allowMultiple"], each.get("customAllValue")) == (
            classic[each["name"]]["multi"],
            classic[each["name"]].get("allValue"),
        )


def test_a_change_against_last_week_is_a_figure_with_a_unit_and_colours_of_its_own() -> None:
    shown = written(FILES[0].name)["spec"]["panels"].values()
    figures = {panel["spec"]["display"]["name"]: panel["spec"]["plugin"]["spec"] for panel in shown}
    assert figures["Emails delivered"]["format"]["unit"] == "decimal"
    assert figures["Emails delivered vs last week"]["format"]["unit"] == "percent-decimal"
    assert [step["value"] for step in figures["Emails delivered vs last week"]["thresholds"]["steps"]] == [
        *(-0.4, -0.25, -0.1),
    ]
