"""Prometheus as a scraper: what it asks for, and the real program."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.support.processes import PATIENCE, free_port, get

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@dataclass
class Prometheus:
    """A running Prometheus."""

    url: str

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        _, text = await get(f"{self.url}/api/v1/query?query={quote(expression)}")
        answer = json.loads(text)
        assert answer["status"] == "success", text
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    async def until(self, expression: str, count: int = 1) -> list[dict[str, Any]]:
        """Return the result as soon as it has so many series."""
        async with asyncio.timeout(PATIENCE):
            while len(result := await self.query(expression)) < count:
                await asyncio.sleep(0.2)
        return result


@asynccontextmanager
async def prometheus(tool: Callable[[str], Path], folder: Path, target: str) -> AsyncIterator[Prometheus]:
    """Run Debian's Prometheus, which scrapes `host:port` every second."""
    port = free_port()
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\n"
        f"scrape_configs: [{{job_name: directmail, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    address = f"127.0.0.1:{port}"
    process = await asyncio.create_subprocess_exec(
        tool("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=40d",
        f"--web.listen-address={address}",
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        running = Prometheus(f"http://{address}")
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    if (await get(f"{running.url}/-/ready"))[0] == 200:
                        break
                except OSError:
                    await asyncio.sleep(0.05)
        yield running
    finally:
        process.terminate()
        await process.wait()
