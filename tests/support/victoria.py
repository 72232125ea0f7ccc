"""VictoriaMetrics, Debian's, with a history in it; it is queried as a Prometheus is."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tools.stack import programs
from tools.stack.prometheus import Prometheus, Series

FLAGS = ("-retentionPeriod=100y", "-search.disableCache", "-search.latencyOffset=0s", "-loggerLevel=WARN")
"""It keeps history of any age, and answers queries from it."""


@asynccontextmanager
async def victoria_metrics(program: Path, folder: Path, *flags: str) -> AsyncIterator[Prometheus]:
    """Run a single node whose data are in `folder`/victoria. Raise Broken."""
    address = programs.free_address()
    own = (f"-storageDataPath={folder / 'victoria'}", f"-httpListenAddr={address}", *FLAGS)
    url = f"http://{address}"
    async with programs.running(program, *own, *flags, log=folder / "victoria.log", ready=f"{url}/health"):
        yield Prometheus(url)


async def add(server: Prometheus, series: Series) -> None:
    """Write series with their samples, as a range selector of Prometheus returns them, and make them visible."""
    lines = [
        json.dumps(
            {
                "metric": each["metric"],
                "timestamps": [round(at * 1000) for at, _ in each["values"]],
                "values": [float(value) for _, value in each["values"]],
            }
        )
        for each in series
    ]
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        async with session.post(f"{server.url}/api/v1/import", data="\n".join(lines).encode()):
            pass
        async with session.get(f"{server.url}/internal/force_flush"):
            pass
