"""Which connection makes room for another."""

import asyncio
import resource

import pytest
from structlog.testing import capture_logs

from exporter.web.connection_limit import MOST_CONNECTIONS, ConnectionLimit, client_address, most_connections
from tests.support.clock import ScriptedClock


class Client:
    def __init__(self, limit: ConnectionLimit, address: str) -> None:
        self.is_open = True
        limit.enter(self, address)

    def abort(self) -> None:
        self.is_open = False


@pytest.fixture
def limit() -> ConnectionLimit:
    return ConnectionLimit(3, ScriptedClock().monotonic)


def test_the_one_that_has_waited_longest_is_closed(limit: ConnectionLimit) -> None:
    clients = [Client(limit, "192.0.2.1") for _ in range(5)]
    assert [each.is_open for each in clients] == [False, False, True, True, True]
    assert len(limit) == 3


def test_of_several_addresses_the_one_with_the_most_makes_room(limit: ConnectionLimit) -> None:
    prometheus = Client(limit, "192.0.2.1")
    flood = [Client(limit, "198.51.100.7") for _ in range(100)]
    assert prometheus.is_open
    assert [each.is_open for each in flood[-2:]] == [True, True]


def test_one_that_is_answered_is_not_closed_and_waits_anew_afterwards(limit: ConnectionLimit) -> None:
    first, second, third = (Client(limit, "192.0.2.1") for _ in range(3))
    limit.answering(first)
    Client(limit, "192.0.2.1")
    assert (first.is_open, second.is_open, third.is_open) == (True, False, True)
    limit.waits(first)
    Client(limit, "192.0.2.1")
    assert (first.is_open, third.is_open) == (True, False)


async def test_while_all_are_answered_the_next_one_has_to_wait(limit: ConnectionLimit) -> None:
    clients = [Client(limit, "192.0.2.1") for _ in range(3)]
    for each in clients:
        limit.answering(each)
    room = asyncio.create_task(limit.room())
    await asyncio.sleep(0)
    assert not room.done()
    limit.leave(clients[0])
    await room
    assert all(each.is_open for each in clients)


def test_a_closed_one_is_no_longer_counted(limit: ConnectionLimit) -> None:
    clients = [Client(limit, "192.0.2.1") for _ in range(4)]
    limit.answering(clients[0])
    limit.waits(clients[0])
    limit.leave(clients[0])
    assert set(limit.clients()) == set(clients[1:])


def test_a_flood_is_a_line_a_minute_that_counts() -> None:
    clock = ScriptedClock()
    limit = ConnectionLimit(1, clock.monotonic)
    with capture_logs() as lines:
        for seconds in (0, 0, 59, 2):
            clock.jump(monotonic=seconds)
            for _ in range(1000):
                Client(limit, "192.0.2.1")
    assert [(line["reason"], line["closed"]) for line in lines] == [
        ("limit of 1 connections", 1),
        ("limit of 1 connections", 2999),
    ]


@pytest.mark.parametrize(
    ("name", "client"),
    [
        pytest.param(("192.0.2.1", 5000), "192.0.2.1", id="v4"),
        pytest.param(("::ffff:192.0.2.1", 5000, 0, 0), "192.0.2.1", id="v4-on-a-socket-of-both-families"),
        pytest.param(("2001:db8::1:2", 5000, 0, 0), "2001:db8::", id="v6-is-a-network"),
        pytest.param(("2001:db8:0:1:a:b:c:d", 5000, 0, 0), "2001:db8:0:1::", id="another-network"),
        pytest.param(("fe80::1%eth0", 5000, 0, 2), "fe80::", id="link-local"),
        pytest.param("", "", id="unix-socket"),
        pytest.param(None, "", id="gone-already"),
    ],
)
def test_a_client_is_an_address_or_a_network(name: object, client: str) -> None:
    assert client_address(name) == client


@pytest.mark.parametrize(
    ("descriptors", "most"),
    [
        (64, 16),
        (1024, MOST_CONNECTIONS),
        (2, 1),
        (1_000_000, MOST_CONNECTIONS),
        (resource.RLIM_INFINITY, MOST_CONNECTIONS),
    ],
)
def test_connections_are_a_small_part_of_file_descriptors(descriptors: int, most: int) -> None:
    assert most_connections(descriptors) == most
