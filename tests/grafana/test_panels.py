"""The panels of the dashboards, compared with what Grafana's own front-end showed of them."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.boards import FILES, FOLDER, Json, load, panels, variables
from tests.support.panellint import RULES, difference, findings, is_alarming
from tests.support.rule_files import ALERTS
from tests.support.title_width import room, text_width
from tools.boards.panels import Row, grid, lines, stat

BOARDS = pytest.mark.parametrize("board", [pytest.param(load(path), id=path.stem) for path in FILES])
ENGAGEMENT = FOLDER / "directmail-engagement.json"
EXPORTER = FOLDER / "directmail-exporter.json"
Mistake = Callable[[Json], object]


@BOARDS
def test_no_fault_that_grafana_showed_is_there(board: Json) -> None:
    assert findings(board) == []


def panel(board: Json, title: str) -> Json:
    return next(each for each in panels(board) if each["title"] == title)


def _target(title: str, **values: Any) -> Mistake:
    return lambda board: panel(board, title)["targets"][0].update(values)


def _expr(title: str, old: str, new: str) -> Mistake:
    def mistake(board: Json) -> None:
        for target in panel(board, title)["targets"]:
            assert old in target["expr"]
            target["expr"] = target["expr"].replace(old, new)

    return mistake


def _option(title: str, name: str, **values: Any) -> Mistake:
    return lambda board: panel(board, title)["options"][name].update(values)


def _default(title: str, **values: Any) -> Mistake:
    return lambda board: panel(board, title)["fieldConfig"]["defaults"].update(values)


def _place(title: str, **values: Any) -> Mistake:
    return lambda board: panel(board, title)["gridPos"].update(values)


def _property(title: str, name: str, key: str, change: Callable[[Any], Any]) -> Mistake:
    def mistake(board: Json) -> None:
        for override in panel(board, title)["fieldConfig"]["overrides"]:
            for each in override["properties"]:
                if (override["matcher"]["options"], each["id"]) == (name, key):
                    each["value"] = change(each["value"])

    return mistake


def _annotation(**values: Any) -> Mistake:
    return lambda board: board["annotations"]["list"][1].update(values)


def _lost_sender(link: list[Json]) -> list[Json]:
    return [{**link[0], "url": link[0]["url"].replace("${account_name:queryparam}&", "")}]


MISTAKES = [
    pytest.param("stats-are-of-now", _target("Age of the data", instant=False, range=True), id="range-in-a-stat"),
    pytest.param(
        "stats-are-of-now",
        lambda board: panel(board, "Emails delivered")["options"].update(graphMode="area"),
        id="sparkline",
    ),
    pytest.param("annotations-mark-moments", _annotation(useValueForTime="off"), id="fence-of-marks"),
    pytest.param("alerts-say-who", _place("Firing and pending alerts", h=5), id="short-list-of-alerts"),
    pytest.param(
        "alerts-say-who", lambda board: panel(board, "Firing alerts").update(type="alertlist"), id="alertlist"
    ),
    pytest.param(
        "legends-are-below", _option("Opens and clicks per hour", "legend", placement="right"), id="legend-beside"
    ),
    pytest.param("hours-are-smooth", _expr("Opens and clicks per hour", "[3h]", "[1h]"), id="teeth"),
    pytest.param(
        "axes-have-bounds",
        lambda board: panel(board, "Unique click rate ($window)")["fieldConfig"]["defaults"]["custom"].pop(
            "axisSoftMax"
        ),
        id="axis-without-end",
    ),
    pytest.param("numbers-are-not-cut", _default("Emails delivered per hour", decimals=0), id="2K-twice"),
    pytest.param(
        "timelines-have-one-step",
        lambda board: panel(board, "Account state")["fieldConfig"]["defaults"]["thresholds"]["steps"].append({}),
        id="two-steps",
    ),
    pytest.param("titles-fit", _place("Age of the data", w=3), id="narrow-stat"),
    pytest.param(
        "titles-fit",
        lambda board: panel(board, "Age of the data").update(title="Age of all of the data"),
        id="long-title",
    ),
    pytest.param(
        "absent-is-absent", _option("Unique open rate", "reduceOptions", calcs=["lastNotNull"]), id="last-week"
    ),
    pytest.param(
        "absent-is-absent",
        _expr("Firing alerts", "count(directmail:threshold) * 0", "vector(0)"),
        id="no-rules-no-alerts",
    ),
    pytest.param("nothing-is-explained", _default("Daily quota", noValue=""), id="bare-no-data"),
    pytest.param("nothing-is-explained", _default("Daily quota", noValue="off"), id="a-guess"),
    pytest.param(
        "filters-are-followed", _expr("Delivery rate by provider (24h)", 'esp=~"$esp", ', ""), id="deaf-provider"
    ),
    pytest.param("filters-are-followed", _expr("Domains by check", ', domain=~"$domain"', ""), id="deaf-domain"),
    pytest.param("filters-are-followed", _expr("From request to click ($window)", "$window", "7d"), id="deaf-window"),
    pytest.param(
        "nothing-is-divided-by-0", _expr("Delivery rate by provider (24h)", " > 0", ""), id="nothing-as-a-divisor"
    ),
    pytest.param("alerts-follow-too", _expr("Firing alerts", "$esp|", ".*"), id="every-provider's-alerts"),
    pytest.param(
        "alerts-follow-too",
        _annotation(
            expr='max_over_time(ALERTS_FOR_STATE{alertname=~"DirectMail.*"}[$__interval] offset -$__interval) * 1000'
        ),
        id="every-alert's-mark",
    ),
    pytest.param(
        "links-keep-what-is-chosen", _property("Providers ($window)", "esp", "links", _lost_sender), id="lost-sender"
    ),
    pytest.param(
        "colours-differ",
        _property("Opens and clicks per hour", "opens", "color", lambda _: {"fixedColor": "#1F60C4"}),
        id="same-colour",
    ),
    pytest.param(
        "colours-differ",
        _property("Opens and clicks per hour", "clicks", "color", lambda _: {"fixedColor": "#FF9830"}),
        id="alarming-clicks",
    ),
    pytest.param("colours-are-ours", _target("Opens and clicks per hour", legendFormat="seen"), id="uncoloured-name"),
]


@pytest.mark.parametrize(("rule", "mistake"), MISTAKES)
def test_each_rule_finds_its_mistake(rule: str, mistake: Mistake) -> None:
    board = load(ENGAGEMENT)
    mistake(board)
    assert rule in {finding.partition(":")[0] for finding in findings(board)}


def test_a_rate_without_a_step_is_found() -> None:
    board = load(EXPORTER)
    del panel(board, "CPU")["targets"][0]["interval"]
    assert [finding.partition(":")[0] for finding in findings(board)] == ["rates-have-a-step"]


def test_a_quantile_of_nothing_is_found() -> None:
    board = load(EXPORTER)
    _expr("Request latency", " >= 0", "")(board)
    assert {finding.partition(":")[0] for finding in findings(board)} == {"nothing-is-divided-by-0"}


def test_every_rule_has_a_mistake_that_it_finds() -> None:
    assert {each.values[0] for each in MISTAKES} | {"rates-have-a-step"} == set(RULES)


def test_widths_are_those_of_grafanas_font() -> None:
    """Two titles as they were measured in pictures, and one that was cut there at 1600 pixels."""
    assert text_width("no-reply@notify.example.com: opens vs usual") == pytest.approx(312, abs=1)
    assert room(3, 1600) == pytest.approx(125)
    assert text_width("Stale combinations") > room(3, 1600) > text_width("Stale combinat...")


def test_colours_are_far_apart_or_not_and_alarming_or_not() -> None:
    assert difference("#73BF69", "#37872D") < 30 < difference("#5794F2", "#B877D9")
    assert [is_alarming(colour) for colour in ("#F2495C", "#FF9830", "#C4162A")] == [True] * 3
    assert [is_alarming(colour) for colour in ("#73BF69", "#F2CC0C", "#5794F2", "#C7D0D9", "#B877D9")] == [False] * 5


def test_the_engagement_board_begins_with_what_moves_in_an_incident() -> None:
    board = load(ENGAGEMENT)
    titles = [
        each["title"] for each in sorted(board["panels"], key=lambda each: (each["gridPos"]["y"], each["gridPos"]["x"]))
    ]
    assert titles[:7] == [
        "Firing alerts",
        "Firing and pending alerts",
        "Unique open rate of today",
        "Age of the data",
        "$account_name: opens vs usual",
        "$account_name: open rate today",
        "Now ($window)",
    ]


def test_a_row_that_needs_more_than_queries_by_sender_is_collapsed_and_names_it() -> None:
    """So no row is empty for an account without tags, providers, IPs, delivery or the reading of the account."""
    for row in (each for each in load(ENGAGEMENT)["panels"] if each["type"] == "row"):
        assert row["collapsed"] is (", needs " in row["title"]), row["title"]
    for each in load(ENGAGEMENT)["panels"]:
        text = str(each.get("targets"))
        more = re.findall(r'tag_name!=""|dedicated_ip!=""|directmail_(?:delivery|account|domain)\w+', text)
        assert more == [], each["title"]


def test_opens_against_usual_are_what_the_alert_compares() -> None:
    """The same expressions, apart from what is chosen on the board."""
    drawn = panel(load(ENGAGEMENT), "$account_name: opens vs usual")["targets"][0]["expr"]
    rules = [each["expr"] for each in ALERTS if each["alert"] == "DirectMailEspOpenRateDrop"]
    assert len(rules) == 2
    for rule in rules:
        compared = rule.rpartition(" < ")[0]
        assert plain(compared) in plain(drawn)


def plain(expr: str) -> str:
    """Return an expression without blanks, and without what chooses series."""
    return re.sub(r"\s", "", re.sub(r"\{(?!threshold)[^}]*\}", "", expr))


def test_an_alert_is_listed_by_whom_it_concerns() -> None:
    listed = panel(load(ENGAGEMENT), "Firing and pending alerts")
    (arranged,) = (each["options"]["renameByName"] for each in listed["transformations"])
    assert list(arranged.values()) == [
        *("State", "Severity", "Alert", "Sender", "Provider", "Tag", "Target", "About"),
    ]


def test_the_small_lines_of_a_table_are_no_time_series_of_one_provider() -> None:
    """Grafana takes numbers of one moment for a series unless their time is gone."""
    first, second, *_ = panel(load(ENGAGEMENT), "Delivery by provider ($window)")["transformations"]
    assert (first["options"], first["filter"]["options"]) == ({"exclude": {"names": ["Time"]}}, "/^(A|B|C|D|E)$/")
    assert (second["id"], list(second["options"])) == ("timeSeriesTable", ["F"])


def test_what_is_given_to_a_panel_is_in_it() -> None:
    row = Row("Rest", [], needs="patience")
    assert (row.heading, grid([row])[0]["collapsed"]) == ("Rest, needs patience", True)
    assert stat("A", "B", "short", [])["fieldConfig"]["defaults"]["noValue"] == "no data yet"
    assert "axisSoftMax" not in lines("A", "B", "percentunit", [], high=1)["fieldConfig"]["defaults"]["custom"]


@BOARDS
def test_variables_offer_what_any_statistic_was_polled_by(board: Json) -> None:
    for name in {"query", "account_name", "tag_name", "esp"} & set(variables(board)):
        assert variables(board)[name]["query"]["query"].startswith("label_values(directmail_query_success{")
    if "window" in variables(board):
        assert "directmail_query_success" in variables(board)["domain"]["query"]["query"]
        assert "directmail_track_window_start" in variables(board)["window"]["query"]["query"]
