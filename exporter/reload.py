"""Loads the config with its plan; reloads it on request, or when its content changes.

Where a reload fails, the previous config is kept.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import structlog

from exporter.clock import Clock
from exporter.config import loader
from exporter.config.checking import ConfigError, Problem
from exporter.config.model import Config
from exporter.config.shards import WHOLE, Shard
from exporter.plan.validation import problems
from exporter.process import systemd
from exporter.watch import EVERY, digests

FAILED = "config reload failed; keeping the previous config"
BUG = Problem("reload", "failed by a bug in directmail-exporter; please report the traceback in the log")


def load(path: Path, shard: Shard = WHOLE) -> Config:
    """Return the config in the file, whole. Raise ConfigError with every mistake of any shard, the plan's included."""
    sound, mistakes = loader.read(path)
    return checked(str(path), sound, mistakes, shard.count)


def checked(source: str, sound: Config | None, mistakes: tuple[Problem, ...], shards: int = 1) -> Config:
    """Return the config when neither it nor its plan has a problem. Raise ConfigError with all of them."""
    found = (*mistakes, *(problems(sound, shards) if sound else ()))
    if found or sound is None:
        raise ConfigError(source, found)
    return sound


class Reloader:
    """Follows one file. Requests that wait while it is loaded share the next load."""

    def __init__(
        self,
        path: Path,
        current: Config,
        *,
        load: Callable[[Path], Config],
        follow: Callable[[Config], Awaitable[None]],
        loaded: Callable[[], None],
        failed: Callable[[], None],
        clock: Clock,
    ) -> None:
        """`load` reads and checks the file and raises ConfigError; `follow` applies a config.

        `loaded` or `failed` is called at the end of every load.
        """
        self.problems: tuple[Problem, ...] = ()
        """What was wrong at the last load; empty while the file's config is applied."""
        self._path = path
        self._current = current
        self._load = load
        self._follow = follow
        self._loaded = loaded
        self._failed = failed
        self._clock = clock
        self._log = structlog.get_logger()
        self._seen: Mapping[Path, str] = {path: current.digest}
        self._requested = asyncio.Event()
        self._loading = asyncio.Lock()
        self._requests = self._served = 0

    def request(self) -> None:
        """Let `run` load the file soon."""
        self._requested.set()

    async def run(self) -> None:
        """Load the file whenever it is requested, until cancelled."""
        while True:
            await self._requested.wait()
            self._requested.clear()
            await self.reload()

    async def watch(self) -> None:
        """Load the file whenever its content has changed; of a rejected one also when a file that it names has."""
        while True:
            await self._clock.sleep(EVERY)
            if await asyncio.to_thread(digests, self._seen) != self._seen:
                await self.reload()

    async def reload(self) -> tuple[Problem, ...]:
        """Load the file and apply its config. Return its problems; with any, nothing has changed.

        A load that began before the request does not count: the file may have changed since.
        """
        self._requests += 1
        own = self._requests
        async with self._loading:
            if self._served < own:
                serving = self._requests
                systemd.notify(systemd.reloading())
                self.problems = await self._load_again()
                (self._failed if self.problems else self._loaded)()
                systemd.notify(systemd.READY)
                self._served = serving
            return self.problems

    async def _load_again(self) -> tuple[Problem, ...]:
        # First, so that a change while the file is loaded is found by the next check.
        self._seen = await asyncio.to_thread(digests, (self._path,))
        try:
            if self._path.is_fifo():
                raise ConfigError(str(self._path), (Problem("file", "is a pipe, which can be read only once"),))
            self._seen = await asyncio.to_thread(lambda: digests(loader.files(self._path)))
            config = await asyncio.to_thread(self._load, self._path)
            await self._put_in_force(config)
        except ConfigError as error:
            for problem in error.problems:
                self._log.error(FAILED, place=problem.place, problem=problem.text)
            return error.problems
        except Exception as error:  # noqa: BLE001  a bug in loading a config must not end what runs well
            self._log.error(FAILED, place=BUG.place, problem=BUG.text, exc_info=error)
            return (BUG,)
        is_new = config.digest != self._current.digest
        self._current, self._seen = config, {self._path: config.digest}
        self._log.info("config reloaded" if is_new else "config reloaded; no change", digest=config.digest)
        return ()

    async def _put_in_force(self, config: Config) -> None:
        try:
            await self._follow(config)
        except Exception:
            await self._follow(self._current)
            raise
