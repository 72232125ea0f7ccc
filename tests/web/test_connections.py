"""Clients that take their time, leave, or never come to the point: what they cost, and how long they are waited for."""

import asyncio
import os
import socket
import struct
import tracemalloc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from exporter.clock import SystemClock
from exporter.metrics.exposition import Exposition
from exporter.metrics.text_format import Family
from exporter.web.authentication import Security
from exporter.web.connections import Timeouts
from exporter.web.listener import Listener, serve
from exporter.web.routes import Routes, make_app
from exporter.web.sockets import bind
from exporter.web.webconfig import WebConfig
from tests.support.processes import PATIENCE, get
from tests.support.web import Metrics, raw, served, status

GET = b"GET %s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: %s\r\n\r\n"
LARGE = 50_000_000


async def large_page(request: web.Request) -> web.Response:
    return web.Response(body=b"x" * LARGE)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.01)


async def connected(address: str, request: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect and send a request; of the response no more is read than has to be."""
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(request)
    return reader, writer


def listening(routes: Routes, **options: Any) -> AbstractAsyncContextManager[Listener]:
    return serve(make_app(routes, Security(WebConfig(), SystemClock())), bind(["127.0.0.1:0"]), **options)


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "], ids=["silent", "half-a-header"])
async def test_a_client_that_does_not_come_to_the_point_is_closed(begun: bytes) -> None:
    routes = Routes(Metrics(), lambda: "", status, None)
    async with served(routes, "127.0.0.1:0", timeouts=Timeouts(first_request=0.05)) as (address,):
        assert await raw(address, begun, ends=False) == b""


async def test_a_scrape_may_take_longer_than_a_request() -> None:
    metrics = Metrics()
    metrics.free.clear()
    routes = Routes(metrics, lambda: "", status, None)
    async with served(routes, "127.0.0.1:0", timeouts=Timeouts(first_request=1.0)) as (address,):
        scrape = asyncio.create_task(get(f"http://{address}/metrics"))
        assert await raw(address, b"", ends=False) == b""  # who came later is closed by now
        metrics.free.set()
        assert await scrape == (200, "x")


@pytest.mark.parametrize("path", [b"/metrics", b"/"])
async def test_a_client_that_does_not_read_is_closed(path: bytes) -> None:
    routes = Routes(Metrics(LARGE), lambda: "", large_page, None)
    with capture_logs() as lines:
        async with listening(routes, timeouts=Timeouts(response=0.1)) as server:
            reader, writer = await connected(server.addresses[0], GET % (path, b"identity"))
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            await until(lambda: len(server._limit) == 0)
            writer.close()
    assert [line for line in lines if line["log_level"] != "debug"] == []


async def test_a_client_that_has_read_its_answer_may_come_again() -> None:
    routes = Routes(Metrics(), lambda: "", status, None)
    async with served(routes, "127.0.0.1:0", timeouts=Timeouts(first_request=1.0, response=0.2)) as (address,):
        reader, writer = await connected(address)
        for _ in range(2):
            writer.write(GET % (b"/-/healthy", b"identity"))
            assert (await reader.readuntil(b"OK\n")).startswith(b"HTTP/1.1 200")
            assert await raw(address, b"", ends=False) == b""  # both deadlines are over now
        writer.close()


@pytest.mark.parametrize("path", [b"/metrics", b"/"])
async def test_a_client_that_leaves_before_its_answer_is_complete_is_no_error(path: bytes) -> None:
    """As `curl ... | head -1` does, and a scrape that times out."""
    routes = Routes(Metrics(LARGE), lambda: "", large_page, None, max_requests=1)
    with capture_logs() as lines:
        async with listening(routes) as server:
            reader, writer = await connected(server.addresses[0], GET % (path, b"identity"))
            await reader.readline()
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            await until(lambda: len(server._limit) == 0)
            assert (await get(f"http://{server.addresses[0]}/metrics"))[0] == 200
    assert [line for line in lines if line["log_level"] != "debug"] == []


@pytest.mark.parametrize("coding", [b"identity", b"gzip"])
async def test_slow_clients_share_one_body(coding: bytes) -> None:
    """Each of them reads the response of another moment, for something changes before each scrape."""
    lines = [os.urandom(1000).hex().encode() + b"\n" for _ in range(4000)]  # 8 MB, packed half of that
    families = (Family("emails", "Mails.", "gauge"),)
    exposition = Exposition(families, CollectorRegistry())
    exposition.swap("shop", families, {number: (line,) for number, line in enumerate(lines)})
    routes = Routes(exposition, lambda: "", status, None)
    async with listening(routes) as server:
        await get(f"http://{server.addresses[0]}/metrics")
        clients = []
        tracemalloc.start()
        for number in range(30):
            exposition.replace("shop", 0, (b"emails %d\n" % number,))
            reader, writer = await connected(server.addresses[0], GET % (b"/metrics", coding))
            length = int((await reader.readuntil(b"\r\n\r\n")).split(b"Content-Length: ")[1].split()[0])
            clients.append(writer)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        for writer in clients:
            writer.close()
    assert length > 4_000_000
    assert held < 30 * length / 5
