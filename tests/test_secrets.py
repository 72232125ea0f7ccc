"""Canary credentials: they may stand in requests and nowhere else, whatever fails."""

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
from tests.processes import get, program
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


def assert_clean(*texts: str) -> None:
    for text in texts:
        assert not any(canary in text for canary in (ID, SECRET, TOKEN, PASSWORD, HASH)), text


SURVIVED = {"empty", "wrong_content_type", "slow", "page_cap", "pages_up", "pages_down", "rows_added"}
"""Faults that leave a good answer, or one that nobody can tell from a good one."""


def world_of_faults() -> tuple[list[Fault], str]:
    """Return every fault, and for each a target that meets it for ever, told apart by the size of its pages."""
    sizes = {name: 100 + number for number, name in enumerate(faults.NAMES)} | {"page_fails": 1}
    struck = [Fault(name, where={"PageSize": str(size)}, seconds=0.1, retry_after=200) for name, size in sizes.items()]
    targets = "".join(
        f"  - {{name: {name}, endpoint: 'ENDPOINT', rate_limit_per_minute: 6000, timeout: 500ms, page_size: {size},"
        " queries: [{name: account}]}\n"
        for name, size in sizes.items()
    )
    return struck, targets


@pytest.mark.parametrize("style", ["logfmt", "json"])
async def test_no_log_line_page_or_metric_has_a_secret_while_everything_fails(style: str, tmp_path: Path) -> None:
    struck, targets = world_of_faults()
    habits = Habits(calls_per_minute=100_000, rows="hour")
    simulator = Simulator(key_id=ID, secret=SECRET, security_token=TOKEN, habits=habits, faults=struck)
    path, web = tmp_path / "config.yaml", tmp_path / "web.yml"
    web.write_text(f"basic_auth_users: {{canary: {HASH}}}")
    async with simulator.listen() as url:
        path.write_text(f"poll_interval: 1h\nwindows: [today, yesterday]\ntargets:\n{targets}".replace("ENDPOINT", url))
        flags = ("--config.file", str(path), "--web.listen-address", "127.0.0.1:0", "--log.level", "debug")
        flags = (*flags, "--web.config.file", str(web), "--web.enable-lifecycle", "--log.format", style)
        async with program(*flags, environment=KEYS) as exporter:
            address = await exporter.line_with("127.0.0.1:")
            base = "http://127.0.0.1:" + address.split("127.0.0.1:")[1].split('"')[0].split()[0]
            web.write_text(f"basic_auth_users: {{canary: {PASSWORD}}}")  # refused; the old one stays
            for name in faults.NAMES.keys() - SURVIVED:
                await exporter.line_with(f'"target": "{name}"' if style == "json" else f"target={name}")
            assert {seen.outcome for seen in simulator.requests} >= set(faults.NAMES)
            paths = ("/metrics", "/", "/-/ready", "/-/healthy", "/nowhere")
            pages = [text for each in paths for _, text in (await get(base + each, **LOGIN), await get(base + each))]
            path.write_text("targets: [{name: shop, access_key_secret: " + SECRET + "}]")
            async with aiohttp.ClientSession(headers=LOGIN) as session, session.post(f"{base}/-/reload") as refused:
                pages.append(await refused.text())
            pages.append((await get(f"{base}/", **LOGIN))[1])
            await exporter.line_with("web config is refused")
            await exporter.end()
    assert "secrets do not belong in the config" in pages[-1]
    for name in faults.NAMES.keys() - SURVIVED:
        assert f'directmail_up{{target="{name}"}}' in pages[0]
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
