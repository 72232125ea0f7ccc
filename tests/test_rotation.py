"""Keys that change while the whole program polls: nothing is lost, nothing is restarted, nothing is shown."""

import asyncio
import re
from pathlib import Path

from structlog.testing import capture_logs

from exporter.app import App
from exporter.reload import load
from exporter.simulator.server import Simulator
from exporter.web.server import Options
from tests.support.issuers import Issuer, Mounted, issued, serving
from tests.support.processes import PATIENCE, get, started
from tests.support.programs import simulator, write_config

EXPIRY = "directmail_exporter_credentials_expiry_timestamp_seconds"


def accept(api: Simulator, key_id: str, secret: str, token: str = "") -> None:
    api.key_id, api.secret, api.security_token = key_id, secret, token


def polled_each_second(path: Path, url: str, credentials: str) -> App:
    text = write_config(path, url).read_text().replace("poll_interval: 1h", "poll_interval: 1s")
    path.write_text(text.replace("    timeout", f"    credentials: {credentials}\n    timeout"))
    return App(load(path), Options(("127.0.0.1:0",)), environment={})


async def served_requests(api: Simulator, times: int) -> None:
    """Return when so many more requests were answered well."""
    wanted = sum(seen.outcome == "OK" for seen in api.requests) + times
    async with asyncio.timeout(PATIENCE):
        while sum(seen.outcome == "OK" for seen in api.requests) < wanted:
            await asyncio.sleep(0.02)


async def test_a_secret_that_kubernetes_swaps_is_followed_without_a_restart(tmp_path: Path) -> None:
    mounted, api = Mounted(tmp_path), simulator()
    mounted.write(id="first", secret="first-secret")
    accept(api, "first", "first-secret")
    block = f"{{access_key_id_file: {tmp_path / 'id'}, access_key_secret_file: {tmp_path / 'secret'}}}"
    with capture_logs() as lines:
        async with api.listen() as url:
            app = polled_each_second(tmp_path / "config.yaml", url, block)
            task, base = await started(app)
            await served_requests(api, 4)
            mounted.write(id="second", secret="second-secret")
            accept(api, "second", "second-secret")
            await served_requests(api, 4)
            _, page = await get(f"{base}/metrics")
            app.stop()
            await task
    assert not [line for line in lines if line["event"] == "query combination failing"]
    assert f"\n{EXPIRY}{{" not in page
    assert "first" not in repr(lines)


async def test_rejected_temporary_credentials_are_renewed_at_once_and_show_their_expiry(
    tmp_path: Path,
) -> None:
    issuer, api = Issuer(), simulator()
    first, second = issued(1), issued(2)
    accept(api, first.access_key_id, first.access_key_secret, first.security_token)
    with capture_logs() as lines:
        async with api.listen() as url, serving(issuer) as address:
            block = f"{{type: credentials_uri, credentials_uri: '{address}/credentials'}}"
            app = polled_each_second(tmp_path / "config.yaml", url, block)
            task, base = await started(app)
            await served_requests(api, 4)
            accept(api, second.access_key_id, second.access_key_secret, second.security_token)
            await served_requests(api, 4)
            _, page = await get(f"{base}/metrics")
            app.stop()
            await task
    assert not [line for line in lines if line["event"] == "query combination failing"]
    assert len(issuer.seen) == 2
    (shown,) = re.findall(rf'^{EXPIRY}{{target="shop"}} (\S+)$', page, re.MULTILINE)
    assert float(shown) == int(float(shown)) > 1.7e9
    assert not any(part in repr(lines) + page for part in (*first.secrets(), *second.secrets()))
