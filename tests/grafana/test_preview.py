"""The drawing of boards without Grafana."""

import re
from typing import Any

import pytest

from tools.boards import drawing
from tools.boards.drawing import Series
from tools.boards.engagement_board import USUAL_STANDING, make
from tools.boards.preview import Preview, seconds

SPAN = (1_776_700_800.0, 1_776_787_200.0)


class Told:
    """A Prometheus that answers every query with one rising series of one sender and provider."""

    def ask(self, kind: str, **parameters: str) -> Any:
        labels = dict.fromkeys(re.findall(r"by \((\w+)\)", parameters.get("query", "")), "gmail.com")
        if kind == "alerts":
            return {"alerts": [{"state": "firing", "labels": {"alertname": "DirectMailTest", "severity": "critical"}}]}
        if kind == "query":
            metric = labels or {"account_name": "news@mail.example.com"}
            return {"result": [{"metric": metric, "value": [SPAN[1], "0.5"]}]}
        points = [[at, str(number)] for number, at in enumerate(range(int(SPAN[0]), int(SPAN[1]), 3600))]
        return {"result": [{"metric": labels, "values": points}]}


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        pytest.param(0.314, "percentunit", None, "31.4%", id="part"),
        pytest.param(293_510, "short", None, "293.51 K", id="thousands"),
        pytest.param(24, "short", 0, "24", id="count"),
        pytest.param(592, "s", None, "9.87 min", id="minutes"),
        pytest.param(0.25, "s", None, "250 ms", id="milliseconds"),
        pytest.param(0, "s", None, "0 s", id="no-time"),
        pytest.param(50 * 1024 * 1024, "bytes", None, "50 MiB", id="bytes"),
        pytest.param(0.158, "reqps", None, "0.158 req/s", id="rate"),
        pytest.param(0.789, "none", 2, "0.79", id="plain"),
    ],
)
def test_numbers_are_shown_in_their_unit(value: float, unit: str, decimals: int | None, text: str) -> None:
    assert drawing.text_of(value, unit, decimals) == text


def test_a_value_has_the_colour_of_the_step_it_has_reached() -> None:
    steps = {"steps": [{"color": "red", "value": None}, {"color": "green", "value": 0.25}]}
    assert [drawing.color_at(value, steps) for value in (0.2, 0.25)] == [
        drawing.COLORS["red"],
        drawing.COLORS["green"],
    ]


def test_a_line_is_broken_where_points_are_missing() -> None:
    assert drawing.path([(0, 1), (1, 2), (9, 3)], gap=2) == "M0.0 1.0L1.0 2.0M9.0 3.0"


def test_the_worst_provider_stands_first_in_the_legend() -> None:
    series = [Series(name, "A", [(SPAN[0], last)]) for name, last in (("others", 1.1), ("gmail.com", 0.3))]
    drawn = drawing.lines(USUAL_STANDING, series, SPAN, 800, 300)
    assert re.findall(r"</i>(.*?)</td><td>(.*?)<", drawn) == [("gmail.com", "0.30"), ("others", "1.10")]


def test_a_board_is_drawn_with_every_panel_at_its_place() -> None:
    board = make()
    page, height = Preview(board, Told(), SPAN).page()
    for panel in board["panels"]:
        title = re.sub(r"\$account_name", "news@mail.example.com", panel["title"]).replace("$window", "7d")
        assert title in page
    assert "DirectMailTest" in page
    assert drawing.NOTHING not in page
    assert height > 2000


def test_spans_are_read() -> None:
    assert [seconds(text) for text in ("20m", "6h", "7d")] == [1200, 21_600, 604_800]
