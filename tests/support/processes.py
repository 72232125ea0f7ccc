"""Runs the program as a process: start, log lines, requests, end by its pid."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from exporter.app import App
from tools.stack.programs import free_address

PATIENCE = 60.0
"""Seconds after which a program that should have answered is given up."""


@dataclass
class Program:
    """A running program and what it has written to stderr and stdout so far."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)

    async def line_with(self, text: str) -> str:
        """Return the first line that has the text, as soon as it is written."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for line in self.lines:
                    if text in line:
                        return line
                if self.process.returncode is not None:
                    raise AssertionError(f"ended with {self.process.returncode}:\n" + "\n".join(self.lines))
                await asyncio.sleep(0.02)

    async def address(self) -> str:
        """Return where the exporter listens, `host:port`."""
        line = await self.line_with("msg=listening")
        return next(part for part in line.split() if part.startswith("addresses=")).removeprefix("addresses=")

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()


@asynccontextmanager
async def program(
    *arguments: str, environment: Mapping[str, str] | None = None, module: str = "exporter", code: str = ""
) -> AsyncIterator[Program]:
    """Run directmail-exporter, another module, or Python code, with arguments; it is ended with the block."""
    what = ("-c", code) if code else ("-m", module)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *what, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **(environment or {})},
        cwd=Path(__file__).parents[2],
    )
    running = Program(process)

    async def read() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            running.lines.append(line.decode().rstrip())

    reading = asyncio.create_task(read())
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


def free_port() -> int:
    """Return an unused port of loopback."""
    return int(free_address().rpartition(":")[2])


async def copy(source: Path, target: Path) -> None:
    """Copy a file that this process has locked: reading it here would take the lock away."""
    process = await asyncio.create_subprocess_exec("cp", str(source), str(target))
    assert await process.wait() == 0


async def get(url: str, **headers: str) -> tuple[int, str]:
    """Return status and text of a GET."""
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.text()


async def until(url: str, text: str) -> str:
    """Return what a URL answers as soon as the text is in it."""
    response = ""
    try:
        async with asyncio.timeout(PATIENCE):
            while text not in response:
                await asyncio.sleep(0.05)
                _, response = await get(url)
    except TimeoutError:
        raise AssertionError(f"no {text!r} in\n{response}") from None
    return response


async def started(app: App) -> tuple[asyncio.Task[None], str]:
    """Run an app in this process; return its task and its URL when it listens."""
    addresses: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(app.run(addresses.set_result))
    await asyncio.wait([task, addresses], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    return task, f"http://{(await addresses)[0]}"
