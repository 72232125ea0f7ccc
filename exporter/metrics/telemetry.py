"""The exporter's own metrics: live counters of its calls, and each target's state as it is when scraped."""

import platform
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from exporter import __revision__, __version__
from exporter.config.model import Target
from exporter.config.shards import WHOLE, Shard
from exporter.directmail.crosscheck import Crosscheck
from exporter.directmail.errors import REASONS
from exporter.directmail.limiter import Limiter
from exporter.directmail.listing import OPERATIONS
from exporter.plan.target_plan import TargetPlan
from exporter.process import stderr
from exporter.store.discovered_values import Catalogue, Entry

DISCOVERY_ROWS: tuple[tuple[str, str, Callable[[Entry], float | None]], ...] = (
    (
        "directmail_exporter_discovery_success",
        "Whether the last attempt to list the values of a discovered filter worked, 1 or 0; absent before the first.",
        lambda entry: entry.last_attempt_ok,
    ),
    (
        "directmail_exporter_discovered_values",
        "Values known of a discovered filter, before include, exclude and limit; absent before the first list.",
        lambda entry: len(entry.values) if entry.values or entry.last_success_at is not None else None,
    ),
)
BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds; a call over the open internet takes some tenths, the default timeout is 10."""


class PollState(Protocol):
    """What a scrape asks of the polling of one statistic of a target."""

    @property
    def plan(self) -> TargetPlan: ...
    @property
    def crosscheck(self) -> Crosscheck: ...
    def is_up(self) -> bool: ...
    def backlog(self) -> int: ...


class TargetState(Protocol):
    """What a scrape asks of a target."""

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


class Persistence(Protocol):
    """What is kept on disk."""

    writable: bool


TARGET_ROWS: tuple[tuple[str, str, Callable[[TargetState], float | None]], ...] = (
    (
        "directmail_up",
        "Whether any combination of the target was read within its interval, 1 or 0.",
        lambda state: any(poll.is_up() for poll in state.polls.values()),
    ),
    (
        "directmail_exporter_credentials_expiry_timestamp_seconds",
        "When the temporary credentials in use expire, in seconds since the epoch; absent where unknown.",
        lambda state: state.credentials_expire_at,
    ),
)
"""Of each target: name, help and value; None is no sample."""
ACTION_ROWS: tuple[tuple[str, str, Callable[[TargetState], Mapping[str, float]]], ...] = (
    (
        "directmail_exporter_rate_limit_requests_per_minute",
        "Calls a minute that the operation's limiter allows now; less than configured while the API throttles.",
        lambda state: {action: limiter.allowed_per_minute for action, limiter in state.limiters.items()},
    ),
    (
        "directmail_exporter_throttled",
        "Whether the operation's limiter allows less than configured because the API throttles, 1 or 0.",
        lambda state: {action: limiter.is_throttled for action, limiter in state.limiters.items()},
    ),
    (
        "directmail_exporter_planned_requests_per_minute",
        "Calls of the operation a minute that the plan asks for in the steady state, pages included.",
        lambda state: state.planned_requests,
    ),
    (
        "directmail_exporter_poll_interval_seconds",
        "Seconds between two reads of today's numbers of a combination.",
        lambda state: {action: poll.plan.poll_interval for action, poll in state.polls.items()},
    ),
    (
        "directmail_exporter_combinations_dropped",
        "Combinations of discovered values that are not polled, for the filter's limit, max_series or the call budget.",
        lambda state: {action: poll.plan.left_out for action, poll in state.polls.items()},
    ),
    (
        "directmail_exporter_backlog_cells",
        "Days of combinations that are due and not yet read.",
        lambda state: {action: poll.backlog() for action, poll in state.polls.items()},
    ),
)
"""Of each operation of a target: name, help and values by operation."""
DECREASES = "directmail_exporter_count_decreases"
_ONCE = "each counts once, however often it is read, and again only after it was right in between."
CROSSCHECKS: tuple[tuple[str, str, str, Callable[[Crosscheck], Mapping[str, int]]], ...] = (
    (
        "directmail_exporter_reported_rate_mismatches",
        "rate",
        f"Days of combinations whose rate, as reported, is not count / emails in the unit of the others; {_ONCE}",
        lambda crosscheck: crosscheck.mismatches,
    ),
    (
        "directmail_exporter_implausible_counts",
        "count",
        f"Days of combinations with more unique opens than opens, or unique clicks than clicks; {_ONCE}",
        lambda crosscheck: crosscheck.implausible,
    ),
)
"""Name, label, help and counts."""


class Telemetry:
    """The own metrics of one process, on the registry that is passed in."""

    def __init__(
        self,
        registry: CollectorRegistry,
        decreases: Mapping[str, int],
        state: Persistence | None = None,
        catalogue: Catalogue | None = None,
        shard: Shard = WHOLE,
        *,
        of_process: bool = True,
    ) -> None:
        """`decreases` are the counts that went down, by target, as they are at each scrape; `state` the state file.

        `catalogue` is what discovery has found; `of_process` adds process_* and python_*.
        """
        self._requests = Counter(
            "directmail_exporter_api_requests",
            "HTTP requests to the API, pages and retries included.",
            ["target", "action"],
            registry=registry,
        )
        self._errors = Counter(
            "directmail_exporter_api_request_errors",
            "HTTP requests to the API that brought no usable answer.",
            ["target", "action", "reason"],
            registry=registry,
        )
        self._durations = Histogram(
            "directmail_exporter_api_request_duration_seconds",
            "Seconds from sending a request to the API to its whole answer or its failure.",
            ["target", "action"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._reload_ok = Gauge(
            "directmail_exporter_config_last_reload_successful",
            "Whether the last attempt to load the config worked, 1 or 0.",
            registry=registry,
        )
        self._reload_time = Gauge(
            "directmail_exporter_config_last_reload_success_timestamp_seconds",
            "When the config that is in force was loaded, in seconds since the epoch.",
            registry=registry,
        )
        build = Gauge(
            "directmail_exporter_build_info",
            "Always 1; the labels tell what is running.",
            ["version", "revision", "python_version"],
            registry=registry,
        )
        build.labels(__version__, __revision__, platform.python_version()).set(1)
        share = Gauge(
            "directmail_exporter_shard_info",
            "Always 1; the shard's number from 0, and how many share the config's targets: 0 of 1 polls all.",
            ["shard", "shards"],
            registry=registry,
        )
        share.labels(str(shard.index), str(shard.count)).set(1)
        self._states = _States(decreases, state, catalogue or Catalogue())
        registry.register(self._states)
        if of_process:
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)

    def add(self, target: str, state: TargetState) -> None:
        """Show a target: its counters start at 0, its state is asked for at every scrape.

        One that is shown already keeps its counters, and gets those of operations that are new to it.
        """
        for action in state.limiters:
            self._requests.labels(target, action)
            self._durations.labels(target, action)
            for reason in REASONS:
                self._errors.labels(target, action, reason)
        self._states.targets[target] = state

    def remove(self, target: str) -> None:
        """Show the target no more."""
        self._states.targets.pop(target, None)
        for metric in (self._requests, self._errors, self._durations):
            metric.remove_by_labels({"target": target})

    def observer(self, target: str) -> Callable[[str, float, str | None], None]:
        """Return what the target's client tells of each HTTP request: action, seconds, reason of its failure."""

        def observe(action: str, seconds: float, reason: str | None) -> None:
            if target not in self._states.targets:  # a call that a reload cancelled ends after its target left
                return
            self._requests.labels(target, action).inc()
            self._durations.labels(target, action).observe(seconds)
            if reason is not None:
                self._errors.labels(target, action, reason).inc()

        return observe

    def loaded(self, at: float) -> None:
        """Note that a config came into force."""
        self._reload_ok.set(1)
        self._reload_time.set(at)

    def load_failed(self) -> None:
        """Note that a config was refused."""
        self._reload_ok.set(0)


class _States(Collector):
    """The targets' states, read when scraped."""

    def __init__(self, decreases: Mapping[str, int], state: Persistence | None, catalogue: Catalogue) -> None:
        self._state = state
        self._catalogue = catalogue
        self.targets: dict[str, TargetState] = {}
        self._decreases = decreases

    def describe(self) -> Iterator[Metric]:
        yield from (
            *self._gauges(),
            self._decreased(),
            *self._crosschecked(),
            *self._discovery(),
            self._writable(),
            _lines_dropped(),
        )

    def collect(self) -> Iterator[Metric]:
        gauges, decreases, crosschecks = self._gauges(), self._decreased(), self._crosschecked()
        of_targets, of_actions = gauges[: len(TARGET_ROWS)], gauges[len(TARGET_ROWS) :]
        for target, state in self.targets.items():
            for family, (_, _, value) in zip(of_targets, TARGET_ROWS, strict=True):
                if (number := value(state)) is not None:
                    family.add_metric([target], float(number))
            for family, (_, _, values) in zip(of_actions, ACTION_ROWS, strict=True):
                for action, number in values(state).items():
                    family.add_metric([target, action], float(number))
            decreases.add_metric([target], self._decreases.get(target, 0))
            for counters, (_, _, _, counts) in zip(crosschecks, CROSSCHECKS, strict=True):
                for poll in state.polls.values():
                    for name, count in counts(poll.crosscheck).items():
                        counters.add_metric([target, poll.plan.statistic, name], count)
        yield from (*gauges, decreases, *crosschecks, *self._discovery(), self._writable(), _lines_dropped())

    def _discovery(self) -> Iterator[Metric]:
        for name, text, value in DISCOVERY_ROWS:
            family = GaugeMetricFamily(name, text, labels=["target", "action"])
            for target, state in self.targets.items():
                for key, entry in self._catalogue.entries(target, state.target.discovered):
                    if (number := value(entry)) is not None:
                        family.add_metric([target, OPERATIONS[key].action], float(number))
            yield family

    def _writable(self) -> Metric:
        text = "Whether the state file can be written, 1 or 0; absent where there is none."
        family = GaugeMetricFamily("directmail_exporter_state_writable", text)
        if self._state is not None:
            family.add_metric([], float(self._state.writable))
        return family

    def _gauges(self) -> list[GaugeMetricFamily]:
        return [
            *(GaugeMetricFamily(name, text, labels=["target"]) for name, text, _ in TARGET_ROWS),
            *(GaugeMetricFamily(name, text, labels=["target", "action"]) for name, text, _ in ACTION_ROWS),
        ]

    def _decreased(self) -> CounterMetricFamily:
        text = "Counts that the API gave lower than before; they add nothing to the observed counters."
        return CounterMetricFamily(DECREASES, text, labels=["target"])

    def _crosschecked(self) -> list[CounterMetricFamily]:
        return [
            CounterMetricFamily(name, text, labels=["target", "statistic", label])
            for name, label, text, _ in CROSSCHECKS
        ]


def _lines_dropped() -> CounterMetricFamily:
    text = "Log lines that could not be written to stderr: a full disk, a closed pipe, or nobody who reads it."
    return CounterMetricFamily("directmail_exporter_log_lines_dropped", text, value=stderr.dropped())
