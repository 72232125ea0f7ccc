"""Requests that are made periodically: what a reload does to those that fail."""

import random

from structlog.testing import capture_logs

from exporter.collector.due_requests import FIRST_BACKOFF, DueRequests
from exporter.directmail.errors import InvalidRequest
from tests.support.clock import ScriptedClock
from tests.support.tasks import running
from tests.support.worlds import make_outages

HOUR = 3600.0
ACTION = "DescDomain"


class Requests:
    """Requests that all fail, and when each was made."""

    def __init__(self) -> None:
        self.clock = ScriptedClock()
        self.made: list[tuple[str, float]] = []
        self.logged: list[str] = []
        self.due = DueRequests(self.clock, make_outages(self.clock, lambda: 5), random.Random(1), self._request)

    async def _request(self, name: str) -> None:
        at = self.due.begin(name, ACTION)
        assert at is not None
        self.made.append((name, at))
        error = InvalidRequest("no such domain")
        self.due.failed(name, ACTION, error, at, of=3, log=lambda: self.logged.append(name))


async def test_what_a_reload_removes_and_a_later_one_adds_begins_anew() -> None:
    requests = Requests()
    requests.due.follow({"a": HOUR, "b": HOUR})
    with capture_logs():
        async with running(requests.due.run()):
            await requests.clock.advance(6 * FIRST_BACKOFF)
            requests.due.follow({})
            await requests.clock.advance(1)
            requests.made.clear()
            requests.due.follow({"a": HOUR})
            await requests.clock.advance(1.2 * FIRST_BACKOFF)
    assert [name for name, _ in requests.made] == ["a", "a"], "at once, and again after the first back-off"
    assert requests.logged == ["a", "b", "a"]
