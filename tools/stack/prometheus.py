"""A Prometheus that holds a history and evaluates our rules, an Alertmanager, and their APIs."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tools.stack import programs
from tools.stack.programs import Broken, free_address

ONE_BLOCK = "--max-block-duration=100000h"
"""A few large blocks instead of one for every two hours; a hidden flag of promtool."""
KEEP = "--storage.tsdb.retention.time=100y"

Series = list[dict[str, Any]]


@dataclass(frozen=True)
class Stretch:
    """A stretch of time and how often rules are evaluated in it, in seconds."""

    start: float
    end: float
    step: float


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    url: str

    async def query(self, expression: str, at: float | None = None) -> Series:
        """Return the series of an instant query. Raise Broken."""
        moment = {} if at is None else {"time": f"{at:.3f}"}
        return await self._request("query", {"query": expression, **moment})

    async def query_range(self, expression: str, start: float, end: float, step: float) -> Series:
        """Return the series of a range query. Raise Broken."""
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        return await self._request("query_range", {"query": expression, **times})

    async def _request(self, kind: str, parameters: Mapping[str, str]) -> Series:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/api/v1/{kind}", data=dict(parameters)) as response,
        ):
            document = json.loads(await response.text())
        if document["status"] != "success":
            raise Broken(f"{parameters['query']}: {document.get('error')}")
        result: Series = document["data"]["result"]
        return result


@asynccontextmanager
async def prometheus(
    folder: Path, config: str = "{}", *flags: str, address: str | None = None
) -> AsyncIterator[Prometheus]:
    """Run a Prometheus whose data are in `folder`/data. Raise Missing and Broken."""
    address = address or free_address()
    path = folder / "prometheus.yml"
    path.write_text(config)
    program = programs.find()["prometheus"]
    own = (f"--config.file={path}", f"--storage.tsdb.path={folder / 'data'}", KEEP, f"--web.listen-address={address}")
    url = f"http://{address}"
    async with programs.running(program, *own, *flags, log=folder / "prometheus.log", ready=f"{url}/-/ready"):
        yield Prometheus(url)


@asynccontextmanager
async def alertmanager(folder: Path, config: str, address: str | None = None) -> AsyncIterator[str]:
    """Run an Alertmanager; yield its URL. Raise Missing and Broken."""
    address = address or free_address()
    path = folder / "alertmanager.yml"
    path.write_text(config)
    program = programs.find()["prometheus-alertmanager"]
    places = (f"--config.file={path}", f"--storage.path={folder / 'alertmanager'}", f"--web.listen-address={address}")
    url = f"http://{address}"
    async with programs.running(
        program, *places, "--cluster.listen-address=", log=folder / "alertmanager.log", ready=f"{url}/-/ready"
    ):
        yield url


async def load(folder: Path, history: Path) -> None:
    """Make blocks in `folder`/data of a file in OpenMetrics. Raise Missing and Broken."""
    promtool = programs.find()["promtool"]
    await programs.run(
        *(promtool, "tsdb", "create-blocks-from", ONE_BLOCK, "openmetrics", history, folder / "data"),
    )


async def record(folder: Path, passes: Iterable[Path], stretches: Sequence[Stretch], *flags: str) -> None:
    """Evaluate recording rules over the past and add what they record to `folder`/data. Raise Missing and Broken.

    `passes` are rule files; what one of them records, the next ones see. They are named without their folder: when
    within an interval promtool evaluates a group depends on the path, and the same past shall give the same records.
    """
    promtool = programs.find()["promtool"]
    for rules in passes:
        async with prometheus(folder, "{}", *flags) as server, asyncio.TaskGroup() as group:
            for each in stretches:
                group.create_task(
                    programs.run(
                        *(promtool, "tsdb", "create-blocks-from", ONE_BLOCK, "rules", f"--start={each.start:.0f}"),
                        *(f"--end={each.end:.0f}", f"--eval-interval={each.step:.0f}s", f"--url={server.url}"),
                        *(f"--output-dir={folder / 'data'}", rules.name),
                        folder=rules.parent,
                    )
                )
