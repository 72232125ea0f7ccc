"""The rendered snapshot against prometheus_client: the same bytes, made less often."""

import asyncio
import gzip
import os
import threading
import tracemalloc
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from exporter.metrics.crc32 import combine, shift
from exporter.metrics.exposition import Exposition
from exporter.metrics.gzip_packing import GROUP
from exporter.metrics.text_format import Block, Family, label_text, sample
from tests.support.processes import PATIENCE

FAMILIES = (
    Family("emails", 'Mails, with a "quote", a \\ and a\nnew line.', "gauge"),
    Family("seen_total", "Seen.", "counter"),
)
ACCEPT_OPENMETRICS = "application/openmetrics-text; version=1.0.0"
LABEL_VALUES = st.text(st.characters(codec="utf-8"), max_size=12)
VALUES = st.one_of(st.integers(0, 2**53), st.floats(0, 1e18), st.floats(0, 1))


class Truth(Collector):
    """The same samples by prometheus_client."""

    def __init__(self, rows: list[tuple[dict[str, str], float]]) -> None:
        self.rows = rows

    def collect(self) -> Iterator[Metric]:
        emails = GaugeMetricFamily(FAMILIES[0].name, FAMILIES[0].help)
        seen = CounterMetricFamily("seen", FAMILIES[1].help)
        for labels, value in self.rows:
            emails.add_sample("emails", labels, value)
            seen.add_sample("seen_total", labels, value)
        if self.rows:
            yield from (emails, seen)


def block(labels: dict[str, str], value: float) -> Block:
    return tuple(sample(family.name, label_text(labels), value).encode() for family in FAMILIES)


def filled(rows: list[tuple[dict[str, str], float]]) -> Exposition:
    exposition = Exposition(FAMILIES, CollectorRegistry())
    exposition.swap("shop", FAMILIES, {number: block(*row) for number, row in enumerate(rows)})
    return exposition


async def body(exposition: Exposition, accept: str = "", *, packed: bool = False) -> bytes:
    page = await exposition.scrape(accept, gzip=packed)
    joined = b"".join(page.parts)
    assert page.length == len(joined)
    return gzip.decompress(joined) if packed else joined


@settings(max_examples=60)
@given(st.lists(st.tuples(st.fixed_dictionaries({"b": LABEL_VALUES, "a": LABEL_VALUES}), VALUES), max_size=6))
async def test_it_prints_what_prometheus_client_prints(rows: list[tuple[dict[str, str], float]]) -> None:
    exposition, registry = filled(rows), CollectorRegistry()
    registry.register(Truth(rows))
    assert await body(exposition) == generate_latest(registry)
    assert await body(exposition, ACCEPT_OPENMETRICS) == generate_openmetrics(registry)


@pytest.mark.parametrize("accept", ["", ACCEPT_OPENMETRICS])
async def test_gzip_is_the_same_text(accept: str) -> None:
    exposition = filled([({"a": str(number)}, number) for number in range(3 * GROUP + 5)])
    assert await body(exposition, accept, packed=True) == await body(exposition, accept)
    exposition.replace("shop", GROUP, block({"a": "changed"}, 1))
    assert await body(exposition, accept, packed=True) == await body(exposition, accept)


async def test_other_peoples_gunzip_reads_it_too() -> None:
    """A plain zlib stream, and aiohttp's client, which know one member only."""
    exposition = filled([({"a": str(number)}, number) for number in range(200)])
    text = await body(exposition)
    page = await exposition.scrape(gzip=True)
    packed = b"".join(page.parts)
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert stream.decompress(packed) == text
    assert stream.eof
    assert stream.unused_data == b""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as response:
        assert await response.read() == text
    await runner.cleanup()


class TestWork:
    """How often something is made, which is what speed comes from."""

    async def test_unchanged_blocks_are_counted_and_packed_once(self) -> None:
        exposition = filled([({"a": "1"}, 1)])
        await exposition.scrape()
        counted = exposition._snapshot
        assert counted is not None
        await exposition.scrape(ACCEPT_OPENMETRICS)
        assert exposition._snapshot is counted
        first, again = (await exposition.scrape(gzip=True), await exposition.scrape(gzip=True))
        assert list(first.parts)[1] is list(again.parts)[1]

    @pytest.mark.parametrize("packed", [False, True])
    async def test_responses_before_and_after_a_change_share_what_did_not_change(self, *, packed: bool) -> None:
        """Slow clients may read many responses at a time, each of another moment."""
        lines = [os.urandom(1000).hex().encode() + b"\n" for _ in range(40 * GROUP)]  # 5 MB, packed half of that
        exposition = Exposition(FAMILIES, CollectorRegistry())
        exposition.swap("shop", FAMILIES, {number: (line, b"") for number, line in enumerate(lines)})
        await exposition.scrape(gzip=packed)
        tracemalloc.start()
        pages = []
        for number in range(20):
            exposition.replace("shop", 0, (b"emails %d\n" % number, b""))
            pages.append(await exposition.scrape(gzip=packed))
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert sum(page.length for page in pages) > 5 * held

    @pytest.mark.parametrize("packed", [False, True])
    async def test_slow_dns_does_not_delay_it(self, *, packed: bool) -> None:
        """Lookups use the threads of asyncio's default pool, all of them while a name server does not answer."""
        looked_up = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            asyncio.get_running_loop().set_default_executor(pool)
            lookup = asyncio.create_task(asyncio.to_thread(looked_up.wait))
            await asyncio.sleep(0)
            try:
                async with asyncio.timeout(PATIENCE):
                    assert await body(filled([({"a": "1"}, 1)]), packed=packed)
            finally:
                looked_up.set()
            await lookup

    async def test_scrapes_at_the_same_time_share_one_rendering(self) -> None:
        exposition = filled([({"a": str(number)}, number) for number in range(500)])
        pages = await asyncio.gather(*(exposition.scrape(gzip=True) for _ in range(8)))
        assert len({tuple(map(id, list(page.parts)[1:-3])) for page in pages}) == 1

    async def test_a_change_deflates_only_its_own_groups(self) -> None:
        exposition = filled([({"a": str(number)}, number) for number in range(10 * GROUP)])
        await exposition.scrape(gzip=True)
        before = exposition._packed[1]
        exposition.replace("shop", 3 * GROUP, block({"a": "changed"}, 1))
        await exposition.scrape(gzip=True)
        (old,), (new,) = before.values(), exposition._packed[1].values()
        groups = [number for number, (one, other) in enumerate(zip(old, new, strict=True)) if one is not other]
        assert groups == [3]
        assert all(one is not other for one, other in zip(old[3].pieces, new[3].pieces, strict=True))

    async def test_a_change_deflates_only_its_own_family(self) -> None:
        exposition = filled([({"a": str(number)}, number) for number in range(3)])
        await exposition.scrape(gzip=True)
        (((before,),),) = [exposition._packed[1].values()]
        exposition.replace("shop", 1, (block({"a": "1"}, 1)[0], b"seen_total 7\n"))
        await exposition.scrape(gzip=True)
        (((after,),),) = [exposition._packed[1].values()]
        assert [one is other for one, other in zip(before.pieces, after.pieces, strict=True)] == [True, False]

    async def test_the_same_block_again_is_no_change(self) -> None:
        exposition = filled([({"a": "1"}, 1)])
        await exposition.scrape()
        counted = exposition._snapshot
        exposition.replace("shop", 0, block({"a": "1"}, 1))
        assert exposition._snapshot is counted is not None


async def test_a_change_is_in_the_next_scrape() -> None:
    exposition = filled([({"a": "1"}, 1)])
    await body(exposition)
    exposition.replace("shop", 0, block({"a": "1"}, 2))
    assert b'emails{a="1"} 2.0\n' in await body(exposition)
    assert b'emails{a="1"} 2.0\n' in await body(exposition, packed=True)


async def test_a_section_is_swapped_whole_and_dropped_whole() -> None:
    exposition = filled([({"a": "1"}, 1), ({"a": "2"}, 2)])
    exposition.swap("other", FAMILIES, {0: block({"a": "3"}, 3)})
    exposition.swap("shop", FAMILIES, {0: block({"a": "4"}, 4)})
    text = await body(exposition)
    assert [line for line in text.decode().splitlines() if line.startswith("emails{")] == [
        'emails{a="4"} 4.0',
        'emails{a="3"} 3.0',
    ]
    exposition.drop("shop")
    assert b'a="4"' not in await body(exposition)


async def test_sections_of_different_families_are_one_text() -> None:
    """A block has entries for the families of its own section only; one that they share has the lines of both."""
    mails, up, down = Family("mails", "Mails.", "gauge"), *(Family(f"{n}_up", "Up.", "gauge") for n in ("a", "b"))
    exposition = Exposition([mails, up, down], CollectorRegistry())
    exposition.swap("opens", [up, mails], {0: (b"a_up 1\n", b'mails{of="opens"} 2\n')})
    exposition.swap("deliveries", [mails, down], {0: (b'mails{of="deliveries"} 3\n', b"b_up 4\n")})
    for packed in (False, True):
        text = await body(exposition, packed=packed)
        assert [line for line in text.decode().splitlines() if not line.startswith("# HELP")] == [
            "# TYPE mails gauge",
            'mails{of="opens"} 2',
            'mails{of="deliveries"} 3',
            "# TYPE a_up gauge",
            "a_up 1",
            "# TYPE b_up gauge",
            "b_up 4",
        ]
    exposition.replace("deliveries", 0, (b"", b"b_up 5\n"))
    exposition.drop("opens")
    for packed in (False, True):
        assert (await body(exposition, packed=packed)).endswith(b"# TYPE b_up gauge\nb_up 5\n")
        assert b"mails" not in await body(exposition, packed=packed), "a family without lines has no head"


async def test_a_section_that_comes_back_may_have_other_families() -> None:
    exposition = filled([({"a": "1"}, 1)])
    exposition.swap("shop", FAMILIES[1:], {0: (b"seen_total 7\n",)})
    assert (await body(exposition)).endswith(b"# TYPE seen_total counter\nseen_total 7\n")
    assert b"emails" not in await body(exposition, packed=True)


async def test_the_own_metrics_follow_without_created_series() -> None:
    registry = CollectorRegistry()
    Counter("own", "Own.", registry=registry).inc()
    Histogram("took", "Took.", registry=registry).observe(1)
    exposition = Exposition(FAMILIES, registry)
    exposition.swap("shop", FAMILIES, {0: block({}, 1)})
    for packed in (False, True):
        text = await body(exposition, ACCEPT_OPENMETRICS, packed=packed)
        assert b"own_total 1.0" in text
        assert b"_created" not in text
        assert text.endswith(b"# EOF\n")
        assert text.count(b"# EOF") == 1


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_checksums_of_pieces_make_that_of_the_whole(first: bytes, second: bytes) -> None:
    assert combine(zlib.crc32(first), zlib.crc32(second), shift(len(second))) == zlib.crc32(first + second)
