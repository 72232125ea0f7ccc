"""Simulated series of combinations and of the exporter itself, with a sample at every moment."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

from prometheus_client import CollectorRegistry

from exporter.metrics import tables
from exporter.metrics.history import History, Series
from exporter.metrics.text_format import Family
from exporter.metrics.windows import TODAY, Windows
from exporter.plan.combinations import Combination
from exporter.plan.target_plan import TargetPlan
from exporter.store.memory import Record

Wanted = Callable[[str, Mapping[str, str]], bool]
"""Whether a series is there, by the metric's name and the labels."""


class FilteredHistory:
    """A history that takes the wanted series only, with the labels that a Prometheus adds."""

    def __init__(self, history: History, labels: Mapping[str, str], wanted: Wanted) -> None:
        """`labels` are what a Prometheus adds itself."""
        self._history = history
        self._labels = labels
        self._wanted = wanted

    def series(self, name: str, labels: Mapping[str, str]) -> list[Series]:
        """Return the new series, none where it is not wanted."""
        return [self._history.series(name, {**labels, **self._labels})] if self._wanted(name, labels) else []


class CombinationSeries:
    """The series of one combination."""

    def __init__(self, plan: TargetPlan, combination: Combination, history: FilteredHistory) -> None:
        labels = tables.labels_of(combination, plan.target.labels)
        table = tables.TABLES[plan.statistic]
        self.combination = combination
        self.is_held = False
        """Whether the closed windows are still those of the day before."""
        self._stale_after = plan.stale_after
        self._windows = {
            window: [
                (row, series)
                for row in table.rows
                if not row.reported
                for series in history.series(row.name, {**labels, "window": window})
            ]
            for window in plan.windows
        }
        health = {**labels, "statistic": plan.statistic}
        self._counters = [(row, series) for row in table.counters for series in history.series(row.name, labels)]
        self._health = [(row, series) for row in tables.HEALTH for series in history.series(row.name, health)]
        self._closed: list[tuple[Series, float]] = []
        """The samples of the windows that have ended, as they were made last."""

    def add(self, now: float, record: Record, windows: Windows, *, closed_too: bool) -> None:
        """Add a sample to every series. `closed_too`: days before today may be other ones, or others' numbers."""
        last = record.last_success_at
        stale = last is not None and last + self._stale_after < now
        may_hold = now <= windows.began_at + self._stale_after
        if closed_too or (self.is_held and not may_hold):
            shown = windows.of(record, may_hold=may_hold)
            self.is_held = shown.is_held
            closed = ((window, days) for window, days in shown.windows.items() if window != TODAY)
            self._closed = [each for window, days in closed for each in self._values(record, window, days)]
        if last is not None and not stale:
            today = self._values(record, TODAY, [windows.day]) if TODAY in self._windows else ()
            for series, value in (*self._closed, *today):
                series.add(now, value)
            for counter, series in self._counters:
                series.add(now, counter.value(record.counted))
        for health, series in self._health:
            state = health.value(record, stale)
            if state is not None:
                series.add(now, float(state))

    def _values(self, record: Record, window: str, days: Sequence[date]) -> Iterator[tuple[Series, float]]:
        total = tables.add_up(record, days)
        for row, series in self._windows[window]:
            value = row.value(total) if total else None
            if value is not None:
                yield series, value


class OwnSeries:
    """The series of the exporter's own metrics, as its telemetry has them.

    Not the histogram: its calls were never made, and OpenMetrics wants its series moment by moment.
    """

    def __init__(self, registry: CollectorRegistry, labels: Mapping[str, str], wanted: Wanted) -> None:
        self.families = [
            Family(each.name + "_total" * (each.type == "counter"), each.documentation, each.type)
            for each in registry.collect()
            if each.name.startswith("directmail_") and each.type != "histogram"
        ]
        self._registry = registry.restricted_registry([each.name for each in self.families])
        self._labels = labels
        self._wanted = wanted
        self._series: dict[tuple[str, ...], list[Series]] = {}

    def add(self, history: History, now: float) -> None:
        """Add a sample to every series."""
        for sample in (sample for family in self._registry.collect() for sample in family.samples):
            key = (sample.name, *sample.labels.values())
            if key not in self._series:
                self._series[key] = FilteredHistory(history, self._labels, self._wanted).series(
                    sample.name, sample.labels
                )
            for series in self._series[key]:
                series.add(now, sample.value)
