"""Loading the config again: once for all who wait, and whatever goes wrong, the old one stays in force."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.config.model import Config
from exporter.reload import BUG, FAILED, Reloader, load
from tests.support.clock import ScriptedClock
from tests.support.processes import PATIENCE

SOUND = "targets: [{name: shop, region: us-east-1, queries: [{name: account}]}]\n"
OTHER = f"max_series: 5000\n{SOUND}"


class Exporter:
    """What a reloader is for: it follows configs, and counts how the loads went."""

    def __init__(self, path: Path) -> None:
        path.write_text(SOUND)
        self.path = path
        self.followed: list[Config] = []
        self.loaded = self.failed = self.loads = 0
        self.free = asyncio.Event()
        self.free.set()
        self.broken: Exception | None = None
        """What following a config other than the first one raises."""
        self.loading: Callable[[Path], Config] = load
        self.clock = ScriptedClock(skip_sleeps=True)
        self.first = load(path)
        self.reloader = Reloader(
            path,
            self.first,
            load=self._load,
            follow=self._follow,
            loaded=self._loaded,
            failed=self._failed,
            clock=self.clock,
        )

    def _load(self, path: Path) -> Config:
        self.loads += 1
        return self.loading(path)

    async def _follow(self, config: Config) -> None:
        await self.free.wait()
        if self.broken is not None and config.digest != self.first.digest:
            raise self.broken
        self.followed.append(config)

    def _loaded(self) -> None:
        self.loaded += 1

    def _failed(self) -> None:
        self.failed += 1


@pytest.fixture
def exporter(tmp_path: Path) -> Exporter:
    return Exporter(tmp_path / "config.yaml")


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.001)


async def test_another_config_is_followed(exporter: Exporter) -> None:
    exporter.path.write_text(OTHER)
    with capture_logs() as lines:
        assert await exporter.reloader.reload() == ()
    assert [config.max_series for config in exporter.followed] == [5000]
    assert [line["event"] for line in lines] == ["config reloaded"]
    assert (exporter.loaded, exporter.failed) == (1, 0)


async def test_an_unchanged_file_is_logged_as_unchanged(exporter: Exporter) -> None:
    """The usual reason: the file was mounted alone, and the editor wrote another one in its place."""
    with capture_logs() as lines:
        assert await exporter.reloader.reload() == ()
    assert [line["event"] for line in lines] == ["config reloaded; no change"]


async def test_a_rejected_config_changes_nothing(exporter: Exporter) -> None:
    exporter.path.write_text("max_series: many\ntargets: []\n")
    with capture_logs() as lines:
        problems = await exporter.reloader.reload()
    assert [problem.place for problem in problems] == ["max_series", "targets"]
    assert [(line["event"], line["place"]) for line in lines] == [(FAILED, "max_series"), (FAILED, "targets")]
    assert exporter.followed == []
    assert (exporter.loaded, exporter.failed) == (0, 1)


async def test_a_pipe_is_not_waited_for(exporter: Exporter) -> None:
    """Nobody may ever write into it, and the thread that reads would keep the process from ending."""
    exporter.path.unlink()
    os.mkfifo(exporter.path)
    (problem,) = await exporter.reloader.reload()
    assert str(problem) == "file: is a pipe, which can be read only once"


async def test_requests_that_wait_are_answered_by_one_load(exporter: Exporter) -> None:
    exporter.free.clear()
    first = asyncio.create_task(exporter.reloader.reload())
    await until(lambda: exporter.loads == 1)
    rest = [asyncio.create_task(exporter.reloader.reload()) for _ in range(1000)]
    await asyncio.sleep(0)
    exporter.path.write_text(OTHER)
    exporter.free.set()
    assert set(await asyncio.gather(first, *rest)) == {()}
    assert exporter.loads == 2
    assert [config.max_series for config in exporter.followed] == [100_000, 5000], "the second load saw the new file"


async def test_signals_without_pause_are_answered_by_one_load(exporter: Exporter) -> None:
    exporter.free.clear()
    task = asyncio.create_task(exporter.reloader.run())
    exporter.reloader.request()
    await until(lambda: exporter.loads == 1)
    for _ in range(1000):
        exporter.reloader.request()
    exporter.free.set()
    await until(lambda: len(exporter.followed) == 2)
    assert exporter.loads == 2
    task.cancel()


async def test_a_bug_in_loading_is_logged_and_the_current_config_is_kept(exporter: Exporter) -> None:
    def broken(path: Path) -> Config:
        raise RecursionError("too odd")

    exporter.loading = broken
    with capture_logs() as lines:
        assert await exporter.reloader.reload() == (BUG,)
    (line,) = lines
    assert (line["event"], line["log_level"]) == (FAILED, "error")
    assert isinstance(line["exc_info"], RecursionError)
    assert exporter.reloader.problems == (BUG,)
    assert (exporter.followed, exporter.loaded, exporter.failed) == ([], 0, 1)
    exporter.loading = load
    assert await exporter.reloader.reload() == ()


async def test_a_config_that_cannot_be_applied_is_rolled_back(exporter: Exporter) -> None:
    exporter.path.write_text(OTHER)
    exporter.broken = KeyError("shop")
    assert await exporter.reloader.reload() == (BUG,)
    assert exporter.followed == [exporter.first]
    assert (exporter.loaded, exporter.failed) == (0, 1)


class TestWatching:
    """With --config.enable-auto-reload."""

    async def test_new_content_is_loaded_once(self, exporter: Exporter) -> None:
        task = asyncio.create_task(exporter.reloader.watch())
        await until(lambda: len(exporter.clock.slept) > 2)
        assert exporter.loads == 0
        exporter.path.write_text(OTHER)
        await until(lambda: exporter.loads == 1)
        looks = len(exporter.clock.slept)
        await until(lambda: len(exporter.clock.slept) > looks + 2)
        assert exporter.loads == 1
        task.cancel()

    async def test_what_a_request_has_loaded_is_not_loaded_again(self, exporter: Exporter) -> None:
        exporter.path.write_text(OTHER)
        await exporter.reloader.reload()
        task = asyncio.create_task(exporter.reloader.watch())
        await until(lambda: len(exporter.clock.slept) > 2)
        assert exporter.loads == 1
        task.cancel()

    async def test_a_rejected_config_is_tried_again_when_the_key_files_that_it_names_come(
        self, exporter: Exporter, tmp_path: Path
    ) -> None:
        """A ConfigMap that is there before its Secret."""
        keys = [tmp_path / "secret" / name for name in ("id", "key")]
        files = f"credentials: {{access_key_id_file: {keys[0]}, access_key_secret_file: {keys[1]}}}, "
        task = asyncio.create_task(exporter.reloader.watch())
        exporter.path.write_text(SOUND.replace("region:", f"{files}region:"))
        await until(lambda: exporter.failed == 1)
        looks = len(exporter.clock.slept)
        await until(lambda: len(exporter.clock.slept) > looks + 2)
        assert exporter.loads == 1, "it is not tried again while nothing changes"
        (tmp_path / "secret").mkdir()
        for key in keys:
            key.write_text("x")
        await until(lambda: exporter.loaded == 1)
        assert exporter.followed[-1].targets[0].credentials.access_key_id_file == keys[0]
        task.cancel()
