"""A config that is followed, and the end of the process, while calls are in flight."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from exporter.config.loader import parse
from exporter.config.model import Config
from exporter.directmail.model import Filters, Key
from exporter.directmail.statistics.delivery import DELIVERY
from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.metrics.account import FAMILIES
from exporter.metrics.account_publisher import AccountPublisher
from exporter.metrics.exposition import Exposition
from exporter.metrics.publisher import Publisher
from exporter.metrics.tables import families
from exporter.metrics.telemetry import Telemetry
from exporter.plan import schedule
from exporter.plan.pacing import OLDEST_AGE
from exporter.plan.schedule import STEP
from exporter.polling import Polling
from exporter.store.account_facts import AccountFacts
from exporter.store.discovered_values import DiscoveredValues
from exporter.store.memory import Record, Store
from tests.support.clock import ScriptedClock, settle
from tests.support.engagement import COUNTS
from tests.support.processes import PATIENCE
from tests.support.programs import KEYS
from tests.support.tasks import most_in_a_turn


class Line:
    """Replaces the HTTP session: calls wait until the test lets their responses come."""

    def __init__(self) -> None:
        self.calls = 0
        self._answers: list[asyncio.Future[bytes]] = []

    @asynccontextmanager
    async def post(self, url: object, **options: object) -> AsyncIterator["Line"]:
        self.calls += 1
        self._answers.append(asyncio.get_running_loop().create_future())
        self._body = await self._answers[-1]
        yield self

    status = 200
    headers: Mapping[str, str] = {}

    @property
    def content(self) -> "Line":
        return self

    async def iter_any(self) -> AsyncIterator[bytes]:
        yield self._body

    def answer(self, document: Mapping[str, object]) -> None:
        """Let the response to every call that waits come."""
        for each in self._answers:
            if not each.done():
                each.set_result(json.dumps(document).encode())


class Office:
    """The targets of one process, on a Line, by a script."""

    def __init__(self, store: Store | None = None) -> None:
        self.clock, self.line, self.store = ScriptedClock(), Line(), store or Store()
        registry = CollectorRegistry()
        discovered, exposition = DiscoveredValues(), Exposition((*families(), *FAMILIES), registry)
        publisher = Publisher(self.store, exposition, self.clock)
        accounts = AccountPublisher(AccountFacts(), exposition, self.clock)
        telemetry = Telemetry(registry, {}, discovered=discovered)
        self.polling = Polling(self.store, discovered, publisher, accounts, telemetry, self.clock, KEYS)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Polling]:
        """Yield the polling; end everything behind it."""
        async with asyncio.TaskGroup() as tasks:
            self.polling.open(self.line, tasks)  # type: ignore[arg-type]
            yield self.polling
            await settle()
            await self.end()

    async def end(self) -> None:
        """Answer what is in flight, and end everything."""
        self.line.answer(SMALL)
        await self.polling.drain()


def of_region(region: str, *names: str, statistics: str = "engagement", query: str = "all") -> Config:
    """Return a config with a target for each name, `shop` for none."""
    targets = "".join(
        f"\n  - {{name: {name}, region: {region}, queries: [{{name: {query}, statistics: [{statistics}]}}]}}"
        for name in names or ["shop"]
    )
    config, problems = parse(f"windows: [today]\ntargets:{targets}")
    assert config is not None, problems
    return config


SMALL = {"RequestId": "R", "Total": 1, "data": {"stat": [dict.fromkeys((*COUNTS, *DELIVERY.fields), 1)]}}
"""A response of one page, whatever statistic is requested."""


async def test_a_result_that_arrives_during_the_reload_is_still_stored() -> None:
    office = Office()
    async with office.open() as polling:
        await polling.follow(of_region("us-east-1"))
        await settle()
        office.line.answer(SMALL)
        await polling.follow(of_region("us-east-1", "shop", "other"))
        assert list(office.store.keys()) == [("shop", "engagement", Filters())]


async def test_a_reload_that_adds_a_statistic_requests_nothing_twice_of_the_one_that_stays() -> None:
    office = Office()
    async with office.open() as polling:
        await polling.follow(of_region("us-east-1"))
        await settle()
        await polling.follow(of_region("us-east-1", statistics="delivery, engagement"))
        await office.clock.advance(3)  # its limiter has its first turn
        assert office.line.calls == 2
        assert list(polling.targets["shop"].polls) == [ENGAGEMENT.action, DELIVERY.action]
        office.line.answer(SMALL)
        await settle()
        assert set(office.store.keys()) == {("shop", name, Filters()) for name in ("engagement", "delivery")}


async def test_a_reload_that_renames_a_query_requests_nothing_twice() -> None:
    """The result in flight is the combination's, whatever its query is called."""
    office = Office()
    async with office.open() as polling:
        await polling.follow(of_region("us-east-1"))
        await settle()
        await polling.follow(of_region("us-east-1", query="renamed"))
        await office.clock.advance(3)
        assert office.line.calls == 1
        office.line.answer(SMALL)
        await settle()
        (collector,) = polling.targets["shop"].polls.values()
        assert (collector.states.count("fresh"), collector.untried()) == (1, 0)
        await office.clock.advance(3)
        assert office.line.calls == 1


async def test_a_result_that_arrives_while_its_query_is_renamed_is_seen_by_the_new_plan() -> None:
    office = Office()
    async with office.open() as polling:
        await polling.follow(of_region("us-east-1"))
        await settle()
        office.line.answer(SMALL)
        await polling.follow(of_region("us-east-1", query="renamed"))
        (collector,) = polling.targets["shop"].polls.values()
        await settle()
        assert collector.states.count("fresh") == 1
        await office.clock.advance(3)
        assert office.line.calls == 1


async def test_the_log_says_what_a_reload_changed_when_stored_data_is_discarded() -> None:
    office = Office()
    first = of_region("us-east-1")
    zoned = replace(first, targets=(replace(first.targets[0], timezone=ZoneInfo("UTC")),))
    async with office.open() as polling:
        await polling.follow(first)
        with capture_logs() as lines:
            office.line.answer(SMALL)
            await polling.follow(zoned)
            office.line.answer(SMALL)
            await polling.follow(of_region("eu-central-1"))
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == [
        "target has another time zone; discarding its stored data",
        "target has another region or endpoint and time zone; discarding its stored data",
    ]


async def test_one_of_the_account_before_is_nothing_of_the_new_one() -> None:
    office = Office()
    async with office.open() as polling:
        await polling.follow(of_region("us-east-1"))
        await settle()
        assert office.line.calls == 1
        office.line.answer(SMALL)
        await polling.follow(of_region("eu-central-1"))
        assert list(office.store.keys()) == []


async def test_nothing_is_started_by_a_reload_that_the_end_overtakes() -> None:
    office = Office()
    async with office.open() as polling:
        await polling.follow(of_region("us-east-1"))
        await settle()
        reloading = asyncio.create_task(polling.follow(of_region("us-east-1", "shop", "other", "third")))
        await asyncio.sleep(0)
        await office.end()
        await reloading
        assert list(polling.targets) == ["shop"]


RELOADS = {
    "adds a statistic": (of_region("us-east-1"), of_region("us-east-1", statistics="engagement, delivery")),
    "removes a statistic": (of_region("us-east-1", statistics="engagement, delivery"), of_region("us-east-1")),
    "adds a target": (of_region("us-east-1"), of_region("us-east-1", "shop", "other")),
    "removes a target": (of_region("us-east-1", "shop", "other"), of_region("us-east-1")),
    "changes accounts": (of_region("us-east-1", "shop", "other"), of_region("eu-central-1", "shop", "other")),
}


@pytest.mark.parametrize("what", RELOADS)
async def test_the_end_may_come_at_any_moment_of_a_reload(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment is a turn of the event loop: plans are made in the loop's own thread, schedules filled day by day."""
    before, after = RELOADS[what]
    monkeypatch.setattr(asyncio, "to_thread", in_the_loop)
    monkeypatch.setattr(schedule, "STEP", 1)
    turns, was_reloaded = 0, False
    while not was_reloaded:
        office = Office()
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
            office.polling.open(office.line, tasks)  # type: ignore[arg-type]
            await office.polling.follow(before)
            await settle()
            reloading = asyncio.create_task(office.polling.follow(after))
            for _ in range(turns):
                await asyncio.sleep(0)
            was_reloaded = reloading.done()
            await office.end()
            await reloading
        turns += 1
    assert turns > 5


async def in_the_loop(function: Callable[..., object], *arguments: object) -> object:
    return function(*arguments)


class Watched(Store):
    """A store that counts what is looked up in it."""

    looked_up = 0

    def get(self, key: Key) -> Record:
        self.looked_up += 1
        return super().get(key)


class TestManyTargets:
    """300 of them, which start at the same moment; what one does at once takes well under 20 ms."""

    NAMES = tuple(f"shop-{number}" for number in range(300))
    CELLS = 2 * STEP
    """What is looked up for: a slice of one collector, and what the publisher and the others do in the same turn."""

    async def test_a_start_and_a_reload_work_in_slices(self) -> None:
        office = Office(Watched())
        assert isinstance(office.store, Watched)
        async with office.open() as polling:
            for region in ("us-east-1", "eu-central-1"):
                office.store.looked_up = 0

                async def follow(region: str = region) -> None:
                    await polling.follow(of_region(region, *self.NAMES))
                    while office.store.looked_up < 300 * OLDEST_AGE:
                        await asyncio.sleep(0)

                assert await most_in_a_turn(follow(), lambda: office.store.looked_up) < self.CELLS
            office.line.answer(SMALL)

    async def test_a_few_targets_are_begun_in_a_turn(self) -> None:
        office = Office()
        async with office.open() as polling:
            config = of_region("us-east-1", *self.NAMES)
            assert await most_in_a_turn(polling.follow(config), lambda: len(polling.targets)) == 1
