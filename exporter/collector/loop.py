"""The loop of one target: due cells -> client -> store.

The loop waits for its turn at the limiter before it chooses a cell, so the choice is never older than one slot.
Reads run side by side: a call that hangs holds up nobody. What the remote side does is data; any other exception
leaves the TaskGroup and ends the process.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import structlog

from exporter.clock import BACKWARDS, Clock, sleep_or_wake
from exporter.config.durations import format_duration
from exporter.directmail.client import Answer, Client
from exporter.directmail.crosscheck import Crosscheck
from exporter.directmail.errors import DirectMailError, InvalidRequest
from exporter.directmail.limiter import Limiter
from exporter.directmail.model import RateSums
from exporter.plan.calendar import day_start
from exporter.plan.combinations import Combination, describe
from exporter.plan.pacing import OLDEST_AGE
from exporter.plan.schedule import Schedule, Slot
from exporter.plan.target_plan import TargetPlan
from exporter.store.memory import Cell, Store

MAX_IN_FLIGHT = 64
"""Reads at the same time; far more than a healthy API needs at any sensible rate."""
LONGEST_NAP = 60.0
"""Seconds after which the loop looks at the wall clock again, which may have jumped."""
FIRST_BACKOFF, SHORTEST_LIMIT, LONGEST_LIMIT = 15.0, 60.0, 900.0
PAGES_WEIGHT = 0.05
"""How much one read moves the mean number of pages."""
PAGES_DRIFT = 0.1
"""The plan follows when the mean has moved by this part."""


class Collector:
    """Polls one target for ever."""

    def __init__(
        self,
        plan: TargetPlan,
        client: Client,
        limiter: Limiter,
        store: Store,
        clock: Clock,
        *,
        changed: Callable[[Combination], None],
        replan: Callable[[float], TargetPlan],
        rng: random.Random | None = None,
    ) -> None:
        """`changed` is told of every combination whose record changed; `replan` makes a plan for a mean of pages."""
        self._client = client
        self._limiter = limiter
        self._store = store
        self._clock = clock
        self._changed = changed
        self._replan = replan
        self._random = rng or random.Random()
        self._log = structlog.get_logger().bind(target=plan.target.name)
        self._schedule = Schedule(plan, self._read_at, clock.time())
        self.crosscheck = Crosscheck()
        """Whether what is read agrees with itself."""
        self._failures: dict[Slot, int] = {}
        self._emptied: dict[Slot, bool] = {}
        """Days with mail that suddenly had none, and whether that is still to be confirmed."""
        self._rolled_at = clock.time()
        self._pages = plan.pages_per_cell
        self._asking: set[Slot] = set()
        self._come_back: list[Slot] | None = None
        """Cells that came back while another schedule is filled."""
        self._stopping = False
        self._returned = asyncio.Event()

    @property
    def plan(self) -> TargetPlan:
        """How the target is polled now."""
        return self._schedule.plan

    @property
    def limiter(self) -> Limiter:
        """What every request of the target passes."""
        return self._limiter

    @property
    def credentials_expire_at(self) -> float | None:
        """When the target's credentials expire, in seconds since the epoch; None where nobody knows."""
        return self._client.credentials_expire_at

    def backlog(self) -> int:
        """Return how many cells are due and not yet read."""
        return self._schedule.backlog(self._clock.time())

    def next_cells(self) -> tuple[Slot, ...]:
        """Return the next few cells in the order they will be asked, for people to look at."""
        return self._schedule.preview(self._clock.time())

    def is_up(self) -> bool:
        """Return whether any combination was read within its interval and has not failed since."""
        records = (self._store.get(combination.key) for combination in self.plan.combinations)
        ages = (record.age(self._clock) for record in records if record.last_attempt_ok)
        return any(age is not None and age <= 2 * self.plan.poll_interval for age in ages)

    def untried(self) -> int:
        """Return how many combinations were not tried once."""
        records = (self._store.get(combination.key) for combination in self.plan.combinations)
        return sum(record.last_attempt_ok is None for record in records)

    async def follow(self, plan: TargetPlan) -> None:
        """Poll by this plan from now on; reads in flight still count, and none is asked again for that."""
        now = self._clock.time()
        schedule = Schedule(plan, self._read_at, now)
        self._come_back = []
        await _in_steps(schedule.fill(now))
        schedule.take_over(self._asking, self._come_back)
        self._schedule, self._come_back = schedule, None
        self._returned.set()

    def replan(self, plan: TargetPlan) -> None:
        """Take over another plan for the same combinations and windows."""
        self._schedule.plan = plan

    def stop(self) -> None:
        """Start no more reads."""
        self._stopping = True
        self._returned.set()

    async def finished(self) -> None:
        """Return when no read is in flight."""
        while self._asking:
            self._returned.clear()
            await self._returned.wait()

    async def run(self) -> None:
        """Poll until stopped or cancelled."""
        await _in_steps(self._schedule.fill(self._clock.time()))
        async with asyncio.TaskGroup() as reads:
            while not self._stopping:
                now = self._clock.time()
                await self._roll(now)
                wake_at = self._schedule.wake_at(now)
                if wake_at > now or len(self._asking) >= MAX_IN_FLIGHT:
                    await self._nap(wake_at - now if wake_at > now else LONGEST_NAP)
                    continue
                await self._limiter.turn()
                now = self._clock.time()
                await self._roll(now)
                slot = None if self._stopping else self._schedule.take(now)
                if slot is not None:
                    self._asking.add(slot)
                    reads.create_task(self._read(slot))
                    await asyncio.sleep(0)  # so that it stands at the limiter before the next turn is waited for

    async def _roll(self, now: float) -> None:
        """Follow the calendar; a new day makes an old one be forgotten."""
        before = self._schedule.today
        if now < self._rolled_at - BACKWARDS:
            self._store.set_back(self.plan.target.name, now)
        self._rolled_at = now
        await _in_steps(self._schedule.roll(now))
        if self._schedule.today != before:
            polled = {combination.key for combination in self.plan.combinations}
            self._store.prune(self.plan.target.name, self._schedule.today, polled)
            oldest = self._schedule.today - timedelta(days=OLDEST_AGE)
            self._failures = {slot: count for slot, count in self._failures.items() if slot.day >= oldest}
            self._emptied = {slot: waits for slot, waits in self._emptied.items() if slot.day >= oldest}
            self.crosscheck.forget(oldest)

    async def _nap(self, seconds: float) -> None:
        """Sleep so long, or until a read comes back."""
        self._returned.clear()
        await sleep_or_wake(self._clock, min(seconds, LONGEST_NAP), self._returned)

    async def _read(self, slot: Slot) -> None:
        asked_at = self._clock.time()
        of_today = slot.day == self._schedule.today
        try:
            answer = await self._client.track(slot.combination.filters, slot.day)
        except DirectMailError as error:
            self._failed(slot, error, of_today=of_today)
        else:
            self._succeeded(slot, answer, asked_at, of_today=of_today)
        finally:
            self._asking.discard(slot)
            if self._come_back is not None:
                self._come_back.append(slot)
            self._returned.set()

    def _succeeded(self, slot: Slot, answer: Answer, asked_at: float, *, of_today: bool) -> None:
        key, zone = slot.combination.key, self.plan.target.timezone
        self._failures.pop(slot, None)
        if self._is_doubtful(slot, answer):
            self._schedule.again(slot, self._clock.time() + self._backoff(1))
            return
        self._store.put(
            key,
            slot.day,
            Cell(answer.totals, self._rates(answer), asked_at),
            day_start=day_start(slot.day, zone),
        )
        self._schedule.done(slot, asked_at)
        self._compare(slot, answer)
        if of_today:
            record = self._store.get(key)
            if record.last_attempt_ok is False:
                self._log.info(
                    "combination is back",
                    **_named(slot.combination),
                    after=format_duration(asked_at - record.last_success_at)
                    if record.last_success_at
                    else "first success",
                )
            self._store.succeeded(key, asked_at)
        self._learn_pages(answer.pages)
        self._changed(slot.combination)

    def _is_doubtful(self, slot: Slot, answer: Answer) -> bool:
        """Whether a day that had mail has none, for the first time in a row: it is believed when it is said again."""
        before = self._store.get(slot.combination.key).cells.get(slot.day)
        is_emptied = before is not None and any(before.totals) and not any(answer.totals)
        is_new = is_emptied and not self._emptied.get(slot, False)
        where = {**_named(slot.combination), "day": slot.day.isoformat(), "request_id": answer.request_id}
        if is_new and slot not in self._emptied:
            self._log.warning("a day with mail has none now; requesting it once more before that is shown", **where)
        elif is_emptied and not is_new:
            self._log.warning("a day with mail has none, as the API confirms", **where)
        if is_new or slot in self._emptied:
            self._emptied[slot] = is_new
        return is_new

    def _compare(self, slot: Slot, answer: Answer) -> None:
        """Hold the answer against itself; the first time that something does not fit is told."""
        for doubt in self.crosscheck.look(slot.combination.filters, slot.day, answer.rows):
            self._log.warning(
                "an answer does not agree with itself",
                **_named(slot.combination),
                day=slot.day.isoformat(),
                **doubt._asdict(),
                request_id=answer.request_id,
                advice="Trust the counts and the ratios made of them; show the RequestId to Alibaba Cloud's support.",
            )

    def _failed(self, slot: Slot, error: DirectMailError, *, of_today: bool) -> None:
        age = (self._schedule.today - slot.day).days
        if age >= OLDEST_AGE and isinstance(error, InvalidRequest):
            # The edge: the API holds this day for too old. The windows that need it wait until tomorrow.
            self._schedule.drop(slot)
            self._log.debug("day is too old for the API", **_named(slot.combination), day=slot.day.isoformat())
            return
        now = self._clock.time()
        failures = self._failures[slot] = self._failures.get(slot, 0) + 1
        self._schedule.failed(slot, now + self._backoff(failures))
        if of_today:
            if self._store.get(slot.combination.key).last_attempt_ok is not False:
                self._log.warning("combination is lost", **_named(slot.combination), **error.facts())
            self._store.failed(slot.combination.key, error, now)
            self._changed(slot.combination)
        elif failures == 1 and self._store.get(slot.combination.key).last_attempt_ok is not False:
            # Of a combination that is lost anyway a line for each of its days would say nothing more.
            self._log.warning(
                "day could not be read",
                **_named(slot.combination),
                day=slot.day.isoformat(),
                **error.facts(),
            )

    def _backoff(self, failures: int) -> float:
        """Return the seconds until a cell that failed so often is tried again: doubled each time, and jittered."""
        first = min(FIRST_BACKOFF, self.plan.poll_interval)
        limit = min(max(self.plan.poll_interval, SHORTEST_LIMIT), LONGEST_LIMIT)
        return min(limit, first * 2.0 ** min(failures - 1, 16)) * self._random.uniform(0.8, 1.2)

    def _rates(self, answer: Answer) -> RateSums | None:
        return answer.rates if self.plan.reported_rates else None

    def _read_at(self, combination: Combination, day: date) -> float | None:
        cell = self._store.get(combination.key).cells.get(day)
        return None if cell is None else cell.read_at

    def _learn_pages(self, pages: int) -> None:
        """Let the plan follow when cells turn out to take more or fewer calls than it reckons with."""
        self._pages += PAGES_WEIGHT * (pages - self._pages)
        if abs(self._pages - self.plan.pages_per_cell) > PAGES_DRIFT * self.plan.pages_per_cell:
            self._schedule.plan = self._replan(self._pages)


async def _in_steps(work: Iterator[None]) -> None:
    """Do the work and let others have their turn between its steps."""
    for _ in work:
        await asyncio.sleep(0)


def _named(combination: Combination) -> dict[str, str]:
    return {"query": combination.query, "combination": describe(combination.filters)}
