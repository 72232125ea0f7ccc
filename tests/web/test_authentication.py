"""Who may send requests: passwords, client certificates, the rate limit, and their files while they change."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import bcrypt
import pytest
from structlog.testing import capture_logs

from exporter.clock import Clock, SystemClock
from exporter.config.checking import ConfigError
from exporter.web import webconfig
from exporter.web.authentication import names_of
from exporter.web.connections import Timeouts
from exporter.web.routes import Routes
from exporter.web.server import Options, WebServer
from tests.support.certificates import Authority
from tests.support.clock import ScriptedClock
from tests.support.processes import PATIENCE
from tests.support.tasks import running
from tests.support.web import Metrics, login, raw, served, status

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
SLOW_HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(12)).decode()
USERS = f"basic_auth_users: {{alice: {HASH}}}\n"


@asynccontextmanager
async def front(file: Path, text: str, clock: Clock | None = None) -> AsyncIterator[str]:
    """Serve with this web configuration, and follow its file; yield the address."""
    file.write_text(text)
    each = WebServer(Options(("127.0.0.1:0",), config_file=file), clock or SystemClock())
    async with each.open(Routes(Metrics(), lambda: "", status, None)) as (address,), running(each.run()):
        yield address


async def fetch(url: str, headers: dict[str, str] | None = None, tls: ssl.SSLContext | bool = True) -> int:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers, ssl=tls) as response:
        return response.status


class TestPasswords:
    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            pytest.param(login("alice", "secret"), 200, id="right"),
            pytest.param({}, 401, id="none"),
            pytest.param(login("alice", "Secret"), 401, id="wrong"),
            pytest.param(login("bob", "secret"), 401, id="unknown-user"),
            pytest.param(login("", ""), 401, id="empty"),
            pytest.param(login("alice", "secret\0"), 401, id="nul"),
            pytest.param(login("alice", "x" * 5000), 401, id="long"),
            pytest.param({"Authorization": "Bearer abc"}, 401, id="other-scheme"),
            pytest.param({"Authorization": "Basic !!!"}, 401, id="no-base64"),
        ],
    )
    async def test_only_the_right_one_opens(self, headers: dict[str, str], expected: int, tmp_path: Path) -> None:
        async with front(tmp_path / "web.yml", USERS) as address:
            for path in ("/", "/metrics", "/nowhere", "/-/reload"):
                status = await fetch(f"http://{address}{path}", headers)
                assert status == expected or (expected == 200 and path in ("/nowhere", "/-/reload") and status > 401)

    async def test_health_and_readiness_need_none(self, tmp_path: Path) -> None:
        async with front(tmp_path / "web.yml", USERS) as address:
            assert await fetch(f"http://{address}/-/healthy") == 200
            assert await fetch(f"http://{address}/-/ready") == 200

    async def test_a_browser_prompts_for_one(self, tmp_path: Path) -> None:
        async with (
            front(tmp_path / "web.yml", USERS) as address,
            aiohttp.ClientSession() as session,
            session.get(f"http://{address}/") as response,
        ):
            assert response.headers["WWW-Authenticate"].startswith("Basic realm=")
            assert response.headers["X-Content-Type-Options"] == "nosniff"

    async def test_health_is_served_while_a_password_is_checked(self, tmp_path: Path) -> None:
        """The health that was requested after the password is answered before it."""
        order = []
        async with front(tmp_path / "web.yml", f"basic_auth_users: {{alice: {SLOW_HASH}}}") as address:

            async def reported(name: str, path: str, headers: dict[str, str]) -> None:
                await fetch(f"http://{address}{path}", headers)
                order.append(name)

            checking = asyncio.create_task(reported("password", "/metrics", login("alice", "secret")))
            await asyncio.sleep(0)
            await reported("health", "/-/healthy", {})
            await checking
        assert order == ["health", "password"]

    async def test_sixty_first_logins_at_once_are_all_answered(self, tmp_path: Path) -> None:
        """Half of them are right; each of the others is another guess."""
        given = bcrypt.hashpw(b"secret", bcrypt.gensalt(8)).decode()
        async with front(tmp_path / "web.yml", f"basic_auth_users: {{alice: {given}}}") as address:
            words = [f"guess {number}" if number % 2 else "secret" for number in range(60)]
            seen = await asyncio.gather(*(fetch(f"http://{address}/metrics", login("alice", word)) for word in words))
        assert seen == [200, 401] * 30


class TestTls:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        authority = Authority(tmp_path)
        authority.issue("server")
        return authority

    def client(self, authority: Authority, name: str = "", host: str = "localhost") -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(authority.file))
        if name:
            context.load_cert_chain(*authority.issue(name, host))
        return context

    PAIR = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"

    async def test_https_is_served_and_http_is_not(self, authority: Authority) -> None:
        async with front(authority.folder / "web.yml", self.PAIR) as address:
            assert await fetch(f"https://{address}/metrics", tls=self.client(authority)) == 200
            assert await fetch(f"http://{address}/metrics") == 400

    async def test_a_client_that_does_not_shake_hands_is_hung_up_on(self, authority: Authority) -> None:
        (authority.folder / "web.yml").write_text(self.PAIR)
        tls = webconfig.read(authority.folder / "web.yml").tls
        routes = Routes(Metrics(), lambda: "", status, None)
        async with served(routes, "127.0.0.1:0", tls=tls, timeouts=Timeouts(first_request=0.05)) as (address,):
            assert await raw(address, b"", ends=False) == b""

    async def test_a_client_below_the_lowest_version_is_rejected(self, authority: Authority) -> None:
        old = self.client(authority)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        async with front(authority.folder / "web.yml", f"{self.PAIR}  min_version: TLS13\n") as address:
            with pytest.raises(aiohttp.ClientError):
                await fetch(f"https://{address}/metrics", tls=old)
            assert await fetch(f"https://{address}/metrics", tls=self.client(authority)) == 200

    async def test_a_client_without_a_good_certificate_is_rejected(self, authority: Authority, tmp_path: Path) -> None:
        text = f"{self.PAIR}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: authority.pem\n"
        (tmp_path / "stranger").mkdir()
        stranger = Authority(tmp_path / "stranger", "stranger")
        wrong = self.client(authority)
        wrong.load_cert_chain(*stranger.issue("imposter"))
        async with front(authority.folder / "web.yml", text) as address:
            for rejected in (self.client(authority), wrong):
                with pytest.raises((aiohttp.ClientError, OSError)):
                    await fetch(f"https://{address}/-/healthy", tls=rejected)
            assert await fetch(f"https://{address}/metrics", tls=self.client(authority, "prometheus")) == 200

    async def test_a_client_needs_a_name_that_is_allowed(self, authority: Authority) -> None:
        text = f"{self.PAIR}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: authority.pem\n"
        text += "  client_allowed_sans: [prometheus.example.com]\n"
        good = self.client(authority, "good", "prometheus.example.com")
        other = self.client(authority, "other", "grafana.example.com")
        async with front(authority.folder / "web.yml", text) as address:
            assert await fetch(f"https://{address}/metrics", tls=good) == 200
            assert await fetch(f"https://{address}/metrics", tls=other) == 403

    def test_names_are_compared_as_go_writes_them(self) -> None:
        names = (
            ("DNS", "prometheus.example.com"),
            ("IP Address", "2001:DB8:0:0:0:0:0:1"),
            ("IP Address", "192.0.2.1"),
            ("email", "ops@example.com"),
            ("URI", "spiffe://example.com/prometheus"),
            ("DirName", ((("commonName", "x"),),)),
        )
        assert names_of({"subjectAltName": names}) == {
            *("prometheus.example.com", "2001:db8::1", "192.0.2.1", "ops@example.com"),
            "spiffe://example.com/prometheus",
        }

    async def test_a_new_certificate_is_served_without_a_restart(self, authority: Authority) -> None:
        clock = ScriptedClock(skip_sleeps=True)
        async with front(authority.folder / "web.yml", self.PAIR, clock) as address:
            first = await _serial(address, self.client(authority))
            authority.issue("server")
            async with asyncio.timeout(PATIENCE):
                while await _serial(address, self.client(authority)) == first:
                    await asyncio.sleep(0.02)


async def _serial(address: str, tls: ssl.SSLContext) -> object:
    """Return the serial number of the certificate that is served."""
    host, port = address.split(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=tls)
    certificate = writer.get_extra_info("peercert")
    writer.close()
    return certificate["serialNumber"]


class TestTheFileChanges:
    async def test_a_removed_user_is_locked_out(self, tmp_path: Path) -> None:
        file = tmp_path / "web.yml"
        async with front(file, USERS, ScriptedClock(skip_sleeps=True)) as address:
            assert await fetch(f"http://{address}/metrics", login("alice", "secret")) == 200
            file.write_text(USERS.replace("alice", "bob"))
            async with asyncio.timeout(PATIENCE):
                while await fetch(f"http://{address}/metrics", login("alice", "secret")) != 401:
                    await asyncio.sleep(0.02)
            assert await fetch(f"http://{address}/metrics", login("bob", "secret")) == 200

    async def test_a_bad_file_leaves_what_is_in_force(self, tmp_path: Path) -> None:
        file = tmp_path / "web.yml"
        with capture_logs() as lines:
            async with front(file, USERS, ScriptedClock(skip_sleeps=True)) as address:
                file.write_text("basic_auth_users: {alice: plain}")
                async with asyncio.timeout(PATIENCE):
                    while not any("failed" in line["event"] for line in lines):
                        await asyncio.sleep(0.02)
                assert await fetch(f"http://{address}/metrics") == 401
                assert await fetch(f"http://{address}/metrics", login("alice", "secret")) == 200
        assert [line["place"] for line in lines if line["log_level"] == "error"][-1] == "basic_auth_users.alice"

    async def test_a_bad_file_at_the_start_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"basic_auth_users\.alice: is not a bcrypt hash"):
            async with front(tmp_path / "web.yml", "basic_auth_users: {alice: plain}"):
                pass


class TestHeadersAndRate:
    async def test_headers_are_set_and_blank_ones_are_not_sent(self, tmp_path: Path) -> None:
        text = "http_server_config: {headers: {X-Frame-Options: sameorigin, Content-Security-Policy: ''}}"
        async with front(tmp_path / "web.yml", text) as address, aiohttp.ClientSession() as session:
            for path in ("/", "/metrics", "/-/healthy", "/nowhere"):
                async with session.get(f"http://{address}{path}") as response:
                    assert response.headers["X-Frame-Options"] == "sameorigin"
                    assert "Content-Security-Policy" not in response.headers
                    assert response.headers["X-Content-Type-Options"] == "nosniff"

    async def test_beyond_the_rate_limit_is_429_but_for_health(self, tmp_path: Path) -> None:
        clock = ScriptedClock()
        async with front(tmp_path / "web.yml", "rate_limit: {interval: 10s, burst: 2}", clock) as address:
            seen = [await fetch(f"http://{address}/metrics") for _ in range(3)]
            health = await fetch(f"http://{address}/-/healthy")
            clock.jump(monotonic=10)
            seen += [await fetch(f"http://{address}/metrics") for _ in range(2)]
        assert (seen, health) == ([200, 200, 429, 200, 429], 200)
