"""Simulated mail traffic: every number is a pure function of (seed, key, now).

A batch is the mail of one stream to one provider in one hour. What its readers do is drawn once and laid out over
age buckets; the counts up to a moment are read off. So the counts of a day only grow, in whatever order they are
requested, and two processes agree.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from exporter.clock import HOUR
from exporter.simulator import mailings
from exporter.simulator.account import PROVIDERS, STREAMS, Stream
from exporter.simulator.batch import NONE, REACH, Batch, Events, Readers, Spans, readers_clock
from exporter.simulator.delivery import NO_MAIL, Delivery
from exporter.simulator.incidents import Incident, active, spans
from exporter.simulator.mailings import Mailings

SHANGHAI = ZoneInfo("Asia/Shanghai")
TICK = 10
"""Seconds: what is requested within one tick has the same response."""
ATTRIBUTIONS = ("send", "event")
DEAD_LINKS = ("tracking_down", "cname_lost")
"""Incidents that lose opens and clicks alike."""


class Counts(NamedTuple):
    """What GetTrackList counts."""

    emails: int
    opens: int
    unique_opens: int
    clicks: int
    unique_clicks: int


NO_EVENTS = Counts(0, 0, 0, 0, 0)
Summed = TypeVar("Summed", Counts, Delivery)


@dataclass(frozen=True, slots=True)
class Choices:
    """What the API's documentation leaves open. Raise ValueError for an unknown attribution."""

    zone: ZoneInfo = SHANGHAI
    """The time zone of days, senders and readers."""
    attribution: str = "send"
    """Events are booked on the day of the mail (`send`) or on their own (`event`)."""
    hourly: bool = False
    """Answers are of the last full hour and 15 minutes late, instead of real time."""

    def __post_init__(self) -> None:
        if self.attribution not in ATTRIBUTIONS:
            raise ValueError(f"{self.attribution!r} is not an attribution; write one of {', '.join(ATTRIBUTIONS)}")


class _Readers(NamedTuple):
    """The readers of a stream at a provider: their clock, and when their events are lost."""

    clock: Readers
    no_opens: Spans
    no_clicks: Spans


class Traffic:
    """The mail of the demo account."""

    def __init__(self, seed: int = 7, choices: Choices = Choices(), incidents: Iterable[Incident] = ()) -> None:
        self.seed = seed
        self.choices = choices
        self.incidents = tuple(incidents)
        zone = choices.zone
        self._mailings = Mailings(seed, zone, self.incidents) if self.incidents else mailings.usual(seed, zone)
        self._sendings = self._mailings.sendings
        self._day = lru_cache(maxsize=20_000)(self._day_at_tick)
        self._delivery = lru_cache(maxsize=20_000)(self._delivery_at_tick)
        self._happened = lru_cache(maxsize=20_000)(self._happened_until)
        self._readers = {
            (index, esp): self._readers_of(stream, esp) for index, stream in enumerate(STREAMS) for esp in PROVIDERS
        }

    def counts(self, day: date, now: float, **filters: str) -> Counts:
        """Return the API's counts at `now` of a day.

        The filters have the names that Stream has, or are `esp`, or `parent_domain`, which takes subdomains too.
        """
        tick = self._tick(now)
        return added(NO_EVENTS, (self._day(*each, day, tick) for each in self._chosen(filters)))

    def delivery(self, day: date, now: float, **filters: str) -> Delivery:
        """Return the API's counts at `now` of the mail requested on a day, however late it was delivered."""
        tick, end = self._tick(now), self.day_start(day + timedelta(days=1))
        seen = min(tick, int(end) + self._sendings.settles_after)  # nothing changes later
        found = (self._delivery(*each, day, seen) for each in self._chosen(filters))
        return added(NO_MAIL, (self._restated_delivery(each, end, tick) for each in found))

    def totals(self, action: str, day: date, now: float, **filters: str) -> tuple[int, ...]:
        """Return the counts of a statistic, by its operation. Raise KeyError for an operation that counts nothing."""
        count = {"GetTrackList": self.counts, "SenderStatisticsByTagNameAndBatchID": self.delivery}[action]
        return tuple(count(day, now, **filters))

    def hours(self, day: date, now: float, **filters: str) -> list[Counts]:
        """Return a day's counts by the hour of sending, for an API whose rows are hours."""
        tick = self._tick(now)
        begin, end = self.day_start(day), self.day_start(day + timedelta(days=1))
        rows = []
        for hour in range(round((end - begin) / HOUR)):
            start = begin + hour * HOUR
            if start < tick:
                parts = (self._sent_between(*each, start, start + HOUR, tick) for each in self._chosen(filters))
                rows.append(added(NO_EVENTS, (self._restated(part, end, tick) for part in parts)))
        return rows

    def today(self, now: float) -> date:
        """Return the day at `now` in the account's zone."""
        return datetime.fromtimestamp(now, self.choices.zone).date()

    def day_start(self, day: date) -> float:
        """Return when a day begins, in seconds since the epoch."""
        return datetime(day.year, day.month, day.day, tzinfo=self.choices.zone).timestamp()

    def _tick(self, now: float) -> int:
        """Return the moment that the responses at `now` are of."""
        frozen = [each.start for each in active(self.incidents, "frozen", now)]
        if self.choices.hourly or active(self.incidents, "hourly", now):
            now = (now - 900) // HOUR * HOUR
        return int(min(now, *frozen, now) // TICK) * TICK

    def _chosen(self, filters: Mapping[str, str]) -> Iterator[tuple[int, str]]:
        """Yield the streams, by index, and providers that the filters let through."""
        esp, parent = filters.get("esp", ""), filters.get("parent_domain", "")
        for index, stream in enumerate(STREAMS):
            has = {"sender": stream.sender, "tag": stream.tag, "domain": stream.domain, **stream.through._asdict()}
            is_below = f".{stream.domain}".endswith(f".{parent}") or not parent
            if is_below and all(filters.get(name, "") in ("", value) for name, value in has.items()):
                yield from ((index, provider) for provider in ((esp,) if esp else PROVIDERS))

    def _day_at_tick(self, index: int, esp: str, day: date, tick: int) -> Counts:
        begin, end = self.day_start(day), self.day_start(day + timedelta(days=1))
        counts = self._sent_between(index, esp, begin, end, tick)
        if self.choices.attribution == "event":
            since = begin - REACH - self._sendings.settles_after
            before = self._happened(index, esp, since, begin)
            after = self._happened(index, esp, since, min(end, tick)) if tick > begin else before
            counts = Counts(counts.emails, *(new - old for old, new in zip(before, after, strict=True)))
        return self._restated(counts, end, tick)

    def _delivery_at_tick(self, index: int, esp: str, day: date, tick: int) -> Delivery:
        begin, end = self.day_start(day), self.day_start(day + timedelta(days=1))
        sendings = self._sendings.between(index, esp, begin, min(end, tick))
        return added(NO_MAIL, (sending.until(tick) for sending in sendings))

    def _restated(self, counts: Counts, end: float, tick: int) -> Counts:
        """Return the counts of a day that ends at `end` as the API reports them after its corrections."""
        for incident in self.incidents:
            if incident.name == "restated" and end <= incident.start <= tick:
                counts = Counts(*(int(count * incident.factor) for count in counts))
        return counts

    def _restated_delivery(self, delivery: Delivery, end: float, tick: int) -> Delivery:
        """Return the mails of a day likewise; those that are still on their way stay the rest."""
        for incident in self.incidents:
            if incident.name == "restated" and end <= incident.start <= tick:
                rest = delivery.requested - sum(delivery[1:])
                rest, *ended = (int(count * incident.factor) for count in (rest, *delivery[1:]))
                delivery = Delivery(rest + sum(ended), *ended)
        return delivery

    def _sent_between(self, index: int, esp: str, begin: float, end: float, now: float) -> Counts:
        """Return mails sent in a stretch of time, and their events up to `now`."""
        readers = self._readers[index, esp]
        emails = opens = unique_opens = clicks = unique_clicks = 0
        for batch in self._mailings.between(index, esp, begin, min(end, now)):
            events = self._events(readers, batch, now)
            emails += batch.sent(now)
            opens += events.opens
            unique_opens += events.unique_opens
            clicks += events.clicks
            unique_clicks += events.unique_clicks
        return Counts(emails, opens, unique_opens, clicks, unique_clicks)

    def _happened_until(self, index: int, esp: str, since: float, until: float) -> Events:
        """Return the events up to `until` of mail sent after `since`."""
        return Events(*self._sent_between(index, esp, since, until, until)[1:])

    def _events(self, readers: _Readers, batch: Batch, now: float) -> Events:
        """Return the batch's events up to `now`, less those that were lost."""
        events = batch.events(now, readers.clock)
        if not readers.no_clicks:
            return events
        no_opens, no_clicks = (self._within(each, readers, batch, now) for each in readers[1:])
        return Events(
            events.opens - no_opens.opens,
            events.unique_opens - no_opens.unique_opens,
            events.clicks - no_clicks.clicks,
            events.unique_clicks - no_clicks.unique_clicks,
        )

    def _within(self, spans: Spans, readers: _Readers, batch: Batch, now: float) -> Events:
        """Return the batch's events in stretches of time, up to `now`."""
        total = NONE
        for start, end in spans:
            if start < now:
                before, after = (batch.events(at, readers.clock) for at in (start, min(end, now)))
                total = Events(*(sum_ + new - old for sum_, old, new in zip(total, before, after, strict=True)))
        return total

    def _readers_of(self, stream: Stream, esp: str) -> _Readers:
        winter = datetime(2026, 1, 1, tzinfo=self.choices.zone).utcoffset() or timedelta()
        slow, no_opens, no_clicks = (
            spans(self.incidents, names, stream.sender, stream.tag, esp)
            for names in (("holiday",), DEAD_LINKS, (*DEAD_LINKS, "clicks_down"))
        )
        return _Readers(readers_clock(winter.total_seconds(), slow), no_opens, no_clicks)


def added(nothing: Summed, parts: Iterable[Summed]) -> Summed:
    """Return the sum of counts of one kind; `nothing` is that of no parts."""
    return type(nothing)(*map(sum, zip(nothing, *parts, strict=True)))
