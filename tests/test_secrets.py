"""Canary credentials: they may stand in requests and nowhere else, whatever fails."""

import asyncio
from pathlib import Path

import pytest

from exporter import config
from exporter.directmail.credentials import Credentials
from exporter.simulator.faults import Fault
from exporter.simulator.server import Habits, Simulator
from tests.processes import PATIENCE, get, program, until
from tests.test_app import write_config

ID, SECRET, TOKEN = "CanaryKeyId7f3a", "CanarySecret91bc", "CanaryToken55de"
KEYS = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": ID,
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET,
    "ALIBABA_CLOUD_SECURITY_TOKEN": TOKEN,
}

TELLTALE = ("bad_signature", "forbidden", "unknown_sender", "reset", "truncate", "html_500", "negative")
"""Faults whose answers or errors could tell something."""


def assert_clean(*texts: str) -> None:
    for text in texts:
        assert not any(canary in text for canary in (ID, SECRET, TOKEN)), text


@pytest.mark.parametrize("style", ["logfmt", "json"])
async def test_no_log_line_page_or_metric_has_a_secret_while_everything_fails(style: str, tmp_path: Path) -> None:
    faults = [Fault(name, times=1, after=number) for number, name in enumerate(TELLTALE)]
    simulator = Simulator(
        key_id=ID, secret=SECRET, security_token=TOKEN, habits=Habits(calls_per_minute=100_000), faults=faults
    )
    async with simulator.listen() as url:
        path = write_config(tmp_path / "config.yaml", url)
        path.write_text(path.read_text().replace("poll_interval: 1h", "poll_interval: 1s"))
        flags = ("--config.file", str(path), "--web.listen-address", "127.0.0.1:0", "--log.level", "debug")
        async with program(*flags, "--log.format", style, environment=KEYS) as exporter:
            address = await exporter.line_with("127.0.0.1:")
            base = "http://127.0.0.1:" + address.split("127.0.0.1:")[1].split('"')[0].split()[0]
            await until(f"{base}/metrics", 'directmail_up{target="shop"} 1.0')
            async with asyncio.timeout(PATIENCE):
                while not {seen.outcome for seen in simulator.requests} >= set(TELLTALE):
                    await asyncio.sleep(0.05)
            pages = [
                (await get(f"{base}{path}"))[1] for path in ("/metrics", "/", "/-/ready", "/-/healthy", "/nowhere")
            ]
            await exporter.end()
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
    assert_clean(repr(sound), repr(Credentials(ID, SECRET, TOKEN)), str(Credentials(ID, SECRET, TOKEN)))
