"""What `make demo-stack` tells its programs and its user."""

import asyncio
import time
from datetime import datetime
from pathlib import Path

import pytest
from aiohttp import web
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from exporter.commands.demo import morning_zone, past
from exporter.metrics.history import History
from exporter.simulator import incidents
from exporter.simulator.incidents import NOTIFY, PRODUCT
from exporter.simulator.server import url_of
from exporter.simulator.traffic import Choices, Traffic
from tests.support.board_queries import chosen, numbers, result
from tests.support.boards import FILES, Json, load, queries
from tools.stack import demo, programs, prometheus, rules
from tools.stack.prometheus import Prometheus
from tools.stack.receiver import receiver

NOW = 1_777_000_500.0
HOUR, DAYS, DAY = 3600.0, 18, 86_400.0
STORY_ALERTS = {("EspOpenRateDrop", NOTIFY), ("TrackingBroken", PRODUCT)}
"""The story's alerts as the boards list them."""
OPENS = "$account_name: opens vs usual"
PREPARED = 300.0
"""Seconds between the end of the past and a Prometheus with it, on a slow machine."""
PATIENCE = 240.0
"""Seconds after which what should be there is given up."""


@pytest.mark.parametrize("text", [*demo.STORY, "esp_spam", "sender_stopped:sender="])
def test_an_incident_is_the_same_for_the_past_and_for_the_demo_that_starts_later(text: str) -> None:
    story = demo.dated(text, NOW)
    assert incidents.parse(story, NOW + 1000) == incidents.parse(text, NOW)


@pytest.mark.parametrize(
    ("pages", "shown"),
    [
        pytest.param(["/alerts", "/classic/alerts"], "/alerts", id="as-Prometheus-publishes-it"),
        pytest.param(["/classic/alerts"], "/classic/alerts", id="as-Debian-does"),
    ],
)
async def test_the_page_that_is_named_is_one_that_this_prometheus_has(pages: list[str], shown: str) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_routes([web.get(path, page) for path in pages])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = url_of("127.0.0.1", runner.addresses[0][1])
        assert await demo.alerts_page(url) == url + shown
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("moments", "pending", "firing", "since"),
    [
        pytest.param([0, 1, 2, 3], [0, 1], [2, 3, 4], [0, 0, 0, 0], id="fires-when-it-held-long-enough"),
        pytest.param([5, 6], [5, 6], [], [5, 5], id="pending-only"),
        pytest.param([0, 1, 2, 3, 6, 7], [0, 1, 6, 7], [2, 3, 4], [0, 0, 0, 0, 6, 6], id="ends-and-begins-again"),
        pytest.param([5, 6, 7, 8], [5, 6], [7, 8], [5, 5, 5, 5], id="never-later-than-the-last-moment"),
    ],
)
def test_the_past_of_an_alert_is_what_prometheus_writes(
    moments: list[int], pending: list[int], firing: list[int], since: list[int]
) -> None:
    """Moments are steps; it has to hold for two of them, and keeps firing for one."""
    alert = rules.Alert("A", "group", "x", "warning", 2 * demo.STEP, demo.STEP)
    past = History(demo.FAMILIES)
    demo.add(past, alert, {"a": "b"}, [at * demo.STEP for at in moments], 8 * demo.STEP)
    found: dict[str, dict[float, float]] = {"pending": {}, "firing": {}, "": {}}
    for family in text_string_to_metric_families("".join(past.lines())):
        for sample in family.samples:
            found[sample.labels.get("alertstate", "")][float(sample.timestamp)] = sample.value
    assert [at / demo.STEP for at in found["pending"]] == pending
    assert [at / demo.STEP for at in found["firing"]] == firing
    assert {at / demo.STEP: value / demo.STEP for at, value in found[""].items()} == dict(
        zip(moments, since, strict=True)
    )


@pytest.mark.stack
@pytest.mark.usefixtures("machine_clock")
async def test_an_incident_is_on_both_boards_within_five_minutes(tmp_path: Path) -> None:
    """What `make demo-stack` runs, with fewer days: at once from what it remembers, and soon by its own rules."""
    where = demo.Stack(*(programs.free_address() for _ in demo.ADDRESSES))
    engagement, exporter = map(load, FILES)
    async with (
        receiver() as notified,
        demo.running(tmp_path, demo.STORY, notified.address, where, DAYS) as server,
        asyncio.timeout(PATIENCE),
    ):
        for board in (engagement, exporter):
            assert await firing(server, board) >= STORY_ALERTS, "from the first moment on"
        started = time.time()
        said = f'count(timestamp(ALERTS{{alertstate="firing"}}) > {started}) >= {len(STORY_ALERTS)}'
        while not await server.query(said):
            await asyncio.sleep(0.5)
        for board in (engagement, exporter):
            assert await firing(server, board) >= STORY_ALERTS, "by the rules"
            (number,) = await shown(server, board, "Firing alerts")
            assert last(number) >= len(STORY_ALERTS)
        usual = {
            each["metric"]["esp"]: last(each) for each in await shown(server, engagement, OPENS, account_name=NOTIFY)
        }
        now, then = [
            last(each)
            for ref in "AB"
            for each in await shown(server, engagement, "$account_name: open rate today", ref, account_name=PRODUCT)
        ]
    assert usual.pop("gmail.com") < 0.4
    assert min(usual.values()) > 0.7
    assert now < 0.8 * then


async def shown(server: Prometheus, board: Json, title: str, ref: str = "A", **values: str) -> list[Json]:
    """Return what a query of a panel answers."""
    (query,) = (each for each in queries(board) if (each.panel["title"], each.ref) == (title, ref))
    return await result(server, board, query, {**chosen(board), **values})


def last(series: Json) -> float:
    return list(numbers(series))[-1]


async def firing(server: Prometheus, board: Json) -> set[tuple[str, str]]:
    """Return alert and sender of the lines of the board's table that say firing."""
    lines = await shown(server, board, "Firing and pending alerts")
    return {
        (each["metric"]["alertname"], each["metric"].get("account_name", ""))
        for each in lines
        if each["metric"]["alertstate"] == "firing"
    }


@pytest.mark.stack
async def test_the_story_shows_both_alerts_from_the_first_minute_on_at_a_weekend_too(tmp_path: Path) -> None:
    """The earliest start counts, on the hour; later there is more mail to judge by. Both boards request `ALERTS`."""
    now = datetime.fromisoformat("2026-04-26T13:00:00+00:00").timestamp()
    choices = Choices(morning_zone(now))
    traffic = Traffic(choices=choices, incidents=[incidents.parse(text, now) for text in demo.STORY])
    past(traffic, now, "127.0.0.1:10058", days=DAYS).write(tmp_path / "past.om")
    await prometheus.load(tmp_path, tmp_path / "past.om")
    await prometheus.record(tmp_path, rules.passes(tmp_path), demo.stretches(now, DAYS), demo.LOOKBACK)
    await demo.remember(tmp_path, now, DAYS)
    async with prometheus.prometheus(tmp_path, "{}", demo.LOOKBACK) as server:
        found = await server.query('ALERTS{alertname=~"DirectMail.*", alertstate="firing"}', now + PREPARED)
        quiet = await server.query('ALERTS{alertname=~"DirectMail.*", alertstate="firing"}', now - DAY)
        held = await server.query(f'ALERTS_FOR_STATE{{alertname="DirectMailTrackingBroken"}} > {now - 7 * HOUR}', now)
    firing = {(each["metric"]["alertname"], each["metric"].get("account_name")) for each in found}
    assert firing >= {("DirectMailEspOpenRateDrop", NOTIFY), ("DirectMailTrackingBroken", PRODUCT)}
    assert not quiet, "the rest of the month was quiet"
    assert held
