"""One process with many accounts, all at their whole call budget, scraped as Prometheus does: its CPU and memory."""

import asyncio
import os
import re
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import aiohttp

from benchmarks.calls import KEYS, api
from benchmarks.load import ACCEPT
from benchmarks.measure import Figure
from exporter.clock import SystemClock
from exporter.config import loader
from exporter.directmail.statistics.engagement import Engagement
from exporter.plan import calendar, cardinality, target_plan
from exporter.store.memory import Cell, Store
from exporter.store.state_file import StateFile

SIZES = (10, 100, 300)
COMBINATIONS = 20
CALLS_PER_MINUTE = 30
SECONDS = 30
SCRAPE_EVERY = 15
HOURS_AGO = 13
"""When the days in the state file were read: longer ago than any refresh time, so everything is due."""


async def figures() -> Iterator[Figure]:
    return iter([await _accounts(count) for count in SIZES])


async def _accounts(count: int) -> Figure:
    with tempfile.TemporaryDirectory() as folder:
        async with api() as url:
            path = Path(folder) / "config.yaml"
            path.write_text(_text(count, url, Path(folder) / "state.db"))
            series = await _fill(path)
            cores, megabytes, calls = await _run(path)
    return Figure(
        f"{count} accounts of {COMBINATIONS} combinations, {series} series, all at {CALLS_PER_MINUTE} calls a minute",
        f"{cores * 100:.0f} % of a core, {megabytes:.0f} MB",
        f"{calls:.0f} calls a second, {cores / calls * 1000:.2f} ms of CPU for each, scrapes and state file included",
        "under half a core, 2 kB a series and 80 MB",
        met=cores < 0.5 and megabytes < 80 + 2 * series / 1024,
    )


def _text(count: int, url: str, state: Path) -> str:
    senders = ", ".join(f"sender-{number}@mail.example.com" for number in range(COMBINATIONS))
    targets = "".join(
        f"  - name: account_{number}\n    endpoint: {url}\n    rate_limit_per_minute: {CALLS_PER_MINUTE}\n"
        f"    queries: [{{name: by_sender, account_name: [{senders}]}}]\n"
        for number in range(count)
    )
    return f"state_file: {state}\nmax_series: 10000000\nstale_after: 1d\ntargets:\n{targets}"


async def _fill(path: Path) -> int:
    """Write a state file that knows every day of every combination; return how many series that is."""
    settings, problems = loader.read(path)
    assert settings is not None, problems
    assert settings.state_file is not None
    clock, store = SystemClock(), Store()
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
    return cardinality.exposed_by(settings, settings.targets)


async def _run(path: Path) -> tuple[float, float, float]:
    """Return cores, megabytes and calls a second of the program while everything is due."""
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
    line = ""
    while "addresses=" not in line:
        line = (await process.stderr.readline()).decode()
    url = f"http://{line.split('addresses=')[1].split()[0]}/metrics"
    async with aiohttp.ClientSession(headers=ACCEPT) as session:
        before, begun = await _seen(session, url), time.perf_counter()
        for _ in range(SECONDS // SCRAPE_EVERY):
            await asyncio.sleep(SCRAPE_EVERY)
            after = await _seen(session, url)
        seconds = time.perf_counter() - begun
    process.terminate()
    await process.communicate()
    cpu, calls = (late - early for early, late in zip(before[:2], after[:2], strict=True))
    return cpu / seconds, after[2] / 2**20, calls / seconds


async def _seen(session: aiohttp.ClientSession, url: str) -> tuple[float, float, float]:
    """Scrape; return seconds of CPU, calls and bytes of memory."""
    async with session.get(url) as answer:
        text = await answer.text()
    calls = re.findall(r"^directmail_exporter_api_requests_total\{[^}]*\} (\S+)", text, re.MULTILINE)
    (cpu,) = re.findall(r"^process_cpu_seconds_total (\S+)", text, re.MULTILINE)
    (memory,) = re.findall(r"^process_resident_memory_bytes (\S+)", text, re.MULTILINE)
    return float(cpu), sum(map(float, calls)), float(memory)
