"""The page `/`: what is polled, how well it goes, and what to do where it does not. Server-rendered, no JavaScript."""

import asyncio
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from exporter.clock import Clock
from exporter.config.durations import format_duration
from exporter.config.model import Target
from exporter.config.queries import FILTER_KEYS
from exporter.config.shards import WHOLE, Shard
from exporter.directmail.limiter import Limiter
from exporter.directmail.listing import OPERATIONS
from exporter.directmail.model import Filters
from exporter.directmail.statistics.known import STATISTICS
from exporter.directmail.statistics.statistic import Totals
from exporter.plan import calendar
from exporter.plan.combinations import Combination, describe
from exporter.plan.pacing import OLDEST_AGE
from exporter.plan.schedule import Slot
from exporter.plan.target_plan import TargetPlan
from exporter.store.discovered_values import Catalogue, Entry
from exporter.store.memory import Record, Store
from exporter.web import sparkline

STATES = {
    "fresh": "read as planned",
    "held": "the last try failed; the numbers from before are still shown",
    "dropped": "older than stale_after: its series are gone",
    "never": "not read yet",
    "unsupported": "the account cannot use a filter: no data and no error; requested once a day",
}
PAGE_ROWS = 50
SLICE = 1000
"""Combinations that are sorted by state before other work has its turn."""


@dataclass(frozen=True, slots=True)
class About:
    """The process and its config, as they are now."""

    version: str
    config_source: str
    config_digest: str
    """SHA-256 of the config's text."""
    loaded_at: float
    """When the config in force was loaded, seconds since the epoch."""
    refused: tuple[str, ...]
    """Why the config that was loaded last is not the one in force."""
    shard: Shard = WHOLE
    targets: int = 1
    """How many the whole config has, those of other shards included."""


class PollState(Protocol):
    """What the page asks of the polling of one statistic of a target."""

    @property
    def plan(self) -> TargetPlan: ...
    @property
    def limiter(self) -> Limiter: ...
    def is_up(self) -> bool: ...
    def backlog(self) -> int: ...
    def next_cells(self) -> tuple[Slot, ...]: ...


class TargetState(Protocol):
    """What the page asks of a target."""

    @property
    def target(self) -> Target: ...
    @property
    def polls(self) -> Mapping[str, PollState]: ...


@dataclass(frozen=True, slots=True)
class _Choice:
    """What the visitor asked to see; an empty string is everything, and of the statistics the first."""

    target: str
    query: str
    statistic: str
    state: str
    page: int

    @classmethod
    def of(cls, request: web.Request) -> "_Choice":
        number = request.query.get("page", "")
        page = int(number) if number.isdecimal() and len(number) < 10 else 1
        return cls(**{key: request.query.get(key, "") for key in cls._filters()}, page=max(page, 1))

    def link(self, **changes: object) -> str:
        """Return the page's address with some of the choices changed, back at the first page.

        It is relative, as all links are: a reverse proxy may serve the page under a prefix.
        """
        chosen = {**{key: getattr(self, key) for key in self._filters()}, **changes}
        return "./?" + urlencode({key: value for key, value in chosen.items() if value}) + "#combinations"

    @staticmethod
    def _filters() -> tuple[str, ...]:
        return ("target", "query", "statistic", "state")


@dataclass(frozen=True, slots=True)
class _Seen:
    """A combination as the page shows it."""

    combination: Combination
    record: Record
    state: str


class StatusPage:
    """The page of one process."""

    def __init__(
        self,
        about: Callable[[], About],
        targets: Callable[[], Mapping[str, TargetState]],
        store: Store,
        clock: Clock,
        telemetry_path: str,
        catalogue: Catalogue | None = None,
    ) -> None:
        """`about` and `targets` are asked at every visit; `catalogue` is what discovery has found."""
        self._about = about
        self._targets = targets
        self._store = store
        self._catalogue = catalogue or Catalogue()
        self._clock = clock
        self._metrics = f".{telemetry_path}"
        self._started = clock.monotonic()
        environment = Environment(
            autoescape=True,
            finalize=_visible,
            undefined=StrictUndefined,
            loader=FileSystemLoader(Path(__file__).parent),
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(
            duration=format_duration,
            describe=describe,
            pairs=_pairs,
            moment=_moment,
            count=_count,
            rate=_rate,
            share=_share,
        )
        self._template = environment.get_template("status.html")

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a visit."""
        choice = _Choice.of(request)
        targets = dict(self._targets())  # a reload may come between
        seen = await self._seen(targets)
        polled = {poll.plan.statistic for state in targets.values() for poll in state.polls.values()}
        statistics = [STATISTICS[name] for name in STATISTICS if name in polled]
        shown = next((each for each in statistics if each.name == choice.statistic), next(iter(statistics), None))
        chosen = [
            each
            for each in seen
            if shown is not None
            and each.combination.statistic == shown.name
            and choice.target in ("", each.combination.target)
            and choice.query in ("", each.combination.query)
            and choice.state in ("", each.state)
        ]
        pages = max(1, -(-len(chosen) // PAGE_ROWS))
        page = min(choice.page, pages)
        text = self._template.render(
            about=self._about(),
            uptime=self._clock.monotonic() - self._started,
            metrics=self._metrics,
            targets=[self._target(name, state, seen) for name, state in targets.items()],
            names=list(targets),
            queries=self._queries(seen),
            query_names=list(dict.fromkeys(each.combination.query for each in seen)),
            states=STATES,
            statistics=statistics,
            shown=shown,
            choice=choice,
            rows=[
                self._row(each, targets[each.combination.target].target)
                for each in chosen[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]
            ],
            found=len(chosen),
            page=page,
            pages=pages,
            width=sparkline.WIDTH,
            height=sparkline.HEIGHT,
        )
        return web.Response(text=text, content_type="text/html")

    async def _seen(self, targets: Mapping[str, TargetState]) -> list[_Seen]:
        found: list[_Seen] = []
        for poll in (poll for state in targets.values() for poll in state.polls.values()):
            for combination in poll.plan.combinations:
                record = self._store.get(combination.key)
                found.append(_Seen(combination, record, self._state(record, poll.plan.stale_after)))
                if len(found) % SLICE == 0:
                    await asyncio.sleep(0)
        return found

    def _state(self, record: Record, stale_after: float) -> str:
        if not record.is_supported:
            return "unsupported"
        age = record.age(self._clock)
        if age is None:
            return "never"
        if age > stale_after:
            return "dropped"
        return "held" if record.last_attempt_ok is False else "fresh"

    def _target(self, name: str, state: TargetState, seen: list[_Seen]) -> dict[str, Any]:
        own = [each for each in seen if each.combination.target == name]
        counts = Counter((each.combination.statistic, each.state) for each in own)
        failed = [each for each in own if each.record.failure is not None]
        return {
            "name": name,
            "target": state.target,
            "polls": [
                {
                    "action": action,
                    "plan": poll.plan,
                    "limiter": poll.limiter,
                    "backlog": poll.backlog(),
                    "counts": {each: counts[poll.plan.statistic, each] for each in STATES},
                }
                for action, poll in state.polls.items()
            ],
            "up": any(poll.is_up() for poll in state.polls.values()),
            "throttled": any(poll.limiter.is_throttled for poll in state.polls.values()),
            "left_out": sum(poll.plan.left_out for poll in state.polls.values()),
            "next": [slot for poll in state.polls.values() for slot in poll.next_cells()],
            "lists": [self._list(key, entry) for key, entry in self._catalogue.entries(name, state.target.discovered)],
            "failed": max(failed, key=lambda each: each.record.failed_at, default=None),
        }

    def _queries(self, seen: list[_Seen]) -> list[dict[str, Any]]:
        found: dict[tuple[str, str, str], list[_Seen]] = {}
        for each in seen:
            key = each.combination.target, each.combination.query, each.combination.statistic
            found.setdefault(key, []).append(each)
        return [
            {
                "target": target,
                "name": name,
                "statistic": statistic,
                "counts": Counter(each.state for each in own),
                "oldest": max(filter(None, map(self._age, own)), default=None),
            }
            for (target, name, statistic), own in found.items()
        ]

    def _age(self, seen: _Seen) -> float | None:
        last = seen.record.last_success_at
        return None if last is None or seen.state == "unsupported" else self._clock.time() - last

    def _list(self, key: str, entry: Entry) -> dict[str, Any]:
        listed_at = entry.last_success_at
        return {
            "action": OPERATIONS[key].action,
            "filter": key,
            "known": len(entry.values),
            "age": None if listed_at is None else self._clock.time() - listed_at,
            "failure": entry.failure,
        }

    def _row(self, seen: _Seen, target: Target) -> dict[str, Any]:
        statistic = STATISTICS[seen.combination.statistic]
        drawn = [statistic.names.index(name) for name in statistic.drawn]
        today = calendar.today(self._clock.time(), target.timezone)
        may_show = {} if seen.record.is_withheld else seen.record.cells
        cells = [may_show.get(today - timedelta(days=age)) for age in range(OLDEST_AGE - 1, -1, -1)]
        totals: list[Totals | None] = [cell.totals if cell else None for cell in cells]
        known = [each for each in totals if each is not None]
        top = max((each[place] for each in known for place in drawn), default=0)
        return {
            "combination": seen.combination,
            "state": seen.state,
            "age": self._age(seen),
            "failure": seen.record.failure,
            "is_withheld": seen.record.is_withheld and seen.state != "unsupported",
            "today": totals[-1],
            "places": dict.fromkeys((0, *drawn)),
            "days": len(known),
            "top": top,
            "lines": [
                list(sparkline.lines([None if each is None else each[place] for each in totals], top))
                for place in drawn
            ],
        }


def _visible(value: object) -> object:
    """Return text with characters that nobody sees, or that turn others around, written as escapes."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(f"\\u{ord(each):04x}" if unicodedata.category(each) in ("Cc", "Cf") else each for each in value)


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _pairs(filters: Filters) -> list[tuple[str, str]]:
    return [(key, value) for key, value in zip(FILTER_KEYS, filters, strict=True) if value]


def _share(rate: float, limiter: Limiter) -> str:
    """Return a rate as percent of what the limiter allows at most."""
    return f"{min(rate / limiter.configured_per_minute, 1) * 100:.1f}"


def _rate(per_minute: float) -> str:
    return _count(round(per_minute)) if per_minute >= 100 else f"{per_minute:.3g}"


def _count(number: int) -> str:
    """Return a count with thin spaces, which no reader takes for a decimal point."""
    return f"{number:,}".replace(",", "\u202f")
