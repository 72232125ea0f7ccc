"""Which cell is asked next: newest days first, then most overdue, nobody starved. Knows no clock, is told the time.

A cell waits in one heap until it is due, then in the heap of its day. A heap entry counts only while it says what
`_due` says of its cell, so a cell is moved by writing its new time. That stays cheap at 100,000 series: a cell
moves once per read, and at midnight only the days whose refresh time changes are looked at again. What is kept
is kept by the day, so that no table is large enough for its growth to be felt.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain, islice, zip_longest

from exporter.plan.calendar import day_end, day_start, today
from exporter.plan.combinations import Combination
from exporter.plan.pacing import OLDEST_AGE
from exporter.plan.target_plan import TargetPlan

FAIRNESS = 4
"""Every so many calls, a cell that is overdue by more than its whole refresh time goes first: the older days are
read in the end, however little of the plan the API lets through."""
PROBATION = 30.0
"""Seconds after which the other days of a failing combination look again whether today's works."""
STEP = 250
"""Cells that are sorted in before other work has its turn: about a millisecond."""
BACKWARDS = 60.0
"""Seconds that the clock may be set back without a new look at every cell."""

ReadAt = Callable[[Combination, date], float | None]
_Cell = tuple[date, int]
_Waiting = tuple[float, date, int]


@dataclass(frozen=True, slots=True)
class Slot:
    """A cell that was taken and is being asked for."""

    combination: Combination
    day: date


class Schedule:
    """The due cells of one target. All times are seconds since the epoch."""

    def __init__(self, plan: TargetPlan, read_at: ReadAt, now: float) -> None:
        """`read_at` tells when a cell was last read, None for never. No cell is due before `fill` has run."""
        self.plan = plan
        self.today = today(now, plan.target.timezone)
        self._read_at = read_at
        self._order = round_robin(plan.combinations)
        self._place = {combination: place for place, combination in enumerate(self._order)}
        self._due: defaultdict[date, dict[int, float]] = defaultdict(dict)
        self._waiting: list[_Waiting] = []
        self._ready: dict[date, list[tuple[float, int]]] = {}
        self._ready_places: defaultdict[date, set[int]] = defaultdict(set)
        self._taken: set[_Cell] = set()
        self._blocked: dict[int, float] = {}
        self._turn = 0
        self._now = now

    def fill(self, now: float) -> Iterator[None]:
        """Sort in all cells, a slice at every step; steps may have other work between them."""
        return self._fill(range(OLDEST_AGE + 1), now)

    def roll(self, now: float) -> Iterator[None]:
        """Follow the clock: make the day at `now` today, and forget due times that a clock set back has made wrong.

        A slice of the work at every step; most of the time there is none.
        """
        before, self.today = self.today, today(now, self.plan.target.timezone)
        went_back = now < self._now - BACKWARDS
        self._now = now
        if self.today == before + timedelta(days=1):
            yield from self._fill(filter(self._changes, range(OLDEST_AGE + 1)), now)
            for known in (self._due, self._ready, self._ready_places):
                for day in [day for day in known if (self.today - day).days > OLDEST_AGE]:
                    del known[day]
        elif self.today != before or went_back:
            self._due.clear()
            self._waiting.clear()
            self._ready.clear()
            self._ready_places.clear()
            self._blocked.clear()
            yield from self.fill(now)

    def wake_at(self, now: float) -> float:
        """Return when there is something to do: now where a cell is due, else the next one's time or midnight."""
        self._promote(now)
        if self._count_ready():
            return now
        midnight = day_end(self.today, self.plan.target.timezone)
        return min(self._waiting[0][0], midnight) if self._waiting else midnight

    def backlog(self, now: float) -> int:
        """Return how many cells are due and not yet read, those being asked included."""
        self._promote(now)
        return self._count_ready() + len(self._taken)

    def take(self, now: float) -> Slot | None:
        """Return the cell to ask for now, None when none is due. It is out of the schedule until it is given back."""
        self._promote(now)
        while self._count_ready():
            day, place = self._pop(self._choose_day(now))
            if place in self._blocked and day != self.today:
                self._put(day, place, max(self._blocked[place], now) + PROBATION)
                continue
            self._turn += 1
            self._taken.add((day, place))
            return Slot(self._order[place], day)
        return None

    def preview(self, now: float, count: int = 5) -> tuple[Slot, ...]:
        """Return the next few cells in about the order they will be asked, for people to look at."""
        self._promote(now)
        due = (
            (day, place)
            for day in sorted(self._ready_places, reverse=True)
            for place in heapq.nsmallest(count, self._ready_places[day])
        )
        later = ((day, place) for when, day, place in _in_order(self._waiting) if self._due[day].get(place) == when)
        chosen = list(islice(due, count)) or islice(later, count)
        return tuple(Slot(self._order[place], day) for day, place in chosen)

    def done(self, slot: Slot, read_at: float) -> None:
        """Give back a cell that was read completely at that time."""
        place = self._give_back(slot)
        if place is None:
            return
        if slot.day == self.today:
            self._blocked.pop(place, None)
        self._schedule(slot.day, place, read_at)

    def failed(self, slot: Slot, again_at: float) -> None:
        """Give back a cell that could not be read: it waits until then, and for today's its combination with it."""
        place = self._give_back(slot)
        if place is None:
            return
        age = (self.today - slot.day).days
        if age == 0:
            self._blocked[place] = again_at
        if 0 <= age <= OLDEST_AGE:
            self._put(slot.day, place, again_at)

    def drop(self, slot: Slot) -> None:
        """Give back a cell that is not to be asked for any more."""
        self._give_back(slot)

    def take_over(self, asked: Iterable[Slot], returned: Iterable[Slot]) -> None:
        """Know, once filled, of the cells that are being asked for, and of those that came back while it was filled."""
        for slot in returned:
            read_at = self._read_at(slot.combination, slot.day)
            if slot.combination in self._place and read_at is not None:
                self._schedule(slot.day, self._place[slot.combination], read_at)
        for slot in asked:
            if slot.combination in self._place:
                place = self._place[slot.combination]
                self._taken.add((slot.day, place))
                self._due[slot.day].pop(place, None)
                self._ready_places[slot.day].discard(place)

    def _give_back(self, slot: Slot) -> int | None:
        """Return the place of the cell's combination, None where the plan has it no more."""
        place = self._place.get(slot.combination)
        if place is not None:
            self._taken.discard((slot.day, place))
        return place

    def _count_ready(self) -> int:
        return sum(map(len, self._ready_places.values()))

    def _changes(self, age: int) -> bool:
        """Whether a day of that age is due by another rule than a day younger."""
        plan = self.plan
        return (
            age <= 1
            or age >= OLDEST_AGE
            or (age in plan.ages) != (age - 1 in plan.ages)
            or plan.refresh(age) != plan.refresh(age - 1)
        )

    def _fill(self, ages: Iterable[int], now: float) -> Iterator[None]:
        for age in ages:
            day = self.today - timedelta(days=age)
            start, end = self._bounds(day)
            for place, combination in enumerate(self._order):
                if (day, place) not in self._taken:
                    read_at = self._read_at(combination, day)
                    self._sort_in(day, place, age, end, None if read_at is None else min(read_at, now), max(now, start))
                if place % STEP == STEP - 1:
                    self._promote(now)  # at a cold start all is due; at once it would be felt
                    yield

    def _schedule(self, day: date, place: int, read_at: float) -> None:
        start, end = self._bounds(day)
        self._sort_in(day, place, (self.today - day).days, end, read_at, start)

    def _sort_in(self, day: date, place: int, age: int, end: float, read_at: float | None, known_since: float) -> None:
        due = self.plan.next_read(age, read_at, end)
        self._due[day].pop(place, None)
        self._ready_places[day].discard(place)
        if due is not None:
            self._put(day, place, due if read_at is not None else known_since)

    def _bounds(self, day: date) -> tuple[float, float]:
        zone = self.plan.target.timezone
        return day_start(day, zone), day_end(day, zone)

    def _put(self, day: date, place: int, due: float) -> None:
        self._due[day][place] = due
        heapq.heappush(self._waiting, (due, day, place))

    def _promote(self, now: float) -> None:
        """Move the cells that have become due from waiting to ready, and drop entries that no longer count."""
        while self._waiting:
            due, day, place = self._waiting[0]
            counts = self._due[day].get(place) == due
            if counts and due > now:
                return
            heapq.heappop(self._waiting)
            if counts and place not in self._ready_places[day]:
                heapq.heappush(self._ready.setdefault(day, []), (due, place))
                self._ready_places[day].add(place)

    def _choose_day(self, now: float) -> date:
        """Return the day to take from: the newest, or on a fairness turn the one that starves most."""
        tops = {day: top for day in sorted(self._ready, reverse=True) if (top := self._top(day)) is not None}
        newest = next(iter(tops))
        if (self._turn + 1) % FAIRNESS:
            return newest

        def hunger(day: date) -> float:
            return (now - tops[day]) / self.plan.refresh((self.today - day).days)

        hungriest = max(tops, key=hunger)
        return hungriest if hunger(hungriest) > 1 else newest

    def _top(self, day: date) -> float | None:
        """Return the due time of the day's most overdue cell, None when it has none."""
        heap = self._ready[day]
        while heap:
            due, place = heap[0]
            if place in self._ready_places[day] and self._due[day].get(place) == due:
                return due
            heapq.heappop(heap)
        return None

    def _pop(self, day: date) -> _Cell:
        _, place = heapq.heappop(self._ready[day])
        self._ready_places[day].remove(place)
        del self._due[day][place]
        return day, place


def round_robin(combinations: Sequence[Combination]) -> tuple[Combination, ...]:
    """Return the combinations with the queries taking turns, so that a large matrix never goes before a small query."""
    queries: dict[str, list[Combination]] = {}
    for combination in combinations:
        queries.setdefault(combination.query, []).append(combination)
    turns = chain.from_iterable(zip_longest(*queries.values()))
    return tuple(combination for combination in turns if combination is not None)


def _in_order(heap: list[_Waiting]) -> Iterator[_Waiting]:
    """Yield a heap's items from the least up without taking them out; the first few cost little."""
    ahead = [(heap[0], 0)] if heap else []
    while ahead:
        item, index = heapq.heappop(ahead)
        yield item
        for child in range(2 * index + 1, min(2 * index + 3, len(heap))):
            heapq.heappush(ahead, (heap[child], child))
