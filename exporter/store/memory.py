"""The store in memory: totals per cell, the growth observed between two reads, and how the last try went.

    Store                 by target and statistic, so that work for one collector looks at its own records only
    └── Record            one combination, found by its key (target, statistic, filters)
        ├── cells         day -> Cell, the last complete result for that day
        ├── counted       the growth seen between two reads of a cell
        └── observed      what of it may be shown

A combination's health is that of its today cell: that one is always read, whatever the windows.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from exporter.clock import BACKWARDS, Clock
from exporter.directmail.errors import DirectMailError
from exporter.directmail.model import Filters, Key
from exporter.directmail.statistics.statistic import RateSums, Totals

KEEP_DAYS = 31
"""Days older than this are discarded: no window and no request reaches them."""
PRUNED = 250
"""Records that are pruned before other work runs: about a millisecond."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The last complete result for one day of one combination."""

    totals: Totals
    rates: RateSums | None
    """The API's own rates, None where they are not kept."""
    read_at: float
    """When it was requested, seconds since the epoch."""
    highest: Totals | None = None
    """The highest value that each count has ever had, None where `totals` has them all."""

    @property
    def peak(self) -> Totals:
        """The highest value that each count has ever had; growth is counted above it."""
        return self.totals if self.highest is None else self.highest


@dataclass(slots=True)
class Record:
    """Everything known about one combination. Times are seconds since the epoch."""

    cells: dict[date, Cell] = field(default_factory=dict)
    counted: Totals = ()
    """All growth that was seen, empty before the first read; with a state file it may be ahead of what is on disk."""
    observed: Totals | None = None
    """The growth that may be shown, None while there is none: with a state file, what is on disk."""
    first_read_at: float | None = None
    last_success_at: float | None = None
    last_attempt_ok: bool | None = None
    """None until today's cell was tried for the first time."""
    failure: DirectMailError | None = None
    """Why the last attempt failed, None when it worked."""
    failed_at: float = 0.0
    """When it failed; means nothing where it worked."""
    is_supported: bool = True
    """Whether the account can use the filters, as far as the results show."""
    is_withheld: bool = False
    """Whether the numbers are not shown, because they may be those of all the mail."""
    fresh_since: float | None = None
    """The last success on the monotonic clock, None until `age` was called."""

    def age(self, clock: Clock) -> float | None:
        """Return the seconds since the last success, None where there was none.

        It is the longer time of two clocks: the wall clock may be set back, and the monotonic one stops while the
        machine sleeps. A success that the wall clock puts into the future was before a restart, and the clock was
        set back meanwhile: its age is unknown, and counts as infinite.
        """
        if self.last_success_at is None:
            return None
        elapsed = clock.time() - self.last_success_at
        if self.fresh_since is None:
            self.fresh_since = clock.monotonic() - max(elapsed, 0.0) if elapsed >= -BACKWARDS else -math.inf
        return max(elapsed, clock.monotonic() - self.fresh_since)

    def set_back(self, now: float, by: float, is_early: Callable[[date, float], bool]) -> bool:
        """Move reads back by some seconds because the clock was set back; return whether anything has changed.

        No read can have been later than `now`; `is_early` says of a day and the time of its read whether a read so
        much earlier would mean something else. When the last success was is the caller's.
        """
        moved = {
            day: replace(cell, read_at=max(cell.read_at - by, 0.0))
            for day, cell in self.cells.items()
            if cell.read_at > now or is_early(day, cell.read_at)
        }
        self.cells.update(moved)
        if self.first_read_at is None or self.first_read_at <= now:
            return bool(moved)
        self.first_read_at = now
        return True


class Store:
    """The records of all targets."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], dict[Filters, Record]] = {}
        """By target and statistic."""
        self.decreases: defaultdict[str, int] = defaultdict(int)
        """Counts that went down between two reads, by target."""
        self.waits_for_disk = False
        """Whether growth is shown only when the state file has it."""
        self.unwritable_since: float | None = None
        """Since when the state file cannot be written (monotonic seconds), None while it can."""
        self.changed: set[Key] = set()
        """Records that changed since the state file took them; its list of work."""
        self.discarded: set[Key] = set()
        """Records that are gone since the state file took them."""
        self.accounts: dict[str, str] = {}
        """Whose numbers the records of each target are (`config.Target.account`)."""
        self.claimed: set[str] = set()
        """Targets that were claimed for an account since the state file took them."""

    def get(self, key: Key) -> Record:
        """Return the combination's record, an empty one that is not kept where nothing is known."""
        return self.find(key) or Record()

    def find(self, key: Key) -> Record | None:
        """Return the combination's record, None where nothing is known."""
        target, statistic, filters = key
        records = self._records.get((target, statistic))
        return None if records is None else records.get(filters)

    def keys(self) -> Iterator[Key]:
        """Yield the combinations of which something is known; records may come and go meanwhile."""
        for (target, statistic), records in tuple(self._records.items()):
            for filters in tuple(records):
                yield target, statistic, filters

    def restore(self, key: Key, record: Record) -> None:
        """Restore a record of an earlier process; its successful reads still count."""
        record.last_attempt_ok = True if record.last_success_at is not None else None
        record.observed = record.counted or None
        self._put(key, record)

    def claim(self, target: str, account: str) -> bool:
        """Note whose numbers the target has from now on. Where they were another's discard them, and return True."""
        before = self.accounts.get(target, account)
        if self.accounts.get(target) != account:
            self.accounts[target] = account
            self.claimed.add(target)
        if before == account:
            return False
        for statistic, records in self._of(target):
            for filters in tuple(records):
                self._discard((target, statistic, filters))
        return True

    def put(self, key: Key, day: date, cell: Cell, *, day_start: float) -> bool:
        """Store a complete result and add the growth since the last read of that day to the counters.

        Return False, and change nothing, where a result that was requested later is stored already.

        `day_start` is when the day began. The first read of a day counts in full where the day began after the
        combination was first read, else nothing: its events may be older than the first read. Growth is what a count is
        above the highest value that it has had: one that goes down and comes back adds nothing.
        """
        record = self._make(key)
        before, nothing = record.cells.get(day), (0,) * len(cell.totals)
        if before is not None and before.read_at > cell.read_at:
            return False
        record.counted = record.counted or nothing
        if record.first_read_at is None:
            record.first_read_at = cell.read_at
        if before is not None:
            peak = before.peak
            self.decreases[key[0]] += sum(new < old for old, new in zip(before.totals, cell.totals, strict=True))
        else:
            peak = nothing if day_start > record.first_read_at else cell.totals
        growth = [max(new - old, 0) for old, new in zip(peak, cell.totals, strict=True)]
        if any(growth):
            record.counted = tuple(map(sum, zip(record.counted, growth, strict=True)))
        if not self.waits_for_disk:
            record.observed = record.counted
        highest = tuple(map(max, peak, cell.totals))
        record.cells[day] = cell if highest == tuple(cell.totals) else replace(cell, highest=highest)
        self.changed.add(key)
        return True

    def succeeded(self, key: Key, at: float) -> None:
        """Note that today's cell was read at that time; results may arrive in another order than their requests."""
        record = self._make(key)
        if record.last_success_at is None or record.fresh_since == -math.inf:  # none, or one of unknown age
            record.last_success_at = at
        record.last_success_at = max(at, record.last_success_at)
        record.fresh_since = None
        self.changed.add(key)
        record.last_attempt_ok = True
        record.failure = None

    def failed(self, key: Key, failure: DirectMailError, at: float) -> None:
        """Note that today's cell could not be read at that time."""
        record = self._make(key)
        record.failed_at = at
        record.last_attempt_ok = False
        record.failure = failure

    def judged(self, key: Key, *, is_supported: bool, is_withheld: bool) -> bool:
        """Note whether the account can use the filters and whether the numbers are shown; return whether that is new.

        Of filters that cannot be used no attempt fails.
        """
        record = self.get(key)
        if (record.is_supported, record.is_withheld) == (is_supported, is_withheld):
            return False
        record.is_supported, record.is_withheld = is_supported, is_withheld
        if not is_supported:
            record.last_attempt_ok, record.failure = True, None
        self._put(key, record)
        self.changed.add(key)
        return True

    def discard(self, key: Key) -> None:
        """Discard the numbers of a combination: they were not its own. Its counters begin at 0 again."""
        record = self.find(key)
        if record is not None:
            self._discard(key)
            emptied = Record(
                last_attempt_ok=record.last_attempt_ok,
                failure=record.failure,
                failed_at=record.failed_at,
                is_supported=record.is_supported,
                is_withheld=record.is_withheld,
            )
            self._put(key, emptied)

    def setting_back(
        self, target: str, statistic: str, now: float, by: float, day_end: Callable[[date], float]
    ) -> Iterator[Key | None]:
        """Note that the clock was set back by some seconds to `now`: each read may have been so much earlier.

        A day that a fast clock closed too early is closed only by a read after its real end. Yield each combination
        that has changed, and None after a slice without one; other work may run between steps.
        """
        records = self._records.get((target, statistic), {})

        def is_early(day: date, read_at: float) -> bool:
            return read_at - by < day_end(day) <= read_at

        for number, filters in enumerate(tuple(records), 1):
            record, key = records.get(filters), (target, statistic, filters)
            if record is not None:
                changed = record.set_back(now, by, is_early)
                if record.last_success_at is not None and record.last_success_at > now:
                    record.last_success_at, record.fresh_since, changed = record.last_success_at - by, None, True
                if changed:
                    self.changed.add(key)
                    yield key
            if number % PRUNED == 0:
                yield None

    def prune(self, target: str, statistic: str, today: date, polled: Container[Key]) -> None:
        """Discard the days of a target's statistic that nothing can request any more.

        Counters stay while anything else is known. `polled` are the combinations that discard nothing but days.
        """
        for _ in self.pruning(target, statistic, today, polled):
            pass

    def pruning(self, target: str, statistic: str, today: date, polled: Container[Key]) -> Iterator[None]:
        """Prune a slice at every step; steps may have other work between them."""
        oldest = today - timedelta(days=KEEP_DAYS)
        records = self._records.get((target, statistic), {})
        for number, filters in enumerate(tuple(records), 1):
            if (record := records.get(filters)) is not None:
                key = (target, statistic, filters)
                for day in [day for day in record.cells if day < oldest]:
                    del record.cells[day]
                    self.changed.add(key)
                if not record.cells and key not in polled:
                    self._discard(key)
            if number % PRUNED == 0:
                yield

    def _of(self, target: str) -> list[tuple[str, dict[Filters, Record]]]:
        """Return the statistics of a target with their records."""
        return [(statistic, records) for (its, statistic), records in self._records.items() if its == target]

    def _make(self, key: Key) -> Record:
        """Return the combination's record, an empty one that is kept where nothing is known."""
        record = self.find(key)
        if record is None:
            record = Record()
            self._put(key, record)
        return record

    def _put(self, key: Key, record: Record) -> None:
        target, statistic, filters = key
        self._records.setdefault((target, statistic), {})[filters] = record

    def _discard(self, key: Key) -> None:
        target, statistic, filters = key
        del self._records[target, statistic][filters]
        self.changed.discard(key)
        self.discarded.add(key)
