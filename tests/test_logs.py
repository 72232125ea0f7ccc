"""The log: what cannot be written neither ends nor holds the program, and libraries speak its language."""

import asyncio
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from exporter.logs import MOST_MESSAGES
from exporter.process.stderr import ROOM, Lines
from tests.support.processes import PATIENCE, free_port, get, until
from tests.support.programs import KEYS, simulator, write_config
from tests.support.web import raw

ROOT = Path(__file__).parents[1]


@contextmanager
def full_disk() -> Iterator[int]:
    with Path("/dev/full").open("wb") as file:
        yield file.fileno()


@contextmanager
def reader_that_left() -> Iterator[int]:
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@contextmanager
def reader_that_sleeps() -> Iterator[int]:
    """A pipe of one page, which a few lines fill."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    yield writer
    os.close(reader)
    os.close(writer)


@contextmanager
def closed_terminal() -> Iterator[int]:
    master, terminal = os.openpty()
    os.close(master)
    yield terminal
    os.close(terminal)


@asynccontextmanager
async def exporter(
    folder: Path, stderr: int, *flags: str, before: str = "true"
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run the program with this file descriptor as its stderr; yield it and its address when it has metrics.

    `before` is a shell command that is run first, in its process.
    """
    address = f"127.0.0.1:{free_port()}"
    async with simulator().listen() as url:
        config = write_config(folder / "config.yaml", url)
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", f'{before}; exec "$@"', "sh"),
            *(sys.executable, "-m", "exporter", "--config.file", str(config), "--web.listen-address", address, *flags),
            stderr=stderr,
            env={**os.environ, **KEYS},
            cwd=ROOT,
        )
        try:
            while process.returncode is None:
                with suppress(OSError):
                    await until(f"http://{address}/metrics", "directmail_up{")
                    break
                await asyncio.sleep(0.05)
            yield process, address
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@pytest.mark.parametrize("stderr", [full_disk, reader_that_left, closed_terminal, reader_that_sleeps])
async def test_a_log_that_cannot_be_written_neither_ends_nor_holds_the_program(
    stderr: Callable[[], AbstractContextManager[int]], tmp_path: Path
) -> None:
    """Requests that make no sense have a line each at this level: more than the pipe takes."""
    with stderr() as number:
        async with exporter(tmp_path, number, "--log.level=debug") as (process, address):
            for _ in range(60):
                assert b" 400 " in await raw(address, b"nonsense\r\n\r\n", ends=False)
            assert await until(f"http://{address}/-/healthy", "OK")
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), PATIENCE) == 0


async def test_lines_that_cannot_be_written_are_counted(tmp_path: Path) -> None:
    with full_disk() as number:
        async with exporter(tmp_path, number) as (_, address), asyncio.timeout(PATIENCE):
            dropped = 0.0
            while dropped < 1:  # lines are written by a thread of their own
                _, text = await get(f"http://{address}/metrics")
                dropped = float(re.search(r"^directmail_exporter_log_lines_dropped_total (.+)$", text, re.MULTILINE)[1])


async def test_more_connections_than_file_descriptors_are_a_few_lines_of_json(tmp_path: Path) -> None:
    """asyncio has a line with a traceback for each connection that it cannot accept, and tries again and again."""
    log = tmp_path / "log"
    with log.open("wb") as file:
        limit = "ulimit -n 40"
        async with exporter(tmp_path, file.fileno(), "--log.format=json", before=limit) as (process, address):
            host, port = address.split(":")
            clients = [await asyncio.open_connection(host, int(port)) for _ in range(80)]
            for _, writer in clients:
                writer.close()
            await until(f"http://{address}/-/healthy", "OK")
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
    assert len(parsed(log.read_text())) < 20


class TestLines:
    """What the program writes to a file descriptor."""

    def test_a_reader_that_sleeps_too_long_misses_the_newest_lines_and_nothing_else(self) -> None:
        reader, writer = os.pipe()
        lines = Lines(writer)
        size = 100_000
        for _ in range(2 * ROOM // size):
            lines.write("x" * (size - 1))
        kept = 2 * ROOM // size - lines.dropped
        assert kept >= ROOM // size
        got = b""
        while len(got) < kept * size:
            got += os.read(reader, size)
        lines.write("again")
        assert os.read(reader, size) == b"again\n"

    def test_a_line_that_was_cut_by_a_full_disk_does_not_run_into_the_next(self, tmp_path: Path) -> None:
        """The disk is a pipe whose reader leaves in the middle of a line, and a file that takes the next one."""
        reader, writer = os.pipe()
        lines = Lines(writer)
        lines.write("x" * 200_000)
        os.read(reader, 1000)
        os.close(reader)
        lines.flush(PATIENCE)
        with (tmp_path / "log").open("wb") as file:
            os.dup2(file.fileno(), writer)
        lines.write("next")
        lines.flush(PATIENCE)
        assert (tmp_path / "log").read_bytes() == b"\nnext\n"
        assert lines.dropped == 1

    def test_what_is_no_text_is_written_all_the_same(self) -> None:
        reader, writer = os.pipe()
        Lines(writer).write("\udcff")
        assert os.read(reader, 100) == b"\\udcff\n"


def output(code: str, style: str = "json") -> str:
    """Return what code writes to stderr as a whole program that logs like the exporter."""
    start = f"""
import asyncio, logging, sys, threading, warnings
from exporter import logs
logs.configure(style={style!r})
logs.take_over()
"""
    ended = subprocess.run(
        [sys.executable, "-c", start + code], capture_output=True, text=True, check=False, cwd=ROOT, timeout=PATIENCE
    )
    return ended.stderr


def parsed(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


class TestOtherVoices:
    """Libraries, warnings, and exceptions that nobody catches."""

    @pytest.mark.parametrize(
        ("code", "level", "says"),
        [
            pytest.param("logging.getLogger('asyncio').error('%s is lost', 'it')", "error", "it is lost", id="library"),
            pytest.param("logging.getLogger('x').critical('worst')", "error", "worst", id="worse-than-error"),
            pytest.param("warnings.warn('old', FutureWarning)", "warning", "FutureWarning: old", id="warning"),
            pytest.param("1 / 0", "error", "this is a bug in directmail-exporter", id="uncaught"),
            pytest.param(
                "thread = threading.Thread(target=lambda: 1 / 0)\nthread.start()\nthread.join()",
                "error",
                "exception ignored",
                id="in-a-thread",
            ),
            pytest.param(
                "async def main(): asyncio.get_running_loop().call_soon(lambda: 1 / 0); await asyncio.sleep(0.01)\n"
                "asyncio.run(main())",
                "error",
                "Exception in callback main.<locals>.<lambda>()",
                id="in-the-loop",
            ),
            pytest.param(
                "class It:\n  def __del__(self): 1 / 0\nIt()", "error", "exception ignored", id="while-it-is-collected"
            ),
        ],
    )
    def test_they_come_out_as_one_line_of_json_each(self, code: str, level: str, says: str) -> None:
        (line,) = parsed(output(code))
        assert line["level"] == level
        assert says in line["msg"]
        assert line["ts"]
        assert ("1 / 0" in code) == ("ZeroDivisionError" in line.get("exception", ""))

    def test_what_a_library_does_not_warn_of_is_left_out(self) -> None:
        assert output("logging.getLogger('x').info('all is well')") == ""

    def test_repeats_are_counted(self) -> None:
        """Ten thousand rejected connections are two lines, whatever each of them says of itself."""
        code = """
for number in range(10_000):
    logging.getLogger('asyncio').error('socket.accept() out of system resource\\nsocket: %d', number)
logging.getLogger('asyncio').error('something else')
"""
        first, other, count = parsed(output(code))
        assert (first["msg"], first["details"]) == ("socket.accept() out of system resource", "socket: 0")
        assert other["msg"] == "something else"
        assert (count["msg"], count["repeated"]) == (first["msg"], 9_999)

    def test_many_different_messages_are_counted_together(self) -> None:
        lines = parsed(output("for number in range(10_000): logging.getLogger('x').error(str(number))"))
        assert len(lines) == MOST_MESSAGES + 2
        assert (lines[-1]["msg"], lines[-1]["repeated"]) == ("other messages", 10_000 - MOST_MESSAGES - 1)

    def test_a_traceback_for_people_has_lines_of_its_own(self) -> None:
        first, *rest = output("1 / 0", style="logfmt").splitlines()
        assert 'level=error msg="this is a bug in directmail-exporter; please report it"' in first
        assert rest[0] == "Traceback (most recent call last):"
        assert rest[-1] == "ZeroDivisionError: division by zero"

    def test_a_log_text_cannot_control_the_terminal_or_forge_a_line(self) -> None:
        text = output("import structlog\nstructlog.get_logger().error('a\\x1b[2Jb\\rc\\u2028d\\x85e')", style="logfmt")
        assert text.splitlines()[0].endswith(r"msg=a\x1b[2Jb\x0dc\u2028d\x85e")


class TestTheEnd:
    """Why the program does not start, as JSON where it logs JSON."""

    def ended(self, *arguments: str) -> list[dict[str, Any]]:
        flags = ("--log.format=json", *arguments)
        ended = subprocess.run(
            [sys.executable, "-m", "exporter", *flags], capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert ended.returncode == 1
        return parsed(ended.stderr)

    def test_every_mistake_of_a_config_is_a_line(self, tmp_path: Path) -> None:
        (tmp_path / "config.yaml").write_text("max_series: many\ntargets: []")
        first, second = self.ended("--config.file", str(tmp_path / "config.yaml"))
        assert f"{tmp_path / 'config.yaml'}: max_series: " in first["msg"]
        assert (first["level"], second["level"]) == ("error", "error")

    def test_a_port_in_use_is_a_line(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as in_use:
            address = f"127.0.0.1:{in_use.getsockname()[1]}"
            (line,) = self.ended("--config.file", "config.example.yaml", "--web.listen-address", address)
        assert line["msg"] == f"cannot listen on {address}: address already in use"
