"""The loop of one statistic of a target: due cells -> client -> store.

The loop waits for the limiter before it chooses a cell, so the choice is never older than one call.
Reads run concurrently: a call that hangs delays no other. Errors of the API are data; another ends the process.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from itertools import chain

import structlog

from exporter.clock import BACKWARDS, Clock, sleep_or_wake
from exporter.collector.failures import Failures
from exporter.collector.filter_support import FilterSupport
from exporter.collector.outages import Outages
from exporter.collector.progress import Progress
from exporter.collector.record_times import pruning, setting_back
from exporter.collector.result_checks import ResultChecks
from exporter.collector.round_robin import RoundRobin
from exporter.collector.states import States
from exporter.directmail.client import Client, Result
from exporter.directmail.crosscheck import Crosscheck
from exporter.directmail.errors import DirectMailError, InvalidRequest
from exporter.directmail.model import Key
from exporter.directmail.statistics.registry import STATISTICS
from exporter.plan.calendar import day_start
from exporter.plan.combinations import Combination
from exporter.plan.pacing import OLDEST_AGE
from exporter.plan.schedule import Schedule, Slot
from exporter.plan.target_plan import TargetPlan
from exporter.store.memory import Cell, Store

MAX_IN_FLIGHT = 64
"""Reads at the same time; far more than a healthy API needs at any sensible rate."""
LONGEST_SLEEP = 60.0
"""Seconds after which the loop reads the wall clock again, which may have jumped."""
PAGES_WEIGHT = 0.05
"""How much one read moves the mean number of pages."""
PAGES_DRIFT = 0.1
"""The plan is updated when the mean has moved by this share."""
MARKED = 10
"""Combinations that are updated before other work runs: about two milliseconds."""


@dataclass(slots=True)
class _Following:
    """What a new plan needs, while it is filled and the earlier one is still polled."""

    states: States
    schedule: Schedule
    finished: list[Slot] = field(default_factory=list)
    """Cells that were read meanwhile."""


class Collector:
    """Polls one statistic of a target until stopped."""

    def __init__(
        self,
        plan: TargetPlan,
        client: Client,
        store: Store,
        clock: Clock,
        outages: Outages,
        *,
        changed: Callable[[Key], None],
        replan: Callable[[TargetPlan, float], TargetPlan],
        round_robin: RoundRobin | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """`changed` is called with the key of every record that changed; `replan` makes a plan for a mean of pages.

        `round_robin` is shared with the other collectors of the process.
        """
        self._client = client
        self._statistic = STATISTICS[plan.statistic]
        self._action = plan.action
        self._limiter = client.limiters.of(plan.action)
        self._store = store
        self._clock = clock
        self._states = States(plan, store, clock)
        self._show = changed
        self._replan = replan
        self._round_robin = round_robin or RoundRobin()
        self._log = structlog.get_logger().bind(target=plan.target.name, statistic=plan.statistic)
        self._schedule = Schedule(plan, self._read_at, clock.time())
        self._outages = outages
        self._outage: DirectMailError | None = None
        """The outage that every combination was marked with."""
        self._checks = ResultChecks(self._statistic, store, self._log)
        self._support = FilterSupport(plan, store, self._log)
        self._progress = Progress(store, self._log, clock.time())
        self._failures = Failures(store, clock, self._log, rng or random.Random())
        self._ahead = clock.time() - clock.monotonic()
        """Seconds that the wall clock was ahead of the monotonic one when the calendar was last followed."""
        self._pages = plan.pages_per_cell
        self._requesting: set[Slot] = set()
        self._following: _Following | None = None
        self._stopping = False
        self._returned = asyncio.Event()

    @property
    def plan(self) -> TargetPlan:
        """How the target is polled now."""
        return self._schedule.plan

    @property
    def states(self) -> States:
        """The state of every combination."""
        return self._states

    @property
    def crosscheck(self) -> Crosscheck:
        """The check of rates against counts."""
        return self._checks.crosscheck

    def backlog(self) -> int | None:
        """Return how many cells are due and not yet read, None until they are scheduled."""
        return self._schedule.backlog(self._clock.time())

    def next_cells(self) -> tuple[Slot, ...]:
        """Return the next few cells in the order they will be requested, for people to look at."""
        return self._schedule.preview(self._clock.time())

    def is_up(self) -> bool:
        """Return whether any combination was read within its interval and has not failed since."""
        newest = self._states.newest_working()
        combinations = (newest,) if self._states.is_filled else self.plan.combinations
        records = (self._store.get(combination.key) for combination in combinations if combination is not None)
        ages = (record.age(self._clock) for record in records if record.last_attempt_ok)
        return any(age is not None and age <= 2 * self.plan.poll_interval for age in ages)

    def untried(self) -> int:
        """Return how many combinations have not been tried yet."""
        return self._states.untried()

    async def follow(self, plan: TargetPlan) -> None:
        """Poll by this plan from now on; reads in flight still count and are not requested again."""
        now, before = self._clock.time(), self.plan.combinations
        new = self._following = _Following(States(plan, self._store, self._clock), Schedule(plan, self._read_at, now))
        await self._round_robin.work(chain(new.states.fill(), new.schedule.fill(now)))
        new.schedule.take_over(self._requesting, new.finished)
        for slot in new.finished:
            new.states.update(new.schedule.current(slot).combination)
        self._states, self._schedule, self._following = new.states, new.schedule, None
        self._support.follow(plan)
        polled = frozenset(plan.combinations)
        self._failures.keep(polled)
        self._outages.discard(frozenset(before) - polled)
        self._outage = None
        self._returned.set()

    def replan(self, plan: TargetPlan) -> None:
        """Replace the plan by one for the same combinations and windows."""
        self._schedule.replan(plan)

    def stop(self) -> None:
        """Start no more reads."""
        self._stopping = True
        self._returned.set()

    async def finished(self) -> None:
        """Return when no read is in flight."""
        while self._requesting:
            self._returned.clear()
            await self._returned.wait()

    async def run(self) -> None:
        """Poll until stopped or cancelled."""
        await self._round_robin.work(chain(self._states.fill(), self._schedule.fill(self._clock.time())))
        await self._progress.update(self.plan, self._schedule.today, self._clock.time())
        with self._outages.waking(self._returned.set, lambda: frozenset(self.plan.combinations)):
            async with asyncio.TaskGroup() as reads:
                while not self._stopping:
                    await self._step(reads)

    async def _step(self, reads: asyncio.TaskGroup) -> None:
        """Start the next read, or sleep until one may be made."""
        now = self._clock.time()
        await self._roll(now)
        await self._mark_all()
        self._outages.report_due()
        self._failures.report_due()
        pause = max(self._schedule.wake_at(now) - now, self._outages.pause(self._action))
        await self._progress.update_if_due(self.plan, self._schedule.today, now, is_idle=pause > 0)
        if pause > 0 or len(self._requesting) >= MAX_IN_FLIGHT:
            await self._sleep(pause or LONGEST_SLEEP)
            return
        await self._limiter.turn()
        await self._roll(self._clock.time())
        # What it starts is queued at the limiter before the next turn is waited for.
        await self._round_robin.begin(partial(self._start, reads))

    def _start(self, reads: asyncio.TaskGroup) -> None:
        """Start the next read, if one is due and may still be made."""
        if self._stopping or self._outages.pause(self._action) > 0:
            return
        slot = self._take(self._clock.time())
        if slot is not None:
            self._requesting.add(slot)
            reads.create_task(self._read(slot, self._outages.requesting(self._action)))

    def _take(self, now: float) -> Slot | None:
        """Return the cell to read now, None where none is due; those that need not be read are dropped."""
        if self._outages.is_suspected(self._action) and (probe := self._schedule.take_today()) is not None:
            return probe
        while (slot := self._schedule.take(now)) is not None:
            if not self._support.is_wanted(slot.combination, slot.day, self._schedule.today):
                self._failures.dropped(slot)
            elif self._failures.is_wanted(slot):
                return slot
            self._schedule.drop(slot)
        return None

    def _changed(self, combination: Combination) -> None:
        """Update the state and the metrics of a combination whose record changed."""
        self._states.update(combination)
        if self._following is not None:
            self._following.states.update(combination)
        self._show(combination.key)

    async def _mark_all(self) -> None:
        """Mark every combination as failing during an outage, although most are not tried meanwhile."""
        outage = self._outages.of(self._action)
        if outage is self._outage:
            return
        self._outage = outage
        if outage is not None:
            self._failures.outage_began()
            await self._round_robin.work(self._marking(outage))

    def _marking(self, outage: DirectMailError) -> Iterator[None]:
        for number, combination in enumerate(self.plan.combinations, 1):
            if self._support.is_supported(combination):
                self._store.failed(combination.key, outage, self._clock.time())
                self._changed(combination)
            if number % MARKED == 0:
                yield

    async def _roll(self, now: float) -> None:
        """Follow the calendar; on a new day the oldest is discarded."""
        before, ahead_before = self._schedule.today, self._ahead
        self._ahead = self._clock.time() - self._clock.monotonic()
        if (by := ahead_before - self._ahead) > BACKWARDS:
            await self._round_robin.work(setting_back(self._store, self.plan, now, by, self._show))
        await self._round_robin.work(self._schedule.roll(now, is_set_back=by > BACKWARDS))
        if self._schedule.today != before:
            await self._round_robin.work(pruning(self._store, self.plan, self._schedule.today))
            oldest = self._schedule.today - timedelta(days=OLDEST_AGE)
            await self._round_robin.work(self._schedule.refilling(self._failures.begin_day(oldest), now))
            self._checks.discard(oldest)

    async def _sleep(self, seconds: float) -> None:
        """Sleep that long, or until a read ends."""
        self._returned.clear()
        await sleep_or_wake(self._clock, min(seconds, LONGEST_SLEEP), self._returned)

    async def _read(self, slot: Slot, requesting_at: float) -> None:
        requested_at, began_at = self._clock.time(), self._clock.monotonic()
        of_today = slot.day == self._schedule.today
        try:
            result = await self._client.read(self._statistic, slot.combination.filters, slot.day)
        except DirectMailError as error:
            self._failed(self._schedule.current(slot), error, requesting_at, of_today=of_today)
        else:
            self._outages.succeeded(self._action, requesting_at)
            since = self._clock.time() - (self._clock.monotonic() - began_at)  # earlier if the clock was set back
            self._succeeded(self._schedule.current(slot), result, min(requested_at, since), of_today=of_today)
        finally:
            self._requesting.discard(slot)
            if self._following is not None:
                self._following.finished.append(slot)
            self._returned.set()

    def _succeeded(self, slot: Slot, result: Result, requested_at: float, *, of_today: bool) -> None:
        combination, zone = slot.combination, self.plan.target.timezone
        self._failures.ended(slot)
        if self._checks.needs_confirmation(slot, result):
            self._schedule.again(slot, self._clock.time() + self._failures.backoff(1, self.plan.poll_interval))
            return
        rates = result.rates if self.plan.reported_rates and result.rates else None
        totals = tuple(result.totals)  # a plain tuple of numbers is not tracked by the garbage collector
        cell = Cell(totals, rates, requested_at)
        if not self._store.put(combination.key, slot.day, cell, day_start=day_start(slot.day, zone)):
            self._schedule.done(slot, self._read_at(combination, slot.day) or requested_at)
            return
        self._schedule.done(slot, requested_at)
        self._checks.compare(combination, slot.day, result)
        if of_today:
            self._failures.recovered(combination)
            self._store.succeeded(combination.key, requested_at)
        self._learn_pages(result.pages)
        self._progress.count_read()
        self._judged(self._support.add_result(combination, slot.day))
        self._changed(combination)

    def _judged(self, combinations: Iterable[Combination]) -> None:
        """Update combinations whose filters were judged again, and schedule the cells that were discarded."""
        for combination in combinations:
            if self._support.is_supported(combination):
                self._schedule.refill(combination, self._clock.time())
            self._changed(combination)

    def _failed(self, slot: Slot, error: DirectMailError, requesting_at: float, *, of_today: bool) -> None:
        combination, concerns_filter = slot.combination, False
        if combination not in self._schedule:  # it was removed meanwhile
            return
        if self._failures.rejects_day(slot, error, (self._schedule.today - slot.day).days):
            self._schedule.drop(slot)
            return
        if is_rejected := isinstance(error, InvalidRequest):
            concerns_filter, judged = self._support.rejected(combination, error)
            self._judged(judged)
        if not self._support.is_supported(combination):
            self._schedule.drop(slot)
            return
        now = self._clock.time()
        failures = self._failures.count(slot)
        pause = self._failures.backoff(failures, self.plan.poll_interval, is_rejected_day=is_rejected and not of_today)
        self._schedule.failed(slot, now + pause)
        report = None if concerns_filter else self._failures.line(slot, error, failures, of_today=of_today)
        if of_today:
            self._store.failed(combination.key, error, now)
            self._changed(combination)
        self._outages.failed(
            self._action,
            combination,
            error,
            requesting_at,
            of=len(self.plan.combinations),
            report=report,
            is_typical=of_today,
        )

    def _read_at(self, combination: Combination, day: date) -> float | None:
        record = self._store.get(combination.key)
        cell = record.cells.get(day)
        is_unknown = record.last_success_at is None and day >= self._schedule.today  # the clock was set back meanwhile
        return None if cell is None or is_unknown else cell.read_at

    def _learn_pages(self, pages: int) -> None:
        """Replan when cells take more or fewer calls than planned."""
        self._pages += PAGES_WEIGHT * (pages - self._pages)
        if abs(self._pages - self.plan.pages_per_cell) > PAGES_DRIFT * self.plan.pages_per_cell:
            self._schedule.replan(self._replan(self.plan, self._pages))
