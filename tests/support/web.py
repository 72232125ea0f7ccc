"""The web server with simulated metrics, and raw requests to it."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any

from aiohttp import web

from exporter.clock import SystemClock
from exporter.metrics.exposition import Page
from exporter.web.authentication import Security
from exporter.web.listener import serve
from exporter.web.routes import Routes, make_app
from exporter.web.sockets import bind
from exporter.web.webconfig import WebConfig
from tests.support.processes import PATIENCE


class Metrics:
    """Metrics that come when the test says."""

    def __init__(self, size: int = 1) -> None:
        self.free = asyncio.Event()
        self.free.set()
        self.waiting = 0
        self.page = Page("text/plain; version=0.0.4; charset=utf-8", "", size, [b"x" * size])

    async def scrape(self, accept: str = "", *, gzip: bool = False) -> Page:
        self.waiting += 1
        await self.free.wait()
        self.waiting -= 1
        return self.page


async def status(request: web.Request) -> web.Response:
    return web.Response(text="all is well")


def login(user: str, password: str) -> dict[str, str]:
    """Return the header of a basic-auth login."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@asynccontextmanager
async def served(routes: Routes, *addresses: str, **options: Any) -> AsyncIterator[list[str]]:
    app = make_app(routes, Security(WebConfig(), SystemClock()))
    async with serve(app, bind(addresses), **options) as listening:
        yield listening.addresses


async def raw(address: str, request: bytes, *, ends: bool = True) -> bytes:
    """Return the whole response to these bytes, until the server closes the connection."""
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    if ends:
        writer.write_eof()
    async with asyncio.timeout(PATIENCE):
        response = await reader.read()
    writer.close()
    return response


def text_of(html: str) -> str:
    """Return what a reader sees, one space between words."""
    body = re.sub(r"(?s)<(style|title)>.*?</\1>|</?i>|<wbr>", "", html)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))
