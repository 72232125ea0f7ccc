"""Renders the page `/`: what is polled, its state, and advice on failures. No JavaScript.

A visit costs what it shows: counts by state are kept by the collectors as they change, targets and combinations come
in pages, and only those on the page are checked.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from exporter.clock import Clock
from exporter.collector.states import STATES, QueryStates
from exporter.config.durations import format_duration
from exporter.config.shards import WHOLE, Shard
from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.statistics.statistic import Statistic
from exporter.plan.combinations import describe
from exporter.store.account_facts import AccountFacts
from exporter.store.discovered_values import DiscoveredValues
from exporter.store.memory import Store
from exporter.web import sparkline, status_rows, status_targets, status_text
from exporter.web.status_choice import LONGEST_REFRESH, SHORTEST_REFRESH, Choice, Pager
from exporter.web.status_targets import BAD, Cards, Summary, TargetState

MEANINGS = {
    "failing": "failing since the first attempt: no numbers yet",
    "dropped": "older than stale_after: its series are absent",
    "held": "the last attempt failed; still shows the previous numbers",
    "never": "not read yet",
    "fresh": "read as planned",
    "unsupported": "the account cannot use a filter: no data and no error; retried once a day",
}
"""What the states mean, the most urgent first."""
PAGE_ROWS = 50
PAGE_TARGETS = 10
MOST_QUERIES = 100
"""Queries that are listed; of more, the ones without failures are left out first."""


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
        self._clock = clock
        self._cards = Cards(store, clock, discovered or DiscoveredValues(), accounts or AccountFacts())
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
        targets = await status_targets.summaries(self._targets())
        hits = await status_targets.search(choice.q, targets) if choice.q else None
        polled = {poll.plan.statistic for each in targets for poll in each.polls.values()}
        statistics = [STATISTICS[name] for name in STATISTICS if name in polled]
        shown = next((each for each in statistics if each.name == choice.statistic), next(iter(statistics), None))
        matching = sorted(status_targets.matching(targets, choice, hits), key=lambda each: each.urgency)
        cards = Pager("targets_page", "targets", len(matching), PAGE_TARGETS, choice.targets_page)
        on_page = matching[cards.begin : cards.end]
        queries = status_targets.queries(on_page, self._store, self._clock)
        found = status_rows.found(_chosen_queries(targets, choice, shown), hits)
        pager = Pager("page", "combinations", status_rows.size(found, choice.state), PAGE_ROWS, choice.page)
        await asyncio.sleep(0)
        rows = status_rows.Rows(shown, self._store, self._clock) if shown else None
        zones = {each.name: each.state.target.timezone for each in targets}
        chosen = status_rows.cut(found, choice.state, pager.begin, pager.end)
        made = [rows.row(each, state, zones[each.target]) for state, each in chosen] if rows else []
        await asyncio.sleep(0)
        text = self._template.render(
            about=self._about(),
            uptime=self._clock.monotonic() - self._started,
            metrics=self._metrics,
            targets=[self._cards.card(number, each) for number, each in enumerate(on_page, 1)],
            names=[each.name for each in targets],
            up=sum(each.is_up for each in targets),
            totals={state: sum(each.counts[state] for each in targets) for state in STATES},
            queries=queries[:MOST_QUERIES],
            more_queries=max(0, len(queries) - MOST_QUERIES),
            query_names=list(dict.fromkeys(query.query for each in targets for _, query in each.queries)),
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


def _chosen_queries(targets: Iterable[Summary], choice: Choice, shown: Statistic | None) -> list[QueryStates]:
    """Return the queries whose combinations are listed."""
    return [
        query
        for each in targets
        for statistic, query in each.queries
        if shown is not None
        and statistic == shown.name
        and choice.target in ("", each.name)
        and choice.query in ("", query.query)
    ]
