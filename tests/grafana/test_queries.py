"""Every query of the dashboards, asked of a real Prometheus."""

import math
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.boards import FILES, Asked, Json, asked_values, expanded, load, queries, variables
from tests.support.observatory import observatory
from tools.stack.prometheus import Prometheus

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

BOARDS = pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in FILES])
SPANS = {"now-7d": 7 * 86_400.0, "now-6h": 6 * 3600.0}
POINTS = 200
ALL = ".+"
"""What Grafana puts in for a variable at All."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(machine_clock: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    async with observatory(tmp_path_factory.mktemp("observatory")) as running:
        yield running


def chosen(board: Json) -> dict[str, str]:
    """Return the values that the board's variables have when it is opened."""
    values = {name: ALL for name, each in variables(board).items() if each.get("multi")}
    return {**values, **{name: each["current"]["value"] for name, each in variables(board).items() if name == "window"}}


async def answer(server: Prometheus, board: Json, query: Asked, values: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the labels of the series that Grafana would get for a query of a panel, those with a number in them."""
    now, span = time.time(), SPANS[board["time"]["from"]]
    expr = expanded(query.expr, {"__rate_interval": "4m", **values})
    if query.instant:
        found = await server.query(expr, now)
    else:
        step = max(60.0, span / POINTS)
        found = await server.query_range(expr, now - span, now, step)
    return [
        series["metric"]
        for series in found
        if any(math.isfinite(float(value)) for _, value in series.get("values") or [series["value"]])
    ]


@BOARDS
async def test_every_panel_shows_something_and_every_legend_has_its_label(
    server: Prometheus, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = load(path)
    values, empty, unlabelled, told = chosen(board), [], [], [f"\n\n{board['title']}: series of each query"]
    for query in queries(board):
        found = await answer(server, board, query, values)
        told.append(f"{len(found):4}  {query.panel['title']} {query.ref}: {query.expr}")
        if not found:
            empty.append(told[-1])
        unlabelled += [(told[-1], label) for label in query.legend_labels if any(label not in each for each in found)]
    tell(capsys, told)
    assert (empty, unlabelled) == ([], [])


@BOARDS
async def test_every_variable_has_values_and_offers_its_first_choice(
    server: Prometheus, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = load(path)
    values, told = chosen(board), [f"\n\n{board['title']}: values of each variable"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            series, label = asked_values(variable)
            found = {each["metric"].get(label, "") for each in await server.query(expanded(series, values))} - {""}
            told.append(f"{len(found):4}  ${variable['name']}: {', '.join(sorted(found))}")
            assert found, variable["name"]
            assert variable["multi"] or variable["current"]["value"] in found
    tell(capsys, told)


def tell(capsys: pytest.CaptureFixture[str], lines: list[str]) -> None:
    """Print, whether pytest shows the output of tests that pass or not."""
    with capsys.disabled():
        print("\n".join(lines))
