"""The first five minutes of a new user's Prometheus: every panel shows what an old one shows, or nothing.

And the plainest of accounts: no tags, providers, IPs or delivery.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import promql_parser
import pytest
import pytest_asyncio

from exporter.commands.demo_replay import moments, replay
from exporter.config.model import Refresh
from exporter.directmail.statistics.registry import DEFAULT
from exporter.simulator.traffic import Traffic
from tests.support.board_queries import chosen, numbers, result
from tests.support.boards import FILES, Json, Query, expanded, load, nodes, queries
from tests.support.observatory import TARGET, settings, wanted
from tools.stack import programs, rules
from tools.stack import prometheus as stack
from tools.stack.prometheus import Prometheus, Stretch

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOARDS = pytest.mark.parametrize("board", [pytest.param(load(path), id=path.stem) for path in FILES])
BEGIN = datetime.fromisoformat("2026-04-22T10:00:00+08:00").timestamp()
MOMENTS = (15.0, 45.0, 60.0, 120.0, 180.0, 240.0, 300.0)
"""Seconds after the first scrape."""
SCRAPES = 15.0
HOUR = 3600.0
OF_THE_WHOLE = {"increase", "rate", "avg_over_time", "count_over_time"}
"""Functions whose value over a part of their range differs from that of the whole."""
AT_ONCE = {
    "directmail-engagement": {
        *("Firing alerts", "Unique open rate of today", "Age of the data", "$account_name: open rate today"),
        *("Emails delivered", "Unique open rate", "Unique click rate", "Click-to-open rate", "Senders"),
        *("Unique click rate ($window)", "Providers ($window)", "From request to click ($window)", "Quota used today"),
    },
    "directmail-exporter": {
        *("Exporter up", "Targets polled", "Age of the data", "Budget planned", "Stale", "Combinations", "Backlog"),
    },
}
"""Panels that show something from the first scrapes on, by the board's UID."""


NEED_DAYS = {"Firing and pending alerts", "$account_name: opens vs usual"}
"""Panels of open rows that have nothing to show on the second day of a quiet account."""


class Begun(NamedTuple):
    """A Prometheus with exporters of the same mail: job `new` is five minutes old, job `old` more than a day.

    Job `plain` has neither but its senders, polled for opens and clicks.
    """

    server: Prometheus
    traffic: Traffic


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def begun(tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Begun]:
    for program in programs.PACKAGES:
        tool(program)
    folder, traffic = tmp_path_factory.mktemp("begun"), Traffic()
    made = replace(settings("http://127.0.0.1:1", traffic.choices.zone), refresh=Refresh(recent=HOUR / 2, older=HOUR))
    scrapes = list(moments(BEGIN, BEGIN + MOMENTS[-1] + SCRAPES, SCRAPES))
    before = [*moments(BEGIN - 26 * HOUR, BEGIN - 2 * HOUR, HOUR), *moments(BEGIN - 2 * HOUR, BEGIN, 300)]
    (target,) = made.targets
    senders = tuple(replace(each, statistics=DEFAULT) for each in target.queries if each.name == "by_sender")
    plain = replace(made, account_interval=None, domains_interval=None, targets=(replace(target, queries=senders),))
    for job, config, times in (
        ("new", made, scrapes),
        ("old", made, [*before, *scrapes]),
        ("plain", plain, [*before, *scrapes]),
    ):
        labels = {"job": job, "instance": f"{job}:10058"}
        replay(config, {TARGET: traffic}, times, labels=labels, wanted=wanted).write(folder / "history.om")
        await stack.load(folder, folder / "history.om")
    await stack.record(folder, rules.passes(folder), [Stretch(BEGIN, BEGIN + MOMENTS[-1], SCRAPES)])
    async with stack.prometheus(folder) as server:
        yield Begun(server, traffic)


def reach(query: Query) -> float:
    """Return how many seconds of the past a query needs, a function of a whole range or a value of that time."""
    needed = [0.0]
    tree = promql_parser.parse(expanded(query.expr, {"__rate_interval": "4m"}))
    for node, above in nodes(tree):
        if isinstance(node, promql_parser.MatrixSelector):
            call = next((each for each in reversed(above) if isinstance(each, promql_parser.Call)), None)
            if call is not None and call.func.name in OF_THE_WHOLE:
                needed.append(node.range.total_seconds())
    return max(needed)


@BOARDS
async def test_a_panel_shows_what_it_will_always_show_or_nothing(begun: Begun, board: Json) -> None:
    wrong, too_early, silent = [], [], set(AT_ONCE[board["uid"]])
    for query in queries(board):
        title = f"{query.panel['title']} {query.ref}"
        for after in MOMENTS:
            at = BEGIN + after
            new = await result(begun.server, board, query, {**chosen(board), "job": "new"}, at)
            old = await result(begun.server, board, query, {**chosen(board), "job": "old"}, at)
            shown, right = (dict(map(_shown, each)) for each in (new, old))
            if new:
                silent.discard(query.panel["title"])
            if new and reach(query) > after:
                too_early.append((title, after))
            wrong += [
                (title, after, dict(of), value, right.get(of)) for of, value in shown.items() if value != right.get(of)
            ]
    assert too_early == []
    assert wrong == []
    assert silent == set()


async def test_an_account_with_senders_alone_sees_every_open_row_filled_and_the_others_say_what_they_need(
    begun: Begun,
) -> None:
    board = load(FILES[0])
    values, at = {**chosen(board), "job": "plain"}, BEGIN + MOMENTS[-1]
    answered = {query.panel["id"] for query in queries(board) if await result(begun.server, board, query, values, at)}
    row = ""
    for each in board["panels"]:
        row = each["title"] if each["type"] == "row" else row
        for panel in each.get("panels", [each]):
            if panel.get("targets") and panel["id"] not in answered:
                said = panel["fieldConfig"]["defaults"]["noValue"]
                assert said.startswith("no data yet: needs ") or panel["title"] == "Firing and pending alerts", (
                    row,
                    panel["title"],
                )
                is_open = each is panel
                assert not is_open or panel["title"] in NEED_DAYS, (row, panel["title"])


def _shown(series: Json) -> tuple[frozenset[tuple[str, str]], float]:
    """Return a series' labels without those that tell the two exporters apart, and its last number."""
    labels = {(name, value) for name, value in series["metric"].items() if name not in ("job", "instance")}
    return frozenset(labels), round(list(numbers(series))[-1], 6)
