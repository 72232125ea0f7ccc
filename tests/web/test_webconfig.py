"""The web configuration file: what Prometheus' toolkit accepts is accepted, every mistake has its place and its fix."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from structlog.testing import capture_logs

from exporter.config.checking import ConfigError
from exporter.web import webconfig
from exporter.web.routes import Routes
from exporter.web.server import Options, WebServer
from tests.support.certificates import Authority
from tests.support.clock import ScriptedClock
from tests.support.processes import PATIENCE, get
from tests.support.tasks import running
from tests.support.web import Metrics, status

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
TOOLKIT = """
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: authority.pem
  client_allowed_sans:
    - prometheus.example.com
  min_version: TLS12
  max_version: TLS13
  cipher_suites:
    - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
    - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
  prefer_server_cipher_suites: true
  curve_preferences: [X25519]
http_server_config:
  http2: true
  headers:
    Strict-Transport-Security: max-age=31536000
    X-Frame-Options: sameorigin
basic_auth_users:
  alice: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG
rate_limit:
  interval: 1s
  burst: 20
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    authority = Authority(tmp_path)
    authority.issue("server")
    authority.issue("other")
    return tmp_path


def read(folder: Path, text: str) -> webconfig.WebConfig:
    (folder / "web.yml").write_text(text)
    return webconfig.read(folder / "web.yml")


def test_a_file_for_the_go_toolkit_is_accepted_unchanged(folder: Path) -> None:
    settings = read(folder, TOOLKIT)
    assert settings.tls is not None
    assert settings.tls.verify_mode == ssl.CERT_REQUIRED
    assert settings.tls.minimum_version == ssl.TLSVersion.TLSv1_2
    offered = {cipher["name"] for cipher in settings.tls.get_ciphers() if cipher["protocol"] == "TLSv1.2"}
    assert offered == {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"}
    assert settings.allowed_sans == {"prometheus.example.com"}
    assert list(settings.users) == ["alice"]
    assert settings.headers["X-Frame-Options"] == "sameorigin"
    assert settings.rate_limit == webconfig.RateLimit(1.0, 20)


PAIR = "cert_file: server.crt, key_file: server.key"
KINDS = [
    # What the toolkit's documentation describes, and what it comes to.
    pytest.param(f"tls_server_config: {{{PAIR}}}", lambda it: it.tls.verify_mode == ssl.CERT_NONE, id="tls"),
    pytest.param(
        f"tls_server_config: {{{PAIR}, client_auth_type: NoClientCert}}",
        lambda it: it.tls.verify_mode == ssl.CERT_NONE,
        id="no-client-certificates",
    ),
    pytest.param(
        f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: authority.pem}}",
        lambda it: it.tls.verify_mode == ssl.CERT_REQUIRED,
        id="client-certificates",
    ),
    pytest.param(
        f"tls_server_config: {{{PAIR}, client_auth_type: VerifyClientCertIfGiven, client_ca_file: authority.pem}}",
        lambda it: it.tls.verify_mode == ssl.CERT_OPTIONAL,
        id="client-certificates-if-given",
    ),
    pytest.param(
        f"tls_server_config: {{{PAIR}, min_version: TLS13}}",
        lambda it: it.tls.minimum_version == ssl.TLSVersion.TLSv1_3,
        id="lowest-version",
    ),
    pytest.param(
        f"tls_server_config: {{{PAIR}, max_version: TLS12, curve_preferences: [CurveP521]}}",
        lambda it: it.tls.maximum_version == ssl.TLSVersion.TLSv1_2,
        id="highest-version",
    ),
    pytest.param(
        f"tls_server_config: {{{PAIR}, prefer_server_cipher_suites: no}}",
        lambda it: not it.tls.options & ssl.OP_CIPHER_SERVER_PREFERENCE,
        id="order-of-the-client",
    ),
    pytest.param(
        f"tls_server_config: {{{PAIR}, client_ca_file: , cipher_suites: , cert: }}",
        lambda it: it.tls is not None,
        id="keys-without-values",
    ),
    pytest.param(
        "basic_auth_users: {alice: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG}",
        lambda it: list(it.users) == ["alice"] and it.tls is None,
        id="users-without-tls",
    ),
    pytest.param(
        f"basic_auth_users: {{alice: {HASH.replace('$04$', '$15$')}}}",
        lambda it: list(it.users) == ["alice"],
        id="the-dearest-hash",
    ),
    pytest.param(
        "http_server_config: {headers: {X-XSS-Protection: 0}}",
        lambda it: it.headers == {"X-XSS-Protection": "0"},
        id="header-that-is-a-number",
    ),
    pytest.param(
        "rate_limit: {interval: 1m1.5s, burst: 3}",
        lambda it: it.rate_limit == webconfig.RateLimit(61.5, 3),
        id="duration-as-go-writes-it",
    ),
]


@pytest.mark.parametrize(("text", "holds"), KINDS)
def test_every_documented_key_of_the_toolkit_is_accepted(folder: Path, text: str, holds: Callable[[Any], bool]) -> None:
    assert holds(read(folder, text))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("tls_server_config:\n", id="empty-block"),
        pytest.param("tls_server_config: {min_version: TLS13}", id="tls-without-certificate-is-off"),
        pytest.param("http_server_config: {http2: false}", id="no-http2"),
        pytest.param("rate_limit: {interval: 0}", id="no-rate-limit"),
    ],
)
def test_a_file_that_protects_nothing_is_accepted_too(folder: Path, text: str) -> None:
    settings = read(folder, text)
    assert (settings.tls, dict(settings.users), settings.rate_limit) == (None, {}, None)


def test_certificate_and_key_may_be_inline(folder: Path) -> None:
    inline = "".join(
        f"  {key}: |\n" + "".join(f"    {line}\n" for line in (folder / file).read_text().splitlines())
        for key, file in (("cert", "server.crt"), ("key", "server.key"))
    )
    assert read(folder, f"tls_server_config:\n{inline}").tls is not None


def test_suites_of_tls_13_alone_leave_nothing_older(folder: Path) -> None:
    names = "{cert_file: server.crt, key_file: server.key, cipher_suites: [TLS_AES_128_GCM_SHA256]}"
    settings = read(folder, f"tls_server_config: {names}")
    assert settings.tls is not None
    assert settings.tls.minimum_version == ssl.TLSVersion.TLSv1_3


MISTAKES = [
    pytest.param("[]", "file: is empty", id="a-list"),
    pytest.param("a: [", "line 1, column 5: not valid YAML", id="no-yaml"),
    pytest.param("basic_auth_user: {}", "unknown key 'basic_auth_user'; did you mean 'basic_auth_users'?", id="typo"),
    pytest.param("tls_server_config: {crt: x}", "tls_server_config.crt: unknown key 'crt'", id="typo-below"),
    pytest.param(f"tls_server_config: {{{PAIR}, min_version: TLS11}}", "'TLS11' is outdated", id="old-version"),
    pytest.param(f"tls_server_config: {{{PAIR}, max_version: SSL3}}", "'SSL3' is not a version", id="no-version"),
    pytest.param(
        f"tls_server_config: {{{PAIR}, min_version: TLS13, max_version: TLS12}}",
        "tls_server_config.min_version: TLS13 is above max_version TLS12",
        id="versions-crossed",
    ),
    pytest.param(f"tls_server_config: {{{PAIR}, cipher_suites: [RC4]}}", "'RC4' is not a cipher suite", id="cipher"),
    pytest.param(
        f"tls_server_config: {{{PAIR}, max_version: TLS12, cipher_suites: [TLS_AES_128_GCM_SHA256]}}",
        "has suites of TLS 1.3 only",
        id="ciphers-of-another-version",
    ),
    pytest.param(f"tls_server_config: {{{PAIR}, curve_preferences: [P9]}}", "'P9' is not a curve", id="curve"),
    pytest.param(
        f"tls_server_config: {{{PAIR}, curve_preferences: [X25519, CurveP256]}}",
        "a list of several curves is not supported",
        id="curves",
    ),
    pytest.param(
        f"tls_server_config: {{{PAIR}, client_auth_type: RequireAnyClientCert}}",
        "RequireAnyClientCert verifies no certificate and is not supported",
        id="unchecked-clients",
    ),
    pytest.param(f"tls_server_config: {{{PAIR}, client_auth_type: Never}}", "'Never' is not a policy", id="policy"),
    pytest.param(
        f"tls_server_config: {{{PAIR}, client_ca_file: authority.pem}}",
        "tls_server_config.client_ca_file: has no effect without client certificates",
        id="authority-without-policy",
    ),
    pytest.param(
        f"tls_server_config: {{{PAIR}, client_allowed_sans: [a]}}",
        "client_allowed_sans: needs client_auth_type",
        id="names-without-policy",
    ),
    pytest.param(
        f"tls_server_config: {{{PAIR}, client_auth_type: VerifyClientCertIfGiven, client_allowed_sans: [a]}}",
        "client_allowed_sans: needs client_auth_type",
        id="names-where-none-is-needed",
    ),
    pytest.param(
        f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: server.key}}",
        "client_ca_file: cannot be used: not a PEM certificate",
        id="authority-is-none",
    ),
    pytest.param(
        f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: nowhere}}",
        "client_ca_file: cannot be used: No such file or directory",
        id="authority-missing",
    ),
    pytest.param("tls_server_config: {cert_file: server.crt}", "key_file: is missing", id="no-key"),
    pytest.param("tls_server_config: {key_file: server.key}", "cert_file: is missing", id="no-certificate"),
    pytest.param(
        "tls_server_config: {cert_file: nowhere.crt, key_file: server.key}",
        "cert_file: 'nowhere.crt' cannot be read",
        id="certificate-missing",
    ),
    pytest.param(
        "tls_server_config: {cert_file: server.crt, key_file: other.key}",
        "certificate and key cannot be used together (KEY_VALUES_MISMATCH)",
        id="another-key",
    ),
    pytest.param(
        f"tls_server_config: {{{PAIR}, key: abc}}",
        "tls_server_config.key: is set together with key_file",
        id="key-twice",
    ),
    pytest.param(
        "http_server_config: {headers: {X-Powered-By: me}}",
        "http_server_config.headers: 'X-Powered-By' cannot be set here",
        id="header",
    ),
    pytest.param(
        "http_server_config: {headers: {X-Frame-Options: allow}}",
        "X-Frame-Options: 'allow' is not a value of this header; write deny or sameorigin",
        id="header-value",
    ),
    pytest.param("http_server_config: {headers: [a]}", "['a'] is not a set of headers", id="headers-list"),
    pytest.param('http_server_config: {headers: {X-XSS-Protection: "a\\nb"}}', "not one line", id="header-lines"),
    pytest.param("basic_auth_users: {alice: secret}", "basic_auth_users.alice: is not a bcrypt hash", id="plain"),
    pytest.param("basic_auth_users: {alice: }", "basic_auth_users.alice: is not a bcrypt hash", id="no-hash"),
    pytest.param(
        f"basic_auth_users: {{alice: {HASH.replace('$04$', '$18$')}}}",
        "basic_auth_users.alice: has a bcrypt cost of 18, which makes each login slow; the highest is 15; "
        "make a hash with htpasswd -nBC 10",
        id="dear-hash",
    ),
    pytest.param("basic_auth_users: [alice]", "basic_auth_users: is not a set of users", id="users-list"),
    pytest.param(f"basic_auth_users: {{'a:b': {HASH}}}", "'a:b' is not a valid user name", id="user-with-colon"),
    pytest.param("rate_limit: {interval: often}", "rate_limit.interval: 'often' is not a duration", id="interval"),
    pytest.param(
        f"rate_limit: {{interval: {'9' * 400}s}}", "9s' is not a duration; write one", id="interval-without-end"
    ),
    pytest.param(
        'http_server_config: {headers: {X-XSS-Protection: "\\0"}}', "line 1, column 50: has '\\x00'", id="nul"
    ),
    pytest.param(
        'basic_auth_users: {"\\ud83c": x}', "line 1, column 20: has '\\ud83c' in it, half of", id="half-a-user"
    ),
    pytest.param("tls_server_config: {cert_file: 007}", "cert_file: 007 is not text; quote it: '007'", id="no-text"),
    pytest.param("tls_server_config: {key: no}", "key: the value is not text; quote it", id="secret-that-is-no-text"),
    pytest.param(
        f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert, client_ca: '\N{BEER MUG}'}}",
        "client_ca: cannot be used: not a PEM certificate",
        id="authority-not-ascii",
    ),
    pytest.param("rate_limit: {interval: 1s, burst: -1}", "rate_limit.burst: -1 is not a whole number", id="burst"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_a_mistake_is_reported_with_its_place_and_its_fix(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    assert message in str(caught.value)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="file: cannot be read: No such file or directory"):
        webconfig.read(tmp_path / "web.yml")


def test_the_files_that_count_are_the_file_and_those_it_names(folder: Path) -> None:
    (folder / "web.yml").write_text(TOOLKIT)
    names = [path.name for path in webconfig.files(folder / "web.yml")]
    assert names == ["web.yml", "server.crt", "server.key", "authority.pem"]
    (folder / "web.yml").write_text("a: [")
    assert webconfig.files(folder / "web.yml") == (folder / "web.yml",)


async def test_a_bug_in_reading_a_new_file_is_loud_and_leaves_the_old_one_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "web.yml"
    path.write_text("http_server_config: {http2: true}")
    server = WebServer(Options(("127.0.0.1:0",), config_file=path), ScriptedClock(skip_sleeps=True))
    async with server.open(Routes(Metrics(), lambda: "", status, None)) as (address,), running(server.run()):
        monkeypatch.setattr(webconfig, "read", lambda path: {}["odd"])
        path.write_text("http_server_config: {http2: false}")
        with capture_logs() as lines:
            async with asyncio.timeout(PATIENCE):
                while not lines:
                    await asyncio.sleep(0.01)
        assert (await get(f"http://{address}/-/healthy"))[0] == 200
    assert isinstance(lines[0]["exc_info"], KeyError)
