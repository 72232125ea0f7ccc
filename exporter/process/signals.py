"""Handles signals from the first moment of the process, and passes them to the event loop once it runs."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

from exporter.process.immediate_exit import immediate_exit

STOP = (signal.SIGTERM, signal.SIGINT)
RELOAD = signal.SIGHUP

_before: dict[signal.Signals, Any] = {}
"""What was in force before `install`."""
_early: list[int] = []
"""Requests to reload that came before the event loop ran."""


class Loop(Protocol):
    """What an event loop does with signals. Its module is not imported here: that alone takes 20 ms."""

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> object: ...
    def add_reader(self, fd: int, callback: Callable[[], object]) -> object: ...
    def remove_reader(self, fd: int) -> bool: ...


def install() -> None:
    """Let SIGTERM and SIGINT end the process with status 0, and remember SIGHUP; before anything else is imported.

    Without a handler SIGHUP would end the process, and the kernel would keep SIGTERM from process 1 of a container.
    """
    for number in (*STOP, RELOAD):
        _before[number] = signal.signal(number, _noted)


def ignore() -> None:
    """Ignore what `install` handles from now on: the process ends, and only has to write its last lines."""
    for number in _before:
        signal.signal(number, signal.SIG_IGN)


def release() -> None:
    """Restore the handlers from before `install`, for a command that handles signals itself or not at all."""
    while _before:
        signal.signal(*_before.popitem())


@contextmanager
def handled(loop: Loop, stop: Callable[[], object], reload: Callable[[], object]) -> Iterator[None]:
    """Let SIGTERM and SIGINT call `stop` and SIGHUP `reload` in the running loop; a SIGHUP that came early counts.

    When the loop's work is done, signals that `install` has handled are ignored: the process ends anyway.
    """
    handlers = {**dict.fromkeys(STOP, stop), RELOAD: reload}
    awake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    # A signal may reach any thread; the byte that is then written here wakes the loop, and Python calls the handler.
    loop.add_reader(awake, lambda: os.read(awake, 1024))
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    before = {number: signal.signal(number, _passed(loop, handler)) for number, handler in handlers.items()}
    if _early:
        _early.clear()
        reload()
    try:
        yield
    finally:
        # The loop's own way restores the default action first: another stop would then end the process badly.
        for number, was in before.items():
            signal.signal(number, signal.SIG_IGN if was is _noted else was or signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        loop.remove_reader(awake)
        os.close(awake)
        os.close(wake)


def _passed(loop: Loop, callback: Callable[[], object]) -> Callable[[int, FrameType | None], None]:
    """Return a signal handler that lets the loop call something."""

    def handler(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(callback)

    return handler


def _noted(number: int, frame: FrameType | None) -> None:
    if number != RELOAD:
        ignore()
        immediate_exit()
    _early.append(number)
