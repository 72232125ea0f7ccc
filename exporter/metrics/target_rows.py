"""The table of the exporter's own metrics of each target: one row each, and how its samples come from a snapshot."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple, Protocol

from prometheus_client.utils import floatToGoString

from exporter.config.model import Target
from exporter.directmail.crosscheck import Crosscheck
from exporter.directmail.errors import REASONS
from exporter.directmail.limiter import Limiter
from exporter.metrics.text_format import Family
from exporter.plan.target_plan import TargetPlan
from exporter.store.discovered_values import Entry

BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds; a call over the open internet takes some tenths, the default timeout is 10."""
_BOUNDS = (*(floatToGoString(bound) for bound in BUCKETS), "+Inf")


class PollState(Protocol):
    """What is read of the polling of one statistic of a target."""

    @property
    def plan(self) -> TargetPlan: ...
    @property
    def crosscheck(self) -> Crosscheck: ...
    def is_up(self) -> bool: ...
    def backlog(self) -> int | None: ...


class TargetState(Protocol):
    """The state that is read of a target."""

    @property
    def target(self) -> Target: ...
    @property
    def polls(self) -> Mapping[str, PollState]: ...
    @property
    def limiters(self) -> Mapping[str, Limiter]: ...
    @property
    def planned_requests(self) -> Mapping[str, float]: ...
    @property
    def credentials_expire_at(self) -> float | None: ...


@dataclass(slots=True)
class RequestCounts:
    """The HTTP requests of one operation."""

    took: list[int] = field(default_factory=lambda: [0] * len(_BOUNDS))
    """How many took so long, by bucket."""
    seconds: float = 0.0
    failed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))

    def observe(self, seconds: float, reason: str | None) -> None:
        """Count a request, and why it failed, None where it did not."""
        self.took[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds
        if reason is not None:
            self.failed[reason] += 1


class TargetSnapshot(NamedTuple):
    """A target at one moment."""

    state: TargetState
    calls: Mapping[str, RequestCounts]
    polls: Mapping[str, PollState]
    limiters: Mapping[str, Limiter]
    planned_requests: Mapping[str, float]
    decreases: int
    discovered: list[tuple[str, Entry]]
    """By operation."""


Samples = Iterable[tuple[str, tuple[str, ...], float | None]]
"""What follows the metric's name, the values of the labels, and the value, None for no sample."""


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One of the program's own metrics of a target. A counter's name ends with `_total`."""

    name: str
    help: str
    labels: tuple[str, ...]
    """Beside `target`; a histogram has `le` as well."""
    samples: Callable[[TargetSnapshot], Samples]
    type: str = "gauge"


def _of_actions(name: str, text: str, values: Callable[[TargetSnapshot], Mapping[str, float | None]]) -> TargetRow:
    def samples(snapshot: TargetSnapshot) -> Samples:
        return [("", (action,), value) for action, value in values(snapshot).items()]

    return TargetRow(name, text, ("action",), samples, "counter" if name.endswith("_total") else "gauge")


def _of_crosscheck(name: str, label: str, text: str, counts: Callable[[Crosscheck], Mapping[str, int]]) -> TargetRow:
    def samples(snapshot: TargetSnapshot) -> Samples:
        for poll in snapshot.polls.values():
            for what, count in counts(poll.crosscheck).items():
                yield "", (poll.plan.statistic, what), count

    once = "A cell counts again only after a correct read."
    return TargetRow(name, f"{text}. {once}", ("statistic", label), samples, "counter")


def _of_discovery(name: str, text: str, value: Callable[[Entry], float | None]) -> TargetRow:
    def samples(snapshot: TargetSnapshot) -> Samples:
        return [("", (action,), value(entry)) for action, entry in snapshot.discovered]

    return TargetRow(name, text, ("action",), samples)


def _errors(snapshot: TargetSnapshot) -> Samples:
    for action, calls in snapshot.calls.items():
        for reason, count in calls.failed.items():
            yield "", (action, reason), count


def _durations(snapshot: TargetSnapshot) -> Samples:
    for action, calls in snapshot.calls.items():
        for bound, count in zip(_BOUNDS, accumulate(calls.took), strict=True):
            yield "_bucket", (action, bound), count
        yield "_count", (action,), sum(calls.took)
        yield "_sum", (action,), calls.seconds


CALL_ROWS: tuple[TargetRow, ...] = (
    _of_actions(
        "directmail_exporter_api_requests_total",
        "HTTP requests to the API, including pages and retries.",
        lambda snapshot: {action: sum(calls.took) for action, calls in snapshot.calls.items()},
    ),
    TargetRow(
        "directmail_exporter_api_request_errors_total",
        "HTTP requests to the API without a usable response, by reason.",
        ("action", "reason"),
        _errors,
        "counter",
    ),
    TargetRow(
        "directmail_exporter_api_request_duration_seconds",
        "Duration of HTTP requests to the API. Includes failed requests.",
        ("action",),
        _durations,
        "histogram",
    ),
)
"""The metrics that change only with a call."""
ROWS: tuple[TargetRow, ...] = (
    *CALL_ROWS,
    TargetRow(
        "directmail_up",
        "Whether any combination of the target was read within its poll interval, 1 or 0.",
        (),
        lambda snapshot: [("", (), any(poll.is_up() for poll in snapshot.polls.values()))],
    ),
    TargetRow(
        "directmail_exporter_credentials_expiry_timestamp_seconds",
        "Expiry of the temporary credentials in use, in Unix seconds. Absent if unknown.",
        (),
        lambda snapshot: [("", (), snapshot.state.credentials_expire_at)],
    ),
    _of_actions(
        "directmail_exporter_rate_limit_requests_per_minute",
        "Requests a minute that the limiter allows now. Lower than configured while the API throttles.",
        lambda snapshot: {action: limiter.allowed_per_minute for action, limiter in snapshot.limiters.items()},
    ),
    _of_actions(
        "directmail_exporter_throttled",
        "Whether throttling by the API has lowered the limiter, 1 or 0.",
        lambda snapshot: {action: limiter.is_throttled for action, limiter in snapshot.limiters.items()},
    ),
    _of_actions(
        "directmail_exporter_planned_requests_per_minute",
        "Requests a minute that the plan needs in the steady state. Includes pages.",
        lambda snapshot: snapshot.planned_requests,
    ),
    _of_actions(
        "directmail_exporter_poll_interval_seconds",
        "Seconds between two reads of today's values of a combination. Ended days are read less often.",
        lambda snapshot: {action: poll.plan.poll_interval for action, poll in snapshot.polls.items()},
    ),
    _of_actions(
        "directmail_exporter_combinations_dropped",
        "Discovered combinations not polled because of limit, max_series or the request budget.",
        lambda snapshot: {action: poll.plan.left_out for action, poll in snapshot.polls.items()},
    ),
    _of_actions(
        "directmail_exporter_backlog_cells",
        "Cells (one combination, one day) due and not yet read. Absent until they are scheduled.",
        lambda snapshot: {action: poll.backlog() for action, poll in snapshot.polls.items()},
    ),
    TargetRow(
        "directmail_exporter_count_decreases_total",
        "Counts that the API reported lower than before. The observed counters ignore them.",
        (),
        lambda snapshot: [("", (), snapshot.decreases)],
        "counter",
    ),
    _of_crosscheck(
        "directmail_exporter_reported_rate_mismatches_total",
        "rate",
        "Cells whose reported rate does not match count / emails",
        lambda crosscheck: crosscheck.mismatches,
    ),
    _of_crosscheck(
        "directmail_exporter_implausible_counts_total",
        "count",
        "Cells with more unique opens than opens, or more unique clicks than clicks",
        lambda crosscheck: crosscheck.implausible,
    ),
    _of_discovery(
        "directmail_exporter_discovery_success",
        "Whether the last listing of a filter's values succeeded, 1 or 0. Absent before the first.",
        lambda entry: entry.last_attempt_ok,
    ),
    _of_discovery(
        "directmail_exporter_discovered_values",
        "Discovered values of a filter, before include, exclude and limit. Absent before the first listing.",
        lambda entry: len(entry.values) if entry.values or entry.last_success_at is not None else None,
    ),
)
FAMILIES = tuple(Family(row.name, row.help, row.type) for row in ROWS)
"""The families of a target's block, in the order of its entries."""
