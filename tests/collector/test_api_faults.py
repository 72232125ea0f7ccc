"""The fault matrix: whatever the API does to one sender, what it is called, what is shown, what is reported.

The simulator is real and so is the connection; time is scripted, so that hours of failing pass in a moment.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from exporter.collector.loop import Collector
from exporter.directmail.client import Client
from exporter.directmail.credentials import Credentials
from exporter.directmail.limiter import Limiters
from exporter.directmail.transport import open_session
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.faults import Fault
from exporter.simulator.server import KEY_ID, SECRET, Simulator
from exporter.simulator.traffic import Traffic
from tests.support.clock import ScriptedClock, settle
from tests.support.tasks import running
from tests.support.worlds import World, make_config, make_outages

BAD, GOOD = "s0@example.com", "s1@example.com"
TOKEN = "CanaryToken"


class FixedKeys:
    async def get(self) -> Credentials:
        return Credentials(KEY_ID, SECRET)

    def rejected(self) -> None:
        pass


@dataclass
class Bench:
    """A world whose API is a simulator on a socket."""

    world: World
    clock: ScriptedClock
    api: Simulator
    reasons: Counter[str] = field(default_factory=Counter)
    open_calls: int = 0

    async def advance(self, seconds: float, step: float = 1.0) -> None:
        """Move time on in steps, and let every call on the wire come back before the next."""
        for _ in range(round(seconds / step)):
            await self.clock.advance(step)
            while self.open_calls:
                await asyncio.sleep(0.001)
                await settle()

    def requests(self, sender: str) -> int:
        return sum(seen.parameters.get("AccountName") == sender for seen in self.api.requests)

    async def windows(self, sender: str) -> set[str]:
        shown = await self.world.shown()
        return {key[3] for key in shown if key[0] == "directmail_track_emails" and key[1] == sender}


class SameForAll(Traffic):
    """Every sender has the mail of the demo account's first two streams at one provider."""

    def _chosen(self, filters: Mapping[str, str]) -> Iterator[tuple[int, str]]:
        return iter([(0, "gmail.com"), (1, "gmail.com")])


@asynccontextmanager
async def bench(
    *faults: Fault, head: str = "windows: [today]\npoll_interval: 5m", patience: float = 10.0, **behaviour: Any
) -> AsyncIterator[Bench]:
    clock = ScriptedClock("2026-04-22T09:00:00+00:00")
    behaviour = {"calls_per_minute": 100_000, **behaviour}
    api = Simulator(
        SameForAll(), clock=clock, faults=list(faults), behaviour=Behaviour(**behaviour), senders=[BAD, GOOD]
    )
    world = World(make_config(senders=2, head=head), clock)
    made = Bench(world, clock, api)
    async with api.listen() as url, open_session() as session:

        def observe(action: str, seconds: float, reason: str | None) -> None:
            made.open_calls -= 1
            if reason is not None:
                made.reasons[reason] += 1

        limiters = Limiters(30, clock)
        limiter = limiters.of(world.collector.plan.action)
        acquire = limiter.acquire

        async def acquire_and_count() -> None:
            await acquire()
            made.open_calls += 1

        limiter.acquire = acquire_and_count  # type: ignore[method-assign]
        client = Client(session, url, FixedKeys(), limiters, clock, timeout=patience, page_size=100, observe=observe)
        world.limiter = limiter
        world.collector = Collector(
            world.collector.plan,
            client,
            world.store,
            clock,
            make_outages(clock, lambda: 2),
            changed=world.publisher.refresh,
            replan=world._replan,
        )
        await world.publisher.show([world.collector.plan])
        yield made


def for_bad(name: str, **options: Any) -> Fault:
    return Fault(name, where={"AccountName": BAD}, **options)


REJECTED, RETRIED = 1, 3
MATRIX = [
    # fault, reason, HTTP requests that one read of a cell takes
    pytest.param("throttle", "throttled", RETRIED, id="throttled-without-retry-after"),
    pytest.param("throttle_retry_after", "throttled", RETRIED, id="throttled-with-retry-after"),
    pytest.param("http_429", "throttled", RETRIED, id="429"),
    pytest.param("throttle_200", "throttled", RETRIED, id="throttled-with-200"),
    pytest.param("throttle_xml", "throttled", RETRIED, id="throttled-in-XML"),
    pytest.param("throttle_gbk", "throttled", RETRIED, id="throttled-in-GBK"),
    pytest.param("failed_200", "server", RETRIED, id="200-that-says-it-failed"),
    pytest.param("http_503_retry_after", "server", RETRIED, id="503-with-retry-after"),
    pytest.param("html_500", "server", RETRIED, id="500-with-a-page-of-html"),
    pytest.param("error", "server", RETRIED, id="InternalError"),
    pytest.param("http_503", "server", RETRIED, id="503"),
    pytest.param("truncate", "parse", REJECTED, id="truncated-json"),
    pytest.param("no_data", "parse", REJECTED, id="200-without-data"),
    pytest.param("stat_null", "parse", REJECTED, id="stat-is-null"),
    pytest.param("negative", "parse", REJECTED, id="negative-count"),
    pytest.param("non_numeric", "parse", REJECTED, id="count-that-is-no-number"),
    pytest.param("many_rows", "parse", REJECTED, id="far-more-rows-than-requested"),
    pytest.param("echo", "parse", REJECTED, id="key-id-for-a-count"),
    pytest.param("huge", "parse", REJECTED, id="body-of-ten-megabytes"),
    pytest.param("hang", "timeout", RETRIED, id="hang"),
    pytest.param("slow_drip", "timeout", RETRIED, id="slow-drip"),
    pytest.param("reset", "network", RETRIED, id="reset"),
    pytest.param("large_header", "network", RETRIED, id="header-too-large"),
    pytest.param("brotli", "network", RETRIED, id="encoding-that-was-not-requested"),
    pytest.param("bad_signature", "auth", REJECTED, id="wrong-signature"),
    pytest.param("invalid_key", "auth", REJECTED, id="unknown-key"),
    pytest.param("expired", "auth", REJECTED, id="expired-date"),
    pytest.param("nonce", "auth", RETRIED, id="nonce-used"),
    pytest.param("forbidden", "permission", REJECTED, id="no-permission"),
    pytest.param("page_size", "invalid_request", REJECTED, id="page-size-rejected"),
    pytest.param("unknown_sender", "invalid_request", REJECTED, id="unknown-sender"),
]


@pytest.mark.parametrize(("fault", "reason", "requests"), MATRIX)
async def test_a_fault_of_one_sender_has_its_reason_and_affects_only_that_sender(
    fault: str, reason: str, requests: int
) -> None:
    struck = for_bad(fault)
    struck.probability = 0.0
    with capture_logs() as lines:
        patience = 0.3 if reason == "timeout" else 10.0  # real seconds, spent where nothing answers
        async with (
            bench(struck, patience=patience) as each,
            running(each.world.collector.run(), each.world.publisher.run()),
        ):
            await each.advance(20)
            assert await each.windows(BAD) == {"today"}
            requested_before = each.requests(BAD)
            struck.probability = 1.0
            await each.advance(300 + 60, step=2)
            first_read = each.requests(BAD) - requested_before
            assert set(each.reasons) == {reason}
            assert first_read >= requests
            assert first_read % requests == 0 or reason == "throttled"
            assert await each.windows(BAD) == {"today"}, "held until stale_after"
            await each.advance(900, step=10)
            assert await each.windows(BAD) == set(), "dropped after stale_after"
            assert await each.windows(GOOD) == {"today"}, "the other one stays"
            shown = await each.world.shown()
            assert shown["directmail_query_success", BAD, "", ""] == 0
            assert shown["directmail_query_stale", BAD, "", ""] == 1
            assert shown["directmail_query_success", GOOD, "", ""] == 1
            each.api.faults.clear()
            await each.advance(700, step=10)
            assert await each.windows(BAD) == {"today"}, "back at the first success"
    reported = [
        line for line in lines if line["log_level"] in ("warning", "info") and line["event"] != "window complete"
    ]
    lost, back = reported
    assert (lost["event"], lost["reason"], back["event"]) == (
        "query combination failing",
        reason,
        "query combination recovered",
    )
    assert lost["combination"] == f"account_name={BAD}"
    if fault in ("throttle", "error", "http_503", "bad_signature", "expired", "forbidden", "unknown_sender"):
        assert lost["code"]
        assert lost["request_id"]
    everything = repr(lines)
    assert SECRET not in everything
    assert KEY_ID not in everything
    assert "Signature=" not in everything


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        pytest.param("forbidden", "dm:GetTrackList", id="permission-names-the-action"),
        pytest.param("unknown_sender", "region", id="unknown-sender-suggests-the-region"),
        pytest.param("expired", "clock", id="expired-date-suggests-the-clock"),
        pytest.param("page_size", "page_size", id="a-page-size-names-the-setting"),
        pytest.param("throttle", "rate_limit_per_minute", id="throttling-names-the-setting"),
    ],
)
async def test_the_log_shows_what_to_do(fault: str, advice: str) -> None:
    with capture_logs() as lines:
        async with bench(for_bad(fault)) as each, running(each.world.collector.run()):
            await each.advance(120)
    (lost,) = [line for line in lines if line["event"] == "query combination failing"]
    assert advice in lost["advice"]


@pytest.mark.parametrize(
    ("fault", "behaviour"),
    [
        pytest.param("wrong_content_type", {}, id="wrong-content-type"),
        pytest.param("exponents", {}, id="numbers-with-an-exponent"),
        pytest.param("unasked", {}, id="an-unrequested-response"),
        pytest.param("pages_up", {"rows": "hour"}, id="TotalPages-too-high"),
        pytest.param("pages_down", {"rows": "hour", "largest_page": 5}, id="TotalPages-too-low"),
        pytest.param("page_cap", {"rows": "hour"}, id="PageSize-capped-by-the-server"),
    ],
)
async def test_what_is_only_odd_is_read_right(fault: str, behaviour: dict[str, Any]) -> None:
    async with bench(for_bad(fault), **behaviour) as each, running(each.world.collector.run()):
        await each.advance(60)
        shown = await each.world.shown()
    for field_name in ("emails", "opens", "unique_opens", "clicks", "unique_clicks"):
        name = f"directmail_track_{field_name}"
        assert shown[name, BAD, "", "today"] == shown[name, GOOD, "", "today"] > 0


@pytest.mark.parametrize(
    ("fault", "mismatches", "implausible"),
    [
        pytest.param("wrong_rates", {"open", "unique_click"}, set(), id="rates-that-do-not-fit"),
        pytest.param("more_unique", set(), {"unique_opens", "unique_clicks"}, id="more-unique-than-total"),
    ],
)
async def test_numbers_that_disagree_are_passed_on_and_counted_once(
    fault: str, mismatches: set[str], implausible: set[str]
) -> None:
    async with bench(for_bad(fault)) as each, running(each.world.collector.run()):
        await each.advance(1200, step=10)
        assert await each.windows(BAD) == {"today"}
        check = each.world.collector.crosscheck
    assert {name for name, count in check.mismatches.items() if count == 1} >= mismatches
    assert {name for name, count in check.implausible.items() if count == 1} == implausible


async def test_an_empty_list_is_a_real_zero() -> None:
    async with bench(for_bad("empty")) as each, running(each.world.collector.run()):
        await each.advance(20)
        shown = await each.world.shown()
    assert shown["directmail_track_emails", BAD, "", "today"] == 0
    assert ("directmail_track_open_ratio", BAD, "", "today") not in shown


async def test_a_page_that_fails_in_the_middle_leaves_nothing_half() -> None:
    faulty = bench(for_bad("page_fails"), rows="hour", largest_page=5)
    async with faulty as each, running(each.world.collector.run()):
        await each.advance(60)
        assert await each.windows(BAD) == set()
        assert await each.windows(GOOD) == {"today"}


async def test_rows_that_are_added_between_two_pages_are_not_counted_twice() -> None:
    faulty = bench(for_bad("rows_added"), rows="hour", largest_page=5)
    async with faulty as each, running(each.world.collector.run()):
        await each.advance(120)
        assert await each.windows(BAD) == set()
        assert set(each.reasons) <= {"parse"}
        each.api.faults.clear()
        await each.advance(120)
        assert await each.windows(BAD) == {"today"}


async def test_throttling_is_waited_out_and_the_rate_comes_back() -> None:
    struck = for_bad("throttle_retry_after", times=2, retry_after=30_000)
    async with bench(struck) as each, running(each.world.collector.run()):
        await each.advance(6)
        limiter = each.world.limiter
        assert limiter.is_throttled
        requested = len(each.api.requests)
        await each.advance(20)
        assert len(each.api.requests) == requested, "nothing is sent while the API asks to wait"
        await each.advance(3600, step=10)
        assert limiter.allowed_per_minute == 30
        assert await each.windows(BAD) == {"today"}


async def test_a_503_with_retry_after_pauses_every_caller_and_keeps_the_rate() -> None:
    struck = Fault("http_503_retry_after", times=1, retry_after=60_000)
    async with bench(struck) as each, running(each.world.collector.run()):
        await each.advance(1)
        assert len(each.api.requests) == 1
        await each.advance(50)
        assert len(each.api.requests) == 1, "nothing is sent while the API asks to wait"
        assert not each.world.limiter.is_throttled
        await each.advance(30)
        assert await each.windows(BAD) == await each.windows(GOOD) == {"today"}
