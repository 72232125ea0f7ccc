"""Finds, starts and ends programs that are not Python's. Each is ended by its pid, whatever happens."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from pathlib import Path

import aiohttp

PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
}
"""The Debian package of each program."""
PATIENCE = 60.0
"""Seconds after which a program that should have answered is given up."""
GRACE = 10.0
"""Seconds that a program has to end after SIGTERM."""

PORTS = range(20_000, 32_000)
"""Ports that the kernel gives to nobody: one that is free stays so until a program that takes a while listens on it."""
_first = os.getpid() * 131 % len(PORTS)
"""Far from where processes begin that start just before or after."""
_ports = cycle((*PORTS[_first:], *PORTS[:_first]))


class Missing(Exception):
    """Programs that are not installed, with the line that brings them."""


class Broken(Exception):
    """A program that ended, or does not answer; with what it said last."""


def find() -> Mapping[str, Path]:
    """Return where every program is. Raise Missing."""
    found = {name: shutil.which(name) for name in PACKAGES}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        packages = sorted({PACKAGES[name] for name in missing})
        raise Missing(
            f"{', '.join(missing)}: not installed; apt-get install -y --no-install-recommends {' '.join(packages)}"
        )
    return {name: Path(path) for name, path in found.items() if path is not None}


def free_address(wished: str = "") -> str:
    """Return an unused address on loopback, the requested one (`host:port`) where it is free."""
    if wished:
        host, _, port = wished.partition(":")
        with suppress(OSError), socket.create_server((host, int(port))):
            return wished
    while True:
        port = next(_ports)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return f"127.0.0.1:{port}"


@asynccontextmanager
async def running(*command: str | Path, log: Path, ready: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program with the block, its output in `log`; enter when the URL `ready` answers 200. Raise Broken."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output)
    try:
        await _until_ready(process, log, ready)
        yield process
    finally:
        await _end(process)


async def run(*command: str | Path, folder: Path | None = None) -> str:
    """Run a program in a folder, to its end, and return what it wrote to stdout. Raise Broken for a bad status."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=folder
    )
    try:
        output, errors = await process.communicate()
    finally:
        await _end(process)
    if process.returncode:
        raise Broken(f"{Path(command[0]).name} ended with {process.returncode}: {errors.decode().strip()}")
    return output.decode()


async def _until_ready(process: asyncio.subprocess.Process, log: Path, url: str) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as session:
            while process.returncode is None:
                with suppress(aiohttp.ClientError, OSError):
                    async with session.get(url) as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(0.05)
    raise Broken(f"{log.stem} is not ready at {url}:\n{_end_of(log)}")


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-5:])


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(GRACE):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
