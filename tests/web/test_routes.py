"""What the server answers, rejects and survives."""

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from exporter.metrics.exposition import Exposition
from exporter.metrics.text_format import Family
from exporter.web.routes import Routes
from tests.support.web import Metrics, raw, served, status

FAMILIES = (Family("emails", "Mails.", "gauge"),)


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
    async with server() as (base, session), session.request(method, base + path) as response:
        text = await response.text()
        assert response.status == status
        assert "aiohttp" not in text + str(response.headers)
        assert (method == "HEAD") == (text == "")
        if status == 405:
            assert response.headers["Allow"]


async def test_every_answer_has_security_headers_and_no_version() -> None:
    async with server() as (base, session):
        for path in ("/", "/metrics", "/-/healthy", "/nowhere"):
            async with session.get(base + path) as response:
                assert response.headers["Server"] == "directmail-exporter"
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert "default-src 'none'" in response.headers["Content-Security-Policy"]


async def test_browsers_get_an_icon_and_may_keep_it() -> None:
    async with server() as (base, session), session.get(f"{base}/favicon.ico") as response:
        body = await response.read()
    assert (response.status, response.content_type) == (200, "image/x-icon")
    assert response.headers["Cache-Control"] == "max-age=86400"
    assert body.startswith(b"\x00\x00\x01\x00")
    assert len(body) < 300


async def test_readiness_shows_what_it_waits_for() -> None:
    text = "shop: 3 combinations not tried yet"
    async with server(unready=lambda: text) as (base, session), session.get(f"{base}/-/ready") as response:
        assert (response.status, await response.text()) == (503, f"{text}\n")


@pytest.mark.parametrize(("wrong", "status"), [("", 200), ("windows: '9x' is not a window", 500)])
async def test_a_failed_reload_returns_the_reason(wrong: str, status: int) -> None:
    async def reload() -> str:
        return wrong

    async with server(reload=reload) as (base, session), session.post(f"{base}/-/reload") as response:
        assert response.status == status
        assert wrong in await response.text()


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
        async with session.post(f"{base}/-/reload", headers=sent) as response:
            assert response.status == status
    assert len(loads) == (status == 200)


@pytest.mark.parametrize(
    ("accepts", "packed"),
    [
        pytest.param(["gzip"], True, id="gzip"),
        pytest.param(["identity"], False, id="no-coding"),
        pytest.param(["*, gzip;q=0"], False, id="all-but-gzip"),
        pytest.param(["deflate", "gzip"], True, id="two-lines"),
        pytest.param(["*", "gzip;q=0"], False, id="two-lines-of-which-one-forbids-it"),
    ],
)
async def test_gzip_is_sent_when_accepted(accepts: list[str], *, packed: bool) -> None:
    exposition = Exposition(FAMILIES, CollectorRegistry())
    exposition.swap("shop", FAMILIES, {0: (b"emails 1.0\n",)})
    async with (
        server(exposition=exposition) as (base, _),
        aiohttp.ClientSession(auto_decompress=False) as plain,
        plain.get(f"{base}/metrics", headers=[("Accept-Encoding", line) for line in accepts]) as response,
    ):
        body = await response.read()
        assert (response.headers.get("Content-Encoding") == "gzip") == packed
        assert int(response.headers["Content-Length"]) == len(body)
    assert b"emails 1.0" in (gzip.decompress(body) if packed else body)


async def test_several_lines_of_accept_are_one() -> None:
    exposition = Exposition(FAMILIES, CollectorRegistry())
    lines = [("Accept", "text/plain;q=0.5"), ("Accept", 'application/openmetrics-text;version="1.0.0"')]
    async with (
        server(exposition=exposition) as (base, session),
        session.get(f"{base}/metrics", headers=lines) as response,
    ):
        assert response.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"


async def test_scrapes_beyond_the_limit_are_sent_away_and_health_is_not() -> None:
    metrics = Metrics()
    metrics.free.clear()
    async with server(exposition=metrics, max_requests=2) as (base, session):
        slow = [asyncio.create_task(session.get(f"{base}/metrics")) for _ in range(2)]
        while metrics.waiting < 2:
            await asyncio.sleep(0)
        async with session.get(f"{base}/metrics") as response:
            assert response.status == 503
            assert response.headers["Retry-After"]
        async with session.get(f"{base}/-/healthy") as response:
            assert response.status == 200
        metrics.free.set()
        assert [(await task).status for task in slow] == [200, 200]
        async with session.get(f"{base}/metrics") as response:
            assert response.status == 200


async def test_a_limit_of_0_is_no_limit() -> None:
    metrics = Metrics()
    metrics.free.clear()
    async with server(exposition=metrics, max_requests=0) as (base, session):
        scrapes = [asyncio.create_task(session.get(f"{base}/metrics")) for _ in range(60)]
        while metrics.waiting < 60:
            await asyncio.sleep(0)
        metrics.free.set()
        assert {(await scrape).status for scrape in scrapes} == {200}


async def test_health_is_answered_while_a_hundred_thousand_series_are_rendered() -> None:
    """Rendering and packing have threads of their own: a later request for health is answered before."""
    exposition = Exposition(FAMILIES, CollectorRegistry())
    lines = ("".join(f'emails{{n="{n}"}} {n}.0\n' for n in range(key, key + 100)) for key in range(0, 100_000, 100))
    exposition.swap("shop", FAMILIES, {number: (line.encode(),) for number, line in enumerate(lines)})
    order = []
    goes_on = threading.Event()
    async with server(exposition=exposition) as (base, session):
        held = asyncio.create_task(exposition.in_thread(goes_on.wait))

        async def reported(name: str, path: str) -> None:
            async with session.get(base + path, headers={"Accept-Encoding": "gzip"}) as response:
                await response.read()
            order.append(name)

        scrape = asyncio.create_task(reported("scrape", "/metrics"))
        try:
            while not (exposition._packing.locked() or scrape.done()):
                await asyncio.sleep(0)
            await reported("health", "/-/healthy")
        finally:
            goes_on.set()
        await asyncio.gather(held, scrape)
    assert order == ["health", "scrape"]


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
async def test_nonsense_is_rejected_without_a_word_of_it_and_without_a_banner(request_: bytes, status: int) -> None:
    with capture_logs() as lines:
        async with server() as (base, _):
            response = await raw(base, request_, ends=False)
    head, _, body = response.partition(b"\r\n\r\n")
    assert head.split()[1] == b"%d" % status
    assert b"\r\nServer: directmail-exporter\r\n" in head + b"\r\n"
    assert b"nosniff" in head
    assert body.startswith(b"%d " % status)
    for word in ("aiohttp", "Python", "Canary"):
        assert word not in response.decode() + str(lines)


async def test_a_page_with_a_bug_is_500_and_only_the_log_has_the_reason() -> None:
    async def broken(request: web.Request) -> web.Response:
        raise ZeroDivisionError("Canary")

    with capture_logs() as lines:
        async with server(status=broken) as (base, session), session.get(base) as response:
            assert (response.status, await response.text()) == (500, "500 Internal Server Error\n")
            assert response.headers["Server"] == "directmail-exporter"
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert [(line["event"], line["log_level"]) for line in lines] == [("page failed; please report this", "error")]
