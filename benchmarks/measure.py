"""How a figure is measured and printed."""

import asyncio
import gc
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One line of the report."""

    name: str
    value: str
    against: str
    """What it is compared with, and how that did."""
    target: str
    met: bool

    def __str__(self) -> str:
        mark = "ok  " if self.met else "MISS"
        return f"{mark} {self.name}: {self.value} | {self.against} | target: {self.target}"


def wall(work: Callable[[], object], times: int = 5) -> float:
    """Return the seconds of the fastest of several runs: the machine is shared, the minimum is the work."""
    return min(_timed(work, time.perf_counter) for _ in range(times))


def cpu(work: Callable[[], object], times: int = 5) -> float:
    """Return the CPU seconds of the cheapest of several runs, all threads of this process together."""
    return min(_timed(work, time.process_time) for _ in range(times))


async def cpu_of(work: Callable[[], Awaitable[object]], times: int = 3) -> float:
    """Return the CPU seconds of the cheapest of several asynchronous runs."""
    best = float("inf")
    for _ in range(times):
        gc.collect()
        begun = time.process_time()
        await work()
        best = min(best, time.process_time() - begun)
    return best


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def resident(pid: int | str = "self") -> float:
    """Return the MiB that a process has in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@asynccontextmanager
async def served(source: str, *arguments: str) -> AsyncIterator[int]:
    """Run a server's source in a process of its own, so that its work is not counted; yield the port it prints."""
    command = sys.executable, "-c", source, *arguments
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    try:
        yield port
    finally:
        process.kill()
        await process.wait()


def _timed(work: Callable[[], object], clock: Callable[[], float]) -> float:
    gc.collect()
    begun = clock()
    work()
    return clock() - begun


async def listening(errors: asyncio.StreamReader) -> str:
    """Return the URL at which a program listens, by the line that it logs. Raise RuntimeError where it ended first."""
    while line := (await errors.readline()).decode():
        _, found, after = line.partition("addresses=")
        if found:
            return f"http://{after.split()[0]}"
    raise RuntimeError("the program ended before it listened")
