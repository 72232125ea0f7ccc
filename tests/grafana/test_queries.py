"""Every query of the dashboards, run by real Prometheuses: with a past of weeks, and scraping every minute.

One that has just begun, and one with a month of `backfill`, have files of their own.
"""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio

from exporter.simulator.account import STREAMS
from exporter.simulator.traffic import Traffic
from tests.support.board_queries import SPANS, chosen, numbers, result
from tests.support.boards import FILES, expanded, load, panels, queries, query_values
from tests.support.observatory import BACKFILLED, EVERY_MINUTE, Observer, observatory
from tools.stack.prometheus import Prometheus

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

BOARDS = pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in FILES])
OBSERVERS = {"backfilled": BACKFILLED, "every-minute": EVERY_MINUTE}
MARKS = 100
"""What Grafana requests at most for annotations."""
INSTEAD = ("$account_name: opens vs usual", "B")
"""What is drawn only where no provider is polled."""


class Watched(NamedTuple):
    """A running Prometheus and what it is."""

    server: Prometheus
    observer: Observer
    traffic: Traffic


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=OBSERVERS)
async def watched(
    machine_clock: None, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[Watched]:
    observer = OBSERVERS[request.param]
    async with observatory(tmp_path_factory.mktemp("observatory"), observer) as (server, traffic):
        yield Watched(server, observer, traffic)


@BOARDS
async def test_every_panel_shows_something_or_why_not_and_every_legend_has_its_label(
    watched: Watched, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = load(path)
    values, empty, unlabelled, reported = chosen(board), [], [], [f"\n\n{board['title']}: series of each query"]
    for query in queries(board):
        found = await result(watched.server, board, query, values)
        reported.append(f"{len(found):4}  {query.panel['title']} {query.ref}: {query.expr}")
        if not found and (query.panel["title"], query.ref) != INSTEAD:
            empty.append(reported[-1])
        unlabelled += [
            (reported[-1], label) for label in query.legend_labels if any(label not in each["metric"] for each in found)
        ]
    report(capsys, reported)
    assert (empty, unlabelled) == ([], [])


@BOARDS
async def test_every_variable_has_values_and_offers_its_first_choice(
    watched: Watched, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = load(path)
    values, reported = chosen(board), [f"\n\n{board['title']}: values of each variable"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            series, label = query_values(variable)
            results = await watched.server.query(expanded(series, values))
            found = {each["metric"].get(label, "") for each in results} - {""}
            reported.append(f"{len(found):4}  ${variable['name']}: {', '.join(sorted(found))}")
            assert found, variable["name"]
            assert variable["multi"] or variable["current"]["value"] in found
    report(capsys, reported)


@BOARDS
async def test_every_alert_and_every_start_is_one_mark(watched: Watched, path: Path) -> None:
    board, now = load(path), time.time()
    span = SPANS[board["time"]["from"]]
    step = max(60.0, span / MARKS)
    for each in board["annotations"]["list"]:
        if "expr" in each:
            expr = expanded(each["expr"], {**chosen(board), "__interval": f"{step:.0f}s"})
            end = now // step * step
            found = await watched.server.query_range(expr, end - span, end, step)
            assert found or each["name"] == "Firing alerts", each["name"]
            for series in found:
                marks = {float(value) for _, value in series["values"]}
                assert len(marks) <= 1 + ("ALERTS" not in each["expr"]), series["metric"]
                assert max(marks) <= 1000 * (now + 1)


async def test_a_share_is_one_and_every_comparison_is_there(watched: Watched) -> None:
    """No share is beyond what it can be, and every comparison has what it compares with."""
    board = load(FILES[0])
    for query in queries(board):
        unit = query.panel["fieldConfig"]["defaults"].get("unit")
        if unit == "percentunit" and "vs" not in f"{query.panel['title']}{query.legend}":
            found = await result(watched.server, board, query, chosen(board))
            beyond = [value for series in found for value in numbers(series) if not 0 <= value <= 1]
            assert beyond == [], query.panel["title"]
    compared = [query for query in queries(board) if query.legend == "vs last week"]
    assert len(compared) == 5
    for query in compared:
        assert await result(watched.server, board, query, chosen(board)), query.panel["title"]


async def test_a_sender_that_is_not_polled_by_provider_is_compared_with_last_week(watched: Watched) -> None:
    board = load(FILES[0])
    (instead,) = [query for query in queries(board) if (query.panel["title"], query.ref) == INSTEAD]
    assert await result(watched.server, board, instead, {**chosen(board), "esp": "none"})


async def test_the_funnel_narrows(watched: Watched) -> None:
    board = load(FILES[0])
    (funnel,) = [each for each in panels(board) if each["type"] == "bargauge"]
    requested = [query for query in queries(board) if query.panel is funnel]
    found = [next(numbers(*await result(watched.server, board, query, chosen(board)))) for query in requested]
    assert found == sorted(found, reverse=True)
    assert found[-1] > 0


async def test_a_bar_of_mails_per_day_is_that_days_mail_in_the_account(watched: Watched) -> None:
    """Wherever the browser is: its midnights are up to half a day off the account's."""
    board = load(FILES[0])
    requested = next(query for query in queries(board) if query.panel["title"] == "Mails per day")
    expr = expanded(requested.expr, chosen(board))
    now = time.time()
    senders = {stream.sender for stream in STREAMS}
    found = 0
    for browser in (-11, 0, 11):
        zone = timezone(watched.traffic.choices.zone.utcoffset(datetime.now(UTC)) + timedelta(hours=browser))
        midnight = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        for ago in range(1, 6):
            shown = midnight - timedelta(days=ago)
            bars = await watched.server.query(expr, shown.timestamp())
            for series in bars:
                day = shown.date()
                mails = sum(watched.traffic.delivery(day, now, sender=sender).delivered for sender in senders)
                assert next(numbers(series)) == mails, (browser, day)
                found += 1
    assert found >= (12 if watched.observer is BACKFILLED else 0)


def report(capsys: pytest.CaptureFixture[str], lines: list[str]) -> None:
    """Print, whether pytest shows the output of tests that pass or not."""
    with capsys.disabled():
        print("\n".join(lines))
