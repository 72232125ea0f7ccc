"""What `make demo-stack` tells its programs and its user."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from exporter.commands.demo import morning_zone, past
from exporter.simulator import incidents
from exporter.simulator.incidents import NOTIFY, PRODUCT
from exporter.simulator.server import url_of
from exporter.simulator.traffic import Choices, Traffic
from tools.stack import demo, prometheus, rules
from tools.stack.prometheus import Stretch
from tools.stack.verdicts import firings

NOW = 1_777_000_500.0
DAY = 86_400.0


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


@pytest.mark.stack
@pytest.mark.parametrize("weekday", [pytest.param(0, id="wednesday"), pytest.param(4, id="sunday")])
async def test_the_story_has_both_alerts_a_quarter_of_an_hour_after_the_start_whatever_the_day(
    weekday: int, tmp_path: Path
) -> None:
    """The earliest start counts, on the hour; later there is more mail to judge by."""
    now = (datetime.fromisoformat("2026-04-22T13:00:00+00:00") + timedelta(days=weekday)).timestamp()
    until, choices = now + demo.STEP, Choices(morning_zone(now))
    traffic = Traffic(choices=choices, incidents=[incidents.parse(text, now) for text in demo.STORY])
    past(traffic, until, "127.0.0.1:10058", days=18).write(tmp_path / "past.om")
    await prometheus.load(tmp_path, tmp_path / "past.om")
    stretch = Stretch(until - 18 * DAY, until, demo.STEP)
    await prometheus.record(tmp_path, rules.passes(tmp_path), [stretch], demo.LOOKBACK)
    async with prometheus.prometheus(tmp_path, "{}", demo.LOOKBACK) as server:
        found = await firings(server, rules.alerts(), now - DAY / 2, until, demo.STEP)
    firing = {(each.alert, each.labels.get("account_name")) for each in found if each.until > now}
    assert firing >= {("DirectMailEspOpenRateDrop", NOTIFY), ("DirectMailTrackingBroken", PRODUCT)}
