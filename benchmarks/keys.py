"""How long the event loop is held up while twenty callers wait for new temporary credentials."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

from benchmarks.measure import Figure, served
from exporter.clock import SystemClock
from exporter.directmail.ram_credentials import FromRam, is_installed

CALLERS = 20
RUNS = 5
PROBE = 0.001
"""Seconds between two checks of the clock."""
TAKES = 0.05
"""Seconds until the server answers."""

SERVER = """
import asyncio
import sys
from aiohttp import web

async def answer(request):
    await asyncio.sleep(float(sys.argv[1]))
    return web.json_response({
        "Code": "Success", "AccessKeyId": "STS.Benchmark", "AccessKeySecret": "Secret", "SecurityToken": "Token",
        "Expiration": "2099-01-01T00:00:00Z",
    })

async def main():
    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def figures() -> Iterator[Figure]:
    """Return the longest hold of the loop by a fetch beside one that is made on the loop itself."""
    is_installed()  # as the config is read before the loop runs
    async with served(SERVER, str(TAKES)) as port:
        options = {"credentials_uri": f"http://127.0.0.1:{port}/"}
        sources = [FromRam("credentials_uri", options, SystemClock()) for _ in range(RUNS)]
        holds = [await _longest_hold(source.get) for source in sources]
    blocked = await _longest_hold(_blocking)
    held = min(holds)
    return iter(
        [
            Figure(
                f"hold of the event loop while {CALLERS} callers wait for new credentials",
                f"{held * 1000:.1f} ms",
                f"they take {TAKES * 1000:.0f} ms, on the loop itself {blocked * 1000:.1f} ms; the quietest of {RUNS}",
                "20 ms",
                met=held < 0.02,
            )
        ]
    )


async def _blocking() -> None:
    """Do what must not be: wait on the loop."""
    time.sleep(TAKES / CALLERS)  # noqa: ASYNC251 - on purpose


async def _longest_hold(get: Callable[[], Awaitable[object]]) -> float:
    """Return the most seconds between two checks at the clock while all callers get their credentials."""
    fetching = asyncio.gather(*(get() for _ in range(CALLERS)))
    longest, before = 0.0, time.perf_counter()
    while not fetching.done():
        await asyncio.sleep(PROBE)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    await fetching
    return longest
