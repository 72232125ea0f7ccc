"""The dashboards as resources of Grafana's newer form: the same panels at the same places."""

import json

import pytest

from tests.support.boards import FILES, Json, load, panels
from tools.boards import build

NAMES = pytest.mark.parametrize("name", [path.name for path in FILES])


def spec(name: str) -> Json:
    found: Json = load(build.RESOURCES / name)["spec"]
    return found


def rows(board: Json) -> list[Json]:
    """Return the rows of a layout."""
    return [row["spec"] for row in board["layout"]["spec"]["rows"]]


def items(row: Json) -> list[Json]:
    """Return the places of the panels in a row."""
    return [each["spec"] for each in row["layout"]["spec"]["items"]]


@NAMES
def test_a_resource_has_the_name_by_which_the_other_board_links_to_it(name: str) -> None:
    written = load(build.RESOURCES / name)
    assert written["apiVersion"] == "dashboard.grafana.app/v2"
    assert written["metadata"]["name"] == load(build.CLASSIC / name)["uid"]
    assert {link["url"] for link in written["spec"]["links"]} < {f"/d/{path.stem}" for path in FILES}


@NAMES
def test_every_panel_has_the_same_queries_as_in_the_classic_form(name: str) -> None:
    classic = {panel["id"]: panel for panel in panels(load(build.CLASSIC / name)) if panel["type"] != "row"}
    elements = {each["spec"]["id"]: each["spec"] for each in spec(name)["elements"].values()}
    assert elements.keys() == classic.keys()
    for number, panel in classic.items():
        requested = elements[number]["data"]["spec"]
        assert (elements[number]["title"], elements[number]["vizConfig"]["group"]) == (panel["title"], panel["type"])
        assert [(each["spec"]["refId"], each["spec"]["query"]["spec"]) for each in requested["queries"]] == [
            (target["refId"], {key: value for key, value in target.items() if key not in ("refId", "datasource")})
            for target in panel.get("targets", ())
        ]
        assert [(each["group"], each["spec"]["options"]) for each in requested["transformations"]] == [
            (each["id"], each["options"]) for each in panel.get("transformations", ())
        ]
        assert requested["queryOptions"].get("interval") == panel.get("interval")


@NAMES
def test_the_layout_names_every_panel_once_and_no_panel_covers_another(name: str) -> None:
    board = spec(name)
    placed = [each["element"]["name"] for row in rows(board) for each in items(row)]
    assert sorted(placed) == sorted(board["elements"])
    for row in rows(board):
        occupied = [
            (x, y)
            for each in items(row)
            for x in range(each["x"], each["x"] + each["width"])
            for y in range(each["y"], each["y"] + each["height"])
        ]
        assert len(occupied) == len(set(occupied))
        assert min(y for _, y in occupied) == 0


@NAMES
def test_rows_are_collapsed_as_in_the_classic_form_and_what_is_above_has_no_header(name: str) -> None:
    heads = [panel for panel in load(build.CLASSIC / name)["panels"] if panel["type"] == "row"]
    shown = [(row["title"], row["collapse"]) for row in rows(spec(name)) if not row["hideHeader"]]
    assert shown == [(head["title"], head["collapsed"]) for head in heads]
    assert all(row["title"] == "" for row in rows(spec(name)) if row["hideHeader"])


@NAMES
def test_what_is_repeated_and_what_is_marked_is_so_here_too(name: str) -> None:
    classic = load(build.CLASSIC / name)
    repeated = [each["repeat"]["value"] for row in rows(spec(name)) for each in items(row) if "repeat" in each]
    assert repeated == [panel["repeat"] for panel in panels(classic) if "repeat" in panel]
    marks = {each["spec"]["name"]: each["spec"] for each in spec(name)["annotations"]}
    for each in classic["annotations"]["list"]:
        mark = marks[each["name"]]
        assert mark["query"]["spec"].get("expr") == each.get("expr")
        assert mark.get("legacyOptions", {}).get("useValueForTime") == each.get("useValueForTime")


@NAMES
def test_variables_have_the_same_queries_and_the_data_source_is_grafanas_default(name: str) -> None:
    classic = {each["name"]: each for each in load(build.CLASSIC / name)["templating"]["list"]}
    for each in (variable["spec"] for variable in spec(name)["variables"]):
        if each["name"] == "datasource":
            assert each["current"] == {"text": "default", "value": "default"}
        else:
            assert each["query"]["spec"] == classic[each["name"]]["query"]
            assert (each["refresh"], each["multi"]) == ("onTimeRangeChanged", classic[each["name"]]["multi"])
    assert "DS_PROMETHEUS" not in json.dumps(spec(name))
