"""How long /-/healthy takes while the API hangs, and while 100,000 series are rendered again and again."""

import asyncio
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from benchmarks import fleet
from benchmarks.measure import Figure, listening
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.faults import Fault
from exporter.simulator.server import KEY_ID, SECRET, Simulator
from exporter.web.authentication import Security
from exporter.web.listener import serve
from exporter.web.routes import Routes, make_app
from exporter.web.sockets import bind
from exporter.web.webconfig import WebConfig

SERIES, SECONDS = 100_000, 15
KEYS = {"ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET}
GZIP, PLAIN = {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "identity"}


async def took(base: str, seconds: float) -> list[float]:
    """Return how many seconds each of twenty health checks a second took."""
    found = []
    async with aiohttp.ClientSession() as session:
        end = time.perf_counter() + seconds
        while (begun := time.perf_counter()) < end:
            async with session.get(f"{base}/-/healthy") as response:
                response.raise_for_status()
                await response.read()
            found.append(time.perf_counter() - begun)
            await asyncio.sleep(0.05)
    return found


async def figures() -> Iterator[Figure]:
    return iter([await _while_the_api_hangs(), await _while_series_are_rendered()])


async def _while_the_api_hangs() -> Figure:
    simulator = Simulator(behaviour=Behaviour(calls_per_minute=100_000), faults=[Fault("hang")])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        async with simulator.listen() as url:
            path.write_text(fleet.text(10_000).replace("http://127.0.0.1:9", url))
            flags = ("--config.file", str(path), "--web.listen-address", "127.0.0.1:0")
            async with started("exporter", *flags) as (process, base):
                found = await took(base, SECONDS)
                assert process.returncode is None
    return _figure("health while the API hangs", found, f"{len(simulator.requests) or 'all'} calls without an answer")


async def _while_series_are_rendered() -> Figure:
    async with started("benchmarks.health") as (_, base):
        idle = max(await took(base, 3))
        scraped: list[float] = []
        scrapers = [asyncio.create_task(_scrape(base, headers, scraped)) for headers in (GZIP, PLAIN)]
        found = await took(base, SECONDS)
        for scraper in scrapers:
            scraper.cancel()
    beside = f"{len(scraped)} scrapes by two clients, each rendered anew; without them at most {idle * 1000:.1f} ms"
    return _figure(f"health while {SERIES} series are rendered", found, beside)


def _figure(name: str, found: list[float], beside: str) -> Figure:
    most, median = max(found) * 1000, sorted(found)[len(found) // 2] * 1000
    value = f"at most {most:.1f} ms, median {median:.1f} ms, of {len(found)} requests"
    return Figure(name, value, beside, "under 50 ms", met=most < 50)


async def _scrape(base: str, headers: dict[str, str], scraped: list[float]) -> None:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        while True:
            async with session.get(f"{base}/metrics", headers=headers) as response:
                scraped.append(len(await response.read()))


@asynccontextmanager
async def started(module: str, *flags: str) -> AsyncIterator[tuple[Process, str]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *flags), stderr=PIPE, env={"PATH": "", **KEYS}
    )
    assert process.stderr is not None
    try:
        yield process, await listening(process.stderr)
    finally:
        process.terminate()
        await process.communicate()


async def _serve() -> None:
    """Serve so many series; one cell after another changes, and every minute is a midnight."""
    filled = await fleet.filled(SERIES)

    async def status(request: web.Request) -> web.Response:
        return web.Response()

    app = make_app(Routes(filled.exposition, lambda: "", status, None), Security(WebConfig(), filled.clock))
    async with serve(app, bind(["127.0.0.1:0"])) as listening:
        sys.stderr.write(f"addresses={listening.addresses[0]}\n")
        sys.stderr.flush()
        for number in range(1_000_000):
            filled.read(number % len(filled.plan.combinations), number)
            if number % 300 == 299:
                await filled.publisher.show([filled.plan])
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(_serve())
