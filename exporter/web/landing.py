"""The page `/`: what this is and where the rest is."""

from collections.abc import Awaitable, Callable
from html import escape

from aiohttp import web

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>directmail-exporter</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem; }}
</style>
<h1>directmail-exporter</h1>
<p>Opens and clicks of Alibaba Cloud Direct Mail for Prometheus. Version {version}.</p>
<ul>
<li><a href="{metrics}">Metrics</a></li>
<li><a href="/-/healthy">Health</a>: the process lives</li>
<li><a href="/-/ready">Readiness</a>: every combination was tried once</li>
</ul>
</html>
"""


def landing(version: str, telemetry_path: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the handler of the page."""
    text = _PAGE.format(version=escape(version), metrics=escape(telemetry_path))

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=text, content_type="text/html")

    return page
