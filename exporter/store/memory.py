"""What is known: totals per cell, the growth observed between two reads, and how the last try went.

    Store
    └── Record            one combination, found by its key (target, filters): independent of the config's order
        ├── cells         day -> Cell, the last complete answer for that day
        └── observed      counters of the growth seen between two reads of a cell

A combination's health is that of its today cell: that one is always read, whatever the windows.
"""

from collections import defaultdict
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from exporter.directmail.errors import DirectMailError
from exporter.directmail.model import Filters, RateSums, Totals

Key = tuple[str, Filters]
"""(target, filters): what makes a combination the same one over restarts and reloads."""

KEEP_DAYS = 31
"""Days older than this are forgotten: no window and no question reaches them."""

NOTHING = Totals(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Cell:
    """The last complete answer for one day of one combination."""

    totals: Totals
    rates: RateSums | None
    """The API's own rates, None where they are not kept."""
    read_at: float
    """When it was asked for, seconds since the epoch."""


@dataclass(slots=True)
class Record:
    """Everything known about one combination. Times are seconds since the epoch."""

    cells: dict[date, Cell] = field(default_factory=dict)
    observed: Totals = NOTHING
    first_read_at: float | None = None
    last_success_at: float | None = None
    last_attempt_ok: bool | None = None
    """None until today's cell was tried for the first time."""
    failure: DirectMailError | None = None
    """Why the last attempt failed, None when it worked."""
    failed_at: float = 0.0
    """When it failed; means nothing where it worked."""


class Store:
    """The records of all targets."""

    def __init__(self) -> None:
        self._records: dict[Key, Record] = {}
        self.decreases: defaultdict[str, int] = defaultdict(int)
        """Counts that went down between two reads, by target."""
        self.changed: dict[Key, set[date]] = {}
        """Records that changed since `take_changes`, with the days that did; the state file's list of work."""
        self.forgotten: set[Key] = set()
        """Records that are gone since the state file heard of it."""
        self.accounts: dict[str, str] = {}
        """Whose numbers the records of each target are (`config.Target.account`)."""
        self.claimed: set[str] = set()
        """Targets that were claimed for an account since the state file heard of it."""

    def get(self, key: Key) -> Record:
        """Return the combination's record, an empty one that is not kept where nothing is known."""
        return self._records.get(key) or Record()

    def keys(self) -> Iterator[Key]:
        """Return the combinations of which something is known."""
        return iter(self._records)

    def restore(self, key: Key, record: Record) -> None:
        """Take in a record that was known before this process; a read that worked then still counts as one."""
        record.last_attempt_ok = True if record.last_success_at is not None else None
        self._records[key] = record

    def claim(self, target: str, account: str) -> bool:
        """Note whose numbers the target has from now on. Where they were another's forget them, and return True."""
        before = self.accounts.get(target, account)
        if self.accounts.get(target) != account:
            self.accounts[target] = account
            self.claimed.add(target)
        if before == account:
            return False
        for key in [key for key in self._records if key[0] == target]:
            self._forget(key)
        return True

    def take_changes(self) -> dict[Key, set[date]]:
        """Return what has changed since the last call, and begin anew."""
        changes, self.changed = self.changed, {}
        return changes

    def put(self, key: Key, day: date, cell: Cell, *, day_start: float) -> None:
        """Take in a complete answer and add what grew since the last read of that day to the counters.

        `day_start` is when the day began. The first read of a day counts in full where the day began after the
        combination was first read, else nothing: its events may be older than our watch. A count that goes down
        adds nothing.
        """
        record = self._records.setdefault(key, Record())
        before = record.cells.get(day)
        if record.first_read_at is None:
            record.first_read_at = cell.read_at
        if before is not None:
            record.observed = self._grown(key[0], record.observed, before.totals, cell.totals)
        elif day_start > record.first_read_at:
            record.observed = self._grown(key[0], record.observed, NOTHING, cell.totals)
        record.cells[day] = cell
        self.changed.setdefault(key, set()).add(day)

    def _grown(self, target: str, observed: Totals, before: Totals, after: Totals) -> Totals:
        growth = [new - old for old, new in zip(before, after, strict=True)]
        self.decreases[target] += sum(step < 0 for step in growth)
        return Totals(*(count + max(step, 0) for count, step in zip(observed, growth, strict=True)))

    def succeeded(self, key: Key, at: float) -> None:
        """Note that today's cell was read at that time."""
        record = self._records.setdefault(key, Record())
        record.last_success_at = at
        self.changed.setdefault(key, set())
        record.last_attempt_ok = True
        record.failure = None

    def failed(self, key: Key, failure: DirectMailError, at: float) -> None:
        """Note that today's cell could not be read at that time."""
        record = self._records.setdefault(key, Record())
        record.failed_at = at
        record.last_attempt_ok = False
        record.failure = failure

    def prune(self, target: str, today: date, polled: Container[Key]) -> None:
        """Forget the target's days that nothing can ask for any more. Counters stay while anything else is known.

        `polled` are the combinations of which nothing is forgotten but days.
        """
        oldest = today - timedelta(days=KEEP_DAYS)
        for key, record in tuple(self._records.items()):
            if key[0] == target:
                for day in [day for day in record.cells if day < oldest]:
                    del record.cells[day]
                    self.changed.setdefault(key, set()).add(day)
                if not record.cells and key not in polled:
                    self._forget(key)

    def _forget(self, key: Key) -> None:
        del self._records[key]
        self.changed.pop(key, None)
        self.forgotten.add(key)
