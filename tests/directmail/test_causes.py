"""Connections that fail in every way, on real sockets: what is said of it, and what is advised."""

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from exporter.directmail import causes, http_causes
from exporter.directmail.errors import DirectMailError, NetworkError
from exporter.directmail.transport import open_session, post
from tests.support.certificates import Authority

NO_NAME = ".".join(["a" * 60] * 5)
"""Longer than a name can be: it is known not to exist without a lookup."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
ANSWER = HEAD + b"\r\n{}"


@asynccontextmanager
async def talking(sent: bytes, certificate: tuple[Path, Path] | None = None) -> AsyncIterator[int]:
    """Serve some bytes to every client that has sent something, and give the port."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(65_536)
            writer.write(sent)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def failing(url: str, proxy: str | None = None, session: aiohttp.ClientSession | None = None) -> DirectMailError:
    """Return the error of a request."""
    limits = aiohttp.ClientTimeout(total=10)
    async with open_session() as ours:
        with pytest.raises(DirectMailError) as caught:
            await post(session or ours, URL(url), {}, limits, proxy)
    assert isinstance(caught.value, NetworkError)
    assert caught.value.__cause__ is None
    assert caught.value.advice
    return caught.value


def test_an_unknown_failure_is_not_guessed() -> None:
    assert causes.cause(KeyError("x")) is None
    assert http_causes.cause(KeyError("x")) == causes.UNKNOWN


def test_an_exception_that_goes_in_circles_is_followed_once() -> None:
    first, second = OSError(), OSError(111, "refused")
    first.__cause__, second.__cause__ = second, first
    assert causes.cause(first) == causes.cause(second)


def test_a_proxy_that_blocks_sts_is_reported_like_any_other() -> None:
    tunnel = OSError("Tunnel connection failed: 407 Proxy Authentication Required")
    assert causes.cause(tunnel) == causes.rejected_by_proxy(407)


class TestPlaces:
    async def test_a_port_where_nothing_listens(self, unused_tcp_port: int) -> None:
        error = await failing(f"http://127.0.0.1:{unused_tcp_port}")
        assert error.text == f"connection refused: 127.0.0.1:{unused_tcp_port}"
        assert "endpoint" in error.advice

    async def test_a_name_that_does_not_exist(self) -> None:
        error = await failing(f"http://{NO_NAME}")
        assert error.text == f"name not found: {NO_NAME}"
        assert "name" in error.advice

    async def test_a_name_that_cannot_be_one(self) -> None:
        assert (await failing(f"http://{'a' * 64}.invalid")).text == "the address cannot be used"

    async def test_a_proxy_where_nothing_listens(self, unused_tcp_port: int) -> None:
        proxy = f"http://user:PASS@127.0.0.1:{unused_tcp_port}"
        for endpoint in ("http://dm.example.com", "https://dm.example.com"):
            error = await failing(endpoint, proxy)
            assert error.text == f"connection refused: proxy 127.0.0.1:{unused_tcp_port}"
            assert "HTTPS_PROXY" in error.advice

    @pytest.mark.parametrize(
        ("status", "advice"), [(403, "allows the endpoint"), (407, "user and password"), (502, "HTTPS_PROXY")]
    )
    async def test_a_proxy_that_blocks_requests(self, status: int, advice: str) -> None:
        async with talking(f"HTTP/1.1 {status} No PASS\r\nContent-Length: 0\r\n\r\n".encode()) as port:
            error = await failing("https://dm.example.com", f"http://user:PASS@127.0.0.1:{port}")
        assert error.text == f"the proxy rejected the connection with HTTP {status}"
        assert advice in error.advice

    async def test_a_server_without_tls(self) -> None:
        async with talking(ANSWER) as port:
            error = await failing(f"https://127.0.0.1:{port}")
        assert error.text in ("TLS failed: wrong version number", "TLS failed: record layer failure")
        assert "scheme" in error.advice


class TestUnusableResponses:
    @pytest.mark.parametrize(
        ("sent", "text"),
        [
            pytest.param(b"", "the connection was closed before the response", id="nothing"),
            pytest.param(b"\x16\x03\x01 not HTTP\r\n\r\n", "the response is not valid HTTP", id="not-http"),
            pytest.param(
                HEAD + b"Set-Cookie: " + b"x" * 9000 + b"\r\n\r\n{}",
                "the response has a header that is too large",
                id="large-header",
            ),
            pytest.param(
                HEAD.replace(b"2\r\n", b"50\r\n") + b"\r\n{}",
                "the connection was closed before the response was complete",
                id="cut-short",
            ),
            pytest.param(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
                "the response is not valid HTTP",
                id="bad-chunk",
            ),
            pytest.param(
                HEAD + b"Content-Encoding: gzip\r\n\r\n{}", "the response's compression is corrupt", id="damaged-gzip"
            ),
            pytest.param(
                HEAD + b"Content-Encoding: br\r\n\r\n{}",
                "the response has a content encoding br that was not requested",
                id="brotli",
            ),
            pytest.param(
                HEAD + b"Content-Encoding: ZSTD\r\n\r\n{}",
                "the response has a content encoding zstd that was not requested",
                id="zstd",
            ),
            pytest.param(
                HEAD + b"Content-Encoding: compress\r\n\r\n{}",
                "the response has a content encoding compress that was not requested",
                id="compress",
            ),
            pytest.param(
                HEAD + b"Content-Encoding: LTAI4FAKEKEYID0001\r\n\r\n{}",
                "the response has a content encoding that was not requested",
                id="something-secret",
            ),
        ],
    )
    async def test_an_unusable_response_is_explained(self, sent: bytes, text: str) -> None:
        async with talking(sent) as port:
            assert (await failing(f"http://127.0.0.1:{port}")).text == text

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity"])
    async def test_encodings_that_were_requested_are_read(self, encoding: str) -> None:
        packed = {"gzip": zlib.compress(b"{}", wbits=31), "deflate": zlib.compress(b"{}"), "identity": b"{}"}[encoding]
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(packed)}\r\nContent-Encoding: {encoding}\r\n\r\n"
        async with talking(head.encode() + packed) as port, open_session() as session:
            url = URL(f"http://127.0.0.1:{port}")
            assert (await post(session, url, {}, aiohttp.ClientTimeout(total=10), None)).body == b"{}"


class TestCertificates:
    """OpenSSL's own reason, and an advice that goes with it."""

    @asynccontextmanager
    async def session(
        self, authority: Authority, *, trusted: bool = True, strict: bool = False
    ) -> AsyncIterator[aiohttp.ClientSession]:
        context = ssl.create_default_context()
        context.verify_flags = ssl.VERIFY_X509_STRICT if strict else ssl.VERIFY_DEFAULT
        if trusted:
            context.load_verify_locations(authority.file)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
            yield session

    async def error_of(
        self, authority: Authority, certificate: tuple[Path, Path], *, trusted: bool = True, strict: bool = False
    ) -> DirectMailError:
        async with (
            talking(ANSWER, certificate) as port,
            self.session(authority, trusted=trusted, strict=strict) as session,
        ):
            return await failing(f"https://127.0.0.1:{port}", session=session)

    @pytest.fixture
    def authority(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        return Authority(tmp_path)

    async def test_expired(self, authority: Authority) -> None:
        error = await self.error_of(authority, authority.issue("old", days=(-9, -2)))
        assert error.text == "certificate not trusted: certificate has expired"
        assert "clock" in error.advice

    async def test_not_yet_valid(self, authority: Authority) -> None:
        error = await self.error_of(authority, authority.issue("new", days=(2, 9)))
        assert error.text.startswith("certificate not trusted: certificate is not yet valid")  # and more, since 3.5
        assert "clock" in error.advice

    async def test_of_another_host(self, authority: Authority) -> None:
        error = await self.error_of(authority, authority.issue("other", "other.example.com", "192.0.2.1"))
        assert error.text == ("certificate not trusted: IP address mismatch, certificate is not valid for '127.0.0.1'")
        assert "endpoint" in error.advice
        assert "SSL_CERT_FILE" not in error.advice

    async def test_of_a_private_authority(self, authority: Authority) -> None:
        error = await self.error_of(authority, authority.issue("private"), trusted=False)
        assert error.text == "certificate not trusted: unable to get local issuer certificate"
        assert "SSL_CERT_FILE" in error.advice

    async def test_self_signed(self, authority: Authority, tmp_path: Path) -> None:
        certificate = Authority(tmp_path, "alone")
        key = tmp_path / "alone.key"
        certificate.write_key(key)
        error = await self.error_of(authority, (certificate.file, key))
        assert error.text in (
            "certificate not trusted: self-signed certificate",
            "certificate not trusted: self signed certificate",
        )

    async def test_against_the_standard(self, authority: Authority) -> None:
        """Python 3.13 verifies strictly: a certificate without the key id of its authority is rejected."""
        error = await self.error_of(authority, authority.issue("sloppy", is_complete=False), strict=True)
        assert error.text == "certificate not trusted: missing Authority Key Identifier"
        assert "reissued" in error.advice
        assert "SSL_CERT_FILE" not in error.advice

    async def test_a_good_one_is_trusted_by_the_strictest(self, authority: Authority) -> None:
        async with (
            talking(ANSWER, authority.issue("good")) as port,
            self.session(authority, strict=True) as session,
        ):
            limits = aiohttp.ClientTimeout(total=10)
            assert (await post(session, URL(f"https://127.0.0.1:{port}"), {}, limits, None)).body == b"{}"

    async def test_what_was_done_already_is_not_advised(
        self, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = Authority(tmp_path, "other")
        monkeypatch.setenv("SSL_CERT_FILE", str(other.file))
        error = await self.error_of(authority, authority.issue("private"), trusted=False)
        assert f"to {other.file}, which SSL_CERT_FILE names" in error.advice

    async def test_a_file_that_cannot_be_read_is_named(
        self, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
        error = await self.error_of(authority, authority.issue("private"), trusted=False)
        assert error.advice.startswith(f"SSL_CERT_FILE names {tmp_path / 'none.pem'}, which cannot be read.")
