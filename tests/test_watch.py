"""A change of content is reported, and nothing else is."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import pytest

from exporter.watch import changes, digests
from tests.support.clock import ScriptedClock


class Checks:
    """The files, and how often somebody looked at them."""

    def __init__(self, *paths: Path) -> None:
        self.paths = paths
        self.count = 0

    def __call__(self) -> Iterable[Path]:
        self.count += 1
        return self.paths

    async def more(self, checks: int = 2) -> None:
        wanted = self.count + checks
        async with asyncio.timeout(30):
            while self.count < wanted:
                await asyncio.sleep(0.001)


def watching(checks: Checks) -> AsyncIterator[None]:
    return changes(checks, digests(checks.paths), ScriptedClock(skip_sleeps=True))


def _write(path: Path) -> None:
    path.write_text("new")


def _replace(path: Path) -> None:
    other = path.with_suffix(".other")
    other.write_text("new")
    other.replace(path)


def _swap_link(path: Path) -> None:
    folder = path.parent / "..2026"
    folder.mkdir()
    (folder / path.name).write_text("new")
    path.unlink()
    path.symlink_to(folder / path.name)


@pytest.mark.parametrize("change", [_write, _replace, _swap_link, os.remove])
async def test_new_content_is_reported_however_it_came(change: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("old")
    checks = Checks(path)
    reported = asyncio.ensure_future(anext(watching(checks)))
    await checks.more()
    assert not reported.done()
    change(path)
    assert await asyncio.wait_for(reported, 30) is None


async def test_a_touch_is_no_change(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("old")
    checks = Checks(path)
    reported = asyncio.ensure_future(anext(watching(checks)))
    await checks.more()
    os.utime(path, (1, 1))
    same = tmp_path / "same"
    same.write_text("old")
    same.replace(path)
    await checks.more()
    assert not reported.done()
    reported.cancel()
