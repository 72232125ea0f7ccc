"""A million series in one process, and Go's client library with the same series in the same run.

Go's side is Debian's prometheus-pushgateway, which is given the very text that we expose. Without it on the PATH that
side is left out.
"""

import asyncio
import gzip
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks import fleet
from benchmarks.measure import Figure, cpu_seconds, resident
from benchmarks.process import first_response
from exporter.store.state_file import StateFile

SERIES = 1_000_000
FILL = """
import asyncio, sys
from benchmarks import million
asyncio.run(million.fill(*sys.argv[1:]))
"""
TEXT, STATE = "metrics.txt", "state.db"


async def figures(series: int = SERIES) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-c", FILL, str(series), name]
        run = subprocess.run  # in a process of its own, whose memory is nothing else's
        ours = json.loads((await asyncio.to_thread(run, command, check=True, capture_output=True, text=True)).stdout)
        config = f"state_file: {folder / STATE}\n{fleet.text(series)}"
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = await first_response(config, least_lines=ours["lines"] * 9 // 10)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        theirs = await _pushgateway(folder / TEXT) if shutil.which("prometheus-pushgateway") else None
    lines, megabytes, scrape = ours["lines"], ours["megabytes"], ours["scrape"]
    per_series = (megabytes - ours["empty"]) * 1024 / lines
    go = "prometheus-pushgateway is not there"
    memory = cost = go
    if theirs is not None:
        memory = f"Go: {theirs['megabytes']:.0f} MB with the same series, {theirs['megabytes'] / megabytes:.1f} times"
        cost = f"Go: {theirs['scrape'] * 1000:.0f} ms, {theirs['scrape'] / scrape:.0f} times"
    return iter(
        [
            Figure(
                f"resident memory, {lines} series",
                f"{megabytes:.0f} MB, {per_series:.2f} kB a series",
                memory,
                "under 1.2 GB and at most 0.9 kB",
                met=megabytes < 1200 and per_series <= 0.9,
            ),
            Figure(
                f"gzip scrape of {lines} series after a change",
                f"{scrape * 1000:.0f} ms of CPU",
                cost,
                "under 60 ms",
                met=scrape < 0.06,
            ),
            Figure(
                f"start from a state file of {lines} series to the first answer, which has them",
                f"{started:.1f} s, {cpu:.1f} s of CPU",
                f"to make as many anew without a file, {ours['filled']:.1f} s of CPU",
                "under 15 s",
                met=started < 15,
            ),
        ]
    )


async def fill(series: str, folder: str) -> None:
    """Hold and show so many series, write text and state file, and print what that took."""
    empty, begun = resident(), time.process_time()
    filled = await fleet.filled(int(series))
    took = time.process_time() - begun
    accept = "application/openmetrics-text;version=1.0.0"
    await filled.exposition.scrape(accept, gzip=True)
    costs = []
    for opens in range(5):
        filled.read(7, opens)
        begun = time.process_time()
        await filled.exposition.scrape(accept, gzip=True)
        costs.append(time.process_time() - begun)
    held = resident()
    lines = _write(Path(folder, TEXT), (await filled.exposition.scrape()).parts)
    state = StateFile(Path(folder, STATE), filled.store, filled.clock)
    await state.open()
    await state.close()
    print(json.dumps({"lines": lines, "empty": empty, "megabytes": held, "scrape": min(costs), "filled": took}))


def _write(text: Path, parts: Iterable[bytes]) -> int:
    """Write what a scrape gets; return how many samples it has."""
    lines = 0
    with text.open("wb") as file:
        for part in parts:
            lines += sum(not line.startswith(b"#") for line in part.splitlines())
            file.write(part)
    return lines


async def _pushgateway(text: Path) -> dict[str, Any]:
    """Return the memory of a pushgateway with that text, and the CPU of a gzip scrape of it."""
    async with _started() as (process, address), aiohttp.ClientSession(auto_decompress=False) as session:
        body = await asyncio.to_thread(lambda: gzip.compress(text.read_bytes(), 1))
        url, headers = f"http://{address}/metrics", {"Content-Encoding": "gzip"}
        patience = aiohttp.ClientTimeout(600)
        async with session.put(f"{url}/job/x", data=body, headers=headers, timeout=patience) as response:
            assert response.status < 300, await response.text()
        costs: list[float] = []
        while len(costs) < 3:
            before = cpu_seconds(process.pid)
            async with session.get(url, headers={"Accept-Encoding": "gzip"}, timeout=patience) as response:
                assert response.status == 200, await response.text()
                is_whole = len(await response.read()) > len(body) / 10  # it answers before it has stored what it got
            if is_whole:
                costs.append(cpu_seconds(process.pid) - before)
            else:
                await asyncio.sleep(1)
        return {"megabytes": resident(process.pid), "scrape": min(costs)}


@asynccontextmanager
async def _started() -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run a pushgateway; yield its process and its address."""
    flags = ("--web.listen-address=127.0.0.1:0", "--push.disable-consistency-check")
    process = await asyncio.create_subprocess_exec("prometheus-pushgateway", *flags, stderr=PIPE)
    assert process.stderr is not None
    line = ""
    while "Listening on" not in line:
        line = (await process.stderr.readline()).decode()
    rest = asyncio.create_task(process.stderr.read())
    try:
        yield process, re.findall(r"address=(\S+)", line)[0]
    finally:
        process.terminate()
        await process.wait()
        await rest
