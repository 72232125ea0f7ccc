"""The targets that the status page shows: their summaries, and the cards and queries of those on the page."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from exporter.clock import Clock
from exporter.collector.states import STATES, QueryStates, States
from exporter.config.model import Target
from exporter.directmail.errors import DirectMailError
from exporter.directmail.limiter import Limiter
from exporter.directmail.listing import OPERATIONS
from exporter.plan.combinations import Combination
from exporter.plan.schedule import STEP, Slot
from exporter.plan.target_plan import TargetPlan
from exporter.store.account_facts import AccountFacts
from exporter.store.discovered_values import DiscoveredValues, Entry
from exporter.store.memory import Record, Store
from exporter.web import status_account, status_rows
from exporter.web.status_choice import Choice

BAD = ("failing", "dropped", "held")
"""The states that are not in order, the most urgent first."""
TURN = 50
"""Targets that are checked before other work runs."""


class PollState(Protocol):
    """What the page needs to know of the polling of one statistic of a target."""

    @property
    def plan(self) -> TargetPlan: ...
    @property
    def states(self) -> States: ...
    def is_up(self) -> bool: ...
    def backlog(self) -> int | None: ...
    def next_cells(self) -> tuple[Slot, ...]: ...


class TargetState(Protocol):
    """What the page needs to know of a target."""

    @property
    def target(self) -> Target: ...
    @property
    def polls(self) -> Mapping[str, PollState]: ...
    @property
    def limiters(self) -> Mapping[str, Limiter]: ...
    @property
    def planned_requests(self) -> Mapping[str, float]: ...


@dataclass(frozen=True, slots=True)
class Summary:
    """The summary of a target."""

    name: str
    state: TargetState
    polls: Mapping[str, PollState]
    queries: tuple[tuple[str, QueryStates], ...]
    """All queries with their statistics."""
    counts: Mapping[str, int]
    is_up: bool

    @property
    def is_untried(self) -> bool:
        return self.counts["never"] == sum(self.counts.values())

    @property
    def urgency(self) -> tuple[bool, int]:
        """Sorts targets: those that are down, then those with failing combinations, and so on."""
        return self.is_up or self.is_untried, _urgency(self.counts)


Hits = Mapping[QueryStates, list[int]]
"""The combinations that a search found: the members of each query by their places."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation on a target's card."""

    name: str
    poll: PollState | None
    """None for lists and the account's reads."""
    limiter: Limiter
    planned: float
    """Calls a minute in the steady state."""


@dataclass(frozen=True, slots=True)
class ListRow:
    """A filter on a target's card whose values are listed."""

    action: str
    filter: str
    known: int
    """How many values are known."""
    age: float | None
    """Seconds since the last list, None before the first."""
    failure: DirectMailError | None


@dataclass(frozen=True, slots=True)
class Card:
    """What the page shows of a target."""

    number: int
    name: str
    target: Target
    is_up: bool
    is_untried: bool
    is_throttled: bool
    polls: Mapping[str, PollState]
    counts: Mapping[str, Mapping[str, int]]
    """By statistic and state."""
    actions: list[Operation]
    left_out: int
    """Discovered combinations that are not polled."""
    next: list[Slot]
    """The cells that are requested next."""
    lists: list[ListRow]
    reads: list[dict[str, Any]]
    """Of the account."""
    failed: tuple[Combination, Record] | None
    """The combination that failed last."""


@dataclass(frozen=True, slots=True)
class QueryRow:
    """What the page shows of a query."""

    target: str
    name: str
    statistic: str
    counts: Mapping[str, int]
    """By state."""
    oldest: float | None
    """The age of its oldest data in seconds, None without any."""


async def summaries(targets: Mapping[str, TargetState]) -> list[Summary]:
    """Return the summaries of all targets, unchanged during a visit."""
    found = []
    for number, (name, state) in enumerate(tuple(targets.items()), 1):  # a reload may come between
        polls = dict(state.polls)
        for poll in polls.values():
            for _ in poll.states.refresh(poll.plan.stale_after):
                await asyncio.sleep(0)
        queries = tuple((poll.plan.statistic, query) for poll in polls.values() for query in poll.states.queries)
        counts = _sums(query.counts for _, query in queries)
        found.append(Summary(name, state, polls, queries, counts, any(poll.is_up() for poll in polls.values())))
        if number % TURN == 0:
            await asyncio.sleep(0)
    return found


async def search(text: str, targets: Iterable[Summary]) -> Hits:
    """Return the combinations whose target, query or filters contain a text."""
    queries = [query for each in targets for _, query in each.queries]
    indexed = 0
    for query in queries:
        if not query.is_indexed:
            for _ in query.index():
                await asyncio.sleep(0)
            indexed += len(query.members)
            if indexed >= STEP:
                indexed = 0
                await asyncio.sleep(0)
    found = {query: query.find(text) for query in queries}
    await asyncio.sleep(0)
    return found


def matching(targets: Iterable[Summary], choice: Choice, hits: Hits | None) -> Iterator[Summary]:
    """Yield the targets that are shown."""
    for each in targets:
        if choice.target in ("", each.name) and (hits is None or _is_found(each, choice.q, hits)):
            yield each


def _is_found(its: Summary, text: str, hits: Hits) -> bool:
    target = its.state.target
    is_named = text.casefold() in f"{its.name} {target.region} {target.endpoint}".casefold()
    return is_named or any(hits[query] for _, query in its.queries)


def _sums(counts: Iterable[Sequence[int]]) -> dict[str, int]:
    """Return the sums of counts by state."""
    return dict(zip(STATES, map(sum, zip((0,) * len(STATES), *counts, strict=True)), strict=True))


def _urgency(counts: Mapping[str, int]) -> int:
    """Return the place of the most urgent state that something has; all states that are in order share one."""
    return next((place for place, state in enumerate(BAD) if counts[state]), len(BAD))


class Cards:
    """Makes the cards of targets."""

    def __init__(self, store: Store, clock: Clock, discovered: DiscoveredValues, accounts: AccountFacts) -> None:
        """`discovered` is what discovery has found."""
        self._store = store
        self._clock = clock
        self._discovered = discovered
        self._accounts = accounts

    def card(self, number: int, its: Summary) -> Card:
        """Return a target's card; `number` is its place on the page."""
        state, polls = its.state, tuple(its.polls.values())
        limiters, planned = state.limiters, state.planned_requests
        failed = [(each, self._store.get(each.key)) for poll in polls if (each := poll.states.last_failed())]
        return Card(
            number,
            its.name,
            state.target,
            is_up=its.is_up,
            is_untried=its.is_untried,
            is_throttled=any(limiter.is_throttled for limiter in limiters.values()),
            polls=its.polls,
            counts={poll.plan.statistic: _sums(query.counts for query in poll.states.queries) for poll in polls},
            actions=[
                Operation(action, its.polls.get(action), limiters[action], rate)
                for action, rate in planned.items()
                if action in limiters
            ],
            left_out=sum(poll.plan.left_out for poll in polls),
            next=[slot for poll in polls for slot in poll.next_cells()],
            lists=[self._list(*each) for each in self._discovered.entries(its.name, state.target.discovered)],
            reads=status_account.reads(self._accounts.of(its.name), planned, self._clock),
            failed=max(
                ((each, record) for each, record in failed if record.failure is not None),
                key=lambda each: each[1].failed_at,
                default=None,
            ),
        )

    def _list(self, key: str, entry: Entry) -> ListRow:
        listed_at = entry.last_success_at
        age = None if listed_at is None else self._clock.time() - listed_at
        return ListRow(OPERATIONS[key].action, key, len(entry.values), age, entry.failure)


def queries(targets: Iterable[Summary], store: Store, clock: Clock) -> list[QueryRow]:
    """Return the queries of targets, those with failing combinations first."""
    found = []
    for each in targets:
        for statistic, query in each.queries:
            oldest = query.oldest()
            age = status_rows.age(store.get(oldest.key), clock) if oldest else None
            counts = dict(zip(STATES, query.counts, strict=True))
            found.append(QueryRow(each.name, query.query, statistic, counts, age))
    return sorted(found, key=lambda each: _urgency(each.counts))
