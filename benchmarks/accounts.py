"""One process with 300 accounts, all at their whole call budget: its CPU, and the latency of its pages."""

import asyncio
import os
import re
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median

import aiohttp

from benchmarks.calls import KEYS, api
from benchmarks.load import ACCEPT
from benchmarks.measure import Figure, cpu_seconds, listening
from exporter.clock import Clock, SystemClock
from exporter.config import loader
from exporter.directmail.statistics.engagement import Engagement
from exporter.plan import calendar, cardinality, target_plan
from exporter.store.memory import Cell, Store
from exporter.store.state_file import StateFile

ACCOUNTS, COMBINATIONS, CALLS_PER_MINUTE = 300, 20, 30
SCRAPERS = 2
SETTLED, SECONDS = 10.0, 30.0
HOURS_AGO = 13
"""When the days in the state file were read: longer ago than any refresh time, so everything is due."""


async def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        async with api() as url:
            path = Path(folder) / "config.yaml"
            path.write_text(text(url, Path(folder) / "state.db"))
            series = await fill(path, SystemClock())
            async with _started(path) as (pid, base):
                await asyncio.sleep(SETTLED)
                alone = await _cores(pid, asyncio.sleep(SECONDS))
                took: dict[str, list[float]] = {"health": [], "scrape": [], "page": []}
                scraped = await _cores(pid, _visited(base, took))
                calls = await _calls(base)
    scenario = f"{ACCOUNTS} accounts of {COMBINATIONS} combinations at {CALLS_PER_MINUTE} calls a minute"
    beside = f"{series} series, {calls} calls; {SCRAPERS} clients scrape once a second, a page every 2 s"
    most, usual = {name: max(each) * 1000 for name, each in took.items()}, median(took["scrape"]) * 1000
    return iter(
        [
            Figure(
                f"{scenario}: CPU",
                f"{scraped * 100:.0f} % of a core",
                f"{alone * 100:.0f} % without scrapes; {beside}",
                "under 30 % and 20 %",
                met=scraped < 0.3 and alone < 0.2,
            ),
            Figure(
                f"{scenario}: health",
                f"at most {most['health']:.0f} ms, median {median(took['health']) * 1000:.1f} ms",
                f"{len(took['health'])} requests",
                "under 50 ms",
                met=most["health"] < 50,
            ),
            Figure(
                f"{scenario}: scrape",
                f"median {usual:.0f} ms, at most {most['scrape']:.0f} ms",
                f"{len(took['scrape'])} scrapes",
                "median under 60 ms",
                met=usual < 60,
            ),
            Figure(
                f"{scenario}: status page",
                f"at most {most['page']:.0f} ms, median {median(took['page']) * 1000:.0f} ms",
                f"{len(took['page'])} requests",
                "under 100 ms",
                met=most["page"] < 100,
            ),
        ]
    )


def text(url: str, state: Path) -> str:
    """Return a config with that state file."""
    senders = ", ".join(f"sender-{number}@mail.example.com" for number in range(COMBINATIONS))
    targets = "".join(
        f"  - name: account_{number}\n    endpoint: {url}\n    rate_limit_per_minute: {CALLS_PER_MINUTE}\n"
        f"    queries: [{{name: by_sender, account_name: [{senders}]}}]\n"
        for number in range(ACCOUNTS)
    )
    return f"state_file: {state}\nmax_series: 10000000\nstale_after: 1d\ntargets:\n{targets}"


async def fill(path: Path, clock: Clock) -> int:
    """Write a state file that knows every day of every combination; return how many series that is."""
    settings, problems = loader.read(path)
    assert settings is not None, problems
    assert settings.state_file is not None
    store = Store()
    read_at = clock.time() - HOURS_AGO * 3600
    for target in settings.targets:
        today = calendar.today(clock.time(), target.timezone)
        for combination in target_plan.make(settings, target, "engagement").combinations:
            for age in range(31):
                totals = Engagement(90_000, 31_000 + age, 22_000, 1700 + age, 760)
                store.put(combination.key, today - timedelta(days=age), Cell(totals, None, read_at), day_start=0.0)
            store.succeeded(combination.key, read_at)
    state = StateFile(settings.state_file, store, clock)
    await state.open()
    await state.close()
    return cardinality.of_targets(settings, settings.targets)


@asynccontextmanager
async def _started(path: Path) -> AsyncIterator[tuple[int, str]]:
    """Run the program with that config; yield its process id and its address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exporter", "--config.file", str(path), "--web.listen-address", "127.0.0.1:0"),
        stderr=PIPE,
        env={
            **os.environ,
            "ALIBABA_CLOUD_ACCESS_KEY_ID": KEYS.access_key_id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": KEYS.access_key_secret,
        },
    )
    assert process.stderr is not None
    address = await listening(process.stderr)
    rest = asyncio.create_task(process.stderr.read())
    try:
        yield process.pid, address
    finally:
        process.terminate()
        await process.wait()
        await rest


async def _cores(pid: int, work: Awaitable[object]) -> float:
    """Return how many cores the process uses while the work is done."""
    before, begun = cpu_seconds(pid), time.perf_counter()
    await work
    return (cpu_seconds(pid) - before) / (time.perf_counter() - begun)


async def _visited(base: str, took: dict[str, list[float]]) -> None:
    """Request health, metrics and the page as an installation does, and note how long each response took."""
    visits = [("scrape", "/metrics", 1.0)] * SCRAPERS + [("page", "/", 2.0), ("health", "/-/healthy", 0.05)]

    async def visit(number: int, name: str, path: str, every: float) -> None:
        async with aiohttp.ClientSession(headers=ACCEPT, auto_decompress=False) as session:
            await asyncio.sleep(every * number / len(visits))
            end = time.perf_counter() + SECONDS
            while (begun := time.perf_counter()) < end:
                async with session.get(f"{base}{path}") as response:
                    assert response.status == 200
                    await response.read()
                took[name].append(time.perf_counter() - begun)
                await asyncio.sleep(max(every - took[name][-1], 0.0))

    await asyncio.gather(*(visit(number, *each) for number, each in enumerate(visits)))


async def _calls(base: str) -> int:
    """Return how many calls the program has made."""
    async with aiohttp.ClientSession() as session, session.get(f"{base}/metrics") as response:
        text = await response.text()
    found = re.findall(r"^directmail_exporter_api_requests_total\{[^}]*\} (\S+)", text, re.MULTILINE)
    return round(sum(map(float, found)))
