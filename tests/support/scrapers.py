"""Prometheus as a scraper: what it requests, and the real program."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.processes import PATIENCE
from tools.stack import programs
from tools.stack import prometheus as stack

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


class Prometheus(stack.Prometheus):
    """A running Prometheus."""

    async def until(self, expression: str, count: int = 1) -> stack.Series:
        """Return the result as soon as it has so many series."""
        async with asyncio.timeout(PATIENCE):
            while len(result := await self.query(expression)) < count:
                await asyncio.sleep(0.2)
        return result


@asynccontextmanager
async def prometheus(
    tool: Callable[[str], Path], folder: Path, target: str, every: str = "1s"
) -> AsyncIterator[Prometheus]:
    """Run Debian's Prometheus, which scrapes `host:port` so often. Its time is the machine's."""
    for name in programs.PACKAGES:
        tool(name)
    config = (
        f"global: {{scrape_interval: {every}, scrape_timeout: {every}}}\n"
        f"scrape_configs: [{{job_name: directmail, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    async with stack.prometheus(folder, config) as running:
        yield Prometheus(running.url)
