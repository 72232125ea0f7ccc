"""Kept connections are used again unless they say something unasked; names are looked up in threads of their own."""

import asyncio
import json
import random
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date

import pytest

from exporter.directmail.client import Client
from exporter.directmail.credentials import FromEnvironment
from exporter.directmail.limiter import Limiters
from exporter.directmail.model import Filters
from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.directmail.transport import open_session
from tests.support.clock import ScriptedClock
from tests.support.engagement import COUNTS

DAY = date(2026, 4, 21)
PATIENCE = 10.0
"""Real seconds after which something that never comes is missed."""


def response(emails: int) -> bytes:
    """Return a whole HTTP answer of GetTrackList."""
    row = {**dict.fromkeys(COUNTS, "0"), "TotalNumber": str(emails)}
    body = json.dumps({"RequestId": "ID", "Total": 1, "TotalPages": 1, "data": {"stat": [row]}}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@dataclass
class Talker:
    """A server that says `first` to the first request, `late` to nobody, and the right answer to every other one."""

    first: bytes
    late: bytes = b""
    before_second: bytes = b""
    """What it says on the first connection when the second request has come there, before the right answer."""
    connections: int = 0
    requests: int = 0
    may_speak: asyncio.Event = field(default_factory=asyncio.Event)
    first_ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            if number == 1:
                await self._first(reader, writer)
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                writer.write((self.before_second if number == 1 else b"") + response(222))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            if number == 1:
                self.first_ended.set()

    async def _first(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        writer.write(self.first)
        await self.may_speak.wait()
        writer.write(self.late)


@asynccontextmanager
async def calling(talker: Talker) -> AsyncIterator[Client]:
    server = await asyncio.start_server(talker.connected, "127.0.0.1", 0)
    async with server, client_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
        yield client


@asynccontextmanager
async def client_of(endpoint: str) -> AsyncIterator[Client]:
    clock = ScriptedClock(skip_sleeps=True)
    keys = FromEnvironment({"ALIBABA_CLOUD_ACCESS_KEY_ID": "key", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret"})
    async with open_session() as session:
        yield Client(
            session,
            endpoint,
            keys,
            Limiters(600, clock),
            clock,
            timeout=PATIENCE,
            page_size=100,
            observe=lambda action, seconds, reason: None,
            rng=random.Random(1),
        )


async def emails(client: Client, sender: str) -> int:
    return (await client.read(ENGAGEMENT, Filters(account_name=sender), DAY)).totals.emails


class TestKeptConnections:
    async def test_a_connection_is_used_again_while_it_only_answers(self) -> None:
        talker = Talker(response(111))
        talker.may_speak.set()
        async with calling(talker) as client:
            assert [await emails(client, sender) for sender in "abc"] == [111, 222, 222]
        assert (talker.connections, talker.requests) == (1, 3)

    @pytest.mark.parametrize(
        "late",
        [
            pytest.param(response(777), id="a-whole-answer"),
            pytest.param(response(777) * 3, id="several"),
            pytest.param(response(777)[:20], id="the-beginning-of-one"),
            pytest.param(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", id="a-complaint"),
            pytest.param(b"x", id="a-byte"),
        ],
    )
    async def test_unrequested_bytes_close_it(self, late: bytes) -> None:
        talker = Talker(response(111), late)
        async with calling(talker) as client:
            assert await emails(client, "a") == 111
            talker.may_speak.set()
            async with asyncio.timeout(PATIENCE):
                await talker.first_ended.wait()
            assert await emails(client, "b") == 222
        assert (talker.connections, talker.requests) == (2, 2)

    @pytest.mark.parametrize(
        ("first", "before_second"),
        [
            pytest.param(response(111) + response(777), b"", id="whole"),
            pytest.param(response(111) + response(777)[:-40], response(777)[-40:], id="in-the-middle-of-its-body"),
            pytest.param(response(111) + response(777)[:12], response(777)[12:], id="in-the-middle-of-its-head"),
        ],
    )
    async def test_a_second_response_behind_the_first_is_not_used_for_another_request(
        self, first: bytes, before_second: bytes
    ) -> None:
        talker = Talker(first, before_second=before_second)
        talker.may_speak.set()
        async with calling(talker) as client:
            assert [await emails(client, sender) for sender in "abc"] == [111, 222, 222]


class TestNames:
    async def test_a_name_is_looked_up_while_every_other_thread_is_busy(self) -> None:
        """The default pool has rendering, the state file and more to do."""
        talker, done = Talker(response(111)), threading.Event()
        talker.may_speak.set()
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            loop.set_default_executor(pool)
            busy = loop.run_in_executor(None, done.wait)
            try:
                server = await asyncio.start_server(talker.connected, "127.0.0.1", 0)
                port = server.sockets[0].getsockname()[1]
                async with server, client_of(f"http://localhost:{port}") as client:
                    assert await emails(client, "a") == 111
            finally:
                done.set()
                await busy
