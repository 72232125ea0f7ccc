"""The state of every combination of a statistic of a target, counted as states change.

No query iterates over all: a success, a failure or a finding moves one combination, and expiry starts with the
oldest.
"""

import math
from collections.abc import Container, Iterator, Sequence
from itertools import compress, islice, takewhile
from operator import itemgetter
from typing import TypeVar

from exporter.clock import Clock
from exporter.plan.combinations import Combination, describe
from exporter.plan.schedule import STEP
from exporter.plan.target_plan import TargetPlan
from exporter.store.memory import Record, Store

STATES = ("failing", "dropped", "held", "never", "fresh", "unsupported")
"""All states, the most urgent first."""
_CODES = {state: code for code, state in enumerate(STATES)}
_ALIVE = ("fresh", "held")
_Member = TypeVar("_Member", Combination, int)
LATEST = 100
"""Combinations that may have been read later than one whose result arrives now: about as many as are in flight."""
JUMP = 1.0
"""Seconds that the wall clock moves against the monotonic one at once: it was set, or the machine slept."""


def state_of(record: Record, age: float | None, stale_after: float) -> str:
    """Return the state of a combination whose last success is `age` seconds old, None where there was none."""
    if not record.is_supported:
        return "unsupported"
    if age is None:
        return "failing" if record.last_attempt_ok is False else "never"
    if age > stale_after:
        return "dropped"
    return "held" if record.last_attempt_ok is False else "fresh"


class QueryStates:
    """The states of the combinations of one query."""

    def __init__(self, query: str, members: list[Combination]) -> None:
        self.query = query
        self.members = members
        """In the config's order."""
        self.counts: list[int] = [len(members) if state == "never" else 0 for state in STATES]
        """How many have each of STATES."""
        self._codes = bytearray([_CODES["never"]]) * len(members)
        self.alive: dict[int, float] = {}
        """Members that are fresh or held, and since when (monotonic seconds), the oldest first."""
        self.dropped: dict[int, float] = {}
        self._texts: list[str] = []

    def counts_of(self, places: Sequence[int]) -> Sequence[int]:
        """Return how many of some members have each of STATES."""
        if len(places) == len(self.members):
            return self.counts
        codes = bytes(map(self._codes.__getitem__, places))
        return [codes.count(code) for code in range(len(STATES))]

    def slice(self, state: str, begin: int, end: int, places: Sequence[int] | None = None) -> list[Combination]:
        """Return some of the combinations that have a state, of all or of some members, in the config's order."""
        code = _CODES[state]
        if places is None:
            return list(islice(compress(self.members, map(code.__eq__, self._codes)), begin, end))
        having = (self.members[place] for place in places if self._codes[place] == code)
        return list(islice(having, begin, end))

    def state(self, place: int) -> str:
        """Return the state of a member."""
        return STATES[self._codes[place]]

    def set(self, place: int, state: str) -> None:
        """Give a member a state."""
        code = _CODES[state]
        self.counts[self._codes[place]] -= 1
        self.counts[code] += 1
        self._codes[place] = code

    def oldest(self) -> Combination | None:
        """Return the combination whose last success is the oldest, None where there was none."""
        place = next(iter(self.dropped or self.alive), None)
        return None if place is None else self.members[place]

    @property
    def is_indexed(self) -> bool:
        """Whether `find` has what it needs."""
        return len(self._texts) == len(self.members)

    def index(self) -> Iterator[None]:
        """Prepare `find`, a slice at every step."""
        texts = []
        for number, member in enumerate(self.members, 1):
            texts.append(f"{member.target} {member.query} {describe(member.filters)}".casefold())
            if number % STEP == 0:
                yield
        self._texts = texts

    def find(self, text: str) -> list[int]:
        """Return the members whose target, query or filters contain a text, whatever its case."""
        wanted = text.casefold()
        return [place for place, its in enumerate(self._texts) if wanted in its]


class States:
    """The states of one statistic of a target."""

    def __init__(self, plan: TargetPlan, store: Store, clock: Clock) -> None:
        """All combinations are `never` until `fill` has run."""
        self._store = store
        self._clock = clock
        self._stale_after = plan.stale_after
        by_query: dict[str, list[Combination]] = {}
        for combination in plan.combinations:
            by_query.setdefault(combination.query, []).append(combination)
        self.queries = [QueryStates(query, members) for query, members in by_query.items()]
        """In the config's order."""
        self._places = {member: (query, place) for query in self.queries for place, member in enumerate(query.members)}
        self._working: dict[Combination, float] = {}
        """Those whose last attempt worked and when that was (monotonic seconds), the newest last."""
        self._failed: dict[Combination, float] = {}
        """Those whose last attempt failed and when that was (seconds since the epoch), the newest last."""
        self.is_filled = False
        """Whether all are counted and in order; `refresh` sees to it."""
        self._late: list[Combination] | None = None
        """What changed while all are counted."""
        self._ahead = clock.time() - clock.monotonic()
        self._expires_at = math.inf
        """Before this time (monotonic seconds) nothing expires."""

    def count(self, state: str) -> int:
        """Return how many combinations have a state."""
        code = _CODES[state]
        return sum(query.counts[code] for query in self.queries)

    def untried(self) -> int:
        """Return how many combinations have not been tried yet."""
        if not self.count("never"):
            return 0
        return sum(self._store.get(combination.key).last_attempt_ok is None for combination in self._places)

    def newest_working(self) -> Combination | None:
        """Return the combination that was read last and has not failed since, None where there is none."""
        return next(reversed(self._working), None)

    def last_failed(self) -> Combination | None:
        """Return the combination that failed last and has not worked since, None where there is none."""
        return next(reversed(self._failed), None)

    def update(self, combination: Combination) -> None:
        """Update the state of a combination from the store."""
        if self._late is not None:
            self._late.append(combination)
        elif combination in self._places:  # otherwise it was in flight when its combination was removed
            query, place = self._places[combination]
            record = self._store.get(combination.key)
            age = self._mark(query, place, record)
            state, since = query.state(place), None if age is None else record.fresh_since
            works = record.last_attempt_ok and record.is_supported
            self.is_filled &= _keep(query.alive, place, since if state in _ALIVE else None)
            self.is_filled &= _keep(query.dropped, place, since if state == "dropped" else None)
            self.is_filled &= _keep(self._working, combination, since if works else None)
            if self._failed.get(combination) != record.failed_at or record.last_attempt_ok is not False:
                self._failed.pop(combination, None)
            if record.last_attempt_ok is False:
                self._failed[combination] = record.failed_at
            if age is not None and state in _ALIVE:
                self._expires_at = min(self._expires_at, self._clock.monotonic() + self._stale_after - age)

    def refresh(self, stale_after: float) -> Iterator[None]:
        """Follow the clock and `stale_after` (seconds); a slice at every step."""
        ahead = self._clock.time() - self._clock.monotonic()
        if not self.is_filled or stale_after != self._stale_after or abs(ahead - self._ahead) > JUMP:
            self._ahead, self._stale_after = ahead, stale_after
            yield from self.fill()
            yield  # many small plans are as much work as a large one
        if self._clock.monotonic() > self._expires_at and self._late is None:
            yield from self._expire()

    def fill(self) -> Iterator[None]:
        """Update the states of all combinations from the store, a slice at every step."""
        if self._late is not None:  # another caller is filling
            return
        self._late, self.is_filled = [], False
        try:
            yield from self._fill()
            self.is_filled = True
        finally:
            late, self._late = self._late, None
        for combination in late:
            self.update(combination)

    def _fill(self) -> Iterator[None]:
        succeeded: list[tuple[float, float, Combination]] = []
        works: set[Combination] = set()
        failed: list[tuple[float, Combination]] = []
        for number, (combination, (query, place)) in enumerate(self._places.items(), 1):
            record = self._store.get(combination.key)
            age = self._mark(query, place, record)
            if age is not None and record.fresh_since is not None:
                succeeded.append((age, record.fresh_since, combination))
            if record.last_attempt_ok and record.is_supported:
                works.add(combination)
            if record.last_attempt_ok is False:
                failed.append((record.failed_at, combination))
            if number % STEP == 0:
                yield
        succeeded.sort(key=itemgetter(0), reverse=True)
        yield
        failed.sort(key=itemgetter(0))
        self._failed = {combination: at for at, combination in failed}
        yield
        yield from self._sort_in(succeeded, works)

    def _sort_in(
        self, succeeded: Sequence[tuple[float, float, Combination]], works: Container[Combination]
    ) -> Iterator[None]:
        """Replace the tables by these combinations, with age and time, the oldest first."""
        alive = {query: dict[int, float]() for query in self.queries}
        dropped = {query: dict[int, float]() for query in self.queries}
        working: dict[Combination, float] = {}
        for number, (_, at, combination) in enumerate(succeeded, 1):
            query, place = self._places[combination]
            if (state := query.state(place)) != "unsupported":
                (alive if state in _ALIVE else dropped)[query][place] = at
            if combination in works:
                working[combination] = at
            if number % STEP == 0:
                yield
        for query in self.queries:
            query.alive, query.dropped = alive[query], dropped[query]
        self._working = working
        self._expires_at = self._first_expiry()

    def _expire(self) -> Iterator[None]:
        """Drop what has grown too old."""
        for query in self.queries:
            while too_old := list(islice(self._too_old(query), STEP)):
                for place in too_old:
                    query.dropped[place] = query.alive.pop(place)
                    query.set(place, "dropped")
                yield
        self._expires_at = self._first_expiry()

    def _too_old(self, query: QueryStates) -> Iterator[int]:
        for place in query.alive:
            if self._age(query, place) <= self._stale_after:
                return
            yield place

    def _first_expiry(self) -> float:
        """Return when the first combination will be too old (monotonic seconds)."""
        ages = (self._age(query, next(iter(query.alive))) for query in self.queries if query.alive)
        return self._clock.monotonic() + self._stale_after - max(ages, default=-math.inf)

    def _age(self, query: QueryStates, place: int) -> float:
        age = self._store.get(query.members[place].key).age(self._clock)
        return math.inf if age is None else age

    def _mark(self, query: QueryStates, place: int, record: Record) -> float | None:
        """Give a combination its state; return its age."""
        age = record.age(self._clock)
        query.set(place, state_of(record, age, self._stale_after))
        return age


def _keep(table: dict[_Member, float], member: _Member, at: float | None) -> bool:
    """Put a member into a table in the order of times, or remove it where the time is None.

    Results may arrive in another order than their requests, so its place is searched among the last ones. Return
    whether it was found; otherwise the member becomes the last.
    """
    if at is not None and table.get(member) == at:
        return True
    table.pop(member, None)
    if at is None:
        return True
    later = list(takewhile(lambda each: each[1] > at, islice(reversed(table.items()), LATEST + 1)))
    table[member] = at
    if len(later) > LATEST:
        return False
    for other, its in reversed(later):
        del table[other]
        table[other] = its
    return True
