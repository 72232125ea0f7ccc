"""The exporter's own metrics of each target: its counted calls and its current state.

prometheus_client can collect the rows. A scrape of the program has them as lines that were rendered when a value
changed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter.directmail.listing import OPERATIONS
from exporter.metrics.target_rows import CALL_ROWS, ROWS, RequestCounts, Samples, TargetRow, TargetSnapshot, TargetState
from exporter.metrics.text_format import Block, label_text, sample
from exporter.store.discovered_values import DiscoveredValues


@dataclass(slots=True)
class _Shown:
    """A target, and its lines as last rendered."""

    state: TargetState
    calls: dict[str, RequestCounts] = field(default_factory=dict)
    has_new_calls: bool = True
    values: list[Samples] = field(default_factory=lambda: [()] * len(ROWS))
    """What the lines say, by row."""
    lines: list[bytes] = field(default_factory=lambda: [b""] * len(ROWS))
    labels: dict[tuple[str, ...], str] = field(default_factory=dict)
    """Texts of labels, by row and values: they are the same every time."""


class TargetChange(NamedTuple):
    """The values of a target that changed. It is rendered before the next one is read."""

    target: str
    shown: _Shown
    values: dict[int, Samples]
    """By the place of their row."""

    def render(self) -> Block:
        """Return the target's lines, in any thread; those whose values are as before are the same objects."""
        for place, values in self.values.items():
            lines = _lines(ROWS[place], self.target, values, self.shown.labels)
            self.shown.lines[place] = "".join(lines).encode()
        return tuple(self.shown.lines)


class TargetMetrics(Collector):
    """The own metrics of all targets."""

    def __init__(self, decreases: Mapping[str, int], discovered: DiscoveredValues) -> None:
        """`decreases` are the counts that went down, by target; `discovered` is what discovery has found."""
        self._decreases = decreases
        self._discovered = discovered
        self._targets: dict[str, _Shown] = {}

    def __contains__(self, target: str) -> bool:
        return target in self._targets

    def names(self) -> tuple[str, ...]:
        """Return the targets."""
        return tuple(self._targets)

    def add(self, target: str, state: TargetState) -> None:
        """Add a target; an existing one keeps its counters, and gets those of new operations."""
        before = self._targets.get(target)
        shown = self._targets[target] = _Shown(state, before.calls if before else {})
        for action in state.limiters:
            shown.calls.setdefault(action, RequestCounts())

    def remove(self, target: str) -> None:
        """Discard a target."""
        self._targets.pop(target, None)

    def observe(self, target: str, action: str, seconds: float, reason: str | None) -> None:
        """Count a request; that of a target that is not there is left out, as when a reload cancelled the call."""
        if (shown := self._targets.get(target)) is not None:
            shown.calls.setdefault(action, RequestCounts()).observe(seconds, reason)
            shown.has_new_calls = True

    def is_current(self, change: TargetChange) -> bool:
        """Whether the target is still there as it was when the change was read."""
        return self._targets.get(change.target) is change.shown

    def read(self, target: str) -> TargetChange:
        """Return which of the target's values differ from the last time."""
        shown, snapshot = self._targets[target], self._snapshot(target)
        changed: dict[int, Samples] = {}
        for place in range(0 if shown.has_new_calls else len(CALL_ROWS), len(ROWS)):
            values = tuple(ROWS[place].samples(snapshot))
            if values != shown.values[place]:
                shown.values[place] = changed[place] = values
        shown.has_new_calls = False
        return TargetChange(target, shown, changed)

    def describe(self) -> Iterator[Metric]:
        yield from map(_family, ROWS)

    def collect(self) -> Iterator[Metric]:
        snapshots = [(target, self._snapshot(target)) for target in self._targets]
        for row in ROWS:
            family = _family(row)
            for target, snapshot in snapshots:
                for suffix, values, value in row.samples(snapshot):
                    if value is not None:
                        family.add_sample(row.name + suffix, _named(row, target, values), float(value))
            yield family

    def _snapshot(self, target: str) -> TargetSnapshot:
        shown = self._targets[target]
        state, planned = shown.state, shown.state.planned_requests
        entries = self._discovered.entries(target, state.target.discovered)
        discovered = [(OPERATIONS[key].action, entry) for key, entry in entries]
        decreases = self._decreases.get(target, 0)
        return TargetSnapshot(state, shown.calls, state.polls, state.limiters, planned, decreases, discovered)


def _family(row: TargetRow) -> Metric:
    kinds = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily, "histogram": HistogramMetricFamily}
    family: Metric = kinds[row.type](row.name, row.help, labels=("target", *row.labels))
    return family


def _named(row: TargetRow, target: str, values: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(("target", *row.labels, "le"), (target, *values), strict=False))


def _lines(row: TargetRow, target: str, values: Samples, known: dict[tuple[str, ...], str]) -> Iterator[str]:
    for suffix, named, value in values:
        if value is not None:
            key = (*row.labels, *named)
            if key not in known:
                known[key] = label_text(_named(row, target, named))
            yield sample(row.name + suffix, known[key], value)
