"""The cells of one target in the order of their due times.

A cell waits in one heap until it is due, then in the heap of its day. A heap entry is valid only while it agrees
with `_due`, so a cell is moved by writing its new time. That stays cheap at 100,000 series: a cell
moves once per read, and at midnight only the days whose refresh time changes are sorted again. Tables are kept per
day, so that none is large enough for its growth to block the loop.
"""

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import date
from itertools import islice

Place = int
"""A combination, by its place in the order of a schedule."""
_Waiting = tuple[float, date, Place]


class DueCells:
    """Cells and when each is due, in seconds since the epoch."""

    def __init__(self) -> None:
        self._due: defaultdict[date, dict[Place, float]] = defaultdict(dict)
        self._waiting: list[_Waiting] = []
        self._heaps: dict[date, list[tuple[float, Place]]] = {}
        self._ready: defaultdict[date, set[Place]] = defaultdict(set)
        self._overdue: defaultdict[date, set[Place]] = defaultdict(set)

    def put(self, day: date, place: Place, due: float, *, is_overdue: bool = False) -> None:
        """Make a cell due at that time; `is_overdue` if it was due before and was postponed."""
        self._due[day][place] = due
        heapq.heappush(self._waiting, (due, day, place))
        if is_overdue:
            self._overdue[day].add(place)

    def remove(self, day: date, place: Place) -> None:
        """Remove a cell."""
        self._due[day].pop(place, None)
        self._ready[day].discard(place)
        self._overdue[day].discard(place)

    def clear(self) -> None:
        """Remove everything."""
        self._waiting.clear()
        for table in (self._due, self._heaps, self._ready, self._overdue):
            table.clear()

    def discard(self, oldest: date) -> None:
        """Remove the days before one."""
        for table in (self._due, self._heaps, self._ready, self._overdue):
            for day in [day for day in table if day < oldest]:
                del table[day]

    def promote(self, now: float) -> None:
        """Move the cells that have become due from waiting to ready, and drop entries that no longer count."""
        while self._waiting:
            due, day, place = self._waiting[0]
            counts = self._due[day].get(place) == due
            if counts and due > now:
                return
            heapq.heappop(self._waiting)
            if counts and place not in self._ready[day]:
                heapq.heappush(self._heaps.setdefault(day, []), (due, place))
                self._ready[day].add(place)
                self._overdue[day].discard(place)

    def next_due(self) -> float | None:
        """Return when the next cell becomes due, None when none waits. Only right after `promote`."""
        return self._waiting[0][0] if self._waiting else None

    def count(self) -> int:
        """Return how many cells are ready."""
        return sum(map(len, self._ready.values()))

    def count_overdue(self) -> int:
        """Return how many cells were due and are postponed."""
        return sum(map(len, self._overdue.values()))

    def ready(self, day: date) -> Collection[Place]:
        """Return the combinations whose cell of that day is ready."""
        return self._ready.get(day, ())

    def tops(self) -> dict[date, float]:
        """Return the due time of the most overdue ready cell of each day, the newest day first."""
        return {day: top for day in sorted(self._heaps, reverse=True) if (top := self._top(day)) is not None}

    def pop(self, day: date) -> Place:
        """Remove and return the most overdue ready cell of a day that has one."""
        self._top(day)
        _, place = heapq.heappop(self._heaps[day])
        self.remove(day, place)
        return place

    def first(self, count: int) -> list[tuple[date, Place]]:
        """Return the next few cells: those that are ready, newest days first; else those that wait."""
        ready = (
            (day, place)
            for day in sorted(self._ready, reverse=True)
            for place in heapq.nsmallest(count, self._ready[day])
        )
        later = ((day, place) for when, day, place in _in_order(self._waiting) if self._due[day].get(place) == when)
        return list(islice(ready, count)) or list(islice(later, count))

    def _top(self, day: date) -> float | None:
        """Return the due time of the day's most overdue cell, None when it has none."""
        heap = self._heaps[day]
        while heap:
            due, place = heap[0]
            if place in self._ready[day] and self._due[day].get(place) == due:
                return due
            heapq.heappop(heap)
        return None


def _in_order(heap: list[_Waiting]) -> Iterator[_Waiting]:
    """Yield a heap's items from the least up without taking them out; the first few cost little."""
    ahead = [(heap[0], 0)] if heap else []
    while ahead:
        item, index = heapq.heappop(ahead)
        yield item
        for child in range(2 * index + 1, min(2 * index + 3, len(heap))):
            heapq.heappush(ahead, (heap[child], child))
