"""Log lines on stderr: logfmt for people and Loki, JSON for machines.

Messages of libraries and the interpreter (the `logging` module, warnings, uncaught exceptions) have the same form.
"""

import atexit
import logging
import sys
import threading
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any

import structlog

from exporter.process import stderr

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
FORMATS = ("logfmt", "json")
REPEATS_EVERY = 60.0
"""Seconds over which a library's repeated message is counted: it is logged once, and then how often it came."""
MOST_MESSAGES = 100
"""Different messages of libraries in that time; the rest is counted together."""
LAST_LINES_SECONDS = 1.0
"""How long the process waits at its end for stderr to take the last lines."""

_BARE = "_bare"
_KEYS = ["ts", "level", "msg"]
_logfmt = structlog.processors.LogfmtRenderer(key_order=_KEYS, drop_missing=True, bool_as_flag=False)
_json = structlog.processors.JSONRenderer(ensure_ascii=False)
_ESCAPED = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"} | {
    code: f"\\u{code:04x}" for code in (0x2028, 0x2029)
}
"""Characters that control a terminal or end a line."""


class _Stderr:
    """Writes structlog's rendered lines."""

    def msg(self, line: str) -> None:
        stderr.write(line)

    debug = info = warning = error = critical = msg


def configure(level: str = "info", style: str = "logfmt") -> None:
    """Send structlog's lines to stderr, from `level` (one of LEVELS) up, as one of FORMATS."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.EventRenamer("msg"),
            structlog.processors.format_exc_info,
            _as_json if style == "json" else _as_logfmt,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *names: _Stderr(),
        cache_logger_on_first_use=False,
    )


def fatal(line: str) -> None:
    """Log why the process ends, as the bare line where lines are for people."""
    structlog.get_logger().error(line, **{_BARE: True})


def bug(error: BaseException) -> None:
    """Log an unexpected exception, with its traceback."""
    structlog.get_logger().error("this is a bug in directmail-exporter; please report it", exc_info=error)


def take_over() -> None:
    """Log the messages of libraries, warnings and uncaught exceptions; for a whole process, at its start."""
    libraries = _Libraries()
    logging.basicConfig(handlers=[libraries], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda what: _ignored(repr(what.object), what.exc_value)
    threading.excepthook = lambda what: _ignored(what.thread.name if what.thread else "", what.exc_value)
    atexit.register(_end, libraries)


def _as_json(logger: object, method: str, event: MutableMapping[str, Any]) -> str | bytes:
    event.pop(_BARE, None)
    return _json(logger, method, event)


def _as_logfmt(logger: object, method: str, event: MutableMapping[str, Any]) -> str:
    """Return the line, a traceback readable below it."""
    if event.pop(_BARE, False):
        return str(event["msg"]).translate(_ESCAPED)
    trace = event.pop("exception", None)
    line = _logfmt(logger, method, event).translate(_ESCAPED)
    return f"{line}\n{trace}" if trace else line


class _Libraries(logging.Handler):
    """Logs the messages of libraries: the first of a kind at once, of its repeats the number."""

    def __init__(self) -> None:
        super().__init__()
        self._repeats: dict[tuple[str, int, str], int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        level = max(level for level in LEVELS.values() if level <= max(record.levelno, logging.DEBUG))
        kind = (record.name, level, str(record.msg).partition("\n")[0])
        if kind not in self._repeats and len(self._repeats) >= MOST_MESSAGES:
            kind = (record.name, level, "other messages")
        if kind in self._repeats:
            self._repeats[kind] += 1
            return
        if self._repeats or self._is_counted_later():
            self._repeats[kind] = 0
        first, _, rest = record.getMessage().partition("\n")
        facts: dict[str, Any] = {"details": rest} if rest else {}
        if record.exc_info and record.exc_info[0]:
            facts["exc_info"] = record.exc_info
        structlog.get_logger().log(level, first, logger=record.name, **facts)

    def count(self) -> None:
        """Log how often each message was repeated, and begin anew."""
        self.acquire()
        repeats, self._repeats = self._repeats, {}
        self.release()
        for (name, level, message), repeated in repeats.items():
            if repeated:
                structlog.get_logger().log(level, message, logger=name, repeated=repeated)

    def _is_counted_later(self) -> bool:
        timer = threading.Timer(REPEATS_EVERY, self.count)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:  # there are as many threads as the process may have
            return False
        return True


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        bug(error)


def _ignored(where: str, error: BaseException | None) -> None:
    structlog.get_logger().error("exception ignored", where=where, exc_info=error)


def _end(libraries: _Libraries) -> None:
    libraries.count()
    stderr.flush(LAST_LINES_SECONDS)
