"""Runs blocking work in threads outside the default pool, which other code waits for."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")

_DECODER = ThreadPoolExecutor(1, thread_name_prefix="decoder")
"""One thread for the whole process: several would only compete for the interpreter, and with the loop."""


async def in_own_thread(work: Callable[[], _Result]) -> _Result:
    """Return what `work` returns, or raise what it raises, in a thread that exists for it alone.

    For blocking calls that cannot be stopped, such as name lookups: neither other work nor the end of the process
    waits for them.
    """
    found: Future[_Result] = Future()

    def run() -> None:
        if not found.set_running_or_notify_cancel():
            return
        try:
            found.set_result(work())
        except BaseException as error:  # noqa: BLE001  the awaiting task decides
            found.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(found)


async def off_the_loop(work: Callable[[], _Result]) -> _Result:
    """Return what `work` returns, or raise what it raises, in the one thread for work that computes."""
    return await asyncio.get_running_loop().run_in_executor(_DECODER, work)
