"""Stores the last results about each account's quota, senders and domains, and whether the last try worked."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from exporter.clock import Clock
from exporter.directmail.account import Summary, Usage
from exporter.directmail.errors import DirectMailError

Value = TypeVar("Value")
Checks = Mapping[str, bool]
"""Whether each check of a domain is verified."""


@dataclass(slots=True)
class Fact(Generic[Value]):
    """The last result to one request."""

    value: Value | None = None
    """None until the first result."""
    read_at: float | None = None
    """When it was requested, seconds since the epoch."""
    last_attempt_ok: bool | None = None
    """None until the first try."""
    failure: DirectMailError | None = None
    """Why the last try failed."""
    _fresh_since: float = -math.inf

    def succeeded(self, value: Value, requested_at: float, clock: Clock) -> None:
        """Store the result of a request of that time, seconds since the epoch."""
        self.value, self.read_at, self.last_attempt_ok = value, requested_at, True
        self.failure = None
        self._fresh_since = clock.monotonic()

    def failed(self, error: DirectMailError) -> None:
        """Store why the try failed; the last result is kept."""
        self.last_attempt_ok, self.failure = False, error

    def age(self, clock: Clock) -> float:
        """Return the seconds since the result was requested, infinite where there was none.

        It is the longer time of two clocks: the wall clock may be set back, and the other stops while the machine
        sleeps.
        """
        if self.read_at is None:
            return math.inf
        return max(clock.time() - self.read_at, clock.monotonic() - self._fresh_since)


@dataclass(slots=True)
class Facts:
    """The facts of one target."""

    summary: Fact[Summary] = field(default_factory=Fact)
    senders: Fact[Mapping[str, Usage]] = field(default_factory=Fact)
    domains: Fact[Mapping[str, Checks]] = field(default_factory=Fact)
    """The checks that the list of domains has."""
    described: dict[str, Fact[Checks]] = field(default_factory=dict)
    """The others, by domain."""


class AccountFacts:
    """The facts of all targets."""

    def __init__(self) -> None:
        self._known: defaultdict[str, Facts] = defaultdict(Facts)

    def of(self, target: str) -> Facts:
        """Return what is known of a target's account."""
        return self._known[target]

    def discard(self, target: str) -> None:
        """Discard a target that is removed or is another account now."""
        self._known.pop(target, None)
