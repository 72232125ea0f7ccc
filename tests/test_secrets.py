"""Canary credentials: they may stand in requests and nowhere else, whatever fails."""

import asyncio
import base64
from pathlib import Path

import aiohttp
import bcrypt
import pytest

from exporter import config
from exporter.clock import SystemClock
from exporter.directmail.credentials import Credentials
from exporter.simulator import faults
from exporter.simulator.faults import Fault
from exporter.simulator.server import Habits, Simulator
from exporter.web import webconfig
from exporter.web.security import Security
from tests.processes import PATIENCE, get, program
from tests.test_app import write_config

ID, SECRET, TOKEN = "CanaryKeyId7f3a", "CanarySecret91bc", "CanaryToken55de"
KEYS = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": ID,
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET,
    "ALIBABA_CLOUD_SECURITY_TOKEN": TOKEN,
}

PASSWORD = "CanaryPassword2c8e"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
LOGIN = {"Authorization": "Basic " + base64.b64encode(f"canary:{PASSWORD}".encode()).decode()}
SLOW = {"hang", "slow", "slow_drip", "huge"}
"""Faults that take long and tell nothing but that."""
TELLTALE = tuple(name for name in faults.NAMES if name not in SLOW)


def assert_clean(*texts: str) -> None:
    for text in texts:
        assert not any(canary in text for canary in (ID, SECRET, TOKEN, PASSWORD, HASH)), text


@pytest.mark.parametrize("style", ["logfmt", "json"])
async def test_no_log_line_page_or_metric_has_a_secret_while_everything_fails(style: str, tmp_path: Path) -> None:
    failures = [Fault(name, times=1, after=number) for number, name in enumerate(TELLTALE)]
    simulator = Simulator(
        key_id=ID, secret=SECRET, security_token=TOKEN, habits=Habits(calls_per_minute=100_000), faults=failures
    )
    web = tmp_path / "web.yml"
    web.write_text(f"basic_auth_users: {{canary: {HASH}}}")
    async with simulator.listen() as url:
        path = write_config(tmp_path / "config.yaml", url)
        path.write_text(path.read_text().replace("poll_interval: 1h", "poll_interval: 1s"))
        flags = ("--config.file", str(path), "--web.listen-address", "127.0.0.1:0", "--log.level", "debug")
        flags = (*flags, "--web.config.file", str(web), "--web.enable-lifecycle")
        async with program(*flags, "--log.format", style, environment=KEYS) as exporter:
            address = await exporter.line_with("127.0.0.1:")
            base = "http://127.0.0.1:" + address.split("127.0.0.1:")[1].split('"')[0].split()[0]
            async with asyncio.timeout(PATIENCE):
                while not {seen.outcome for seen in simulator.requests} >= set(TELLTALE) - {"page_fails"}:
                    await asyncio.sleep(0.05)
            paths = ("/metrics", "/", "/-/ready", "/-/healthy", "/nowhere")
            pages = [
                text for path in paths for _, text in (await get(f"{base}{path}", **LOGIN), await get(base + path))
            ]
            path.write_text("targets: [{name: shop, access_key_secret: " + SECRET + "}]")
            web.write_text(f"basic_auth_users: {{canary: {PASSWORD}}}")
            async with aiohttp.ClientSession(headers=LOGIN) as session, session.post(f"{base}/-/reload") as refused:
                pages.append(await refused.text())
            pages.append((await get(f"{base}/", **LOGIN))[1])
            await exporter.line_with("web config is refused")
            await exporter.end()
    assert "secrets do not belong in the config" in pages[-1]
    assert 'directmail_up{target="shop"}' in pages[0]
    assert_clean(*pages, *exporter.lines)


async def test_a_key_that_the_api_refuses_is_not_repeated(tmp_path: Path) -> None:
    async with Simulator(habits=Habits(calls_per_minute=100_000)).listen() as url:
        path = write_config(tmp_path / "config.yaml", url)
        flags = ("--config.file", str(path), "--web.listen-address", "127.0.0.1:0", "--log.level", "debug")
        async with program(*flags, environment=KEYS) as exporter:
            await exporter.line_with("combination is lost")
            await exporter.end()
    assert_clean(*exporter.lines)


def test_no_repr_has_a_secret(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("id", "secret")}
    files["id"].write_text(ID)
    files["secret"].write_text(SECRET)
    text = write_config(tmp_path / "config.yaml", "http://127.0.0.1:9").read_text()
    block = f"{{access_key_id_file: {files['id']}, access_key_secret_file: {files['secret']}}}"
    sound, problems = config.parse(text.replace("    timeout", f"    credentials: {block}\n    timeout"))
    assert problems == ()
    (tmp_path / "web.yml").write_text(f"basic_auth_users: {{canary: {HASH}}}")
    web = webconfig.read(tmp_path / "web.yml")
    assert_clean(repr(web), repr(Security(web, SystemClock())))
    assert_clean(repr(sound), repr(Credentials(ID, SECRET, TOKEN)), str(Credentials(ID, SECRET, TOKEN)))
