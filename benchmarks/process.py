"""The process: its start, its memory, and how both grow."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from benchmarks import fleet
from benchmarks.measure import Figure, listening, wall
from exporter.store.state_file import StateFile

COLD = "targets: [{name: a, endpoint: 'http://127.0.0.1:9', queries: [{name: account}]}]"
FILL = """
import asyncio, sys
import exporter.app, exporter.commands.main
from benchmarks import fleet

async def main():
    filled = await fleet.filled(int(sys.argv[1]))
    await filled.exposition.scrape("application/openmetrics-text;version=1.0.0", gzip=True)
    await filled.exposition.scrape("")
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            print(int(line.split()[1]) / 1024)

asyncio.run(main())
"""


async def figures() -> Iterator[Figure]:
    empty, ten, hundred = (_resident(series) for series in (0, 10_000, 100_000))
    per_series = [(held - empty) * 1024 / series for held, series in ((ten, 10_000), (hundred, 100_000))]
    few, many = await _changed_cell(1000), await _changed_cell(100_000)
    imported = _imported()
    bare = wall(lambda: subprocess.run([sys.executable, "-c", "import aiohttp.web"], check=True), times=5)
    started = min([await first_response(COLD) for _ in range(5)])
    warm = await _warm_start()
    return iter(
        [
            Figure(
                "resident memory, 10,000 series",
                f"{ten:.0f} MB",
                f"without series {empty:.0f} MB",
                "under 80 MB",
                met=ten < 80,
            ),
            Figure(
                "resident memory, 100,000 series",
                f"{hundred:.0f} MB",
                f"without series {empty:.0f} MB",
                "under 220 MB",
                met=hundred < 220,
            ),
            Figure(
                "growth of memory",
                f"{per_series[1]:.2f} kB a series at 100,000",
                f"{per_series[0]:.2f} kB a series at 10,000",
                "linear",
                met=per_series[1] < 1.3 * per_series[0],
            ),
            Figure(
                "cost of a changed cell at 100,000 series",
                f"{many / few:.2f} times, {many * 1e6:.0f} us",
                f"at 1,000 series, {few * 1e6:.0f} us",
                "constant",
                met=many < 1.5 * few,
            ),
            Figure(
                "start with a state file of 100,000 series to the first answer, which has them",
                f"{warm:.2f} s",
                f"a cold start, {started:.2f} s",
                "under 2 s",
                met=warm < 2,
            ),
            Figure(
                "import of exporter.commands.main, the entry point",
                f"{imported:.2f} s",
                f"import aiohttp.web with its interpreter, {bare:.2f} s",
                "under 0.3 s",
                met=imported < 0.3,
            ),
            Figure(
                "cold start to the first answer of /metrics",
                f"{started:.2f} s",
                f"import aiohttp.web with its interpreter, {bare:.2f} s",
                "under 0.5 s",
                met=started < 0.5,
            ),
        ]
    )


def _resident(series: int) -> float:
    """Return the megabytes of a process that holds, shows and has packed so many series."""
    ended = subprocess.run([sys.executable, "-c", FILL, str(series)], check=True, capture_output=True, text=True)
    return float(ended.stdout)


async def _changed_cell(series: int) -> float:
    """Return the seconds of taking in one answer and rendering what it changes."""
    filled = await fleet.filled(series)
    best = float("inf")
    for opens in range(200):
        begun = time.perf_counter()
        filled.read(3, opens)
        best = min(best, time.perf_counter() - begun)
    return best


def _imported() -> float:
    """Return the seconds that the imports of a start take, the interpreter's own start left out."""
    code = "import time; begun = time.perf_counter(); import exporter.commands.main; print(time.perf_counter() - begun)"
    runs = [subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True) for _ in range(5)]
    return min(float(run.stdout) for run in runs)


async def _warm_start() -> float:
    """Return the seconds from starting the program to its first response, everything known from a state file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.db"
        filled = await fleet.filled(100_000)
        state = StateFile(path, filled.store, filled.clock)
        await state.open()  # an empty file: all that the store has is written
        await state.close()
        return await first_response(f"state_file: {path}\n{fleet.text(100_000)}", least_lines=100_000 * 9 // 10)


async def first_response(config: str, least_lines: int = 0) -> float:
    """Return the seconds from starting the program to its first response."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(config)
        begun = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "exporter", "--config.file", str(path), "--web.listen-address", "127.0.0.1:0"),
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        address = await listening(process.stderr)
        async with aiohttp.ClientSession() as session, session.get(f"{address}/metrics") as response:
            body = await response.read()
        seconds = time.perf_counter() - begun
        assert body.count(b"\n") >= least_lines
        process.kill()
        await process.communicate()
    return seconds
