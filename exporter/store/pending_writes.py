"""Collects changes of the store and of discovered values that the state file does not have yet, in batches."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from exporter.directmail.model import Key
from exporter.store.discovered_values import DiscoveredValues, Place
from exporter.store.encoding import StateRow, account_row, decreases_row, discovered_row, record_row
from exporter.store.memory import Record, Store

BATCH = 200
"""Combinations in a batch; more would hold the event loop while they are gathered."""


class Snapshot(NamedTuple):
    """A record, and its state when it was read: counters and cells of one moment."""

    key: Key
    record: Record
    state: Record


@dataclass
class Batch:
    """What goes into one transaction."""

    snapshots: list[Snapshot]
    discarded: set[Key]
    accounts: dict[str, str]
    lists: dict[Place, Mapping[str, float]]
    decreases: dict[str, int]

    def __bool__(self) -> bool:
        return any((self.snapshots, self.discarded, self.accounts, self.lists, self.decreases))

    def rows(self) -> Iterator[StateRow]:
        """Yield the rows; nothing of it needs the event loop."""
        yield from (discovered_row(place, values) for place, values in self.lists.items())
        yield from (record_row(key, None) for key in self.discarded)
        yield from (account_row(target, account) for target, account in self.accounts.items())
        yield from (decreases_row(target, count) for target, count in self.decreases.items())
        yield from (record_row(each.key, each.state) for each in self.snapshots)


class PendingWrites:
    """What is to be written."""

    def __init__(self, store: Store, discovered: DiscoveredValues) -> None:
        self._store = store
        self._discovered = discovered
        self.decreases: Mapping[str, int] = {}
        """Counts that went down, as they were last written."""

    def batches(self) -> int:
        """Return how many batches have all that is to be written now."""
        return 1 + len(self._store.changed) // BATCH

    def take(self) -> Batch:
        """Return the next batch; it is empty when everything is written.

        Discarded records are written together with the account that replaces them, and its new records.
        """
        store = self._store
        discarded, store.discarded = store.discarded, set()
        claimed, store.claimed = store.claimed, set()
        added_again = self._snapshots([key for key in discarded if store.find(key)])
        return Batch(
            [*added_again, *self._snapshots(list(islice(store.changed, BATCH)))],
            discarded,
            {target: store.accounts[target] for target in claimed},
            self._discovered.pop_changes(),
            {target: count for target, count in store.decreases.items() if self.decreases.get(target) != count},
        )

    def everything(self) -> Iterator[Batch]:
        """Yield all that is known, in batches that go into one transaction, with time for other work between them."""
        store, discovered = self._store, self._discovered
        store.discarded, store.claimed = set(), set()
        discovered.pop_changes()
        yield Batch([], set(), dict(store.accounts), discovered.all_values(), dict(store.decreases))
        keys = store.keys()
        while some := list(islice(keys, BATCH)):
            yield Batch(self._snapshots(some), set(), {}, {}, {})

    def put_back(self, batch: Batch) -> None:
        """Return a batch that could not be written; the next one has it again."""
        store = self._store
        store.changed.update(each.key for each in batch.snapshots if store.find(each.key) is each.record)
        store.discarded |= batch.discarded
        store.claimed |= batch.accounts.keys()
        self._discovered.changed |= batch.lists.keys()

    def written(self, batch: Batch) -> list[Key]:
        """Note that the batch is on disk; return the combinations whose counters may be shown anew."""
        self.decreases = {**self.decreases, **batch.decreases}
        read = (each for each in batch.snapshots if each.state.counted)
        grown = [each for each in read if each.record.observed != each.state.counted]
        for each in grown:
            each.record.observed = each.state.counted
        return [each.key for each in grown]

    def _snapshots(self, keys: Iterable[Key]) -> list[Snapshot]:
        return [Snapshot(key, record, _copy(record)) for key in keys if (record := self._claim(key))]

    def _claim(self, key: Key) -> Record | None:
        self._store.changed.discard(key)
        return self._store.find(key)


def _copy(record: Record) -> Record:
    return Record(
        dict(record.cells),
        record.counted,
        first_read_at=record.first_read_at,
        last_success_at=record.last_success_at,
        is_withheld=record.is_withheld,
    )
