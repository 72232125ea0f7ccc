"""What `make demo-stack` tells its programs and its user."""

import pytest
from aiohttp import web

from exporter.simulator import incidents
from exporter.simulator.server import url_of
from tools.stack import demo

NOW = 1_777_000_500.0


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
