"""The suite's clock: a start for what `time` says of the wall time, in the tests and in the programs they start.

The exporter reads the wall time from `time.time()`, Alibaba Cloud's credentials library from `time.localtime()`. Three
clocks stay the machine's: `datetime.now()`, which is written in C, OpenSSL's, and those of programs in other languages.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

START = "2026-04-22T10:15:30+08:00"
"""A Wednesday morning in Shanghai, where the simulated account's readers are awake."""
OFFSET = "SUITE_CLOCK_OFFSET"
"""Environment variable: seconds that the suite's clock is ahead of the machine's."""

_time, _time_ns, _localtime, _gmtime = time.time, time.time_ns, time.localtime, time.gmtime
_readings = 0


def start(moment: str) -> None:
    """Let the clock begin at an ISO 8601 moment, here and in every Python program that is started from now on.

    Raise ValueError for a moment without an offset from UTC.
    """
    begin = datetime.fromisoformat(moment)
    if begin.tzinfo is None:
        raise ValueError(f"{moment}: no offset from UTC; write for instance {START}")
    _set(begin.timestamp() - _time())


def follow() -> None:
    """Take over the clock of the program that started this one, if it has one."""
    if OFFSET in os.environ:
        _move(float(os.environ[OFFSET]))


@contextmanager
def suspended() -> Iterator[None]:
    """Give the machine's clock back for the block, to programs that it starts as well."""
    before = float(os.environ[OFFSET])
    _set(0.0)
    try:
        yield
    finally:
        _set(before)


def environment() -> dict[str, str]:
    """Return the variables that a Python program needs to follow this clock; `os.environ` has them."""
    return {name: os.environ[name] for name in (OFFSET, "PYTHONPATH")}


def readings() -> int:
    """Return how often the exporter read this clock in this process, or was started as a program, which reads it."""
    return _readings


def machine_time() -> float:
    """Return the machine's wall time, in seconds since the epoch."""
    return _time()


def _set(offset: float) -> None:
    folder, path = str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")
    if folder not in path.split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (folder, path)))
    os.environ[OFFSET] = repr(offset)
    _move(offset)


def _move(offset: float) -> None:
    def read() -> float:
        if sys._getframe(1).f_globals.get("__name__") == "exporter.clock":
            _note()
        return _time() + offset

    time.time = read
    time.time_ns = lambda: _time_ns() + int(offset * 1e9)
    time.localtime = lambda seconds=None: _localtime(time.time() if seconds is None else seconds)
    time.gmtime = lambda seconds=None: _gmtime(time.time() if seconds is None else seconds)


def _note() -> None:
    global _readings  # noqa: PLW0603 - a process has one clock
    _readings += 1


def _note_program(event: str, arguments: tuple[object, ...]) -> None:
    if event == "subprocess.Popen":
        words = [str(word) for word in arguments[1]]  # type: ignore[attr-defined]
        if sys.executable in words and any(name in word for word in words for name in ("exporter", "tools.")):
            _note()


sys.addaudithook(_note_program)
