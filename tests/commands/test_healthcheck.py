"""The health check of a container: finds the exporter by its listen address, with TLS, passwords or neither."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from exporter.clock import SystemClock
from exporter.commands.flags import LISTEN_ADDRESS
from exporter.commands.main import cli
from exporter.web import webconfig
from exporter.web.authentication import Security
from exporter.web.listener import serve
from exporter.web.routes import Routes, make_app
from exporter.web.sockets import bind
from tests.support.certificates import Authority
from tests.support.web import Metrics, status

PAIR = "cert_file: server.crt, key_file: server.key"
PASSWORD = "basic_auth_users: {alice: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG}"
CLIENTS = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: authority.pem"


@asynccontextmanager
async def listener(settings: webconfig.WebConfig, address: str = "127.0.0.1:0") -> AsyncIterator[str]:
    """Serve the exporter's health paths; yield the address."""
    app = make_app(Routes(Metrics(), lambda: "", status, None), Security(settings, SystemClock()))
    async with serve(app, bind([address]), settings.tls) as listening:
        yield listening.addresses[0]


async def check(*arguments: str, environment: dict[str, str] | None = None) -> Result:
    return await asyncio.to_thread(CliRunner(env=environment).invoke, cli, ["healthcheck", *arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Authority(tmp_path).issue("server")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        pytest.param("", "OK\n", id="plain"),
        pytest.param(PASSWORD, "OK\n", id="password"),
        pytest.param(f"tls_server_config: {{{PAIR}}}\n{PASSWORD}", "OK\n", id="tls-and-password"),
        pytest.param(f"tls_server_config: {{{PAIR}, min_version: TLS13}}", "OK\n", id="tls-1.3"),
        pytest.param(
            f"tls_server_config: {{{PAIR}, {CLIENTS}}}", "OK, requires a client certificate\n", id="client-certificate"
        ),
        pytest.param(
            f"tls_server_config: {{{PAIR}, {CLIENTS}, max_version: TLS12}}",
            "OK, requires a client certificate\n",
            id="client-certificate-tls-1.2",
        ),
    ],
)
async def test_a_running_exporter_is_healthy_whatever_protects_it(folder: Path, text: str, reported: str) -> None:
    (folder / "web.yml").write_text(text)
    async with listener(webconfig.read(folder / "web.yml")) as address:
        result = await check(environment={LISTEN_ADDRESS: address})
        assert (result.exit_code, result.output) == (0, reported)
    gone = await check(environment={LISTEN_ADDRESS: address})
    assert gone.exit_code == 1
    assert gone.output == f"unhealthy: connection refused: {address}\n"


@pytest.mark.parametrize("where", ["127.0.0.1:{}", "0.0.0.0:{}", ":{}", "localhost:{}"])
async def test_the_address_is_written_as_for_the_exporter(where: str) -> None:
    async with listener(webconfig.WebConfig()) as address:
        written = where.format(address.rpartition(":")[2])
        assert (await check("--web.listen-address", written)).exit_code == 0


@pytest.mark.parametrize(("served", "where"), [("[::]:0", "[::]:{}"), ("[::1]:0", "[::1]:{}")])
async def test_ipv6_is_checked_over_ipv6_unless_it_is_every_interface(served: str, where: str) -> None:
    """Where every interface is listened on, 127.0.0.1 is there, and ::1 may not be."""
    async with listener(webconfig.WebConfig(), served) as address:
        written = where.format(address.rpartition(":")[2])
        assert (await check("--web.listen-address", written)).exit_code == 0


async def test_the_first_of_several_addresses_is_checked() -> None:
    async with listener(webconfig.WebConfig()) as address:
        assert (await check(environment={LISTEN_ADDRESS: f"{address} 127.0.0.1:1"})).exit_code == 0
        assert (await check(environment={LISTEN_ADDRESS: f"127.0.0.1:1 {address}"})).exit_code == 1


async def test_a_proxy_in_the_environment_is_not_used() -> None:
    async with listener(webconfig.WebConfig()) as address:
        result = await check(environment={LISTEN_ADDRESS: address, "http_proxy": "http://127.0.0.1:1"})
        assert result.exit_code == 0


async def test_the_certificate_of_a_url_is_verified_by_default(folder: Path) -> None:
    (folder / "web.yml").write_text(f"tls_server_config: {{{PAIR}}}")
    async with listener(webconfig.read(folder / "web.yml")) as address:
        distrusted = await check("--url", f"https://{address}/-/healthy")
        insecure = await check("--url", f"https://{address}/-/healthy", "--insecure")
        plain = await check("--url", f"http://{address}/-/healthy")
    assert (distrusted.exit_code, insecure.exit_code, plain.exit_code) == (1, 0, 1)
    assert "certificate not trusted: unable to get local issuer" in distrusted.output
    assert plain.output == "unhealthy: Client sent an HTTP request to an HTTPS server.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--url", "127.0.0.1"], "is not a URL; write one such as http://127.0.0.1:10058", id="no-url"),
        pytest.param(["--url", "http://127.0.0.1:port/"], "Port could not be cast", id="no-port"),
        pytest.param(["--web.listen-address", "nonsense"], "write host:port", id="no-address"),
    ],
)
async def test_a_check_that_cannot_be_made_is_reported_in_one_line(arguments: list[str], message: str) -> None:
    result = await check(*arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert result.output.count("\n") == 1


async def test_an_error_status_is_not_healthy() -> None:
    async with listener(webconfig.WebConfig()) as address:
        result = await check("--url", f"http://{address}/nowhere")
    assert (result.exit_code, result.output) == (1, "unhealthy: 404 404 Not Found\n")
