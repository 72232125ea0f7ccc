"""The official SDK as a client of the simulator: what it accepts is the real form, its errors are the real ones."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from alibabacloud_dm20151123.client import Client
from alibabacloud_dm20151123.models import GetTrackListRequest
from alibabacloud_tea_openapi.models import Config
from alibabacloud_tea_util.models import RuntimeOptions

from exporter.simulator.server import KEY_ID, SECRET, Habits, Simulator
from exporter.simulator.traffic import SHANGHAI

SENDER = "no-reply@notify.example.com"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """A simulator in a thread of its own: the SDK's synchronous calls block their loop."""
    simulator, ready, stop = Simulator(habits=Habits(rows="hour")), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with simulator.listen():
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    yield simulator
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def client(simulator: Simulator, secret: str = SECRET) -> Client:
    endpoint = simulator.url.removeprefix("http://")
    return Client(Config(access_key_id=KEY_ID, access_key_secret=secret, endpoint=endpoint, protocol="http"))


def yesterday() -> str:
    return (datetime.now(SHANGHAI).date() - timedelta(days=1)).isoformat()


def question(**options: Any) -> GetTrackListRequest:
    return GetTrackListRequest(
        start_time=yesterday(), end_time=yesterday(), account_name=SENDER, page_number="1", page_size="100", **options
    )


def is_true(simulator: Simulator, body: Any, **filters: str) -> bool:
    """Whether the SDK's rows add up to what the simulator says; late opens may have come since."""
    day = datetime.fromisoformat(yesterday()).date()
    truth = simulator.traffic.counts(day, simulator.clock.time(), sender=SENDER, **filters)
    emails = sum(int(row.total_number) for row in body.data.stat)
    opens = sum(int(row.rcpt_open_count) for row in body.data.stat)
    return emails == truth.emails > 0 and 0 <= truth.opens - opens < 50


def test_the_sync_client_gets_the_truth(simulator: Simulator) -> None:
    answer = client(simulator).get_track_list_with_options(
        question(tag_name="receipt"), RuntimeOptions(autoretry=False)
    )
    assert answer.status_code == 200
    assert answer.body.total_pages == 1
    assert is_true(simulator, answer.body, tag="receipt")


async def test_the_async_client_gets_the_truth(simulator: Simulator) -> None:
    answer = await client(simulator).get_track_list_with_options_async(
        question(esp="gmail.com"), RuntimeOptions(autoretry=False)
    )
    assert is_true(simulator, answer.body, esp="gmail.com")


def test_the_sync_client_gets_the_right_error_for_a_wrong_secret(simulator: Simulator) -> None:
    with pytest.raises(Exception, match="SignatureDoesNotMatch"):
        client(simulator, "wrong").get_track_list_with_options(question(), RuntimeOptions(autoretry=False))


async def test_the_async_client_gets_the_right_error_for_a_wrong_secret(simulator: Simulator) -> None:
    with pytest.raises(Exception, match="SignatureDoesNotMatch"):
        await client(simulator, "wrong").get_track_list_with_options_async(question(), RuntimeOptions(autoretry=False))
