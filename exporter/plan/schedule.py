"""Chooses the next cell to read: newest days first, then the most overdue, none starved; after midnight yesterday.

Reads no clock; the time is passed in.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain, zip_longest

from exporter.clock import BACKWARDS
from exporter.plan.calendar import day_end, day_start, today
from exporter.plan.combinations import Combination
from exporter.plan.due_cells import DueCells, Place
from exporter.plan.pacing import OLDEST_AGE
from exporter.plan.target_plan import TargetPlan

FAIRNESS = 4
"""Every so many calls, a cell that is overdue by more than its whole refresh time goes first: older days are read
eventually, however few calls the API allows."""
PROBATION = 30.0
"""Seconds after which the other days of a failing combination check again whether today's works."""
STEP = 250
"""Cells that are scheduled before other work runs: about a millisecond."""

ReadAt = Callable[[Combination, date], float | None]
_Cell = tuple[date, Place]


@dataclass(frozen=True, slots=True)
class Slot:
    """A cell that is being read."""

    combination: Combination
    day: date


class Schedule:
    """The due cells of one target. All times are seconds since the epoch."""

    def __init__(self, plan: TargetPlan, read_at: ReadAt, now: float) -> None:
        """`read_at` returns when a cell was last read, None for never. No cell is due before `fill` has run."""
        self.plan = plan
        self.today = today(now, plan.target.timezone)
        self._read_at = read_at
        self._order = round_robin(plan.combinations)
        self._place = {combination.key: place for place, combination in enumerate(self._order)}
        """By key: a reload may give a combination that is being read to another query."""
        self._cells = DueCells()
        self._in_flight: set[_Cell] = set()
        self._blocked: dict[Place, float] = {}
        self._unclosed: set[Place] = set()
        """Combinations whose yesterday was read, but not after its end."""
        self._turn = 0
        self._now = now
        self._is_filled = False

    def __contains__(self, combination: Combination) -> bool:
        return combination.key in self._place

    def replan(self, plan: TargetPlan) -> None:
        """Replace the plan by one for the same combinations and windows."""
        self.plan = plan

    def fill(self, now: float) -> Iterator[None]:
        """Schedule all cells, a slice at every step; other work may run between steps."""
        self._is_filled = False
        yield from self._fill(range(OLDEST_AGE + 1), now)
        self._is_filled = True

    def roll(self, now: float, *, is_set_back: bool = False) -> Iterator[None]:
        """Follow the clock: update today, and reset due times that a clock set back has made wrong.

        A slice at every step; usually there is nothing to do.
        """
        before, self.today = self.today, today(now, self.plan.target.timezone)
        set_back = is_set_back or now < self._now - BACKWARDS
        self._now = now
        if self.today == before + timedelta(days=1) and not set_back:
            self._unclosed.clear()
            yield from self._fill(filter(self._changes, range(OLDEST_AGE + 1)), now)
            self._cells.discard(self.today - timedelta(days=OLDEST_AGE))
        elif set_back or self.today != before:
            self._cells.clear()
            self._blocked.clear()
            self._unclosed.clear()
            yield from self.fill(now)

    def wake_at(self, now: float) -> float:
        """Return when there is something to do: now where a cell is due, else the next one's time or midnight."""
        self._cells.promote(now)
        if self._cells.count():
            return now
        midnight, due = day_end(self.today, self.plan.target.timezone), self._cells.next_due()
        return midnight if due is None else min(due, midnight)

    def backlog(self, now: float) -> int | None:
        """Return how many cells are due and not yet read: also those being read, and those that wait for a retry.

        None until all are scheduled.
        """
        if not self._is_filled:
            return None
        self._cells.promote(now)
        return self._cells.count() + self._cells.count_overdue() + len(self._in_flight)

    def take(self, now: float) -> Slot | None:
        """Return the cell to read now, None when none is due. It leaves the schedule until it is returned."""
        self._cells.promote(now)
        while self._cells.count():
            day = self._choose_day(now)
            place = self._cells.pop(day)
            if place in self._blocked and day != self.today:
                self._cells.put(day, place, max(self._blocked[place], now) + PROBATION, is_overdue=True)
                continue
            self._turn += 1
            self._in_flight.add((day, place))
            return Slot(self._order[place], day)
        return None

    def take_today(self) -> Slot | None:
        """Return a cell of today, due or not, None when all of them are being read."""
        free = (place for place in range(len(self._order)) if (self.today, place) not in self._in_flight)
        if (place := next(free, None)) is None:
            return None
        self._cells.remove(self.today, place)
        self._in_flight.add((self.today, place))
        return Slot(self._order[place], self.today)

    def preview(self, now: float, count: int = 5) -> tuple[Slot, ...]:
        """Return the next few cells in about the order they will be read, for people to look at."""
        self._cells.promote(now)
        return tuple(Slot(self._order[place], day) for day, place in self._cells.first(count))

    def done(self, slot: Slot, read_at: float) -> None:
        """Return a cell that was read completely at that time."""
        place = self._give_back(slot)
        if place is None:
            return
        if slot.day == self.today:
            self._blocked.pop(place, None)
        self._schedule(slot.day, place, read_at)

    def failed(self, slot: Slot, again_at: float) -> None:
        """Return a cell that failed: it waits until then, and with a cell of today its whole combination."""
        place = self._give_back(slot)
        if place is not None and slot.day == self.today:
            self._blocked[place] = again_at
        self._put_off(slot, place, again_at)

    def again(self, slot: Slot, again_at: float) -> None:
        """Return a cell whose result must be confirmed by another request at that time."""
        self._put_off(slot, self._give_back(slot), again_at)

    def drop(self, slot: Slot) -> None:
        """Return a cell that is no longer read; one of today then blocks the other days no longer."""
        place = self._give_back(slot)
        if place is not None and slot.day == self.today:
            self._blocked.pop(place, None)

    def refill(self, combination: Combination, now: float) -> None:
        """Schedule all cells of a combination again, after its record has changed."""
        if (place := self._place.get(combination.key)) is not None:
            for age in range(OLDEST_AGE + 1):
                day = self.today - timedelta(days=age)
                self._fill_in(place, day, age, self._bounds(day), now)

    def refilling(self, combinations: Iterable[Combination], now: float) -> Iterator[None]:
        """Refill several combinations, a slice at every step."""
        for number, combination in enumerate(combinations, 1):
            self.refill(combination, now)
            if number % (STEP // OLDEST_AGE) == 0:
                yield

    def take_over(self, requested: Iterable[Slot], returned: Iterable[Slot]) -> None:
        """Register, once filled, the cells in flight and those that were read while it was filled."""
        for slot in returned:
            read_at, place = self._read_at(slot.combination, slot.day), self._place.get(slot.combination.key)
            if place is not None and read_at is not None:
                self._schedule(slot.day, place, read_at)
        for slot in requested:
            if (place := self._place.get(slot.combination.key)) is not None:
                self._in_flight.add((slot.day, place))
                self._cells.remove(slot.day, place)

    def current(self, slot: Slot) -> Slot:
        """Return a cell with the plan's combination: its query may have another name since it was taken."""
        place = self._place.get(slot.combination.key)
        return slot if place is None else Slot(self._order[place], slot.day)

    def _give_back(self, slot: Slot) -> Place | None:
        """Return the place of the cell's combination, None where the plan no longer has it."""
        place = self._place.get(slot.combination.key)
        if place is not None:
            self._in_flight.discard((slot.day, place))
        return place

    def _put_off(self, slot: Slot, place: Place | None, again_at: float) -> None:
        if place is not None and 0 <= (self.today - slot.day).days <= OLDEST_AGE:
            self._cells.put(slot.day, place, again_at, is_overdue=True)

    def _changes(self, age: int) -> bool:
        """Whether a day of that age has another rule than one a day younger."""
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
            bounds = self._bounds(day)
            for place in range(len(self._order)):
                self._fill_in(place, day, age, bounds, now)
                if place % STEP == STEP - 1:
                    self._cells.promote(now)  # at a cold start all cells are due; in one step that would block the loop
                    yield

    def _fill_in(self, place: Place, day: date, age: int, bounds: tuple[float, float], now: float) -> None:
        """Schedule a cell by its last read."""
        start, end = bounds
        read_at = self._read_at(self._order[place], day)
        if read_at is not None:
            # After a clock was set back, some reads are in the future, or before their day.
            read_at = min(read_at, now) if read_at >= start else None
        if (day, place) not in self._in_flight:
            self._sort_in(day, place, age, end, read_at, max(now, start))
        elif age == 1:
            self._note_unclosed(place, end, read_at)

    def _schedule(self, day: date, place: Place, read_at: float) -> None:
        start, end = self._bounds(day)
        self._sort_in(day, place, (self.today - day).days, end, read_at, start)

    def _sort_in(
        self, day: date, place: Place, age: int, end: float, read_at: float | None, known_since: float
    ) -> None:
        due = self.plan.next_read(age, read_at, end)
        self._cells.remove(day, place)
        if due is not None:
            self._cells.put(day, place, due if read_at is not None else known_since)
        if age == 1:
            self._note_unclosed(place, end, read_at)

    def _note_unclosed(self, place: Place, end: float, read_at: float | None) -> None:
        if read_at is not None and read_at < end:
            self._unclosed.add(place)
        else:
            self._unclosed.discard(place)

    def _bounds(self, day: date) -> tuple[float, float]:
        zone = self.plan.target.timezone
        return day_start(day, zone), day_end(day, zone)

    def _choose_day(self, now: float) -> date:
        """Return the day of the next cell.

        That is yesterday until it is closed, else the newest, or on a fairness turn the most overdue for its interval.
        """
        tops, is_fairness_turn = self._cells.tops(), (self._turn + 1) % FAIRNESS == 0
        yesterday, newest = self.today - timedelta(days=1), next(iter(tops))
        is_to_close = not self._unclosed.isdisjoint(self._cells.ready(yesterday))
        if is_to_close and (is_fairness_turn or self._closes_first(now)):
            return yesterday
        if not is_fairness_turn:
            return newest

        def lateness(day: date) -> float:
            return (now - tops[day]) / self.plan.refresh((self.today - day).days)

        latest = max(tops, key=lateness)
        return latest if lateness(latest) > 1 else newest

    def _closes_first(self, now: float) -> bool:
        """Whether yesterday comes before today: for as long as today's numbers cannot become stale."""
        slack = (self.plan.stale_after - self.plan.poll_interval) / 2
        return now - day_start(self.today, self.plan.target.timezone) <= slack


def round_robin(combinations: Sequence[Combination]) -> tuple[Combination, ...]:
    """Return the combinations with the queries taking turns, so that a large matrix never goes before a small query."""
    queries: dict[str, list[Combination]] = {}
    for combination in combinations:
        queries.setdefault(combination.query, []).append(combination)
    turns = chain.from_iterable(zip_longest(*queries.values()))
    return tuple(combination for combination in turns if combination is not None)
