"""A month that `backfill` wrote, in a real Prometheus: what both boards show of it, what the rules record over it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio

from exporter.clock import SystemClock
from exporter.commands.backfill_reading import Backfill
from exporter.commands.demo import morning_zone
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.server import Simulator
from exporter.simulator.traffic import Choices, Traffic
from tests.support.board_queries import chosen, numbers, result
from tests.support.boards import FILES, Json, load, queries
from tests.support.observatory import settings
from tests.support.programs import KEYS
from tools.stack import programs, rules
from tools.stack import prometheus as stack
from tools.stack.prometheus import Prometheus, Stretch

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

DAY, STEP = 86_400.0, 900
LOOKBACK = "--query.lookback-delta=16m"
"""As `backfill` says of such a step."""
COUNTERS = "the observed counters begin with the exporter"
TODAY = "what today had by which hour"
HEALTH = "the health of an exporter that did not run"
ACCOUNT = "the account says what it is now"
ALERTS = "alerts are evaluated by a Prometheus that runs"
UNKNOWN = {
    "Firing alerts": ALERTS,
    "Firing and pending alerts": ALERTS,
    "Unique open rate of today": TODAY,
    "$account_name: open rate today": TODAY,
    "$account_name: opens vs usual": COUNTERS,
    "Emails delivered per hour": COUNTERS,
    "Opens and clicks per hour": COUNTERS,
    "Share of the mail by provider (24h)": COUNTERS,
    "Emails per hour by tag": COUNTERS,
    "Delivery rate by sender (24h)": COUNTERS,
    "Invalid rate by sender (24h)": COUNTERS,
    "Delivery rate by provider (24h)": COUNTERS,
    "Invalid rate by provider (24h)": COUNTERS,
    "Clickers per opener by provider (24h)": COUNTERS,
    "Delivery by provider ($window) F": COUNTERS,
    "Age of the data": HEALTH,
    "Providers ($window) G": HEALTH,
    "Delivery by provider ($window) E": HEALTH,
    "Quota used today": ACCOUNT,
    "By midnight": ACCOUNT,
    "Used this month": ACCOUNT,
    "Free mails left": ACCOUNT,
    "Reputation level": ACCOUNT,
    "Account read": ACCOUNT,
    "Daily quota": ACCOUNT,
    "Reputation": ACCOUNT,
    "Account state": ACCOUNT,
    "Mails by sender address": ACCOUNT,
    "Domains by check": ACCOUNT,
    "Direct Mail / Exporter": HEALTH,
}
"""What a backfill cannot have and why, by panel, query of a panel, or board."""
BOARDS = pytest.mark.parametrize("board", [pytest.param(load(path), id=path.stem) for path in FILES])


class Month(NamedTuple):
    """A Prometheus with the month that ends now."""

    server: Prometheus
    traffic: Traffic
    end: float


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def month(
    machine_clock: None, tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Month]:
    for program in programs.PACKAGES:
        tool(program)
    folder, now = tmp_path_factory.mktemp("month"), time.time()
    traffic = Traffic(choices=Choices(morning_zone(now)))
    async with Simulator(traffic, behaviour=Behaviour(calls_per_minute=1_000_000)).listen() as url:
        made = settings(url, traffic.choices.zone)
        made = replace(made, targets=tuple(replace(each, rate_limit_per_minute=500_000) for each in made.targets))
        labels = {"job": "directmail", "instance": "127.0.0.1:10058"}
        work = Backfill(made, SystemClock(), step=STEP, labels=labels, environment=KEYS)
        await work.run(folder / "history.om", asyncio.Event())
    await stack.load(folder, folder / "history.om")
    await stack.record(folder, rules.passes(folder), [Stretch(now - 29 * DAY, now, STEP)], LOOKBACK)
    async with stack.prometheus(folder, "{}", LOOKBACK) as server:
        yield Month(server, traffic, now)


@BOARDS
async def test_every_panel_shows_the_month_except_those_of_what_a_backfill_cannot_have(
    month: Month, board: Json
) -> None:
    for at in (month.end, month.end - 10 * DAY):
        for query in queries(board):
            title = query.panel["title"]
            found = await result(month.server, board, query, chosen(board), at)
            unknown = UNKNOWN.get(title) or UNKNOWN.get(f"{title} {query.ref}") or UNKNOWN.get(board["title"])
            assert bool(found) is (unknown is None or title == "Firing alerts"), (title, query.ref, unknown)


async def test_what_is_unknown_is_on_a_board() -> None:
    boards = [load(path) for path in FILES]
    panels = {query.panel["title"] for board in boards for query in queries(board)}
    columns = {f"{query.panel['title']} {query.ref}" for board in boards for query in queries(board)}
    assert set(UNKNOWN) <= panels | columns | {board["title"] for board in boards}


async def test_the_numbers_are_the_mail_of_the_closed_days(month: Month) -> None:
    board = load(FILES[0])
    (delivered,) = [query for query in queries(board) if (query.panel["title"], query.ref) == ("Emails delivered", "A")]
    for ago in (0, 10):
        at = month.end - ago * DAY
        today = month.traffic.today(at)
        (shown,) = await result(month.server, board, delivered, chosen(board), at)
        week = [today - timedelta(days=age) for age in range(1, 8)]
        assert next(numbers(shown)) == sum(month.traffic.counts(day, month.end).emails for day in week)


async def test_the_rules_record_over_it_what_they_take_of_closed_days_and_nothing_else(month: Month) -> None:
    """By `promtool tsdb create-blocks-from rules`. What needs counters or today is absent, not 0."""
    recorded = await month.server.query('count by (__name__) ({__name__=~".+:.+"})', month.end)
    assert {each["metric"]["__name__"] for each in recorded} == {
        "directmail:threshold",
        *(f"stream:directmail_track_{counted}:yesterday" for counted in ("emails", "unique_opens", "unique_clicks")),
    }
    for ago in (0, 10):
        at = month.end - ago * DAY
        yesterday = month.traffic.today(at) - timedelta(days=1)
        by_sender = 'stream:directmail_track_emails:yesterday{account_name!="",tag_name=""}'
        mails = {
            each["metric"]["account_name"]: next(numbers(each)) for each in await month.server.query(by_sender, at)
        }
        assert len(mails) == 3
        assert mails == {sender: month.traffic.counts(yesterday, month.end, sender=sender).emails for sender in mails}
