"""Canary credentials: they may be in requests and nowhere else, whatever fails."""

import asyncio
import base64
from pathlib import Path

import aiohttp
import bcrypt
import pytest

from exporter.clock import SystemClock
from exporter.config import loader
from exporter.config.checking import ConfigError
from exporter.directmail.credentials import Credentials
from exporter.simulator import faults
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.faults import Fault
from exporter.simulator.server import Simulator
from exporter.web import webconfig
from exporter.web.authentication import Security
from exporter.web.passwords import Passwords
from tests.support.command_line import run
from tests.support.processes import PATIENCE, get, program
from tests.support.programs import write_config
from tests.support.web import raw

ID, SECRET, TOKEN = "CanaryKeyId7f3a", "CanarySecret91bc", "CanaryToken55de"
KEYS = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": ID,
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET,
    "ALIBABA_CLOUD_SECURITY_TOKEN": TOKEN,
}

PASSWORD = "CanaryPassword2c8e"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
LOGIN = {"Authorization": "Basic " + base64.b64encode(f"canary:{PASSWORD}".encode()).decode()}


WRONG_LOGINS = (
    "Basic " + base64.b64encode(f"other:{PASSWORD}".encode()).decode(),
    "Basic " + base64.b64encode(f"canary:{PASSWORD}x".encode()).decode(),
    f"Basic {PASSWORD}",
    f"Bearer {TOKEN}",
    PASSWORD,
)
NONSENSE = (
    f"GET / HTTP/1.1\r\nAuthorization: {PASSWORD}\0\r\n\r\n".encode(),
    f"{PASSWORD}\r\n\r\n".encode(),
    f"GET / HTTP/1.1\r\nAuthorization: Basic {PASSWORD * 600}\r\n\r\n".encode(),
)


def assert_clean(*texts: str) -> None:
    for text in texts:
        assert not any(canary in text for canary in (ID, SECRET, TOKEN, PASSWORD, HASH)), text


TIME_OUT = {"hang", "slow_drip"}
SURVIVED = {
    *("empty", "wrong_content_type", "slow", "page_cap", "pages_up", "pages_down", "rows_added"),
    *("exponents", "unasked"),
}
"""Faults that leave a good response, or one that nobody can tell from a good one."""


def world_of_faults() -> tuple[list[Fault], str]:
    """Return every fault, and for each a target that meets it forever, distinguished by the size of its pages."""
    sizes = {name: 100 + number for number, name in enumerate(faults.NAMES)} | {"page_fails": 1}
    struck = [Fault(name, where={"PageSize": str(size)}, seconds=0.1, retry_after=200) for name, size in sizes.items()]
    targets = "".join(
        f"  - {{name: {name}, endpoint: 'ENDPOINT', rate_limit_per_minute: 6000, page_size: {size},"
        f" timeout: {'500ms' if name in TIME_OUT else '60s'}, queries: [{{name: account}}]}}\n"
        for name, size in sizes.items()
    )
    return struck, targets


@pytest.mark.parametrize("style", ["logfmt", "json"])
async def test_no_log_line_page_or_metric_has_a_secret_while_everything_fails(style: str, tmp_path: Path) -> None:
    struck, targets = world_of_faults()
    behaviour = Behaviour(calls_per_minute=100_000, rows="hour")
    simulator = Simulator(key_id=ID, secret=SECRET, security_token=TOKEN, behaviour=behaviour, faults=struck)
    path, web = tmp_path / "config.yaml", tmp_path / "web.yml"
    web.write_text(f"basic_auth_users: {{canary: {HASH}}}")
    async with simulator.listen() as url:
        path.write_text(f"poll_interval: 1h\nwindows: [today, yesterday]\ntargets:\n{targets}".replace("ENDPOINT", url))
        flags = ("--config.file", str(path), "--web.listen-address", "127.0.0.1:0", "--log.level", "debug")
        flags = (*flags, "--web.config.file", str(web), "--web.enable-lifecycle", "--log.format", style)
        async with program(*flags, environment=KEYS) as exporter:
            address = await exporter.line_with("127.0.0.1:")
            base = "http://127.0.0.1:" + address.split("127.0.0.1:")[1].split('"')[0].split()[0]
            web.write_text(f"basic_auth_users: {{canary: {PASSWORD}}}")  # rejected; the previous one stays
            for name in faults.NAMES.keys() - SURVIVED:
                await exporter.line_with(f'"target": "{name}"' if style == "json" else f"target={name}")
            async with asyncio.timeout(PATIENCE):
                while not {seen.outcome for seen in simulator.requests} >= set(faults.NAMES):
                    await asyncio.sleep(0.05)
            paths = ("/metrics", "/", "/-/ready", "/-/healthy", "/nowhere")
            for wrong in WRONG_LOGINS:
                assert (await get(f"{base}/", Authorization=wrong))[0] == 401
            pages = [text for each in paths for _, text in (await get(base + each, **LOGIN), await get(base + each))]
            path.write_text("targets: [{name: shop, access_key_secret: " + SECRET + "}]")
            async with aiohttp.ClientSession(headers=LOGIN) as session, session.post(f"{base}/-/reload") as rejected:
                pages.append(await rejected.text())
            pages.append((await get(f"{base}/", **LOGIN))[1])
            pages += [(await raw(base, nonsense, ends=False)).decode() for nonsense in NONSENSE]
            await exporter.line_with("web config reload failed")
            await exporter.end()
    assert sum("secrets are not accepted in the config" in page for page in pages) == 2, (
        "the answer and the page tell it"
    )
    for name in faults.NAMES.keys() - SURVIVED:
        assert f'directmail_up{{target="{name}"}}' in pages[0]
    assert_clean(*pages, *exporter.lines)


async def test_a_key_that_the_api_rejects_is_not_repeated(tmp_path: Path) -> None:
    async with Simulator(behaviour=Behaviour(calls_per_minute=100_000)).listen() as url:
        path = write_config(tmp_path / "config.yaml", url)
        flags = ("--config.file", str(path), "--web.listen-address", "127.0.0.1:0", "--log.level", "debug")
        async with program(*flags, environment=KEYS) as exporter:
            await exporter.line_with("target failing")
            await exporter.end()
    assert_clean(*exporter.lines)


TARGET = "targets:\n  - name: shop\n    region: us-east-1\n    queries: [{name: account}]\n"
CONFIGS = [
    pytest.param(f"access_key_secret: {SECRET}\n{TARGET}", id="at-the-top"),
    pytest.param(f"{TARGET}    access_key_secret: {SECRET}\n", id="in-the-target"),
    pytest.param(f"{TARGET}    credentials: {SECRET}\n", id="as-the-credentials"),
    pytest.param(f"{TARGET}    credentials: [{ID}, {SECRET}]\n", id="as-a-list"),
    pytest.param(f"{TARGET}    credentials: {{access_key_id: {ID}, access_key_secret: {SECRET}}}\n", id="inline"),
    pytest.param(f"{TARGET}    credentials: {{security_token: {TOKEN}}}\n", id="token"),
    pytest.param(f"{TARGET}    credentials: {{secret: {SECRET}}}\n", id="unknown-key"),
    pytest.param(f"{TARGET}    credentials: {{secret: {SECRET}: x}}\n", id="colon"),
    pytest.param(f"{TARGET}    credentials: {{secret: '{SECRET}}}\n", id="open-quote"),
    pytest.param(f"{TARGET}    credentials: {{secret: *{SECRET}}}\n", id="asterisk"),
    pytest.param(f"{TARGET}    credentials: {{secret: !{SECRET} x}}\n", id="exclamation-mark"),
    pytest.param(f"{TARGET}    credentials: {{sts_endpoint: 'http://u:{SECRET}@h', type: ram_role_arn}}\n", id="sts"),
    pytest.param(f"{TARGET}    credentials: {{sts_endpoint: 'u:{SECRET}@h', type: oidc_role_arn}}\n", id="sts-host"),
    pytest.param(f"{TARGET}    credentials: {{sts_endpoint: 'h?k={SECRET}', type: oidc_role_arn}}\n", id="sts-query"),
    pytest.param(f"{TARGET}    credentials: {{sts_endpoint: 'h#{SECRET}', type: oidc_role_arn}}\n", id="sts-fragment"),
    pytest.param(TARGET.replace("region: us-east-1", f"endpoint: 'https://dm.example.com/#{SECRET}'"), id="fragment"),
    pytest.param(TARGET.replace("region: us-east-1", f"endpoint: 'https://{ID}:{SECRET}@dm.example.com'"), id="url"),
    pytest.param(TARGET.replace("region: us-east-1", f"endpoint: 'https://dm.example.com/?k={SECRET}'"), id="query"),
]


@pytest.mark.parametrize("text", CONFIGS)
def test_a_rejected_config_is_reported_without_the_secret_in_it(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    result = run("--config.file", str(tmp_path / "config.yaml"), "--config.check")
    assert result.exit_code == 1
    assert_clean(result.output, repr(result.exception))


@pytest.mark.parametrize(
    "proxy",
    [
        pytest.param(f"socks5://u:{PASSWORD}@127.0.0.1:1080", id="socks"),
        pytest.param(f"socks5h://127.0.0.1:1080/{PASSWORD}", id="socks-with-a-path"),
        pytest.param(f"http://u:{PASSWORD}@[bad", id="no-address"),
        pytest.param(f"{PASSWORD}://u@h", id="another-scheme"),
        pytest.param(f"http://u:{PASSWORD}@", id="no-host"),
        pytest.param(f"http://u:{PASSWORD}@h:99999", id="no-port"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_reported_at_the_start_without_its_password(
    proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yaml").write_text(TARGET + TARGET.partition("\n")[2].replace("shop", "outlet"))
    monkeypatch.setenv("https_proxy", proxy)
    result = run("--config.file", str(tmp_path / "config.yaml"), "--config.check")
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert "https_proxy" in line
    assert "http://" in line
    assert_clean(line)
    monkeypatch.setenv("no_proxy", "aliyuncs.com")
    assert run("--config.file", str(tmp_path / "config.yaml"), "--config.check", environment=KEYS).exit_code == 0


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"basic_auth_users: {{alice: {PASSWORD}}}", id="plain"),
        pytest.param(f"basic_auth_users: {PASSWORD}", id="no-users"),
        pytest.param(f"basic_auth_users: [alice, {PASSWORD}]", id="list"),
        pytest.param(f"basic_auth_users: {{alice: [{PASSWORD}]}}", id="list-of-one"),
        pytest.param(f"basic_auth_users: {{alice: *{PASSWORD}}}", id="asterisk"),
        pytest.param(f"basic_auth_users: {{alice: !{PASSWORD} x}}", id="exclamation-mark"),
        pytest.param(f"basic_auth_users: {{alice: {PASSWORD}: x}}", id="colon"),
        pytest.param(f"basic_auth_users: {{alice: {HASH[:-1]}}}", id="hash-cut-short"),
        pytest.param(f"tls_server_config: {{cert_file: server.crt, key: {SECRET}}}", id="key"),
        pytest.param(f"tls_server_config: {{cert: x, key: [{SECRET}]}}", id="key-in-a-list"),
        pytest.param(f"tls_server_config: {SECRET}", id="key-for-the-block"),
    ],
)
def test_a_rejected_web_config_is_reported_without_the_secret_in_it(text: str, tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        webconfig.read(tmp_path / "web.yml")
    assert_clean(str(caught.value), repr(caught.value), *map(repr, caught.value.problems))


def test_no_repr_has_a_secret(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("id", "secret")}
    files["id"].write_text(ID)
    files["secret"].write_text(SECRET)
    text = write_config(tmp_path / "config.yaml", "http://127.0.0.1:9").read_text()
    block = f"{{access_key_id_file: {files['id']}, access_key_secret_file: {files['secret']}}}"
    sound, problems = loader.parse(text.replace("    timeout", f"    credentials: {block}\n    timeout"))
    assert problems == ()
    (tmp_path / "web.yml").write_text(f"basic_auth_users: {{canary: {HASH}}}")
    web = webconfig.read(tmp_path / "web.yml")
    assert_clean(repr(web), repr(Security(web, SystemClock())), repr(Passwords(web.users)))
    uri = f"{{type: credentials_uri, credentials_uri: 'http://{ID}:{SECRET}@127.0.0.1/?token={TOKEN}'}}"
    other, problems = loader.parse(text.replace("    timeout", f"    credentials: {uri}\n    timeout"))
    assert problems == ()
    assert_clean(repr(other))
    assert_clean(repr(sound), repr(Credentials(ID, SECRET, TOKEN)), str(Credentials(ID, SECRET, TOKEN)))
