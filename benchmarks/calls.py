"""What a poll costs: CPU per call against a bare signed request, and calls per combination and interval.

The API is a server in another process, so that its own work is not counted.
"""

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from itertools import cycle

import aiohttp
from prometheus_client import CollectorRegistry
from yarl import URL

from benchmarks.measure import Figure, cpu_of
from exporter import config, plan
from exporter.clock import SystemClock
from exporter.directmail import signing
from exporter.directmail.client import Client
from exporter.directmail.credentials import Credentials
from exporter.directmail.limiter import Limiter
from exporter.directmail.transport import open_session
from exporter.exposition import Exposition
from exporter.metrics import FAMILIES
from exporter.publisher import Publisher
from exporter.store import Cell, Store

CALLS = 600
KEYS = Credentials("LTAI4Benchmark", "BenchmarkSecret")
DAY = date(2026, 4, 21)

SERVER = """
import asyncio
import json
from aiohttp import web

COUNTS = {
    "TotalNumber": "90000", "RcptOpenCount": "31000", "RcptUniqueOpenCount": "22000", "RcptClickCount": "1700",
    "RcptUniqueClickCount": "760", "RcptOpenRate": "34.44", "RcptUniqueOpenRate": "24.44", "RcptClickRate": "1.88",
    "RcptUniqueClickRate": "0.84", "CreateTime": "2026-04-21T00:00Z",
}
BODY = json.dumps({
    "RequestId": "10A1AD70-E48E-476D-98D9-39BD92193837", "PageNo": 1, "PageSize": 100, "Total": 1, "TotalPages": 1,
    "data": {"stat": [COUNTS]},
}).encode()

async def answer(request):
    return web.Response(body=BODY, content_type="application/json")

async def main():
    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


class Keys:
    """Credentials that never change."""

    async def get(self) -> Credentials:
        return KEYS

    def refused(self) -> None:
        """Nobody refuses here."""


@asynccontextmanager
async def api() -> AsyncIterator[str]:
    """Run the server in a process of its own and yield its URL."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVER, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


async def bare(url: str) -> None:
    """Sign, send and decode with nothing else: the least that anybody could do."""
    host = url.removeprefix("http://")
    async with aiohttp.ClientSession() as session:
        for number in range(CALLS):
            query = signing.canonical_query(
                {"StartTime": "2026-04-21", "EndTime": "2026-04-21", "PageNumber": str(number)}
            )
            headers = {
                "host": host,
                "x-acs-action": "GetTrackList",
                "x-acs-content-sha256": signing.EMPTY_SHA256,
                "x-acs-date": datetime.now(UTC).strftime(signing.DATE_FORMAT),
                "x-acs-signature-nonce": uuid.uuid4().hex,
                "x-acs-version": "2015-11-23",
            }
            headers["Authorization"] = signing.authorization(
                KEYS.access_key_id, KEYS.access_key_secret, "POST", query, headers
            )
            async with session.post(URL(f"{url}/?{query}", encoded=True), headers=headers) as answer:
                json.loads(await answer.read())


async def polled(url: str) -> None:
    """Do what the exporter does for a cell: client, parsing, store, rendering."""
    senders = ", ".join(f"s{number}@example.com" for number in range(50))
    settings, _ = config.parse(
        f"targets: [{{name: shop, region: us-east-1, queries: [{{name: q, account_name: [{senders}]}}]}}]"
    )
    assert settings is not None
    each = plan.make(settings, settings.targets[0])
    clock, store = SystemClock(), Store()
    publisher = Publisher(store, Exposition(FAMILIES, CollectorRegistry()), clock)
    await publisher.show([each])
    async with open_session() as session:
        limiter = Limiter(10_000_000, clock)
        client = Client(session, url, Keys(), limiter, clock, timeout=10, page_size=100, observe=lambda *seen: None)
        today = plan.today(clock.time(), each.target.timezone)
        for number, combination in zip(range(CALLS), cycle(each.combinations), strict=False):
            answer = await client.track(combination.filters, DAY)
            cell = Cell(answer.totals._replace(opens=number), None, clock.time())
            store.put(combination.key, today, cell, day_start=0.0)
            store.succeeded(combination.key, clock.time())
            publisher.refresh(combination)


async def cpu_per_call() -> Figure:
    """Return the CPU of a polled cell against that of a bare call, in one run and against one server."""
    async with api() as url:
        await bare(url)
        least, ours = await cpu_of(lambda: bare(url)), await cpu_of(lambda: polled(url))
    ratio = ours / least
    return Figure(
        "CPU per call",
        f"{ratio:.2f} times, {ours / CALLS * 1000:.2f} ms",
        f"a bare signed aiohttp request with json.loads, {least / CALLS * 1000:.2f} ms",
        "at most 3 times, under 1 ms",
        met=ratio <= 3 and ours / CALLS < 0.001,
    )
