"""Heavy work of many collectors at once: one slice, then everything else has its turn."""

import asyncio
from collections.abc import Coroutine, Iterator
from functools import partial

from exporter.collector.round_robin import RoundRobin
from tests.support.tasks import most_in_a_turn


class Works:
    """Works of so many slices each, and in which order the slices were done."""

    def __init__(self, works: int, slices: int) -> None:
        self.done: list[int] = []
        self._works = works
        self._slices = slices
        self._round_robin = RoundRobin()

    async def all(self) -> None:
        """Do all of them at the same time."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._works):
                group.create_task(self._round_robin.work(self._work(number)))

    def _work(self, number: int) -> Iterator[None]:
        for _ in range(self._slices):
            self.done.append(number)
            yield


async def test_however_many_have_work_one_slice_is_done_in_a_turn() -> None:
    works = Works(300, 3)
    assert await most_in_a_turn(works.all(), lambda: len(works.done)) == 1
    assert len(works.done) == 900


async def test_they_take_turns() -> None:
    works = Works(3, 2)
    await works.all()
    assert works.done == [0, 1, 2, 0, 1, 2]


async def test_tasks_that_many_start_at_once_do_their_first_steps_one_after_the_other() -> None:
    round_robin, begun = RoundRobin(), []

    async def task(number: int) -> None:
        begun.append(number)

    async def all_at_once() -> None:
        async with asyncio.TaskGroup() as tasks:
            await asyncio.gather(*(round_robin.begin(partial(_start, tasks, task(number))) for number in range(300)))

    assert await most_in_a_turn(all_at_once(), lambda: len(begun)) == 1
    assert begun == list(range(300))


async def test_work_that_fails_does_not_block_others() -> None:
    round_robin = RoundRobin()

    def failing() -> Iterator[None]:
        yield
        raise ValueError("a bug")

    results = await asyncio.gather(
        round_robin.work(failing()), round_robin.work(iter([None, None])), return_exceptions=True
    )
    assert [type(each) for each in results] == [ValueError, type(None)]


def _start(tasks: asyncio.TaskGroup, work: Coroutine[None, None, None]) -> None:
    tasks.create_task(work)
