"""The past of an exporter that polled made-up mail: what it would have shown, moment by moment, without a call.

Plan, store, the table of metrics and the telemetry are the exporter's own; only the clock is a script, and answers
come straight from the simulator's traffic. Weeks for dashboards, rules and the demo are written in seconds.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from types import MappingProxyType

from prometheus_client import CollectorRegistry

from exporter.clock import SystemClock
from exporter.config.model import Config, Target
from exporter.directmail.client import ATTEMPTS
from exporter.directmail.crosscheck import Crosscheck
from exporter.directmail.errors import (
    AuthError,
    DirectMailError,
    NetworkError,
    PermissionDenied,
    RequestTimeout,
    ServerError,
    Throttled,
)
from exporter.directmail.limiter import Limiter
from exporter.directmail.model import Totals
from exporter.directmail.ram_policy import TRACK
from exporter.metrics import tables
from exporter.metrics.exposition import Family
from exporter.metrics.history import History, Series
from exporter.metrics.telemetry import Telemetry
from exporter.plan import calendar, target_plan
from exporter.plan.combinations import Combination
from exporter.plan.target_plan import TargetPlan
from exporter.simulator.faults import Fault
from exporter.simulator.random_numbers import uniforms
from exporter.simulator.traffic import Traffic
from exporter.store.memory import Cell, Record, Store

UP = Family("up", "Whether the scrape worked, 1 or 0; Prometheus makes it.", "gauge")
FILTERS = {"account_name": "sender", "tag_name": "tag"}
"""Filters that the traffic has another name for."""
Wanted = Callable[[str, Mapping[str, str]], bool]
"""Whether a series is there, by the metric's name and the labels."""
FAILURES: Mapping[str, type[DirectMailError]] = {
    "throttle": Throttled,
    "error": ServerError,
    "slow": RequestTimeout,
    "reset": NetworkError,
    "invalid_key": AuthError,
    "forbidden": PermissionDenied,
}
"""What the client makes of the simulator's faults that are incidents."""


def moments(start: float, end: float, step: float) -> Iterator[float]:
    """Yield the times from `start` to before `end` that are whole multiples of `step` (seconds)."""
    now = -(-start // step) * step
    while now < end:
        yield now
        now += step


def replay(
    settings: Config,
    traffic: Mapping[str, Traffic],
    times: Iterable[float],
    *,
    labels: Mapping[str, str],
    wanted: Wanted = lambda name, labels: True,
    chosen: Callable[[Combination], bool] = lambda combination: True,
    faults: Mapping[str, Fault] = MappingProxyType({}),
) -> History:
    """Return what a Prometheus would have got of the config's targets, had it scraped at these times.

    `traffic` is each target's, `faults` are what goes wrong in its API, and `labels` what a Prometheus adds itself
    (job, instance). `wanted` says of a series, `chosen` of a combination, whether it is there.
    """
    store, registry = Store(), CollectorRegistry()
    telemetry = Telemetry(registry, store.decreases)
    own = _Own(registry, labels, wanted)
    history = History([*tables.FAMILIES, *own.families, UP])
    scenes = [
        _Scene(
            _chosen_plan(settings, target, chosen),
            _Answers(traffic[target.name], faults.get(target.name), target.timeout),
            store,
            telemetry,
            _Shelf(history, labels, wanted),
        )
        for target in settings.targets
    ]
    up = _Shelf(history, labels, wanted).series(UP.name, {})
    for number, now in enumerate(times):
        if number == 0:
            telemetry.loaded(now)
        for scene in scenes:
            scene.play(now)
        own.add(history, now)
        for series in up:
            series.add(now, 1.0)
    return history


class _Shelf:
    """Where series are put: a history, and which metrics it takes."""

    def __init__(self, history: History, labels: Mapping[str, str], wanted: Wanted) -> None:
        self._history = history
        self._labels = labels
        self._wanted = wanted

    def series(self, name: str, labels: Mapping[str, str]) -> list[Series]:
        """Return the new series, none where it is not wanted."""
        return [self._history.series(name, {**labels, **self._labels})] if self._wanted(name, labels) else []


class _Answers:
    """The API of one target: its traffic, and what is wrong with it."""

    def __init__(self, traffic: Traffic, fault: Fault | None, timeout: float) -> None:
        self._traffic = traffic
        self._fault = fault if fault is None or fault.name != "slow" or fault.seconds > timeout else None
        self._number = 0

    def read(
        self, combination: Combination, day: date, now: float, called: Callable[[str, float, str | None], None]
    ) -> Totals:
        """Return a day's counts; `called` hears of every try, as the client's observer does. Raise DirectMailError."""
        for attempt in range(1, ATTEMPTS + 1):
            failure = self._failure(now)
            called(TRACK, 0.0, failure.reason if failure else None)
            if failure is None:
                break
            if attempt == ATTEMPTS or not failure.retry:
                raise failure
        return Totals(*self._traffic.counts(day, now, **_filters(combination)))

    def _failure(self, now: float) -> DirectMailError | None:
        if self._fault is None:
            return None
        self._number += 1
        (chance,) = uniforms(1, self._traffic.seed, "fault", self._number)
        struck = self._fault.strikes(TRACK, {}, now, chance)
        return FAILURES[self._fault.name]("as the incident says") if struck else None


class _Scene:
    """One target, polled without a call."""

    def __init__(self, made: TargetPlan, answers: _Answers, store: Store, telemetry: Telemetry, shelf: _Shelf) -> None:
        target = made.target
        self.plan = made
        self.limiter = Limiter(target.rate_limit_per_minute, SystemClock())
        self.crosscheck = Crosscheck()
        self.credentials_expire_at = None
        self._answers = answers
        self._store = store
        self._today: date | None = None
        self._days: list[tuple[int, date, float, float]] = []
        """The days that a window needs: age, day, start, end."""
        telemetry.add(target.name, self)
        self._called = telemetry.observer(target.name)
        self._shown = [_Shown(made, each, shelf) for each in made.combinations]
        self._bounds = [
            (window, row.index, series)
            for window in made.windows
            for row in tables.BOUNDS
            for series in shelf.series(row.name, {**target.labels, "target": target.name, "window": window})
        ]

    def is_up(self) -> bool:
        """Return whether any combination was read when it was tried last."""
        return any(self._store.get(each.key).last_attempt_ok for each in self.plan.combinations)

    def backlog(self) -> int:
        return 0

    def play(self, now: float) -> None:
        """Read what is due and show everything, at that time."""
        zone = self.plan.target.timezone
        today = calendar.today(now, zone)
        days = {window: calendar.window_days(window, today) for window in self.plan.windows}
        is_new = today != self._today
        if is_new:
            self._today = today
            self._store.prune(self.plan.target.name, today, {each.key for each in self.plan.combinations})
            dated = ((age, today - timedelta(days=age)) for age in self.plan.ages)
            self._days = [(age, day, calendar.day_start(day, zone), calendar.day_end(day, zone)) for age, day in dated]
        for shown in self._shown:
            has_read_old = self._read(shown.combination, now)
            shown.add(now, self._store, days, closed_too=is_new or has_read_old)
        for window, index, series in self._bounds:
            series.add(now, calendar.window_bounds(window, today, zone)[index])

    def _read(self, combination: Combination, now: float) -> bool:
        """Read what is due of a combination; return whether a day before today was."""
        cells = self._store.get(combination.key).cells
        oldest = 0
        for age, day, start, end in self._days:
            cell = cells.get(day)
            due = self.plan.next_read(age, cell.read_at if cell else None, end)
            if due is None or due > now:
                continue
            try:
                totals = self._answers.read(combination, day, now, self._called)
            except DirectMailError as failure:
                if age == 0:
                    self._store.failed(combination.key, failure, now)
                continue
            self._store.put(combination.key, day, Cell(totals, None, now), day_start=start)
            if age == 0:
                self._store.succeeded(combination.key, now)
            oldest = max(oldest, age)
        return oldest > 0


class _Shown:
    """The series of one combination."""

    def __init__(self, made: TargetPlan, combination: Combination, shelf: _Shelf) -> None:
        labels = tables.labels_of(combination, made.target.labels)
        self.combination = combination
        self._stale_after = made.stale_after
        self._windows = {
            window: [
                (row, series)
                for row in tables.ROWS
                if not row.reported
                for series in shelf.series(row.name, {**labels, "window": window})
            ]
            for window in made.windows
        }
        self._counters = [(row, series) for row in tables.COUNTERS for series in shelf.series(row.name, labels)]
        self._health = [(row, series) for row in tables.HEALTH for series in shelf.series(row.name, labels)]
        self._closed: list[tuple[Series, float]] = []
        """The samples of the windows that have ended, as they were made last."""

    def add(self, now: float, store: Store, days: Mapping[str, Sequence[date]], *, closed_too: bool) -> None:
        """Add a sample to every series. `closed_too`: days before today may be other ones, or others' numbers."""
        record = store.get(self.combination.key)
        last = record.last_success_at
        stale = last is not None and last + self._stale_after < now
        if closed_too:
            closed = (window for window in self._windows if window != "today")
            self._closed = [each for window in closed for each in self._values(record, window, days[window])]
        if last is not None and not stale:
            today = self._values(record, "today", days["today"]) if "today" in days else ()
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


class _Own:
    """The exporter's own metrics, as its telemetry tells them.

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
                self._series[key] = _Shelf(history, self._labels, self._wanted).series(sample.name, sample.labels)
            for series in self._series[key]:
                series.add(now, sample.value)


def _chosen_plan(settings: Config, target: Target, chosen: Callable[[Combination], bool]) -> TargetPlan:
    made = target_plan.make(settings, target)
    return target_plan.make(settings, target, [each for each in made.combinations if chosen(each)])


def _filters(combination: Combination) -> dict[str, str]:
    """Return the combination's filters by the traffic's names."""
    return {FILTERS.get(name, name): value for name, value in combination.filters._asdict().items() if value}
