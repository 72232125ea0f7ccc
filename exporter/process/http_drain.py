"""Ends the requests under way when an HTTP server closes: they may finish for a while, then they are cancelled.

aiohttp does that too, but it logs an InvalidStateError with its traceback where a request and its time end in the same
turn of the event loop, as they do on a busy machine. So none is left when aiohttp looks.
"""

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler


def end_requests(app: web.Application, seconds: float) -> None:
    """Let the app's requests finish for that many seconds after its server has begun to close."""
    requests: set[asyncio.Task[object]] = set()

    @web.middleware
    async def noted(request: web.Request, handler: Handler) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        requests.add(task)
        task.add_done_callback(requests.discard)
        return await handler(request)

    async def end(app: web.Application) -> None:
        if requests:
            _, late = await asyncio.wait(requests, timeout=seconds)
            for each in late:
                each.cancel()
            if late:
                await asyncio.wait(late, timeout=seconds)

    app.middlewares.insert(0, noted)
    app.on_shutdown.append(end)
