"""A reload of whatever text: the exporter continues, and a config that is rejected changes nothing."""

import asyncio
from pathlib import Path

from hypothesis import HealthCheck, assume, example, given, settings
from structlog.testing import capture_logs

from exporter.app import App
from exporter.config import loader
from exporter.reload import BUG, load
from exporter.web.server import Options
from tests.support.config_strategies import texts
from tests.support.processes import get, started

SOUND = "targets: [{name: shop, endpoint: 'http://127.0.0.1:1', queries: [{name: account}]}]\n"
SAME = (
    "directmail_exporter_build_info",
    "directmail_exporter_planned",
    "directmail_exporter_rate_limit",
    "directmail_up",
)
"""What a rejected config leaves as it is, whatever time passes."""


def lasting(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(SAME)]


async def test_no_text_ends_the_exporter_or_changes_it_when_it_is_rejected(tmp_path: Path) -> None:
    """There are no credentials, so no request is made."""
    path = tmp_path / "config.yaml"
    path.write_text(SOUND)
    app = App(load(path), Options(("127.0.0.1:0",)), environment={}, config_file=path)
    running, base = await started(app)

    async def reload() -> None:
        _, before = await get(f"{base}/metrics")
        with capture_logs() as lines:
            problems = await app.reload()
        assert BUG not in problems, [line.get("exc_info") for line in lines]
        assert not running.done()
        status, after = await get(f"{base}/metrics")
        page, _ = await get(f"{base}/")
        assert (status, page) == (200, 200)
        assert f"config_last_reload_successful {0.0 if problems else 1.0}" in after
        if problems:
            assert lasting(after) == lasting(before)

    loop = asyncio.get_running_loop()

    @settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
    @given(text=texts)
    @example(text=SOUND)
    @example(text='{"targets": [{"name": "a", "endpoint": "http://127.0.0.1:1", "labels": {"x": "\\ud83c\\udf89"}, '
                  '"queries": [{"name": "q", "account_name": "\\ud83c\\udf7a"}]}]}')  # fmt: skip
    def fuzz(text: str) -> None:
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        config, _ = loader.read(path)
        # Other types look for credentials elsewhere.
        assume(config is None or all(each.credentials.type == "environment" for each in config.targets))
        asyncio.run_coroutine_threadsafe(reload(), loop).result()

    await asyncio.to_thread(fuzz)
    app.stop()
    await running
