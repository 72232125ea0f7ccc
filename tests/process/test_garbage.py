"""Garbage collection that does not hold the event loop."""

import gc
import weakref

import pytest

from exporter.process import garbage
from tests.support.clock import ScriptedClock
from tests.support.tasks import running


class Node:
    """Something that can be part of a circle."""

    def __init__(self) -> None:
        self.itself = self


async def test_what_is_new_is_collected_within_a_second() -> None:
    clock = ScriptedClock()
    with garbage.short_pauses():
        async with running(garbage.run(clock.sleep)):
            circle = weakref.ref(Node())
            await clock.advance(garbage.EVERY)
            assert circle() is None


async def test_new_ones_that_take_the_place_of_old_ones_do_not_pile_up_in_a_reload() -> None:
    """The interpreter counts new ones less those that went; where they are as many, it never collects by itself."""
    clock = ScriptedClock()
    with garbage.short_pauses():
        async with running(garbage.run(clock.sleep)):
            held = [Node() for _ in range(20_000)]
            gc.freeze()
            for place in range(len(held)):
                held[place] = Node()
                if place % 1000 == 0:
                    await clock.advance(0.1)
                    assert len(gc.get_objects(generation=0)) + len(gc.get_objects(generation=1)) < 4000


async def test_objects_that_survive_a_minute_are_frozen() -> None:
    clock = ScriptedClock()
    with garbage.short_pauses():
        async with running(garbage.run(clock.sleep)):
            kept = Node()
            await clock.advance(garbage.EVERY * (garbage.FROZEN_EVERY - 1))
            assert any(each is kept for each in gc.get_objects())
            await clock.advance(garbage.EVERY)
            assert all(each is not kept for each in gc.get_objects())


async def test_what_became_garbage_when_it_was_frozen_goes_within_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    assert garbage.FULL_EVERY * garbage.EVERY == 86_400
    assert garbage.FULL_EVERY % garbage.FROZEN_EVERY == 0
    monkeypatch.setattr(garbage, "FULL_EVERY", 2 * garbage.FROZEN_EVERY)
    clock = ScriptedClock()
    with garbage.short_pauses():
        async with running(garbage.run(clock.sleep)):
            old = Node()
            gc.freeze()
            circle = weakref.ref(old)
            del old
            await clock.advance(garbage.EVERY * (garbage.FULL_EVERY - 1))
            assert circle() is not None
            await clock.advance(garbage.EVERY)
            assert circle() is None


def test_the_interpreter_is_as_it_was_afterwards() -> None:
    before = gc.get_threshold()
    with garbage.short_pauses():
        gc.freeze()
        assert gc.get_threshold() == garbage.THRESHOLDS
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
