"""Stores discovered values of each target and filter, when each was found, and how the last list went.

A value that is listed no more is kept until the next list confirms it: a single incomplete list removes no series.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.directmail.errors import DirectMailError
from exporter.directmail.listing import Listed

Place = tuple[str, str]
"""(target, filter)."""


@dataclass(slots=True)
class Entry:
    """The values of one filter of one target. Times are seconds since the epoch."""

    values: dict[str, float] = field(default_factory=dict)
    """When each was first listed; the oldest first, and those of one list in the API's order."""
    missing: set[str] = field(default_factory=set)
    """Values that the last list did not have, to be dropped when the next does not have them either."""
    unusable: int = 0
    """Names in the last list that cannot be a filter's value."""
    pages: int = 1
    """Calls that the last list took."""
    last_attempt_ok: bool | None = None
    """None until a list was tried for the first time."""
    last_success_at: float | None = None
    failure: DirectMailError | None = None
    """Why the last attempt failed, None when it worked."""
    failed_at: float = 0.0
    """When it failed; means nothing where it worked."""


class Change(NamedTuple):
    """How many values a list added and removed."""

    appeared: int
    vanished: int


class DiscoveredValues:
    """The discovered values of all targets."""

    def __init__(self) -> None:
        self._entries: dict[Place, Entry] = {}
        self.changed: set[Place] = set()
        """Entries whose values changed since `pop_changes`; the state file's list of work."""

    def get(self, target: str, key: str) -> Entry:
        """Return what is known of a filter, an empty entry that is not kept where nothing is."""
        return self._entries.get((target, key)) or Entry()

    def values(self, target: str, keys: Iterable[str]) -> dict[str, dict[str, float]]:
        """Return a copy of the known values by filter, each with when it was first listed, the oldest first."""
        return {key: dict(self.get(target, key).values) for key in keys}

    def restore(self, rows: Iterable[tuple[str, str, str, float]]) -> None:
        """Restore values of an earlier process: target, filter, value, since when; the oldest first."""
        for target, key, value, first_seen in rows:
            self._entries.setdefault((target, key), Entry()).values[value] = first_seen

    def pop_changes(self) -> dict[Place, Mapping[str, float]]:
        """Return the values of the entries that changed since the last call, and begin anew."""
        changes, self.changed = self.changed, set()
        return {place: dict(self.get(*place).values) for place in changes}

    def all_values(self) -> dict[Place, Mapping[str, float]]:
        """Return a copy of the values of every filter."""
        return {place: dict(entry.values) for place, entry in self._entries.items()}

    def discard(self, target: str) -> None:
        """Discard the target's values: they are another account's."""
        for place in [place for place in self._entries if place[0] == target]:
            del self._entries[place]
            self.changed.add(place)

    def succeeded(self, target: str, key: str, listed: Listed, at: float) -> Change:
        """Store a complete list that was requested at that time; return what changed."""
        entry = self._entries.setdefault((target, key), Entry())
        is_listed = frozenset(listed.values)
        gone = entry.missing - is_listed
        for value in gone:
            del entry.values[value]
        entry.missing = entry.values.keys() - is_listed
        # A clock that was set back makes no value older than one that was known before it.
        first_seen = max(at, max(entry.values.values(), default=at))
        before = len(entry.values)
        for value in listed.values:
            entry.values.setdefault(value, first_seen)
        entry.unusable, entry.pages = listed.unusable, listed.pages
        entry.last_attempt_ok, entry.last_success_at, entry.failure = True, at, None
        change = Change(len(entry.values) - before, len(gone))
        if any(change):
            self.changed.add((target, key))
        return change

    def failed(self, target: str, key: str, failure: DirectMailError, at: float) -> None:
        """Store that a list failed at that time; the values are kept."""
        entry = self._entries.setdefault((target, key), Entry())
        entry.last_attempt_ok, entry.failure, entry.failed_at = False, failure, at

    def entries(self, target: str, keys: Iterable[str]) -> Iterator[tuple[str, Entry]]:
        """Return the filters with what is known of them."""
        return ((key, self.get(target, key)) for key in keys)
