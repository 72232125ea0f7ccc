"""Weeks of simulated mail: worlds with one incident each and what must come of it, and worlds without one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from exporter.clock import DAY, HOUR
from exporter.commands import demo
from exporter.commands.demo_replay import moments, replay
from exporter.config.model import Config, Refresh
from exporter.directmail.statistics.registry import STATISTICS
from exporter.metrics import account
from exporter.metrics.history import History
from exporter.plan.combinations import Combination
from exporter.simulator import incidents
from exporter.simulator.delivery import Delivery
from exporter.simulator.faults import of_incident
from exporter.simulator.incidents import Incident
from exporter.simulator.traffic import SHANGHAI, Counts, Traffic

MOMENT = datetime(2026, 3, 17, 10, tzinfo=SHANGHAI).timestamp()
"""From here on the incidents' starts are counted: a Tuesday at ten, when the newsletter goes out."""
SEED = 7
COUNTS = ("emails", "opens", "unique_opens", "clicks", "unique_clicks")
OF_A_DAY = frozenset({*(f"directmail_track_{field}" for field in COUNTS), "directmail_delivery_requested_emails"})
METRICS = OF_A_DAY | {
    *(family.name for family in account.FAMILIES),
    *(f"directmail_track_observed_{field}_total" for field in COUNTS),
    *(f"directmail_delivery_observed_{field}_emails_total" for field in Delivery._fields),
    *("directmail_track_window_start_timestamp_seconds", "directmail_track_window_end_timestamp_seconds"),
    *("directmail_query_success", "directmail_query_stale", "directmail_query_last_success_timestamp_seconds"),
    "directmail_query_supported",
    *("directmail_up", "directmail_exporter_poll_interval_seconds"),
    *("directmail_exporter_planned_requests_per_minute", "directmail_exporter_rate_limit_requests_per_minute"),
    *("directmail_exporter_api_requests_total", "directmail_exporter_api_request_errors_total", "up"),
}
"""What the rules read."""


def read_by_rules(name: str, labels: Mapping[str, str]) -> bool:
    """Return whether a series is read: of a day, the rules take the stream where it is there, not its providers."""
    if name.startswith("directmail_track_window_"):
        return labels["window"] == "today"
    if name == "directmail_delivery_requested_emails":
        return labels["query"] == "account"
    return name in METRICS and not (name in OF_A_DAY and labels["esp"])


@dataclass(frozen=True)
class World:
    """The demo account's mail over some weeks. Its name is the label `target`."""

    name: str
    incident: str = ""
    """As on the command line, its start counted from MOMENT; none for quiet weeks."""
    must: frozenset[str] = frozenset()
    """Alerts, as `Name severity`, that the incident is there to fire."""
    may: frozenset[str] = frozenset()
    """Alerts on the same problem in other words: later, weaker, or of what follows from it."""
    seed: int = SEED

    @property
    def planned(self) -> Incident | None:
        return incidents.parse(self.incident, MOMENT) if self.incident else None


@dataclass(frozen=True)
class Span:
    """How long worlds are played, in seconds: what is known before MOMENT, and what is judged from then on.

    Scrapes are `coarse` seconds apart, and `fine` ones from a day before MOMENT on.
    """

    baseline: float
    judged: float
    coarse: float = HOUR
    fine: float = HOUR / 4

    @property
    def start(self) -> float:
        return MOMENT - self.baseline

    @property
    def turn(self) -> float:
        """When the fine part begins."""
        return max(self.start, MOMENT - DAY)

    @property
    def end(self) -> float:
        return MOMENT + self.judged

    def times(self) -> tuple[float, ...]:
        return (*moments(self.start, self.turn, self.coarse), *moments(self.turn, self.end, self.fine))


class _Parting(Traffic):
    """Quiet traffic up to MOMENT, which several worlds share, and a world of its own from then on."""

    def __init__(self, quiet: Traffic, incident: Incident) -> None:
        super().__init__(quiet.seed, quiet.choices, [incident])
        self._quiet = quiet
        self._parts_at = min(MOMENT, incident.start)

    def counts(self, day: date, now: float, **filters: str) -> Counts:
        if now < self._parts_at:
            return self._quiet.counts(day, now, **filters)
        return super().counts(day, now, **filters)

    def delivery(self, day: date, now: float, **filters: str) -> Delivery:
        if now < self._parts_at:
            return self._quiet.delivery(day, now, **filters)
        return super().delivery(day, now, **filters)


def play(worlds: Sequence[World], span: Span, instance: str) -> History:
    """Return what a Prometheus would have got of an exporter with the worlds as its targets.

    Where an incident is one sender's, only that sender and the account are there: the others' numbers are those of
    the quiet world with the same seed.
    """
    quiet = {world.seed: Traffic(world.seed) for world in worlds}
    planned = {world.name: world.planned for world in worlds}
    traffic: Mapping[str, Traffic] = {
        world.name: _Parting(quiet[world.seed], incident) if (incident := planned[world.name]) else quiet[world.seed]
        for world in worlds
    }

    def chosen(combination: Combination) -> bool:
        incident = planned[combination.target]
        return incident is None or combination.filters.account_name in ("", incident.sender) or not incident.sender

    faults = {name: fault for name, incident in planned.items() if incident and (fault := of_incident(incident))}
    return replay(
        settings(worlds),
        traffic,
        span.times(),
        labels={"job": demo.JOB, "instance": instance},
        wanted=read_by_rules,
        chosen=chosen,
        faults=faults,
    )


def settings(worlds: Sequence[World]) -> Config:
    """Return a config with the worlds as its targets, each polled every 5 minutes as the demo's is, but not by IP.

    Delivery is polled beside opens and clicks, the account every hour.
    """
    made = demo.settings("http://127.0.0.1:1", speed=demo.USUAL_POLL / demo.POLL_SECONDS)
    target = made.targets[0]
    queries = tuple(
        replace(each, statistics=tuple(STATISTICS))
        for each in target.queries
        if each.filters.keys() <= {"account_name", "tag_name", "esp"}
    )
    return replace(
        made,
        windows=("today", "yesterday"),
        refresh=Refresh(recent=HOUR, older=DAY / 2),
        account_interval=HOUR,
        domains_interval=HOUR,
        targets=tuple(replace(target, name=world.name, queries=queries) for world in worlds),
    )
