"""The states of combinations: counted as they change, the same as a walk through all of them would count."""

import random
from collections import Counter, deque
from collections.abc import Callable
from datetime import date

import pytest

from exporter.collector.states import STATES, States, state_of
from exporter.directmail.errors import NetworkError
from exporter.directmail.model import Key
from exporter.directmail.statistics.engagement import Engagement
from exporter.plan.combinations import Combination
from exporter.plan.schedule import STEP
from exporter.plan.target_plan import TargetPlan
from exporter.store.memory import Cell, Record, Store
from tests.support.clock import ScriptedClock
from tests.support.worlds import make_config, make_plan

DAY = date(2026, 4, 22)
REJECTED = NetworkError("connection refused")


class CountingStore(Store):
    """Counts the records that are checked."""

    looked = 0

    def get(self, key: Key) -> Record:
        self.looked += 1
        return super().get(key)


class World:
    """A plan, its records and their states."""

    def __init__(self, senders: int = 3) -> None:
        self.clock = ScriptedClock()
        self.store = CountingStore()
        self.plan: TargetPlan = make_plan(
            make_config(senders=senders, rate=100_000, head="max_series: 1000000", small_query=True)
        )
        self.states = States(self.plan, self.store, self.clock)
        self.all = self.plan.combinations

    def follow(self) -> None:
        deque(self.states.refresh(self.plan.stale_after), maxlen=0)

    def succeed(self, combination: Combination) -> None:
        now = self.clock.time()
        self.store.put(combination.key, DAY, Cell(Engagement(1, 1, 1, 1, 1), None, now), day_start=0.0)
        self.store.succeeded(combination.key, now)
        self.states.update(combination)

    def fail(self, combination: Combination) -> None:
        self.store.failed(combination.key, REJECTED, self.clock.time())
        self.states.update(combination)

    def judge(self, combination: Combination, *, is_supported: bool) -> None:
        if self.store.get(combination.key).is_supported != is_supported:
            self.store.discard(combination.key)
        self.store.judged(combination.key, is_supported=is_supported, is_withheld=not is_supported)
        self.states.update(combination)

    def counts(self) -> dict[str, int]:
        return {state: count for state in STATES if (count := self.states.count(state))}

    def counted_one_by_one(self) -> dict[str, int]:
        records = [self.store.get(each.key) for each in self.all]
        return dict(Counter(state_of(each, each.age(self.clock), self.plan.stale_after) for each in records))


def reject(world: World) -> None:
    world.fail(world.all[0])


def read(world: World) -> None:
    world.succeed(world.all[0])


def read_then_reject(world: World) -> None:
    read(world)
    reject(world)


def read_long_ago(world: World) -> None:
    read(world)
    world.clock.jump(wall=world.plan.stale_after + 1, monotonic=world.plan.stale_after + 1)


def find_useless(world: World) -> None:
    world.judge(world.all[0], is_supported=False)


@pytest.mark.parametrize(
    ("happens", "state"),
    [
        pytest.param(lambda world: None, "never", id="nothing"),
        pytest.param(reject, "failing", id="rejected-from-the-start"),
        pytest.param(read, "fresh", id="read"),
        pytest.param(read_then_reject, "held", id="rejected-later"),
        pytest.param(read_long_ago, "dropped", id="too-old"),
        pytest.param(find_useless, "unsupported", id="of-no-use"),
    ],
)
def test_each_history_has_its_state(happens: Callable[[World], None], state: str) -> None:
    world = World()
    world.follow()
    happens(world)
    world.follow()
    assert world.counts() == ({"never": 4} if state == "never" else {state: 1, "never": 3})
    assert world.states.queries[0].slice(state, 0, 1) == [world.all[0]]


def test_counts_are_those_of_a_walk_through_all() -> None:
    """Whatever happens in whatever order, with clocks that jump: counts, oldest and newest are right."""
    chance = random.Random(7)
    world = World(senders=9)
    for _ in range(3000):
        world.clock.jump(wall=1, monotonic=1)
        combination = chance.choice(world.all)
        what = chance.random()
        if what < 0.4:
            world.succeed(combination)
        elif what < 0.6:
            world.fail(combination)
        elif what < 0.68:
            world.judge(combination, is_supported=what < 0.65)
        elif what < 0.7:
            world.clock.jump(wall=chance.choice((-7200.0, -30.0, 30.0, 7200.0)))
        else:
            elapsed = chance.expovariate(1 / 200)
            world.clock.jump(wall=elapsed, monotonic=elapsed)
        world.follow()
        assert world.counts() == world.counted_one_by_one()
        records = [world.store.get(each.key) for each in world.all]
        newest = world.states.newest_working()
        working = [record for record in records if record.last_attempt_ok and record.is_supported]
        ages = [age for record in working if (age := record.age(world.clock)) is not None]
        assert (newest is None) == (not ages)
        if newest:
            assert world.store.get(newest.key).age(world.clock) == pytest.approx(min(ages), abs=1e-6)


def test_it_is_counted_without_looking_at_all_again() -> None:
    world = World(senders=2000)
    for combination in world.all:
        world.store.succeeded(combination.key, world.clock.time())
    world.follow()
    world.store.looked = 0
    world.fail(world.all[7])
    world.clock.jump(wall=1, monotonic=1)
    world.follow()
    assert world.counts() == {"held": 1, "fresh": 2000}
    assert world.states.queries[0].slice("held", 0, 50) == [world.all[7]]
    assert world.states.queries[0].oldest() in world.all[:2000]
    assert world.store.looked == 1


def test_only_combinations_that_may_have_expired_are_checked() -> None:
    world = World(senders=2000)
    world.follow()
    for combination in world.all[:5]:
        world.succeed(combination)
    world.clock.jump(wall=60, monotonic=60)
    for combination in world.all[5:]:
        world.succeed(combination)
    world.clock.jump(wall=world.plan.stale_after - 30, monotonic=world.plan.stale_after - 30)
    world.store.looked = 0
    world.follow()
    assert world.counts() == {"dropped": 5, "fresh": 1996}
    assert world.store.looked < 12


def test_a_change_during_a_full_pass_is_not_missed() -> None:
    world = World(senders=3 * STEP)
    steps = world.states.fill()
    next(steps)
    world.succeed(world.all[0])
    world.fail(world.all[-2])
    deque(steps, maxlen=0)
    assert world.counts() == world.counted_one_by_one() == {"fresh": 1, "failing": 1, "never": 3 * STEP - 1}
    assert (world.states.newest_working(), world.states.last_failed()) == (world.all[0], world.all[-2])


def test_an_interrupted_pass_is_completed_by_the_next() -> None:
    world = World(senders=3 * STEP)
    for combination in world.all:
        world.store.succeeded(combination.key, world.clock.time())
    steps = world.states.fill()
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    world.fail(world.all[1])
    world.follow()
    assert world.counts() == {"held": 1, "fresh": 3 * STEP}


def test_a_longer_time_until_numbers_are_stale_brings_dropped_ones_back() -> None:
    world = World()
    world.follow()
    read_long_ago(world)
    world.follow()
    deque(world.states.refresh(world.plan.stale_after + 10), maxlen=0)
    assert world.counts() == {"fresh": 1, "never": 3}


def test_a_search_ignores_case_and_matches_target_query_and_filters() -> None:
    query = World().states.queries[0]
    deque(query.index(), maxlen=0)
    assert [query.find(text) for text in ("S1@", "SHOP", "senders", "account_name=s2", "nothing")] == [
        [1],
        [0, 1, 2],
        [0, 1, 2],
        [2],
        [],
    ]
