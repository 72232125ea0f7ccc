"""Garbage collection that does not hold the event loop."""

import gc
import weakref

from exporter.process import garbage
from tests.support.clock import ScriptedClock
from tests.support.tasks import running


class Node:
    """Something that can be part of a circle."""

    def __init__(self) -> None:
        self.itself = self


async def test_what_is_new_is_collected_within_a_minute_and_the_rest_frozen() -> None:
    clock = ScriptedClock()
    with garbage.kept_short():
        async with running(garbage.run(clock)):
            circle = weakref.ref(Node())
            kept = Node()
            await clock.advance(garbage.EVERY)
            assert circle() is None
            assert gc.get_freeze_count() > 0
            assert all(each is not kept for each in gc.get_objects()), "it is looked at no more"


async def test_what_became_garbage_when_it_was_frozen_goes_within_a_day() -> None:
    clock = ScriptedClock()
    with garbage.kept_short():
        async with running(garbage.run(clock)):
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
    with garbage.kept_short():
        gc.freeze()
        assert gc.get_threshold() == garbage.THRESHOLDS
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
