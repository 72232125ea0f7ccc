"""More connections than a process can have: they are bounded, and who has a request gets in."""

import asyncio
import json
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from exporter.clock import SystemClock
from exporter.web.authentication import Security
from exporter.web.connection_limit import MOST_CONNECTIONS
from exporter.web.listener import SHUTDOWN_SECONDS, serve
from exporter.web.routes import Routes, make_app
from exporter.web.sockets import bind
from exporter.web.webconfig import WebConfig
from tests.support.certificates import Authority
from tests.support.processes import PATIENCE, Program, get, program
from tests.support.web import Metrics, served, status

TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"


@asynccontextmanager
async def exporter(folder: Path, *flags: str, web_config: str = "") -> AsyncIterator[tuple[Program, str]]:
    """Run the exporter with this web configuration; yield it and its address."""
    (folder / "config.yaml").write_text(
        "targets: [{name: shop, endpoint: 'http://127.0.0.1:9', queries: [{name: account}]}]\n"
    )
    (folder / "web.yml").write_text(web_config)
    given = ("--config.file", f"{folder}/config.yaml", "--web.config.file", f"{folder}/web.yml")
    async with program(*given, "--web.listen-address", "127.0.0.1:0", *flags) as running:
        yield running, await running.address()


@contextmanager
def flood(address: str, count: int, sent: bytes = b"", source: str = "127.0.0.1") -> Iterator[None]:
    """Connect so often from an address, and send this each time."""
    host, port = address.split(":")
    with ExitStack() as stack:
        for _ in range(count):
            each = stack.enter_context(socket.create_connection((host, int(port)), PATIENCE, (source, 0)))
            with suppress(OSError):  # closed already, for another one
                each.send(sent)
        yield


def half_a_handshake(context: ssl.SSLContext) -> bytes:
    """Return the beginning of what a client of TLS sends first."""
    sent = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost").do_handshake()
    return sent.read()[:-10]


def resident(running: Program) -> float:
    """Return the memory of a program, in MiB."""
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


async def healthy(address: str, context: ssl.SSLContext) -> bool:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"https://{address}/-/healthy", ssl=context) as response,
    ):
        return response.status == 200


class TestHandshakesThatNeverEnd:
    COUNT = 600
    """More would be more than a test process may open everywhere."""

    async def test_they_cost_little_and_block_no_other_client(self, tmp_path: Path) -> None:
        """With a buffer of 256 KiB for each this would be 250 MiB and more."""
        authority = Authority(tmp_path)
        authority.issue("server")
        context = ssl.create_default_context(cafile=str(authority.file))
        async with exporter(tmp_path, web_config=TLS) as (running, address):
            assert await healthy(address, context)
            before = resident(running)
            with flood(address, self.COUNT, half_a_handshake(context)):
                assert await healthy(address, context)
                assert resident(running) - before < 100
            line = await running.line_with("connection limit reached")
            assert f"limit of {MOST_CONNECTIONS} connections" in line


LIMITED = """
import os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
files = [os.open("/dev/null", os.O_RDONLY) for _ in range({files})]
from exporter.commands.main import main
main()
"""


@pytest.mark.parametrize(
    ("files", "reason"),
    [pytest.param(0, "limit of 16 connections", id="few"), pytest.param(45, "too many open files", id="hardly-any")],
)
async def test_more_connections_than_file_descriptors_are_one_line_and_others_get_in(
    files: int, reason: str, tmp_path: Path
) -> None:
    """The process may have 64, of which `files` are in use for something else."""
    (tmp_path / "limited.py").write_text(LIMITED.format(files=files))
    (tmp_path / "config.yaml").write_text(
        "targets: [{name: shop, endpoint: 'http://127.0.0.1:9', queries: [{name: account}]}]\n"
    )
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    flags = ("--config.file", f"{tmp_path}/config.yaml", "--web.listen-address", "127.0.0.1:0", "--log.format", "json")
    async with program(*flags, module="limited", environment={"PYTHONPATH": path}) as running:
        address = json.loads(await running.line_with('"listening"'))["addresses"]
        with flood(address, 300, source="127.0.0.2"):
            assert json.loads(await running.line_with("connection limit reached"))["reason"] == reason
            assert await get(f"http://{address}/-/healthy") == (200, "OK\n")
        assert await get(f"http://{address}/-/healthy") == (200, "OK\n")
        assert await running.end() == 0
    lines = [json.loads(line) for line in running.lines]
    assert len([line for line in lines if line["msg"].startswith("connection limit reached")]) == 1


async def test_one_address_cannot_keep_another_out() -> None:
    """The other one has connected before the flood and sends its request after it."""
    routes = Routes(Metrics(), lambda: "", status, None)
    async with served(routes, "127.0.0.1:0", most=4) as (address,):
        host, port = address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for _ in range(50):
            _, other = await asyncio.open_connection(host, int(port), local_addr=("127.0.0.2", 0))
            other.close()
        writer.write(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"200 OK" in await reader.read()
        writer.close()


async def test_while_every_connection_is_answered_the_next_one_waits_for_its_turn() -> None:
    metrics = Metrics()
    metrics.free.clear()
    async with served(Routes(metrics, lambda: "", status, None), "127.0.0.1:0", most=2) as (address,):
        scrapes = [asyncio.create_task(get(f"http://{address}/metrics")) for _ in range(2)]
        while metrics.waiting < 2:
            await asyncio.sleep(0)
        third = asyncio.create_task(get(f"http://{address}/-/healthy"))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not third.done()
        metrics.free.set()
        assert [await scrape for scrape in scrapes] == [(200, "x"), (200, "x")]
        assert await third == (200, "OK\n")


async def test_one_that_waits_for_its_turn_does_not_delay_shutdown() -> None:
    metrics = Metrics()
    metrics.free.clear()
    app = make_app(Routes(metrics, lambda: "", status, None), Security(WebConfig(), SystemClock()))
    async with serve(app, bind(["127.0.0.1:0"]), most=1) as listening:
        scrape = asyncio.create_task(get(f"http://{listening.addresses[0]}/metrics"))
        while not metrics.waiting:
            await asyncio.sleep(0)
        host, port = listening.addresses[0].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for _ in range(100):
            await asyncio.sleep(0)
        await listening.close()
        assert await reader.read() == b""
        writer.close()
        metrics.free.set()
        assert await scrape == (200, "x")


async def test_a_scrape_that_ends_when_the_server_stops_waiting_for_it_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """On a busy machine both are found in the same turn of the event loop, and aiohttp stumbles over that."""
    metrics, loop = Metrics(), asyncio.get_running_loop()
    metrics.free.clear()
    async with AsyncExitStack() as server:
        (address,) = await server.enter_async_context(served(Routes(metrics, lambda: "", status, None), "127.0.0.1:0"))
        scrape = asyncio.create_task(get(f"http://{address}/metrics"))
        while not metrics.waiting:
            await asyncio.sleep(0)
        end = asyncio.create_task(server.aclose())
        for _ in range(20):
            await asyncio.sleep(0)
        late = loop.time() + SHUTDOWN_SECONDS + 0.2
        while loop.time() < late:
            pass
        loop.call_soon(metrics.free.set)
        await end
    await asyncio.wait([scrape])
    assert caplog.text == ""


async def test_a_client_that_comes_when_the_server_closes_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """Both are found in the same turn of the event loop."""
    app = make_app(Routes(Metrics(), lambda: "", status, None), Security(WebConfig(), SystemClock()))
    async with serve(app, bind(["127.0.0.1:0"])) as listening:
        await asyncio.sleep(0)
        host, port = listening.addresses[0].split(":")
        with socket.create_connection((host, int(port))):
            await asyncio.sleep(0)
            await listening.close()
    assert caplog.text == ""


async def test_a_bug_while_accepting_ends_the_server(tmp_path: Path) -> None:
    """A socket that does not listen cannot be accepted from."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        app = make_app(Routes(Metrics(), lambda: "", status, None), Security(WebConfig(), SystemClock()))
        async with serve(app, [deaf]) as listening:
            with pytest.raises(OSError, match="Invalid argument"):
                await listening.run()
