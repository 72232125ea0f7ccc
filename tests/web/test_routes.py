"""What the server answers, refuses and survives."""

import asyncio
import gzip
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from exporter.metrics.exposition import Exposition, Family
from exporter.web.routes import Routes
from exporter.web.sockets import BindError, bind, from_systemd, split_address
from tests.support.processes import PATIENCE, get
from tests.support.web import Metrics, said, served, status


@asynccontextmanager
async def server(**options: Any) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    routes = Routes(
        **{
            "exposition": Metrics(),
            "unready": lambda: "",
            "status": status,
            "reload": None,
            **options,
        }
    )
    async with served(routes, "127.0.0.1:0") as (address,), aiohttp.ClientSession() as session:
        yield f"http://{address}", session


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/metrics", 200),
        ("HEAD", "/metrics", 200),
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/-/healthy", 200),
        ("HEAD", "/-/healthy", 200),
        ("GET", "/-/ready", 200),
        ("POST", "/-/reload", 403),
        ("GET", "/-/reload", 405),
        ("POST", "/metrics", 405),
        ("DELETE", "/", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/metrics/..%2f..", 404),
    ],
)
async def test_every_path_has_its_status(method: str, path: str, status: int) -> None:
    async with server() as (base, session), session.request(method, base + path) as answer:
        text = await answer.text()
        assert answer.status == status
        assert "aiohttp" not in text + str(answer.headers)
        assert (method == "HEAD") == (text == "")
        if status == 405:
            assert answer.headers["Allow"]


async def test_every_answer_has_security_headers_and_no_version() -> None:
    async with server() as (base, session):
        for path in ("/", "/metrics", "/-/healthy", "/nowhere"):
            async with session.get(base + path) as answer:
                assert answer.headers["Server"] == "directmail-exporter"
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_readiness_tells_what_it_waits_for() -> None:
    text = "shop: 3 combinations not tried yet"
    async with server(unready=lambda: text) as (base, session), session.get(f"{base}/-/ready") as answer:
        assert (answer.status, await answer.text()) == (503, f"{text}\n")


@pytest.mark.parametrize(("wrong", "status"), [("", 200), ("windows: '9x' is not a window", 500)])
async def test_a_reload_answers_with_what_is_wrong(wrong: str, status: int) -> None:
    async def reload() -> str:
        return wrong

    async with server(reload=reload) as (base, session), session.post(f"{base}/-/reload") as answer:
        assert answer.status == status
        assert wrong in await answer.text()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 200, id="no-browser"),
        pytest.param({"Origin": "{base}"}, 200, id="own-origin"),
        pytest.param({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 200, id="own-page-without-referrer"),
        pytest.param(
            {"Origin": "https://metrics.example.com", "Sec-Fetch-Site": "same-origin"}, 200, id="behind-a-proxy"
        ),
        pytest.param({"Sec-Fetch-Site": "none"}, 200, id="by-hand"),
        pytest.param({"Origin": "https://evil.example.com"}, 403, id="foreign-origin"),
        pytest.param({"Origin": "null"}, 403, id="hidden-origin"),
        pytest.param({"Origin": "{base}0"}, 403, id="another-port"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, 403, id="cross-site"),
        pytest.param({"Origin": "{base}", "Sec-Fetch-Site": "same-site"}, 403, id="same-site"),
    ],
)
async def test_a_reload_is_not_for_pages_of_other_sites(headers: dict[str, str], status: int) -> None:
    """A browser that reaches the exporter sends what any page tells it to."""
    loads = []

    async def reload() -> str:
        loads.append(1)
        return ""

    async with server(reload=reload) as (base, session):
        sent = {name: value.format(base=base) for name, value in headers.items()}
        async with session.post(f"{base}/-/reload", headers=sent) as answer:
            assert answer.status == status
    assert len(loads) == (status == 200)


@pytest.mark.parametrize(
    ("accepts", "packed"),
    [("gzip", True), ("gzip, deflate, br", True), ("identity", False), ("gzip;q=0", False), ("", False), ("*", True)],
)
async def test_gzip_is_sent_to_those_who_take_it(accepts: str, *, packed: bool) -> None:
    exposition = Exposition((Family("emails", "Mails.", "gauge"),), CollectorRegistry())
    exposition.swap("shop", {0: (b"emails 1.0\n",)})
    async with (
        server(exposition=exposition) as (base, _),
        aiohttp.ClientSession(auto_decompress=False) as plain,
        plain.get(f"{base}/metrics", headers={"Accept-Encoding": accepts}) as answer,
    ):
        body = await answer.read()
        assert (answer.headers.get("Content-Encoding") == "gzip") == packed
        assert int(answer.headers["Content-Length"]) == len(body)
    assert b"emails 1.0" in (gzip.decompress(body) if packed else body)


async def test_scrapes_beyond_the_limit_are_sent_away_and_health_is_not() -> None:
    metrics = Metrics()
    metrics.free.clear()
    async with server(exposition=metrics, max_requests=2) as (base, session):
        slow = [asyncio.create_task(session.get(f"{base}/metrics")) for _ in range(2)]
        while metrics.waiting < 2:
            await asyncio.sleep(0)
        async with session.get(f"{base}/metrics") as answer:
            assert answer.status == 503
            assert answer.headers["Retry-After"]
        async with session.get(f"{base}/-/healthy") as answer:
            assert answer.status == 200
        metrics.free.set()
        assert [(await task).status for task in slow] == [200, 200]
        async with session.get(f"{base}/metrics") as answer:
            assert answer.status == 200


async def test_health_is_answered_while_a_hundred_thousand_series_are_rendered() -> None:
    """Rendering and packing have threads of their own: whoever asks for health later is answered before."""
    exposition = Exposition((Family("emails", "Mails.", "gauge"),), CollectorRegistry())
    lines = ("".join(f'emails{{n="{n}"}} {n}.0\n' for n in range(key, key + 100)) for key in range(0, 100_000, 100))
    exposition.swap("shop", {number: (line.encode(),) for number, line in enumerate(lines)})
    order = []
    async with server(exposition=exposition) as (base, session):

        async def told(name: str, path: str) -> None:
            async with session.get(base + path, headers={"Accept-Encoding": "gzip"}) as answer:
                await answer.read()
            order.append(name)

        scrape = asyncio.create_task(told("scrape", "/metrics"))
        while not exposition._locks[True].locked():
            await asyncio.sleep(0)
        await told("health", "/-/healthy")
        await scrape
    assert order == ["health", "scrape"]


async def test_a_client_that_does_not_read_is_cut_off() -> None:
    async with server(exposition=Metrics(size=50_000_000), slow_client_seconds=0.2, max_requests=1) as (base, session):
        host, port = base.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(10):
            while True:
                async with session.get(f"{base}/-/healthy") as health:
                    assert health.status == 200
                async with session.head(f"{base}/metrics") as answer:
                    if answer.status == 200:  # there is room again
                        break
                await asyncio.sleep(0.05)
        writer.close()
        assert reader


CLOSE = b"Connection: close\r\n\r\n"
NONSENSE = [
    pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 9000 + b"\r\n\r\n", 400, id="long-header"),
    pytest.param(b"GET /" + b"y" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400, id="long-address"),
    pytest.param(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 400, id="many-headers"),
    pytest.param(b"GET / HTTP/1.1\r\nAuthorization: Canary\x00\r\n\r\n", 400, id="nul-in-a-header"),
    pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03Canary", 400, id="tls-where-there-is-none"),
    pytest.param(b"Canary\r\n\r\n", 400, id="no-http"),
    pytest.param(b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n" + CLOSE, 413, id="long-body"),
    pytest.param(b"PATCH /metrics HTTP/1.1\r\nHost: x\r\n" + CLOSE, 405, id="other-method"),
]


@pytest.mark.parametrize(("request_", "status"), NONSENSE)
async def test_nonsense_is_refused_without_a_word_of_it_and_without_a_banner(request_: bytes, status: int) -> None:
    with capture_logs() as lines:
        async with server() as (base, _):
            answer = await said(base, request_, ends=False)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"%d" % status
    assert b"\r\nServer: directmail-exporter\r\n" in head + b"\r\n"
    assert b"nosniff" in head
    assert body.startswith(b"%d " % status)
    for word in ("aiohttp", "Python", "Canary"):
        assert word not in answer.decode() + str(lines)


async def test_a_page_with_a_bug_is_500_and_told_in_the_log_alone() -> None:
    async def broken(request: web.Request) -> web.Response:
        raise ZeroDivisionError("Canary")

    with capture_logs() as lines:
        async with server(status=broken) as (base, session), session.get(base) as answer:
            assert (answer.status, await answer.text()) == (500, "500 Internal Server Error\n")
            assert answer.headers["Server"] == "directmail-exporter"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert [(line["event"], line["log_level"]) for line in lines] == [("a page failed; please report this", "error")]


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "], ids=["silent", "half-a-header"])
async def test_a_client_that_does_not_come_to_the_point_is_hung_up_on(begun: bytes) -> None:
    routes = Routes(Metrics(), lambda: "", status, None)
    async with served(routes, "127.0.0.1:0", first_request_seconds=0.05) as (address,):
        assert await said(address, begun, ends=False) == b""


async def test_a_scrape_may_take_longer_than_a_request() -> None:
    metrics = Metrics()
    metrics.free.clear()
    routes = Routes(metrics, lambda: "", status, None)
    async with served(routes, "127.0.0.1:0", first_request_seconds=0.05) as (address,):
        scrape = asyncio.create_task(get(f"http://{address}/metrics"))
        assert await said(address, b"", ends=False) == b""  # who came later is hung up on by now
        metrics.free.set()
        assert await scrape == (200, "x")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (":10058", (None, 10058)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:9", ("::1", 9)),
        ("localhost:80", ("localhost", 80)),
    ],
)
def test_addresses_are_read_as_prometheus_programs_read_them(address: str, expected: tuple[str | None, int]) -> None:
    assert split_address(address) == expected


async def test_several_addresses_are_listened_on_ipv6_too() -> None:
    routes = Routes(Metrics(), lambda: "", status, None)
    async with served(routes, "127.0.0.1:0", "[::1]:0") as addresses, aiohttp.ClientSession() as session:
        assert len(addresses) == 2
        for address in addresses:
            async with session.get(f"http://{address}/-/healthy") as answer:
                assert answer.status == 200


async def test_an_unknown_host_is_one_line() -> None:
    with pytest.raises(BindError, match=r"cannot listen on 192\.0\.2\.1:80: cannot assign requested address"):
        bind(["127.0.0.1:0", "192.0.2.1:80"])


async def test_sockets_of_systemd_are_listened_on(tool: Callable[[str], Path], tmp_path: Path) -> None:
    """systemd-socket-activate does what a socket unit does: it listens, and starts the program at the first visit."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    text = "targets:\n  - name: shop\n    endpoint: http://127.0.0.1:9\n    queries: [{name: account}]\n"
    (tmp_path / "config.yaml").write_text(text)
    program = (sys.executable, "-m", "exporter", "--config.file", tmp_path / "config.yaml", "--web.systemd-socket")
    process = await asyncio.create_subprocess_exec(
        *(tool("systemd-socket-activate"), "--listen", address, *program), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        await process.stderr.readline()  # it listens now
        assert (await get(f"http://{address}/-/healthy"))[0] == 200
    finally:
        process.terminate()
        _, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 0
    assert f"addresses={address}".encode() in errors


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, id="none"),
        pytest.param({"LISTEN_PID": "1", "LISTEN_FDS": "1"}, id="another-process"),
        pytest.param({"LISTEN_PID": "7", "LISTEN_FDS": "x"}, id="no-number"),
    ],
)
def test_sockets_that_systemd_did_not_pass_are_an_error(environment: dict[str, str]) -> None:
    with pytest.raises(BindError, match="systemd passed no socket; start the service through its socket unit"):
        from_systemd(environment, 7)
