"""Lists over hours by a script: when they are requested, what a failure changes, what the log tells."""

import itertools
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.collector.discovery import Discovery
from exporter.collector.due_requests import FIRST_BACKOFF
from exporter.config import loader
from exporter.config.queries import Discover
from exporter.directmail.errors import DirectMailError, PermissionDenied
from exporter.directmail.listing import LONGEST_VALUE, OPERATIONS, Listed, Operation
from exporter.store.discovered_values import DiscoveredValues
from tests.support.clock import ScriptedClock
from tests.support.tasks import running
from tests.support.worlds import make_outages

HOUR, MINUTE = 3600.0, 60.0
TAGS, SENDERS = "QueryTagByParam", "QueryMailAddressByParam"
DENIED = PermissionDenied("the API denies it", code="NoPermission", request_id="R-1", advice="Attach a policy.")


@dataclass
class Lists:
    """Replaces the client: what each operation lists, or why it does not."""

    clock: ScriptedClock
    values: dict[str, str] = field(default_factory=lambda: {TAGS: "ab", SENDERS: "xy"})
    fails: Callable[[str], DirectMailError | None] = lambda action: None
    unusable: int = 0
    latency: float = 0.2
    requested: list[tuple[float, str]] = field(default_factory=list)

    async def list_values(self, operation: Operation) -> Listed:
        self.requested.append((self.clock.monotonic(), operation.action))
        await self.clock.sleep(self.latency)
        if (failure := self.fails(operation.action)) is not None:
            raise failure
        return Listed(tuple(self.values[operation.action]), self.unusable, 1, "REQUEST")


class World:
    """The discovery of one target, of two filters unless others are named."""

    def __init__(self, *keys: str) -> None:
        self.clock = ScriptedClock()
        self.api = Lists(self.clock)
        self.discovered = DiscoveredValues()
        self.reported = 0
        self.discovery = Discovery(
            "shop",
            self.api,  # type: ignore[arg-type]
            self.discovered,
            self.clock,
            make_outages(self.clock, lambda: len(keys or (1, 2)) + 5),
            listed=self._listed,
            rng=random.Random(1),
        )
        self.discovery.follow(dict.fromkeys(keys or ("tag_name", "account_name"), HOUR))

    async def _listed(self, key: str, found: Listed, requested_at: float) -> None:
        self.reported += 1

    def known(self, key: str = "tag_name") -> str:
        return "".join(self.discovered.get("shop", key).values)

    def times(self, action: str = TAGS) -> list[float]:
        return [at for at, requested in self.api.requested if requested == action]


async def test_everything_is_listed_at_once_and_then_about_every_interval() -> None:
    world = World()
    async with running(world.discovery.run()):
        await world.clock.advance(1)
        assert (world.known("tag_name"), world.known("account_name")) == ("ab", "xy")
        assert world.reported == 2
        await world.clock.advance(24 * HOUR)
    for action in (TAGS, SENDERS):
        gaps = [after - before for before, after in itertools.pairwise(world.times(action))]
        assert len(gaps) >= 21
        assert all(0.9 * HOUR <= gap <= 1.1 * HOUR + 1 for gap in gaps)
        assert len(set(gaps)) > 10


async def test_a_new_value_is_reported_at_once_and_a_vanished_one_after_one_more_list() -> None:
    world = World("tag_name")
    async with running(world.discovery.run()):
        await world.clock.advance(1)
        world.api.values[TAGS] = "bc"
        with capture_logs() as lines:
            await world.clock.advance(1.15 * HOUR)
            assert world.known() == "abc"
            await world.clock.advance(1.15 * HOUR)
            assert world.known() == "bc"
            await world.clock.advance(3 * HOUR)
    changes = [(line["appeared"], line["vanished"], line["known"]) for line in lines]
    assert changes == [(1, 0, 3), (0, 1, 2)]


class TestFailure:
    async def test_the_last_list_is_kept_and_only_changes_of_state_are_logged(self) -> None:
        world = World("tag_name")
        async with running(world.discovery.run()):
            await world.clock.advance(1)
            with capture_logs() as lines:
                world.api.fails = lambda action: DENIED
                await world.clock.advance(8 * HOUR)
                assert world.known() == "ab"
                assert world.discovered.get("shop", "tag_name").failure is DENIED
                world.api.fails = lambda action: None
                await world.clock.advance(2 * HOUR)
        lost, back = lines
        assert (lost["event"], lost["log_level"]) == ("discovery failing; keeping the known values", "warning")
        assert (lost["action"], lost["known"], lost["code"], lost["request_id"]) == (TAGS, 2, "NoPermission", "R-1")
        assert lost["advice"] == "Attach a policy."
        assert back["event"] == "discovery recovered"

    async def test_it_is_tried_again_before_long_and_less_and_less_often(self) -> None:
        world = World("tag_name")
        world.api.fails = lambda action: DENIED
        async with running(world.discovery.run()):
            await world.clock.advance(12 * HOUR)
        gaps = [after - before for before, after in itertools.pairwise(world.times())]
        assert gaps[0] <= 1.1 * FIRST_BACKOFF + 1
        assert all(before < after for before, after in itertools.pairwise(gaps[:6]))
        assert all(0.9 * HOUR <= gap <= 1.1 * HOUR + 1 for gap in gaps[7:])

    async def test_one_that_fails_neither_holds_up_nor_hides_another(self) -> None:
        world = World()
        world.api.fails = lambda action: DENIED if action == TAGS else None
        async with running(world.discovery.run()):
            await world.clock.advance(1)
            assert world.known("account_name") == "xy"
            assert world.discovery.untried() == 0
            await world.clock.advance(5 * MINUTE)
        assert len(world.times(SENDERS)) == 1
        assert len(world.times(TAGS)) > 2

    async def test_a_bug_ends_the_loop(self) -> None:
        world = World("tag_name")
        world.api.fails = lambda action: 1 // 0  # type: ignore[return-value]
        with pytest.raises(ExceptionGroup) as caught:
            async with running(world.discovery.run()):
                await world.clock.advance(1)
        assert caught.group_contains(ZeroDivisionError)


async def test_names_that_cannot_be_requested_are_logged_once() -> None:
    world = World("tag_name")
    world.api.unusable = 2
    with capture_logs() as lines:
        async with running(world.discovery.run()):
            await world.clock.advance(5 * HOUR)
    assert [line["names"] for line in lines if "left out" in line["event"]] == [2]


async def test_a_filter_counts_as_tried_when_what_it_brought_is_in_use() -> None:
    world = World()
    assert world.discovery.untried() == 2
    async with running(world.discovery.run()):
        await world.clock.advance(0.1)
        assert world.discovery.untried() == 2
        await world.clock.advance(0.2)
        assert world.discovery.untried() == 1
        await world.clock.advance(0.2)
        assert world.discovery.untried() == 0


class TestReload:
    async def test_a_new_filter_is_listed_at_once_and_a_known_one_is_not_requested_again(self) -> None:
        world = World("tag_name")
        async with running(world.discovery.run()):
            await world.clock.advance(10 * MINUTE)
            world.discovery.follow(dict.fromkeys(("tag_name", "account_name"), HOUR))
            await world.clock.advance(1)
        assert [action for _, action in world.api.requested] == [TAGS, SENDERS]

    async def test_a_filter_that_left_is_not_listed_any_more(self) -> None:
        world = World()
        async with running(world.discovery.run()):
            await world.clock.advance(0.1)
            world.discovery.follow(dict.fromkeys(("tag_name",), HOUR))  # while the first list is on its way
            await world.clock.advance(5 * HOUR)
        assert world.times(SENDERS) == []
        assert len(world.times(TAGS)) > 3

    async def test_a_list_that_comes_after_its_filter_left_is_no_bug(self) -> None:
        world = World("tag_name")
        async with running(world.discovery.run()):
            await world.clock.advance(0.1)
            world.discovery.follow(dict.fromkeys((), HOUR))
            await world.clock.advance(5 * HOUR)
        assert len(world.times()) == 1
        assert world.discovery.untried() == 0

    async def test_a_shorter_interval_holds_at_once(self) -> None:
        world = World("tag_name")
        async with running(world.discovery.run()):
            await world.clock.advance(1)
            world.discovery.follow(dict.fromkeys(("tag_name",), MINUTE))
            await world.clock.advance(1.2 * MINUTE)
        assert len(world.times()) == 2


class TestDocument:
    """docs/discovery.md is compared with what it describes."""

    TEXT = (Path(__file__).parents[2] / "docs" / "discovery.md").read_text()

    def test_it_names_the_operation_of_each_filter(self) -> None:
        table = dict(re.findall(r"\| `(\w+)` \| `(\w+)` \|", self.TEXT))
        assert table == {key: operation.action for key, operation in OPERATIONS.items()}

    def test_its_config_works(self) -> None:
        (block,) = re.findall(r"```yaml\n(.*?)```", self.TEXT, re.DOTALL)
        sound, problems = loader.parse(block)
        assert problems == ()
        assert sound is not None
        assert sound.targets[0].discovered == ("account_name", "tag_name")

    def test_its_numbers_are_those_of_the_program(self) -> None:
        assert f"longer than {LONGEST_VALUE} characters" in self.TEXT
        assert f"`limit` (default {Discover(discover=True).limit})" in self.TEXT
