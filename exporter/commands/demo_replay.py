"""Computes the metrics that an exporter of simulated mail would have exposed in the past, without calls.

Plan, store, the table of metrics and the telemetry are the exporter's own; only the clock is a script, and responses
come straight from the simulator's traffic. Weeks for dashboards, rules and the demo are written in seconds.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType

from prometheus_client import CollectorRegistry

from exporter.clock import SystemClock
from exporter.commands.demo_account import AccountSeries
from exporter.commands.demo_series import CombinationSeries, FilteredHistory, OwnSeries, Wanted
from exporter.config.model import Config, Target
from exporter.directmail.client import ATTEMPTS, Observer
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
from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.statistics.statistic import Totals
from exporter.metrics import account, tables
from exporter.metrics.history import History
from exporter.metrics.telemetry import Telemetry
from exporter.metrics.text_format import Family
from exporter.metrics.windows import Windows
from exporter.plan import calendar, target_plan
from exporter.plan.combinations import Combination
from exporter.plan.target_plan import TargetPlan
from exporter.simulator.faults import Fault
from exporter.simulator.random_numbers import uniforms
from exporter.simulator.traffic import Traffic
from exporter.store.memory import Cell, Store
from exporter.store.state_file import StateFile

UP = Family("up", "Whether the scrape worked, 1 or 0; Prometheus makes it.", "gauge")
FILTERS = {"account_name": "sender", "tag_name": "tag"}
"""Filters that the traffic has another name for."""
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
    store: Store | None = None,
) -> History:
    """Return what a Prometheus would have got of the config's targets, had it scraped at these times.

    `traffic` is each target's, `faults` are what goes wrong in its API, and `labels` what a Prometheus adds itself
    (job, instance). `wanted` says of a series, `chosen` of a combination, whether it is there. In the end the `store`
    has what the exporter knew.
    """
    store, registry = store or Store(), CollectorRegistry()
    telemetry = Telemetry(registry, store.decreases)
    own = OwnSeries(registry, labels, wanted)
    history = History([*tables.families(), *account.FAMILIES, *own.families, UP])
    filtered = FilteredHistory(history, labels, wanted)
    targets = []
    for target in settings.targets:
        statistics = [
            _PastStatistic(
                plan,
                _Results(statistic, traffic[target.name], faults.get(target.name), target.timeout),
                store,
                filtered,
            )
            for statistic in target.statistics
            for plan in [_chosen_plan(settings, target, statistic, chosen)]
        ]
        past = _PastTarget(statistics, _accounts(settings, target, traffic[target.name], filtered), filtered)
        telemetry.add(target.name, past)
        targets.append((past, telemetry.observer(target.name)))
    up = filtered.series(UP.name, {})
    for number, now in enumerate(times):
        if number == 0:
            telemetry.loaded(now)
        for past, called in targets:
            past.advance(now, called)
        own.add(history, now)
        for series in up:
            series.add(now, 1.0)
    return history


async def keep(store: Store, file: Path) -> None:
    """Write what is known to a new state file, for an exporter that continues from there. Raise StateError."""
    async with StateFile(file, store, SystemClock()).opened():
        pass


class _Results:
    """The API of one target and statistic: its traffic and its faults."""

    def __init__(self, statistic: str, traffic: Traffic, fault: Fault | None, timeout: float) -> None:
        self._action = STATISTICS[statistic].action
        self._traffic = traffic
        self._fault = fault if fault is None or fault.name != "slow" or fault.seconds > timeout else None
        self._number = 0

    def read(self, combination: Combination, day: date, now: float, called: Observer) -> Totals:
        """Return a day's counts; `called` gets every try, like the client's observer. Raise DirectMailError."""
        for attempt in range(1, ATTEMPTS + 1):
            failure = self._failure(now)
            called(self._action, 0.0, failure.reason if failure else None)
            if failure is None:
                break
            if attempt == ATTEMPTS or not failure.retry:
                raise failure
        return self._traffic.totals(self._action, day, now, **_filters(combination))

    def _failure(self, now: float) -> DirectMailError | None:
        if self._fault is None:
            return None
        self._number += 1
        (chance,) = uniforms(1, self._traffic.seed, "fault", self._number)
        struck = self._fault.strikes(self._action, {}, now, chance)
        return FAILURES[self._fault.name]("as the incident says") if struck else None


class _PastTarget:
    """A target, polled without a call; what telemetry reads of one."""

    credentials_expire_at = None

    def __init__(
        self, statistics: Sequence["_PastStatistic"], accounts: Sequence[AccountSeries], history: FilteredHistory
    ) -> None:
        """`accounts` is the target's own, or nothing where the account is not read."""
        self._statistics = statistics
        self._accounts = accounts
        self.polls = {statistic.plan.action: statistic for statistic in statistics}
        self.limiters = {
            action: Limiter(statistic.plan.target.rate_limit_per_minute, SystemClock())
            for action, statistic in self.polls.items()
        }
        self.planned_requests = {action: statistic.plan.requests_per_minute for action, statistic in self.polls.items()}
        self._plan = statistics[0].plan
        self.target = target = self._plan.target
        self._bounds = [
            (window, row.index, series)
            for window in self._plan.windows
            for row in tables.BOUNDS
            for series in history.series(row.name, {**target.labels, "target": target.name, "window": window})
        ]
        self._windows: Windows | None = None

    def advance(self, now: float, called: Observer) -> None:
        """Read what is due and show everything, at that time."""
        target = self.target
        today = calendar.today(now, target.timezone)
        windows = self._windows
        if windows is None or windows.day != today:
            windows = self._windows = Windows(self._plan.windows, today, target.timezone)
        for statistic in self._statistics:
            statistic.advance(now, windows, called)
        for each in self._accounts:
            each.add(now)
        bounds = windows.bounds(held=any(statistic.is_held for statistic in self._statistics))
        for window, index, series in self._bounds:
            series.add(now, bounds[window][index])


class _PastStatistic:
    """One statistic of a target."""

    def __init__(self, plan: TargetPlan, results: _Results, store: Store, history: FilteredHistory) -> None:
        self.plan = plan
        self.crosscheck = Crosscheck(STATISTICS[plan.statistic])
        self._results = results
        self._store = store
        self._today: date | None = None
        self._days: list[tuple[int, date, float, float]] = []
        """The days that a window needs: age, day, start, end."""
        self._shown = [CombinationSeries(plan, each, history) for each in plan.combinations]

    @property
    def is_held(self) -> bool:
        """Whether some combination still shows the closed windows of the day before."""
        return any(shown.is_held for shown in self._shown)

    def is_up(self) -> bool:
        """Return whether any combination was read when it was tried last."""
        return any(self._store.get(each.key).last_attempt_ok for each in self.plan.combinations)

    def backlog(self) -> int:
        """Return how many cells are due and not yet read: what is due is read at once here."""
        return 0

    def advance(self, now: float, windows: Windows, called: Observer) -> None:
        """Read what is due and show everything, at that time."""
        plan, zone = self.plan, self.plan.target.timezone
        is_new = windows.day != self._today
        if is_new:
            self._today = windows.day
            polled = {each.key for each in plan.combinations}
            self._store.prune(plan.target.name, plan.statistic, windows.day, polled)
            dated = ((age, windows.day - timedelta(days=age)) for age in plan.ages)
            self._days = [(age, day, calendar.day_start(day, zone), calendar.day_end(day, zone)) for age, day in dated]
        for shown in self._shown:
            has_read_old = self._read(shown.combination, now, called)
            shown.add(now, self._store.get(shown.combination.key), windows, closed_too=is_new or has_read_old)

    def _read(self, combination: Combination, now: float, called: Observer) -> bool:
        """Read what is due of a combination; return whether a day before today was."""
        cells = self._store.get(combination.key).cells
        oldest = 0
        for age, day, start, end in self._days:
            cell = cells.get(day)
            due = self.plan.next_read(age, cell.read_at if cell else None, end)
            if due is None or due > now:
                continue
            try:
                totals = self._results.read(combination, day, now, called)
            except DirectMailError as failure:
                if age == 0:
                    self._store.failed(combination.key, failure, now)
                continue
            self._store.put(combination.key, day, Cell(totals, None, now), day_start=start)
            if age == 0:
                self._store.succeeded(combination.key, now)
            oldest = max(oldest, age)
        return oldest > 0


def _accounts(settings: Config, target: Target, traffic: Traffic, history: FilteredHistory) -> list[AccountSeries]:
    interval = settings.account_interval
    return [] if interval is None else [AccountSeries(target, traffic, interval, history)]


def _chosen_plan(settings: Config, target: Target, statistic: str, chosen: Callable[[Combination], bool]) -> TargetPlan:
    made = target_plan.make(settings, target, statistic)
    return target_plan.make(settings, target, statistic, [each for each in made.combinations if chosen(each)])


def _filters(combination: Combination) -> dict[str, str]:
    """Return the combination's filters by the traffic's names."""
    return {FILTERS.get(name, name): value for name, value in combination.filters._asdict().items() if value}
