"""Scraped hard while it polls: 200 scrapes a second by 8 clients for 30 s, and how long health takes meanwhile."""

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Iterator

import aiohttp

from benchmarks.health import took
from benchmarks.measure import Figure

CLIENTS, PER_SECOND, SECONDS = 8, 200, 30
ACCEPT = {"Accept": "application/openmetrics-text;version=1.0.0", "Accept-Encoding": "gzip"}


async def figures() -> Iterator[Figure]:
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exporter", "demo", "--listen", "127.0.0.1:0"), stdout=PIPE, stderr=PIPE
    )
    assert demo.stdout is not None
    url = (await demo.stdout.readline()).decode().split()[1]
    base = url.removesuffix("/metrics")
    try:
        await asyncio.sleep(20)  # every window is filled; it polls every 5 s from now on
        idle = await took(base, 5)
        clients = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.load", url, stdout=PIPE)
        loaded = await took(base, SECONDS)
        response, _ = await clients.communicate()
    finally:
        demo.terminate()
        await demo.communicate()
    seen = json.loads(response)
    idle_most, most = max(idle) * 1000, max(loaded) * 1000
    enough = seen["good"] >= 0.98 * PER_SECOND * SECONDS
    return iter(
        [
            Figure(
                f"{PER_SECOND} scrapes a second by {CLIENTS} clients for {SECONDS} s while polling",
                f"{seen['good']} answered, {seen['bad']} errors, median {seen['median'] * 1000:.1f} ms",
                f"{seen['good'] / SECONDS:.0f} a second were requested and answered",
                "no error",
                met=seen["bad"] == 0 and enough,
            ),
            Figure(
                "health under that load",
                f"at most {most:.1f} ms of {len(loaded)} requests",
                f"at most {idle_most:.1f} ms without load ({most / idle_most:.1f} times)",
                "under 50 ms",
                met=most < 50,
            ),
        ]
    )


async def _clients(url: str) -> None:
    """Scrape at an even pace and print what came of it."""
    took: list[float] = []
    bad = 0
    start = time.perf_counter()

    async def client(number: int, session: aiohttp.ClientSession) -> None:
        nonlocal bad
        for index in range(number, PER_SECOND * SECONDS, CLIENTS):
            await asyncio.sleep(max(0.0, start + index / PER_SECOND - time.perf_counter()))
            begun = time.perf_counter()
            try:
                async with session.get(url, headers=ACCEPT) as response:
                    complete = (await response.read()).endswith(b"# EOF\n") and response.status == 200
            except aiohttp.ClientError:
                complete = False
            bad += not complete
            took.append(time.perf_counter() - begun)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(client(number, session) for number in range(CLIENTS)))
    print(json.dumps({"good": len(took) - bad, "bad": bad, "median": sorted(took)[len(took) // 2]}))


if __name__ == "__main__":
    asyncio.run(_clients(sys.argv[1]))
