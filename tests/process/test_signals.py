"""Signals at the very start, each in a process of its own: a module is imported, and a signal comes just then."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE, program
from tests.support.programs import KEYS, SENDERS, simulator, write_config

ROOT = Path(__file__).parents[2]


def interrupted(number: signal.Signals, *modules: str) -> str:
    """Return the program, which gets a signal whenever one of these modules is about to be imported."""
    return f"""
import os, sys
class Interruption:
    def find_spec(name, path=None, target=None):
        if name in {modules!r}:
            os.kill(os.getpid(), {int(number)})
sys.meta_path.insert(0, Interruption)
sys.argv[0] = "directmail-exporter"
from exporter.__main__ import main
main()
"""


async def run(code: str, *arguments: str, before: tuple[str, ...] = ()) -> tuple[int, str]:
    """Run Python code as a program; return its exit status and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(*before, sys.executable, "-c", code, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
        env={**os.environ, **KEYS},
    )
    output, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    return process.returncode or 0, output.decode()


async def test_sighup_while_modules_are_imported_is_a_reload_and_not_the_end(tmp_path: Path) -> None:
    """systemctl reload right after systemctl start."""
    async with simulator().listen() as url:
        config = write_config(tmp_path / "config.yaml", url)
        code = interrupted(signal.SIGHUP, "click", "structlog", "aiohttp", "pydantic")
        flags = ("--config.file", str(config), "--web.listen-address", "127.0.0.1:0")
        async with program(*flags, environment=KEYS, code=code) as exporter:
            await exporter.address()
            assert "no change" in await exporter.line_with("config reloaded")
            assert await exporter.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("module", ["click", "aiohttp"])
async def test_a_stop_while_modules_are_imported_is_a_quiet_end(number: signal.Signals, module: str) -> None:
    assert await run(interrupted(number, module), "--config.file=config.example.yaml") == (0, "")


@pytest.mark.parametrize(("command", "module"), [("demo", "exporter.app"), ("simulate", "aiohttp.web")])
async def test_a_server_that_needs_no_account_ends_as_quietly(command: str, module: str) -> None:
    assert await run(interrupted(signal.SIGTERM, module), command, "--listen=127.0.0.1:0") == (0, "")


STOPPED = """
import os, random, signal, sys, time
import exporter.app, exporter.commands.demo, exporter.commands.main
from exporter.__main__ import main
from exporter.process import signals
sys.argv[0] = "directmail-exporter"
draw = random.Random(7)
signals.install()
for run in range(6):
    ready, begins = os.pipe()
    process = os.fork()
    if not process:
        os.write(begins, b"x")
        main()
    os.read(ready, 1)  # Python loses a signal that comes before the child's first line
    time.sleep(draw.uniform(0, 0.4) if run % 3 else draw.uniform(0, 1))
    for number in draw.choice([(signal.SIGTERM,), (signal.SIGHUP, signal.SIGTERM), (signal.SIGTERM, signal.SIGTERM)]):
        os.kill(process, number)
        time.sleep(draw.uniform(0, 0.02))
    print("ended with", os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""
"""The program six times, without importing it again, stopped at some moment of its start or its first poll."""


@pytest.mark.parametrize("command", ["exporter", "demo"])
async def test_a_stop_at_any_moment_is_a_quiet_end(command: str, tmp_path: Path) -> None:
    async with simulator().listen() as url:
        head = f"state_file: {tmp_path}/state.db"
        config = write_config(tmp_path / "config.yaml", url, *SENDERS, head=head)
        flags = {
            "exporter": ("--config.file", str(config), "--web.listen-address", "127.0.0.1:0"),
            "demo": ("demo", "--listen", "127.0.0.1:0"),
        }
        _, output = await run(STOPPED, *flags[command])
    ends = [line for line in output.splitlines() if line.startswith("ended with")]
    assert (ends, "Traceback" in output, "level=error" in output) == (["ended with 0"] * 6, False, False), output


INTERRUPTED = """
import asyncio, gc, os, signal, sys
from exporter.commands import exit_status
asyncio.run(asyncio.sleep(0))  # imports what is imported late
async def work():
    sys.settrace(None)
    await asyncio.sleep(0)
def line_of_asyncio(frame, event, argument):
    global left
    of_asyncio = any(part in frame.f_code.co_filename for part in ("asyncio", "selectors", "socket"))
    if event == "line" and of_asyncio:
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGINT)
    return line_of_asyncio
signal.signal(signal.SIGINT, signal.default_int_handler)
for moment in range(1, 10_000):
    process = os.fork()
    if not process:
        left = moment
        sys.settrace(line_of_asyncio)
        exit_status.run(work())
        sys.settrace(None)
        gc.collect()
        sys.stderr.flush()
        os._exit(left > 0)
    if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]):
        break
    moment += 1
print("interrupted at", moment - 1, "moments")
"""
"""A command's work, interrupted at every line that asyncio runs before it."""


async def test_ctrl_c_before_the_work_of_a_command_has_begun_is_a_quiet_end() -> None:
    status, output = await run(INTERRUPTED)
    assert (status, output.count("\n")) == (0, 1), output


async def test_a_stop_where_python_ignores_exceptions_ends_the_program_too() -> None:
    """Every import has such a place: the lock of a module is removed by the callback of a weak reference."""
    code = """
import os, signal
class Dropped:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
from exporter.process import signals
signals.install()
Dropped()
print("it went on")
"""
    assert await run(code) == (0, "")


async def test_an_early_stop_removes_what_is_half_made(tmp_path: Path) -> None:
    """The demo writes a history before it serves."""
    code = f"""
import os, signal, tempfile
from pathlib import Path
from exporter.metrics.history import whole_file
from exporter.process import signals
signals.install()
folder = tempfile.TemporaryDirectory(dir={str(tmp_path)!r})
with whole_file(Path({str(tmp_path)!r}, "history.om")):
    print(*os.listdir({str(tmp_path)!r}), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
"""
    status, found = await run(code)
    assert (status, len(found.split()), list(tmp_path.iterdir())) == (0, 2, [])


async def test_a_second_stop_never_meets_the_default_action() -> None:
    """Which would end the process by the signal; seen from a second process it is a moment of microseconds."""
    code = """
import asyncio, signal, sys
from exporter.process import signals
seen = set()
sys.setprofile(lambda *_: seen.add(signal.getsignal(signal.SIGTERM)))
signals.install()
async def main():
    done = asyncio.Event()
    with signals.handled(asyncio.get_running_loop(), done.set, done.set):
        signal.raise_signal(signal.SIGTERM)
        await done.wait()
seen.clear()
asyncio.run(main())
print(signal.SIG_DFL in seen, signal.getsignal(signal.SIGTERM) is signal.SIG_IGN)
"""
    assert await run(code) == (0, "False True\n")


async def test_a_stop_before_the_first_line_of_a_file_removes_it_too(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from exporter.metrics.history import whole_file
from exporter.process import signals
signals.install()
class Stopped(type(Path())):
    def open(self, *arguments, **options):
        file = super().open(*arguments, **options)
        os.kill(os.getpid(), signal.SIGTERM)
        return file
with whole_file(Stopped({str(tmp_path)!r}, "history.om")):
    print("it went on")
"""
    assert await run(code) == (0, "")
    assert list(tmp_path.iterdir()) == []


async def test_a_stop_signal_reaches_the_first_process_of_a_container(tool: Callable[[str], Path]) -> None:
    """The kernel keeps from process 1 what it has no handler for."""
    before = (str(tool("unshare")), "--map-root-user", "--pid", "--fork", "--kill-child")
    code = interrupted(signal.SIGTERM, "click")
    assert await run(code, "--config.file=config.example.yaml", before=before) == (0, "")


@pytest.mark.parametrize("arguments", [["--config.check"], ["doctor"]])
async def test_a_stopped_command_does_not_exit_with_success(arguments: list[str]) -> None:
    code = interrupted(signal.SIGTERM, "exporter.commands.check", "exporter.commands.doctor")
    status, _ = await run(code, *arguments, "--config.file=config.example.yaml")
    assert status == -signal.SIGTERM
