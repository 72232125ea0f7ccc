"""Writes lines to stderr without blocking the caller: a line that cannot be written is dropped and counted."""

import os
import sys
import threading
from collections import deque

ROOM = 1_000_000
"""Bytes of lines that wait while stderr is blocked; beyond that, the newest are dropped."""


class Lines:
    """Lines for a file descriptor, written by a thread.

    A thread, because a pipe that is not read and a disk that hangs block the writer; to make the descriptor
    non-blocking would make it so for every process that shares it.
    """

    def __init__(self, number: int) -> None:
        self.dropped = 0
        """Lines that could not be written."""
        self._number = number
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._is_torn = False
        self._writer: threading.Thread | None = None

    def write(self, text: str) -> None:
        """Queue a line, without its end."""
        line = text.encode(errors="backslashreplace") + b"\n"
        with self._changed:
            if self._size + len(line) > ROOM:
                self.dropped += 1
                return
            self._waiting.append(line)
            self._size += len(line)
            if self._writer is None:
                self._writer = threading.Thread(target=self._run, name="stderr", daemon=True)
                self._writer.start()
            self._changed.notify_all()

    def flush(self, seconds: float) -> None:
        """Return when everything is written or dropped, but after so many seconds at the latest."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                line = self._waiting[0]  # it counts as waiting until it is written
            is_written = self._write(line)
            with self._changed:
                self._waiting.popleft()
                self._size -= len(line)
                self.dropped += not is_written
                self._changed.notify_all()

    def _write(self, line: bytes) -> bool:
        rest = b"\n" + line if self._is_torn else line
        try:
            while rest:
                rest = rest[os.write(self._number, rest) :]
                self._is_torn = True
        except OSError:  # a full disk, a reader that left, a closed terminal
            return False
        self._is_torn = False
        return True


_LINES = Lines(2)


def write(text: str) -> None:
    """Write a line to stderr. Where something else stands in for stderr, as in a test, that has it at once."""
    if sys.stderr is None:  # started with stderr closed: its number may be another file's by now
        _LINES.dropped += 1
    elif sys.stderr is not sys.__stderr__:
        sys.stderr.write(f"{text}\n")
    else:
        _LINES.write(text)


def flush(seconds: float) -> None:
    """Return when all lines are written or dropped, but after so many seconds at the latest."""
    _LINES.flush(seconds)


def dropped() -> int:
    """Return how many lines could not be written."""
    return _LINES.dropped
