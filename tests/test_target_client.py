"""What is logged of a target's calls: throttling when it begins and ends, and another access key."""

from pathlib import Path

import aiohttp
from structlog.testing import capture_logs

from exporter.config import loader
from exporter.config.model import Target
from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.target_client import connect
from tests.support.clock import ScriptedClock
from tests.support.tasks import running


def target(credentials: str = "") -> Target:
    made, problems = loader.parse(
        f"targets:\n  - name: shop\n    region: us-east-1\n    rate_limit_per_minute: 40\n{credentials}"
        "    queries: [{name: account}]\n"
    )
    assert made is not None, problems
    return made.targets[0]


async def test_throttling_is_one_line_when_it_begins_and_one_when_it_has_ended() -> None:
    clock = ScriptedClock()
    async with aiohttp.ClientSession() as session:
        limiter = connect(target(), session, clock, {}).limiters.of(ENGAGEMENT.action)

        async def work() -> None:
            for number in range(200):
                granted_at = await limiter.acquire()
                if number in (3, 4, 20):
                    limiter.throttled(None, granted_at)
                else:
                    limiter.succeeded()

        with capture_logs() as lines:
            async with running(work()):
                await clock.advance(1200)
    reported = [(line["event"], line["target"], line["action"], line["from"], line["to"]) for line in lines]
    assert reported == [
        ("throttling started", "shop", "GetTrackList", "40", "20"),
        ("throttling ended", "shop", "GetTrackList", "39", "40"),
    ]
    assert "rate_limit_per_minute" in lines[0]["advice"]


async def test_another_key_in_the_files_is_one_line_without_the_key(tmp_path: Path) -> None:
    key_id, secret = tmp_path / "id", tmp_path / "secret"
    key_id.write_text("LTAI-CANARY-1")
    secret.write_text("canary-secret-1")
    credentials = f"    credentials: {{access_key_id_file: {key_id}, access_key_secret_file: {secret}}}\n"
    async with aiohttp.ClientSession() as session:
        client = connect(target(credentials), session, ScriptedClock(), {})
        with capture_logs() as lines:
            await client._provider.get()
            await client._provider.get()
            key_id.write_text("LTAI-CANARY-22")
            await client._provider.get()
            client._provider.rejected()
            await client._provider.get()
    assert [(line["event"], line["log_level"], line["target"]) for line in lines] == [
        ("access key files re-read", "info", "shop")
    ]
    assert "CANARY" not in repr(lines)
