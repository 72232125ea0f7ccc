"""Renders the page `/`: what is polled, its state, and advice on failures. No JavaScript.

A visit costs what it shows: counts by state are kept by the collectors as they change, targets and combinations come
in pages, and only those on the page are checked.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from exporter.clock import Clock
from exporter.collector.states import STATES, QueryStates, States
from exporter.config.durations import format_duration
from exporter.config.model import Target
from exporter.config.shards import WHOLE, Shard
from exporter.directmail.limiter import Limiter
from exporter.directmail.listing import OPERATIONS
from exporter.directmail.statistics.registry import STATISTICS
from exporter.plan.combinations import describe
from exporter.plan.schedule import STEP, Slot
from exporter.plan.target_plan import TargetPlan
from exporter.store.account_facts import AccountFacts
from exporter.store.discovered_values import DiscoveredValues, Entry
from exporter.store.memory import Store
from exporter.web import sparkline, status_account, status_rows, status_text
from exporter.web.status_choice import LONGEST_REFRESH, SHORTEST_REFRESH, Choice, Pager

MEANINGS = {
    "failing": "failing since the first attempt: no numbers yet",
    "dropped": "older than stale_after: its series are absent",
    "held": "the last attempt failed; still shows the previous numbers",
    "never": "not read yet",
    "fresh": "read as planned",
    "unsupported": "the account cannot use a filter: no data and no error; retried once a day",
}
"""What the states mean, the most urgent first."""
BAD = ("failing", "dropped", "held")
PAGE_ROWS = 50
PAGE_TARGETS = 10
MOST_QUERIES = 100
"""Queries that are listed; of more, the ones without failures are left out first."""
TURN = 50
"""Targets that are checked before other work runs."""


@dataclass(frozen=True, slots=True)
class About:
    """The process and its config, as they are now."""

    version: str
    config_source: str
    config_digest: str
    """SHA-256 of the config's text."""
    loaded_at: float
    """When the current config was loaded, seconds since the epoch."""
    rejected: tuple[str, ...]
    """Why the config that was loaded last was rejected."""
    shard: Shard = WHOLE
    targets: int = 1
    """How many the whole config has, those of other shards included."""


class PollState(Protocol):
    """What the page needs to know of the polling of one statistic of a target."""

    @property
    def plan(self) -> TargetPlan: ...
    @property
    def states(self) -> States: ...
    def is_up(self) -> bool: ...
    def backlog(self) -> int: ...
    def next_cells(self) -> tuple[Slot, ...]: ...


class TargetState(Protocol):
    """What the page needs to know of a target."""

    @property
    def target(self) -> Target: ...
    @property
    def polls(self) -> Mapping[str, PollState]: ...
    @property
    def limiters(self) -> Mapping[str, Limiter]: ...
    @property
    def planned_requests(self) -> Mapping[str, float]: ...


@dataclass(frozen=True, slots=True)
class _Seen:
    """The summary of a target."""

    name: str
    state: TargetState
    polls: Mapping[str, PollState]
    queries: tuple[tuple[str, QueryStates], ...]
    """All queries with their statistics."""
    counts: Mapping[str, int]
    is_up: bool

    @property
    def is_untried(self) -> bool:
        return self.counts["never"] == sum(self.counts.values())

    @property
    def urgency(self) -> tuple[bool, int]:
        """Sorts targets: those that are down, then those with failing combinations, and so on."""
        return self.is_up or self.is_untried, _urgency(self.counts)


_Hits = Mapping[QueryStates, list[int]]
"""The combinations that a search found: the members of each query by their places."""


class StatusPage:
    """The page of one process."""

    def __init__(
        self,
        about: Callable[[], About],
        targets: Callable[[], Mapping[str, TargetState]],
        store: Store,
        clock: Clock,
        telemetry_path: str,
        discovered: DiscoveredValues | None = None,
        accounts: AccountFacts | None = None,
    ) -> None:
        """`about` and `targets` are called at every visit; `discovered` is what discovery has found."""
        self._about = about
        self._targets = targets
        self._store = store
        self._discovered = discovered or DiscoveredValues()
        self._accounts = accounts or AccountFacts()
        self._clock = clock
        self._metrics = f".{telemetry_path}"
        self._started = clock.monotonic()
        environment = Environment(
            autoescape=True,
            finalize=status_text.visible,
            undefined=StrictUndefined,
            loader=FileSystemLoader(Path(__file__).parent),
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(duration=format_duration, describe=describe)
        for each in ("cause", "count", "moment", "pairs", "percent", "rate", "share"):
            environment.filters[each] = getattr(status_text, each)
        self._template = environment.get_template("status.html")

    async def render(self, request: web.Request) -> web.Response:
        """Return the page."""
        choice = Choice.of(request)
        targets = await self._seen(self._targets())
        hits = await _search(choice.q, targets) if choice.q else None
        polled = {poll.plan.statistic for seen in targets for poll in seen.polls.values()}
        statistics = [STATISTICS[name] for name in STATISTICS if name in polled]
        shown = next((each for each in statistics if each.name == choice.statistic), next(iter(statistics), None))
        matching = sorted((seen for seen in targets if _matches(seen, choice, hits)), key=lambda seen: seen.urgency)
        cards = Pager("targets_page", "targets", len(matching), PAGE_TARGETS, choice.targets_page)
        on_page = matching[cards.begin : cards.end]
        queries = self._queries(on_page)
        found = status_rows.found(
            [
                query
                for seen in targets
                for statistic, query in seen.queries
                if shown is not None
                and statistic == shown.name
                and choice.target in ("", seen.name)
                and choice.query in ("", query.query)
            ],
            hits,
        )
        pager = Pager("page", "combinations", status_rows.size(found, choice.state), PAGE_ROWS, choice.page)
        await asyncio.sleep(0)
        rows = status_rows.Rows(shown, self._store, self._clock) if shown else None
        zones = {seen.name: seen.state.target.timezone for seen in targets}
        chosen = status_rows.cut(found, choice.state, pager.begin, pager.end)
        made = [rows.row(each, state, zones[each.target]) for state, each in chosen] if rows else []
        await asyncio.sleep(0)
        text = self._template.render(
            about=self._about(),
            uptime=self._clock.monotonic() - self._started,
            metrics=self._metrics,
            targets=[self._target(number, seen) for number, seen in enumerate(on_page, 1)],
            names=[seen.name for seen in targets],
            up=sum(seen.is_up for seen in targets),
            totals={state: sum(seen.counts[state] for seen in targets) for state in STATES},
            queries=queries[:MOST_QUERIES],
            more_queries=max(0, len(queries) - MOST_QUERIES),
            query_names=list(dict.fromkeys(query.query for seen in targets for _, query in seen.queries)),
            states=MEANINGS,
            bad=BAD,
            statistics=statistics,
            shown=shown,
            choice=choice,
            refreshes=(SHORTEST_REFRESH, LONGEST_REFRESH),
            rows=made,
            cards=cards,
            pager=pager,
            width=sparkline.WIDTH,
            height=sparkline.HEIGHT,
        )
        # The header does what <meta http-equiv="refresh"> does, which accessibility checkers reject at any rate.
        headers = {"Refresh": str(choice.refresh)} if choice.refresh else {}
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def _seen(self, targets: Mapping[str, TargetState]) -> list[_Seen]:
        """Return the summaries of all targets, unchanged during a visit."""
        found = []
        for number, (name, state) in enumerate(tuple(targets.items()), 1):  # a reload may come between
            polls = dict(state.polls)
            for poll in polls.values():
                for _ in poll.states.refresh(poll.plan.stale_after):
                    await asyncio.sleep(0)
            queries = tuple((poll.plan.statistic, query) for poll in polls.values() for query in poll.states.queries)
            counts = _sums(query.counts for _, query in queries)
            found.append(_Seen(name, state, polls, queries, counts, any(poll.is_up() for poll in polls.values())))
            if number % TURN == 0:
                await asyncio.sleep(0)
        return found

    def _target(self, number: int, seen: _Seen) -> dict[str, Any]:
        state = seen.state
        limiters, planned = state.limiters, state.planned_requests
        failed = [each for poll in seen.polls.values() if (each := poll.states.last_failed())]
        records = [(each, self._store.get(each.key)) for each in failed]
        listed = self._discovered.entries(seen.name, state.target.discovered)
        return {
            "number": number,
            "name": seen.name,
            "target": state.target,
            "is_up": seen.is_up,
            "is_untried": seen.is_untried,
            "polls": seen.polls,
            "counts": {
                poll.plan.statistic: _sums(query.counts for query in poll.states.queries)
                for poll in seen.polls.values()
            },
            "actions": [
                {"name": action, "poll": seen.polls.get(action), "limiter": limiters[action], "planned": rate}
                for action, rate in planned.items()
                if action in limiters
            ],
            "is_throttled": any(limiter.is_throttled for limiter in limiters.values()),
            "left_out": sum(poll.plan.left_out for poll in seen.polls.values()),
            "next": [slot for poll in seen.polls.values() for slot in poll.next_cells()],
            "lists": [self._list(key, entry) for key, entry in listed],
            "reads": status_account.reads(self._accounts.of(seen.name), planned, self._clock),
            "failed": max(
                ((each, record) for each, record in records if record.failure is not None),
                key=lambda each: each[1].failed_at,
                default=None,
            ),
        }

    def _queries(self, targets: Iterable[_Seen]) -> list[dict[str, Any]]:
        """Return the queries of targets, those with failing combinations first."""
        found = [
            {
                "target": seen.name,
                "name": query.query,
                "statistic": statistic,
                "counts": dict(zip(STATES, query.counts, strict=True)),
                "oldest": status_rows.age(self._store.get(oldest.key), self._clock)
                if (oldest := query.oldest())
                else None,
            }
            for seen in targets
            for statistic, query in seen.queries
        ]
        return sorted(found, key=lambda each: _urgency(each["counts"]))

    def _list(self, key: str, entry: Entry) -> dict[str, Any]:
        listed_at = entry.last_success_at
        return {
            "action": OPERATIONS[key].action,
            "filter": key,
            "known": len(entry.values),
            "age": None if listed_at is None else self._clock.time() - listed_at,
            "failure": entry.failure,
        }


def _sums(counts: Iterable[Sequence[int]]) -> dict[str, int]:
    """Return the sums of counts by state."""
    return dict(zip(STATES, map(sum, zip((0,) * len(STATES), *counts, strict=True)), strict=True))


def _urgency(counts: Mapping[str, int]) -> int:
    """Return the place of the most urgent state that something has; all states that are in order share one."""
    return next((place for place, state in enumerate(BAD) if counts[state]), len(BAD))


async def _search(text: str, targets: Iterable[_Seen]) -> _Hits:
    """Return the combinations whose target, query or filters contain a text."""
    queries = [query for seen in targets for _, query in seen.queries]
    indexed = 0
    for query in queries:
        if not query.is_indexed:
            for _ in query.index():
                await asyncio.sleep(0)
            indexed += len(query.members)
            if indexed >= STEP:
                indexed = 0
                await asyncio.sleep(0)
    found = {query: query.find(text) for query in queries}
    await asyncio.sleep(0)
    return found


def _matches(seen: _Seen, choice: Choice, hits: _Hits | None) -> bool:
    """Return whether a target is one of those that are shown."""
    if choice.target not in ("", seen.name):
        return False
    if hits is None:
        return True
    target = seen.state.target
    is_named = choice.q.casefold() in f"{seen.name} {target.region} {target.endpoint}".casefold()
    return is_named or any(hits[query] for _, query in seen.queries)
