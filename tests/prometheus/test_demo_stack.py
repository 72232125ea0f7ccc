"""What `make demo-stack` tells its programs and its user."""

from datetime import datetime, timedelta
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
from tools.stack import demo, prometheus, rules

NOW = 1_777_000_500.0
HOUR, DAYS, DAY = 3600.0, 18, 86_400.0


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
@pytest.mark.parametrize("weekday", [pytest.param(0, id="wednesday"), pytest.param(4, id="sunday")])
async def test_the_story_shows_both_alerts_from_the_first_minute_on_whatever_the_day(
    weekday: int, tmp_path: Path
) -> None:
    """The earliest start counts, on the hour; later there is more mail to judge by. Both boards request `ALERTS`."""
    now = (datetime.fromisoformat("2026-04-22T13:00:00+00:00") + timedelta(days=weekday)).timestamp()
    choices = Choices(morning_zone(now))
    traffic = Traffic(choices=choices, incidents=[incidents.parse(text, now) for text in demo.STORY])
    past(traffic, now, "127.0.0.1:10058", days=DAYS).write(tmp_path / "past.om")
    await prometheus.load(tmp_path, tmp_path / "past.om")
    await prometheus.record(tmp_path, rules.passes(tmp_path), demo.stretches(now, DAYS), demo.LOOKBACK)
    await demo.remember(tmp_path, now, DAYS)
    async with prometheus.prometheus(tmp_path, "{}", demo.LOOKBACK) as server:
        found = await server.query('ALERTS{alertname=~"DirectMail.*", alertstate="firing"}', now)
        quiet = await server.query('ALERTS{alertname=~"DirectMail.*", alertstate="firing"}', now - DAY)
        held = await server.query(f'ALERTS_FOR_STATE{{alertname="DirectMailTrackingBroken"}} > {now - 7 * HOUR}', now)
    firing = {(each["metric"]["alertname"], each["metric"].get("account_name")) for each in found}
    assert firing >= {("DirectMailEspOpenRateDrop", NOTIFY), ("DirectMailTrackingBroken", PRODUCT)}
    assert not quiet, "the rest of the month was quiet"
    assert held
