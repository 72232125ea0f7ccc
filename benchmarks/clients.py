"""What clients cost that do not finish: handshakes of TLS that never end, and scrapes that are read slowly."""

import asyncio
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import aiohttp

from benchmarks.health import SERIES, started
from benchmarks.measure import Figure, resident
from exporter.web.connection_limit import MOST_CONNECTIONS

HANDSHAKES, SLOW = 1000, 40
COLD = "targets: [{name: a, endpoint: 'http://127.0.0.1:9', queries: [{name: account}]}]"
TLS = "tls_server_config: {cert_file: server.crt, key_file: server.key}"


async def figures() -> Iterator[Figure]:
    return iter([await _handshakes(), await _slow_scrapes()])


async def _handshakes() -> Figure:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "config.yaml").write_text(COLD)
        (folder / "web.yml").write_text(TLS)
        _make_certificate(folder)
        flags = ("--config.file", f"{name}/config.yaml", "--web.config.file", f"{name}/web.yml")
        async with started("exporter", *flags, "--web.listen-address=127.0.0.1:0") as (process, base):
            health = f"{base.replace('http://', 'https://')}/-/healthy"
            await _get(health)
            before = resident(process.pid)
            begun = _half_a_handshake()
            for _ in range(HANDSHAKES):
                await asyncio.to_thread(_connect, stack, base, begun)
            await _get(health)
            grown = resident(process.pid) - before
    return Figure(
        f"memory for {HANDSHAKES} TLS handshakes that never end",
        f"{grown:.0f} MiB; a client that finishes its own is answered",
        f"{MOST_CONNECTIONS} of them are open; the process alone has {before:.0f} MiB",
        "under 50 MiB",
        met=grown < 50,
    )


async def _slow_scrapes() -> Figure:
    async with started("benchmarks.health") as (process, base):
        size = await _get(f"{base}/metrics")
        before = resident(process.pid)
        with ExitStack() as stack:
            request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: identity\r\n\r\n"
            for _ in range(SLOW):
                slow = await asyncio.to_thread(_connect, stack, base, request)
                await asyncio.to_thread(slow.recv, 100)
                await asyncio.sleep(0.1)
            grown = resident(process.pid) - before
    return Figure(
        f"memory for {SLOW} plain scrapes of {SERIES} series that nobody reads",
        f"{grown:.0f} MiB; cells change before each, and a midnight comes",
        f"one answer has {size / 2**20:.0f} MiB, the process alone {before:.0f} MiB",
        "under 4 answers",
        met=grown < 4 * size / 2**20,
    )


def _make_certificate(folder: Path) -> None:
    certificate = ("-x509", "-nodes", "-subj", "/CN=localhost", "-newkey", "ec", "-pkeyopt")
    files = ("-keyout", folder / "server.key", "-out", folder / "server.crt")
    command = ("openssl", "req", *certificate, "ec_paramgen_curve:prime256v1", *files)
    subprocess.run(command, check=True, capture_output=True)


def _connect(stack: ExitStack, base: str, sent: bytes) -> socket.socket:
    host, port = base.partition("//")[2].split(":")
    client = stack.enter_context(socket.socket())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((host, int(port)))
    with suppress(OSError):  # closed already, for another one
        client.send(sent)
    return client


def _half_a_handshake() -> bytes:
    """Return the beginning of what a client of TLS sends first."""
    sent = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost").do_handshake()
    return sent.read()[:-10]


async def _get(url: str) -> int:
    """Return how many bytes the response has."""
    async with aiohttp.ClientSession() as session, session.get(url, ssl=False) as response:
        assert response.status == 200
        return len(await response.read())
