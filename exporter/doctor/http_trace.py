"""Traces a session: how many requests were sent, how long responses took, and their Date."""

from types import SimpleNamespace

import aiohttp

from exporter.clock import Clock
from exporter.directmail.classification import http_date


class HttpTrace:
    """Listens to the requests of one session; `listener` is for `open_session`."""

    def __init__(self, clock: Clock) -> None:
        self.requests = 0
        self.responses = 0
        self.slowest = 0.0
        """Seconds until the headers of the slowest response."""
        self.ahead: tuple[float, float] | None = None
        """The least and the most seconds that our clock is ahead of the API's; None where no response has a Date."""
        self._clock = clock
        self.listener = aiohttp.TraceConfig()
        self.listener.on_request_start.append(self._started)
        self.listener.on_request_end.append(self._ended)

    async def _started(
        self, session: aiohttp.ClientSession, context: SimpleNamespace, event: aiohttp.TraceRequestStartParams
    ) -> None:
        self.requests += 1
        context.sent, context.started = self._clock.time(), self._clock.monotonic()

    async def _ended(
        self, session: aiohttp.ClientSession, context: SimpleNamespace, event: aiohttp.TraceRequestEndParams
    ) -> None:
        self.responses += 1
        self.slowest = max(self.slowest, self._clock.monotonic() - context.started)
        if (date := http_date(event.response.headers.get("Date", ""))) is None:
            return
        # The response was made between our request and its arrival, in the second that its Date names.
        least, most = context.sent - date - 1, self._clock.time() - date
        if self.ahead is None or most - least < self.ahead[1] - self.ahead[0]:
            self.ahead = least, most
