"""TLS as clients see it: whole responses, alerts when a handshake fails, and a word to those who speak HTTP."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from exporter.web import webconfig
from exporter.web.routes import Routes
from tests.support.certificates import Authority
from tests.support.processes import PATIENCE
from tests.support.web import Metrics, raw, served, status

GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
SIZE = 3_000_000


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority(tmp_path)
    authority.issue("server")
    return authority


@asynccontextmanager
async def server(authority: Authority, text: str = "", size: int = SIZE) -> AsyncIterator[str]:
    """Serve metrics of so many bytes with this TLS; yield the address."""
    file = authority.folder / "web.yml"
    file.write_text(f"tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{text}")
    routes = Routes(Metrics(size), lambda: "", status, None)
    async with served(routes, "127.0.0.1:0", tls=webconfig.read(file).tls) as (address,):
        yield address


def client(authority: Authority, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.file))
    if version:
        context.minimum_version = context.maximum_version = version
    return context


async def response(address: str, context: ssl.SSLContext, request: bytes = GET) -> bytes:
    host, port = address.split(":")
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
        writer.write(request)
        found = await reader.read()
        writer.close()
    return found


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_an_answer_arrives_whole(authority: Authority, version: ssl.TLSVersion) -> None:
    async with server(authority) as address:
        head, _, body = (await response(address, client(authority, version))).partition(b"\r\n\r\n")
    assert b"200 OK" in head
    assert body == b"x" * SIZE


async def test_a_client_may_read_slowly_and_send_its_request_byte_by_byte(authority: Authority) -> None:
    """The response is more than sockets hold, so the server has to wait for the client."""
    async with server(authority, size=30_000_000) as address, asyncio.timeout(PATIENCE):
        host, port = address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=client(authority), limit=1024)
        for byte in GET:
            writer.write(bytes((byte,)))
            await writer.drain()
        received = await reader.readuntil(b"\r\n\r\n")
        body = 0
        while piece := await reader.read(100_000):
            body += len(piece)
            await asyncio.sleep(0)
        writer.close()
    assert (b"200 OK" in received, body) == (True, 30_000_000)


async def test_what_is_not_encrypted_as_agreed_ends_the_connection_with_an_alert(authority: Authority) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client(authority).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with capture_logs() as lines:
        async with server(authority) as address, asyncio.timeout(PATIENCE):
            host, port = address.split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            is_complete = False
            while not is_complete:
                try:
                    tls.do_handshake()
                    is_complete = True
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await reader.read(10_000))
            writer.write(outgoing.read() + b"\x17\x03\x03\x00\x20" + b"nonsense" * 4)
            incoming.write(await reader.read())
            writer.close()
    with pytest.raises(ssl.SSLError, match="ALERT_BAD_RECORD_MAC"):
        tls.read()
    assert [line for line in lines if line["log_level"] != "debug"] == []


async def test_a_handshake_in_progress_does_not_delay_shutdown(authority: Authority) -> None:
    async with server(authority) as address:
        host, port = address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"\x16\x03\x01")
        assert await response(address, client(authority))  # the first one is accepted by now
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    writer.close()


async def test_requests_follow_one_another_on_a_connection(authority: Authority) -> None:
    request = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
    async with server(authority) as address:
        found = await response(address, client(authority), 500 * request + GET)
    assert found.count(b"\r\n\r\nOK\n") == 500
    assert found.endswith(b"x" * SIZE)


class TestAFailedHandshake:
    async def test_of_an_old_client_is_a_protocol_version_alert(self, authority: Authority) -> None:
        async with server(authority, "  min_version: TLS13\n") as address:
            with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
                await response(address, client(authority, ssl.TLSVersion.TLSv1_2))

    async def test_of_one_without_a_common_cipher_is_a_handshake_failure(self, authority: Authority) -> None:
        context = client(authority, ssl.TLSVersion.TLSv1_2)
        context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        text = "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n"
        async with server(authority, text) as address:
            with pytest.raises(ssl.SSLError, match="ALERT_HANDSHAKE_FAILURE"):
                await response(address, context)

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    @pytest.mark.parametrize("certificate", ["none", "of a stranger"])
    async def test_of_one_without_a_good_certificate_is_a_certificate_alert(
        self, authority: Authority, certificate: str, version: ssl.TLSVersion
    ) -> None:
        context = client(authority, version)
        if certificate != "none":
            (authority.folder / "stranger").mkdir()
            context.load_cert_chain(*Authority(authority.folder / "stranger", "stranger").issue("imposter"))
        text = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: authority.pem\n"
        with capture_logs() as lines:
            async with server(authority, text) as address:
                expected = "UNKNOWN_CA" if certificate != "none" else "CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE"
                with pytest.raises(ssl.SSLError, match=f"ALERT_({expected})"):
                    await response(address, context)
        assert [line for line in lines if line["log_level"] != "debug"] == []

    async def test_that_never_was_one_ends_without_a_traceback(self, authority: Authority) -> None:
        with capture_logs() as lines:
            async with server(authority) as address:
                assert (await raw(address, b"\x16\x03\x01" + b"nonsense" * 100, ends=False))[:1] in (b"\x15", b"")
        assert [line for line in lines if line["log_level"] != "debug"] == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "OPTIONS"])
async def test_http_on_a_tls_port_is_answered_as_go_does(authority: Authority, method: str) -> None:
    async with server(authority) as address:
        found = await raw(address, f"{method} /metrics HTTP/1.1\r\nHost: x\r\n\r\n".encode(), ends=False)
    assert found == b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


async def test_a_client_that_breaks_off_leaves_no_line_and_no_connection(authority: Authority) -> None:
    with capture_logs() as lines:
        async with server(authority) as address:
            host, port = address.split(":")
            for sent in (b"", b"\x16\x03\x01\x02", GET[:3]):
                with socket.create_connection((host, int(port))) as broken:
                    broken.send(sent)
            assert b"200 OK" in await response(address, client(authority))
    assert [line for line in lines if line["log_level"] != "debug"] == []


async def test_the_connection_has_what_a_request_reads_of_it(authority: Authority) -> None:
    seen = {}

    async def page(request: web.Request) -> web.Response:
        seen.update({name: request.get_extra_info(name) for name in ("sslcontext", "peercert", "peername")})
        seen["scheme"] = request.scheme
        return web.Response()

    file = authority.folder / "web.yml"
    text = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: authority.pem\n"
    file.write_text(f"tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{text}")
    context = client(authority)
    context.load_cert_chain(*authority.issue("prometheus", "prometheus.example.com"))
    tls = webconfig.read(file).tls
    async with served(Routes(Metrics(), lambda: "", page, None), "127.0.0.1:0", tls=tls) as (address,):
        await response(address, context, GET.replace(b"/metrics", b"/"))
    assert seen["scheme"] == "https"
    assert seen["sslcontext"] is tls
    assert ("DNS", "prometheus.example.com") in seen["peercert"]["subjectAltName"]
    assert seen["peername"][0] == "127.0.0.1"
