"""How long the event loop is held at once where 300 accounts change at the same time.

The start from a full state file, a save of everything, a reload that changes every target, and a midnight that all of
them share. The program runs in this process, so that a probe can be a task of its loop. A hold is the CPU that the
loop's thread takes between two turns of the probe: other processes on the machine do not lengthen it.
"""

import asyncio
import gc
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.accounts import ACCOUNTS, COMBINATIONS, fill, text
from benchmarks.calls import KEYS, api
from benchmarks.measure import Figure
from exporter.app import App
from exporter.clock import VirtualClock
from exporter.config.shards import WHOLE
from exporter.reload import load
from exporter.web.server import Options

EVERY = 0.001
"""Seconds between two checks of the probe."""
BEFORE_MIDNIGHT = 120.0
"""Seconds from the start to the midnight."""
AFTER_MIDNIGHT = 10.0
ENVIRONMENT = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": KEYS.access_key_id,
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": KEYS.access_key_secret,
}


class Probe:
    """A task that wants to run again and again, and what the loop did in between."""

    def __init__(self) -> None:
        self.longest = 0.0
        """Seconds of CPU."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look while the block runs."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()

    async def _run(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(EVERY)
            now = time.thread_time()
            self.longest, before = max(self.longest, now - before), now

    def longest_hold(self) -> float:
        """Return the longest hold since the last time, in milliseconds."""
        longest, self.longest = self.longest, 0.0
        return longest * 1000


async def figures() -> Iterator[Figure]:
    held = await holds()
    idle = held.pop("nothing in particular")
    return iter(
        [
            Figure(
                f"longest hold of the event loop at {what}",
                f"{most:.1f} ms",
                f"{ACCOUNTS} accounts of {COMBINATIONS} combinations; while they are polled only, {idle:.1f} ms",
                "20 ms",
                met=most < 20,
            )
            for what, most in held.items()
        ]
    )


async def holds() -> dict[str, float]:
    """Return the longest hold in milliseconds, by what happened."""
    with tempfile.TemporaryDirectory() as folder:
        async with api() as url:
            path, state = Path(folder) / "config.yaml", Path(folder) / "state.db"
            path.write_text(text(url, state))
            tomorrow = (datetime.now(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            clock = VirtualClock(start=tomorrow.timestamp() - BEFORE_MIDNIGHT)
            await fill(path, clock)
            gc.collect()
            app = App(
                load(path, WHOLE),
                Options(listen_addresses=("127.0.0.1:0",)),
                clock=clock,
                environment=ENVIRONMENT,
                config_file=path,
            )
            return await _run(app, clock, path, state, tomorrow.timestamp())


async def _run(app: App, clock: VirtualClock, path: Path, state: Path, midnight: float) -> dict[str, float]:
    held, probe, started = {}, Probe(), asyncio.Event()
    async with probe.running():
        await asyncio.sleep(0.05)
        probe.longest_hold()
        running = asyncio.create_task(app.run(lambda addresses: started.set()))
        await started.wait()
        await asyncio.sleep(1)
        held["a start from a full state file"] = probe.longest_hold()
        await asyncio.sleep(5)
        held["nothing in particular"] = probe.longest_hold()
        await asyncio.to_thread(_write_again, state)
        await asyncio.sleep(1)
        held["a save of everything"] = probe.longest_hold()
        _rename_a_sender(path)
        assert not await app.reload()
        held["a reload that changes every target"] = probe.longest_hold()
        await asyncio.sleep(max(midnight - clock.time() - 0.5, 0.0))
        assert clock.time() < midnight
        probe.longest_hold()
        await asyncio.sleep(AFTER_MIDNIGHT)
        held["a midnight in all of them"] = probe.longest_hold()
        app.stop()
        await running
    return held


def _write_again(state: Path) -> None:
    """Remove the state file, which is noticed within 15 s, and return when all of it is written again."""
    size = state.stat().st_size
    state.unlink()
    while not state.exists() or state.stat().st_size < size / 2:
        time.sleep(0.1)


def _rename_a_sender(config: Path) -> None:
    config.write_text(config.read_text().replace("sender-0@", "sender-new@"))
