"""What a poll costs: CPU per call against a bare signed request, and calls per combination and interval.

The API is a server in another process, so that its own work is not counted.
"""

import json
import ssl
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from ipaddress import IPv4Address
from itertools import cycle
from pathlib import Path

import aiohttp
import certifi
from alibabacloud_dm20151123.client import Client as SdkClient
from alibabacloud_dm20151123.models import GetTrackListRequest
from alibabacloud_tea_openapi.models import Config
from alibabacloud_tea_util.models import RuntimeOptions
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry
from yarl import URL

from benchmarks.measure import Figure, cpu_of, served
from exporter.clock import SystemClock
from exporter.config import loader
from exporter.directmail import signing
from exporter.directmail.client import Client
from exporter.directmail.credentials import Credentials
from exporter.directmail.crosscheck import Crosscheck
from exporter.directmail.limiter import Limiters
from exporter.directmail.model import Filters
from exporter.directmail.statistics.engagement import ENGAGEMENT, Engagement
from exporter.directmail.transport import open_session
from exporter.metrics.exposition import Exposition
from exporter.metrics.publisher import Publisher
from exporter.metrics.tables import families
from exporter.plan import calendar, target_plan
from exporter.store.memory import Cell, Store

CALLS = 600
KEYS = Credentials("LTAI4Benchmark", "BenchmarkSecret")
DAY = date(2026, 4, 21)

SERVER = """
import asyncio
import json
import ssl
import sys
from aiohttp import web

COUNTS = {
    "TotalNumber": "90000", "RcptOpenCount": "31000", "RcptUniqueOpenCount": "22000", "RcptClickCount": "1700",
    "RcptUniqueClickCount": "760", "RcptOpenRate": "34.44", "RcptUniqueOpenRate": "24.44", "RcptClickRate": "1.88",
    "RcptUniqueClickRate": "0.84", "CreateTime": "2026-04-21T00:00Z",
}
BODY = json.dumps({
    "RequestId": "10A1AD70-E48E-476D-98D9-39BD92193837", "PageNo": 1, "PageSize": 100, "Total": 1, "TotalPages": 1,
    "data": {"stat": [COUNTS]},
}).encode()

async def answer(request):
    return web.Response(body=BODY, content_type="application/json")

async def main():
    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    context = None
    if len(sys.argv) > 1:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(sys.argv[1])
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


class Keys:
    """Credentials that never change."""

    expires_at: float | None = None

    async def get(self) -> Credentials:
        return KEYS

    def rejected(self) -> None:
        """Accepts every value."""


@asynccontextmanager
async def api(certificate: Path | None = None) -> AsyncIterator[str]:
    """Run the server in a process of its own, with TLS where it gets a certificate, and yield its URL."""
    arguments = [str(certificate)] if certificate else []
    async with served(SERVER, *arguments) as port:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"


async def bare(url: str) -> None:
    """Sign, send and decode with nothing else: the least that anybody could do."""
    host = url.removeprefix("http://")
    async with aiohttp.ClientSession() as session:
        for number in range(CALLS):
            query = signing.canonical_query(
                {"StartTime": "2026-04-21", "EndTime": "2026-04-21", "PageNumber": str(number)}
            )
            headers = {
                "host": host,
                "x-acs-action": "GetTrackList",
                "x-acs-content-sha256": signing.EMPTY_SHA256,
                "x-acs-date": datetime.now(UTC).strftime(signing.DATE_FORMAT),
                "x-acs-signature-nonce": uuid.uuid4().hex,
                "x-acs-version": "2015-11-23",
            }
            headers["Authorization"] = signing.authorization(
                KEYS.access_key_id, KEYS.access_key_secret, "POST", query, headers
            )
            async with session.post(URL(f"{url}/?{query}", encoded=True), headers=headers) as response:
                json.loads(await response.read())


async def polled(url: str) -> None:
    """Do what the exporter does for a cell: client, parsing, cross-check, store, rendering."""
    senders = ", ".join(f"s{number}@example.com" for number in range(50))
    settings, _ = loader.parse(
        f"targets: [{{name: shop, region: us-east-1, queries: [{{name: q, account_name: [{senders}]}}]}}]"
    )
    assert settings is not None
    each = target_plan.make(settings, settings.targets[0], "engagement")
    clock, store = SystemClock(), Store()
    publisher = Publisher(store, Exposition(families(), CollectorRegistry()), clock)
    await publisher.show([each])
    async with open_session() as session:
        limiters = Limiters(10_000_000, clock)
        client = Client(session, url, Keys(), limiters, clock, timeout=10, page_size=100, observe=lambda *seen: None)
        today, check = calendar.today(clock.time(), each.target.timezone), Crosscheck(ENGAGEMENT)
        for number, combination in zip(range(CALLS), cycle(each.combinations), strict=False):
            response = await client.read(ENGAGEMENT, combination.filters, DAY)
            check.compare(combination.filters, DAY, response.rows)
            cell = Cell(Engagement(*response.totals)._replace(opens=number), None, clock.time())
            store.put(combination.key, today, cell, day_start=0.0)
            store.succeeded(combination.key, clock.time())
            publisher.refresh(combination.key)


async def figures() -> Iterator[Figure]:
    return iter([await cpu_per_call(), await against_the_sdk()])


async def cpu_per_call() -> Figure:
    """Return the CPU of a polled cell against that of a bare call, in one run and against one server."""
    async with api() as url:
        await bare(url)
        least, ours = await cpu_of(lambda: bare(url)), await cpu_of(lambda: polled(url))
    ratio = ours / least
    return Figure(
        "CPU per call",
        f"{ratio:.2f} times, {ours / CALLS * 1000:.2f} ms",
        f"a bare signed aiohttp request with json.loads, {least / CALLS * 1000:.2f} ms",
        "at most 3 times, under 1 ms",
        met=ratio <= 3 and ours / CALLS < 0.001,
    )


async def against_the_sdk() -> Figure:
    """Return the CPU of our calls over TLS against those of the official SDK's async client."""
    with tempfile.TemporaryDirectory() as folder:
        certificate = _certificate(Path(folder))
        _trust(certificate)
        async with api(certificate) as url:
            await _ours_over_tls(url, 20)
            ours = await cpu_of(lambda: _ours_over_tls(url, 300)) / 300
            theirs = await cpu_of(lambda: _sdk(url, 20), times=2) / 20
    ratio = theirs / ours
    return Figure(
        "CPU per call over TLS",
        f"{ratio:.0f} times less, {ours * 1000:.2f} ms",
        f"the official SDK's async client, {theirs * 1000:.1f} ms",
        "30 times less",
        met=ratio >= 30,
    )


def _trust(certificate: Path) -> None:
    """Let both clients verify the server as they would a public one: the usual bundle, and ours beside it."""
    bundle = certificate.with_name("bundle.pem")
    bundle.write_text(Path(certifi.where()).read_text() + certificate.read_text())
    certifi.where = lambda: str(bundle)  # the SDK calls it for every request


async def _ours_over_tls(url: str, times: int) -> None:
    context = ssl.create_default_context(cafile=certifi.where())
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        clock = SystemClock()
        limiters = Limiters(10_000_000, clock)
        client = Client(session, url, Keys(), limiters, clock, timeout=10, page_size=100, observe=lambda *seen: None)
        for _ in range(times):
            await client.read(ENGAGEMENT, Filters(), DAY)


async def _sdk(url: str, times: int) -> None:
    endpoint = url.removeprefix("https://")
    client = SdkClient(
        Config(access_key_id=KEYS.access_key_id, access_key_secret=KEYS.access_key_secret, endpoint=endpoint)
    )
    day = DAY.isoformat()
    request = GetTrackListRequest(start_time=day, end_time=day, page_number="1", page_size="100")
    for _ in range(times):
        await client.get_track_list_with_options_async(request, RuntimeOptions(autoretry=False))


def _certificate(folder: Path) -> Path:
    """Return a file with a key and a certificate that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + secret)
    return path
