"""Distinguishes a failing request from an outage of an operation or of a whole target.

One rejected key fails every query combination. Such an outage is logged once when it begins and once when it ends;
meanwhile one request per back-off probes whether it is over.
"""

import math
import random
from collections import Counter
from collections.abc import Callable, Container, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from structlog.typing import FilteringBoundLogger

from exporter.clock import Clock
from exporter.collector.backoff import back_off
from exporter.config.durations import format_duration
from exporter.directmail.errors import DirectMailError, InvalidRequest, PermissionDenied, RequestTimeout

ENOUGH = 3
"""From this many subjects failing in a row, without a success in between, it is an outage."""
LONGEST_HOLD = 60.0
"""Seconds for which the log line of one subject waits for the results of others."""
FIRST_PROBE, LONGEST_PROBE = 15.0, 60.0
"""Seconds between two probes, doubled from the first to the longest."""

_WHOLE_TARGET = ""
"""The scope of an outage of everything; that of one operation is its name."""


class _Failure(NamedTuple):
    """A subject that has begun to fail."""

    error: DirectMailError
    began_at: float
    at: float
    """When it failed last."""
    report: Callable[[], None]
    is_typical: bool
    is_alone: bool
    """Whether its operation has no other subject that could fail likewise."""


@dataclass(slots=True)
class _Outage:
    error: DirectMailError
    began_at: float
    over_since: float
    """A success ends it if it was requested since then: one of an earlier request says nothing."""
    probe_at: float
    """When the next request may be made; while one is under way, when it is given up."""
    probed_at: float = math.inf
    probes: int = 0


class Outages:
    """The outages of one target. All times are monotonic seconds."""

    def __init__(
        self, clock: Clock, log: FilteringBoundLogger, subjects: Callable[[], int], rng: random.Random | None = None
    ) -> None:
        """`subjects` returns how many things the target requests at all: combinations and lists."""
        self._clock = clock
        self._log = log
        self._subjects = subjects
        self._random = rng or random.Random()
        self._failing: dict[tuple[str, Hashable], _Failure] = {}
        """What failed since its operation last succeeded, and is not reported yet."""
        self._suspected: set[str] = set()
        """Operations with enough failures, but none of a typical request."""
        self._succeeded_at = -math.inf
        self._working: set[str] = set()
        """Operations that have succeeded once."""
        self._timeouts: Counter[str] = Counter()
        """How many requests of any other operation got no response in time and are made again."""
        self._ongoing: dict[str, _Outage] = {}
        self._wake: list[Callable[[], None]] = []

    @contextmanager
    def waking(self, wake: Callable[[], None], subjects: Callable[[], Container[Hashable]] = tuple) -> Iterator[None]:
        """Call `wake` whenever an outage is over, while the block runs; then discard the failures of its `subjects`."""
        self._wake.append(wake)
        try:
            yield
        finally:
            self._wake.remove(wake)
            self.discard(subjects())

    def of(self, action: str) -> DirectMailError | None:
        """Return the error of the operation's outage, None without one."""
        return next((outage.error for outage in self._of(action)), None)

    def pause(self, action: str) -> float:
        """Return the seconds until the operation may be called, 0 for now."""
        return max((outage.probe_at - self._clock.monotonic() for outage in self._of(action)), default=0.0)

    def requesting(self, action: str) -> float:
        """Note a request that is made now and return the time; during an outage it is the probe."""
        now = self._clock.monotonic()
        for outage in self._of(action):
            outage.probed_at, outage.probe_at = now, now + LONGEST_PROBE
        return now

    def is_suspected(self, action: str) -> bool:
        """Return whether only a typical request can show if the operation works at all."""
        return action in self._suspected

    def succeeded(self, action: str, requested_at: float) -> None:
        """Note that a request of that time succeeded."""
        self._suspected.discard(action)
        self._succeeded_at = self._clock.monotonic()
        self._working.add(action)
        self._timeouts.pop(action, None)
        for scope in (_WHOLE_TARGET, action):
            outage = self._ongoing.get(scope)
            if outage is not None and requested_at >= outage.over_since:
                del self._ongoing[scope]
                self._log_scope(self._log.info, scope, "recovered", after=format_duration(self._lasted(outage)))
                for wake in self._wake:
                    wake()
        # What fails alone does not belong to a larger outage, now that something else works.
        self._report([key for key, failure in self._failing.items() if key[0] == action or failure.is_alone])

    def retrying(self, action: str, error: DirectMailError) -> None:
        """Note that a request has failed for the first time and is made again.

        Its last timeout is half a minute away. Where an operation never worked, the first one of each of several
        requests says enough; once one of them has failed for good, `failed` decides.
        """
        has_failed = any(key[0] == action for key in self._failing)
        if not isinstance(error, RequestTimeout) or action in self._working or has_failed or self._of(action):
            return
        self._timeouts[action] += 1
        if self._succeeded_at == -math.inf and self._timeouts.total() >= min(ENOUGH, self._subjects()):
            self._begin(_WHOLE_TARGET, error, over_since=-math.inf)  # by a later attempt of the same requests, too
        elif self._timeouts[action] >= ENOUGH:
            self._begin(action, error, over_since=-math.inf)

    def failed(
        self,
        action: str,
        subject: Hashable,
        error: DirectMailError,
        requested_at: float,
        *,
        of: int,
        report: Callable[[], None] | None,
        is_typical: bool = True,
    ) -> None:
        """Note that a request of that time failed.

        `report` logs that the subject has begun to fail, None where that was logged before; it is not called if this
        turns out to be an outage. `of` is the number of the operation's subjects. A request that is not
        typical, such as that of an old day, may fail for reasons of its own.
        """
        outages = self._of(action)
        for outage in outages:
            if requested_at >= outage.probed_at:
                outage.probes += 1
                outage.probe_at = self._clock.monotonic() + self._back_off(outage.probes)
        if outages or report is None:
            return
        now, before = self._clock.monotonic(), self._failing.get((action, subject))
        self._failing[action, subject] = _Failure(
            error, before.began_at if before else now, now, report, is_typical, is_alone=of == 1
        )
        if isinstance(error, InvalidRequest) or (isinstance(error, PermissionDenied) and of == 1):
            self._report([(action, subject)])
        elif (scope := self._scope(action, of)) is not None:
            if any(failure.is_typical for failure in self._failing.values()):
                self._begin(scope, error)
            else:
                self._suspected.add(action)

    def discard(self, gone: Container[Hashable]) -> None:
        """Discard the failures of subjects that are no longer requested: nothing will show that they are over."""
        self._failing = {key: failure for key, failure in self._failing.items() if key[1] not in gone}

    def report_due(self) -> None:
        """Report the failures that have waited long enough and do not belong to an outage."""
        now = self._clock.monotonic()
        self._report([key for key, failure in self._failing.items() if now - failure.began_at >= LONGEST_HOLD])

    def _of(self, action: str) -> list[_Outage]:
        return [outage for scope in (_WHOLE_TARGET, action) if (outage := self._ongoing.get(scope))]

    def _scope(self, action: str, of: int) -> str | None:
        """Return the scope of an outage that follows from the failures so far, None without one."""
        anywhere = [
            failure
            for failure in self._failing.values()
            if failure.at > self._succeeded_at and not isinstance(failure.error, PermissionDenied)
        ]
        if len(anywhere) >= min(ENOUGH, self._subjects()):
            return _WHOLE_TARGET
        here = sum(key[0] == action for key in self._failing)
        return action if of > 1 and here >= min(ENOUGH, of) else None

    def _begin(self, scope: str, error: DirectMailError, over_since: float | None = None) -> None:
        now = self._clock.monotonic()
        self._suspected.clear()
        for key in [key for key in self._failing if scope in (_WHOLE_TARGET, key[0])]:
            del self._failing[key]
        self._ongoing[scope] = _Outage(
            error, now, now if over_since is None else over_since, probe_at=now + self._back_off(0)
        )
        self._log_scope(self._log.warning, scope, "failing", **error.facts())

    def _log_scope(self, log: Callable[..., None], scope: str, what: str, **facts: str) -> None:
        """Log that the outage of a scope has begun or ended."""
        if scope == _WHOLE_TARGET:
            log(f"target {what}", **facts)
        else:
            log(f"operation {what}", action=scope, **facts)

    def _report(self, keys: list[tuple[str, Hashable]]) -> None:
        for key in keys:
            self._failing.pop(key).report()

    def _back_off(self, probes: int) -> float:
        return back_off(probes + 1, FIRST_PROBE, LONGEST_PROBE, self._random, 0.2)

    def _lasted(self, outage: _Outage) -> float:
        return self._clock.monotonic() - outage.began_at
