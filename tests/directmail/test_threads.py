"""Blocking work in threads of its own: its result, its failure, and that nobody waits for what hangs."""

import asyncio
import subprocess
import sys
import threading

import pytest

from exporter.directmail.threads import in_own_thread, off_the_loop


async def test_work_returns_what_it_returns_and_raises_what_it_raises() -> None:
    def fail() -> None:
        raise LookupError("no such name")

    for place in (in_own_thread, off_the_loop):
        assert await place(lambda: 7) == 7
        with pytest.raises(LookupError, match="no such name"):
            await place(fail)
        assert await place(threading.get_ident) != threading.get_ident()


async def test_work_that_hangs_holds_up_no_other() -> None:
    done = threading.Event()
    hanging = [asyncio.create_task(in_own_thread(done.wait)) for _ in range(50)]
    await asyncio.sleep(0)
    assert await in_own_thread(lambda: 7) == 7
    done.set()
    assert await asyncio.gather(*hanging) == [True] * 50


async def test_computing_is_done_by_one_thread_however_much_there_is() -> None:
    assert len(set(await asyncio.gather(*(off_the_loop(threading.get_ident) for _ in range(20))))) == 1


@pytest.mark.parametrize(
    "work",
    [
        pytest.param("threading.Event().wait", id="that-never-ends"),
        pytest.param("lambda: ended.wait() and 7", id="that-ends-afterwards"),
        pytest.param("lambda: ended.wait() and 1 / 0", id="that-fails-afterwards"),
    ],
)
def test_a_process_ends_without_waiting_for_work_that_was_given_up(work: str) -> None:
    program = f"""
import asyncio, threading
from exporter.directmail.threads import in_own_thread
ended, others = threading.Event(), threading.enumerate()

async def main():
    task = asyncio.create_task(in_own_thread({work}))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    print(task.cancelled())

asyncio.run(main())
ended.set()
for thread in set(threading.enumerate()) - set(others):
    thread.join(1)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "True\n", "")
