"""Made-up mail traffic: every number is a pure function of (seed, key, now).

A batch is the mail of one stream to one provider in one hour. What its readers do is drawn once and laid out over
age buckets; the counts up to a moment are read off with straight lines between the edges, rounded down. So the counts
of a day only grow, in whatever order they are asked for, and two processes agree.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from exporter.simulator import account
from exporter.simulator.account import DAY, HOUR, PROVIDERS, STREAMS, Latency, Provider, Stream
from exporter.simulator.draws import binomial, lognormal_cdf, normal, poisson, uniforms
from exporter.simulator.incidents import Incident, hit_by

EDGES = (0.0, 0.25, 0.5, 1, 2, 3, 4.5, 6, 9, 12, 18, 24, 36, 48, 72, 120, 168, 264, 384, 540, 720)
"""Ages in hours between which events are spread evenly; nothing happens after 30 days."""
SHANGHAI = ZoneInfo("Asia/Shanghai")
TICK = 10
"""Seconds: what is asked within one tick has the same answer."""


class Counts(NamedTuple):
    """What GetTrackList counts."""

    emails: int
    opens: int
    unique_opens: int
    clicks: int
    unique_clicks: int


NOTHING = Counts(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Choices:
    """What the API's documentation leaves open."""

    zone: ZoneInfo = SHANGHAI
    """Where the day begins."""
    attribution: str = "send"
    """Events are booked on the day of the mail (`send`) or on their own (`event`)."""
    hourly: bool = False
    """Answers are of the last full hour and 15 minutes late, instead of real time."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One hour's mail of a stream to a provider, and its events as running totals at EDGES."""

    sent_at: float
    emails: int
    humans: tuple[int, ...]
    clickers: tuple[int, ...]
    machines: tuple[int, ...]
    repeats: tuple[int, ...]
    extra_clicks: tuple[int, ...]
    scans: int

    def at(self, now: float, activity: float) -> tuple[int, int, int, int]:
        """Return opens, unique opens, clicks, unique clicks up to `now`; `activity` is its age in readers' hours."""
        wall = (now - self.sent_at) / HOUR
        if wall <= 0:
            return (0, 0, 0, 0)
        humans, clickers = _read(self.humans, activity), _read(self.clickers, activity)
        machines, repeats = _read(self.machines, wall), _read(self.repeats, wall)
        scans = self.scans if wall >= EDGES[1] else int(self.scans * wall / EDGES[1])
        unique_opens = humans + machines + scans // 2
        return (
            humans + machines + repeats + scans,
            unique_opens,
            clickers + _read(self.extra_clicks, activity) + 4 * scans,
            clickers + scans * 6 // 10,
        )


class Traffic:
    """The mail of the demo account."""

    def __init__(self, seed: int = 7, choices: Choices = Choices(), incidents: Iterable[Incident] = ()) -> None:
        self.seed = seed
        self.choices = choices
        self.incidents = tuple(incidents)
        self._batches: dict[tuple[int, str, int], Batch | None] = {}
        self._day = lru_cache(maxsize=20_000)(self._day_at_tick)
        self._offset = datetime.fromtimestamp(0, choices.zone).utcoffset() or timedelta()

    def counts(self, day: date, now: float, **filters: str) -> Counts:
        """Return what the API says at `now` of a day, for filters by the names that Stream and `esp` have."""
        tick = int(self._seen(now) // TICK) * TICK
        parts = (self._day(*each, day, tick) for each in self._chosen(filters))
        return Counts(*map(sum, zip(NOTHING, *parts, strict=True)))

    def hours(self, day: date, now: float, **filters: str) -> list[Counts]:
        """Return a day's counts by the hour of sending, for an API whose rows are hours."""
        tick = int(self._seen(now) // TICK) * TICK
        begin, end = self.day_start(day), self.day_start(day + timedelta(days=1))
        rows = []
        for hour in range(round((end - begin) / HOUR)):
            start = begin + hour * HOUR
            if start < tick:
                parts = (self._sent_between(*each, start, start + HOUR, tick) for each in self._chosen(filters))
                rows.append(Counts(*map(sum, zip(NOTHING, *parts, strict=True))))
        return rows

    def today(self, now: float) -> date:
        """Return the day at `now` in the account's zone."""
        return datetime.fromtimestamp(now, self.choices.zone).date()

    def day_start(self, day: date) -> float:
        """Return when a day begins, in seconds since the epoch."""
        return datetime(day.year, day.month, day.day, tzinfo=self.choices.zone).timestamp()

    def _seen(self, now: float) -> float:
        """Return the moment that the answers at `now` are of."""
        for incident in self.incidents:
            if incident.name == "frozen" and incident.start <= now < incident.end:
                now = incident.start
        hourly = any(each.name == "hourly" and each.start <= now < each.end for each in self.incidents)
        if self.choices.hourly or hourly:
            now = (now - 900) // HOUR * HOUR
        return now

    def _chosen(self, filters: Mapping[str, str]) -> Iterator[tuple[int, str]]:
        """Yield the streams, by index, and providers that the filters let through."""
        esp = filters.get("esp", "")
        for index, stream in enumerate(STREAMS):
            has = {"sender": stream.sender, "tag": stream.tag, **stream.through._asdict()}
            if all(filters.get(name, "") in ("", value) for name, value in has.items()):
                yield from ((index, provider) for provider in ((esp,) if esp else PROVIDERS))

    def _day_at_tick(self, index: int, esp: str, day: date, tick: int) -> Counts:
        begin, end = self.day_start(day), self.day_start(day + timedelta(days=1))
        counts = self._sent_between(index, esp, begin, end, tick)
        if self.choices.attribution == "event":
            counts = self._happened_between(index, esp, begin, min(end, tick), counts.emails)
        for incident in self.incidents:
            if incident.name == "restated" and end <= incident.start <= tick:
                counts = Counts(*(int(count * incident.factor) for count in counts))
        return counts

    def _sent_between(self, index: int, esp: str, begin: float, end: float, now: float) -> Counts:
        totals = [0] * 5
        for batch in self._sent(index, esp, begin, min(end, now)):
            events = self._events(index, esp, batch, now)
            totals[0] += int(batch.emails * min(1.0, (now - batch.sent_at) / HOUR))
            for field, count in enumerate(events, 1):
                totals[field] += count
        return Counts(*totals)

    def _happened_between(self, index: int, esp: str, begin: float, end: float, emails: int) -> Counts:
        totals = [0] * 4
        if end > begin:
            for batch in self._sent(index, esp, begin - EDGES[-1] * HOUR, end):
                before, after = (self._events(index, esp, batch, at) for at in (begin, end))
                totals = [total + new - old for total, old, new in zip(totals, before, after, strict=True)]
        return Counts(emails, *totals)

    def _events(self, index: int, esp: str, batch: Batch, now: float) -> tuple[int, int, int, int]:
        """Return the batch's events up to `now`, less those that were lost."""
        stream = STREAMS[index]
        opens, unique_opens, clicks, unique_clicks = batch.at(now, self._activity(batch.sent_at, now))
        for incident in self.incidents:
            if incident.name not in ("tracking_down", "clicks_down") or now <= incident.start:
                continue
            if (
                incident.sender in ("", stream.sender)
                and incident.tag in ("", stream.tag)
                and incident.esp in ("", esp)
            ):
                until = min(now, incident.end)
                first = batch.at(incident.start, self._activity(batch.sent_at, incident.start))
                last = batch.at(until, self._activity(batch.sent_at, until))
                if incident.name == "tracking_down":
                    opens, unique_opens = opens - last[0] + first[0], unique_opens - last[1] + first[1]
                clicks, unique_clicks = clicks - last[2] + first[2], unique_clicks - last[3] + first[3]
        return opens, unique_opens, clicks, unique_clicks

    def _sent(self, index: int, esp: str, begin: float, end: float) -> Iterator[Batch]:
        hours = range(math.ceil(begin / HOUR), math.ceil(end / HOUR))
        for hour in hours:
            key = (index, esp, hour)
            if key not in self._batches:
                self._batches[key] = self._draw(STREAMS[index], esp, hour)
            batch = self._batches[key]
            if batch is not None:
                yield batch

    def _draw(self, stream: Stream, esp: str, hour: int) -> Batch | None:
        sent_at = float(hour * HOUR)
        place = (stream.sender, stream.tag, esp, sent_at)
        provider = PROVIDERS[esp]
        mean = self._volume(stream, hour) * provider.share
        mean *= hit_by(
            self.incidents,
            ("esp_reject", "sender_stopped", "flag_lost", "campaigns_stopped", "runaway", "holiday"),
            *place,
        )
        if mean <= 0:
            return None
        steps = len(EDGES)
        u = uniforms(5 * steps + 8, self.seed, "batch", stream.sender, stream.tag, esp, hour)
        emails = poisson(mean, u[0])
        if not emails:
            return None
        humans = binomial(emails, self._open_chance(stream, esp, provider, hour, place), u[1])
        spam = hit_by(self.incidents, ("esp_spam", "esp_partial"), *place)
        machines = binomial(emails - humans, provider.machine * (spam**0.6 if spam < 1 else 1.0), u[2])
        scanner = provider.scanner * hit_by(self.incidents, ("scanner",), *place)
        scans = binomial(emails - humans - machines, min(scanner, 0.9), u[3])
        opened = _spread(humans, _latency(stream.latency), u[8:])
        clicks = self._click_chance(stream, hour)
        clicked = [
            binomial(count, min(1.0, clicks * account.click_weight(age)), draw)
            for count, age, draw in zip(opened, EDGES, u[8 + steps :], strict=False)
        ]
        again = poisson(stream.again * (humans + machines), u[4]) if humans + machines else 0
        extra = [
            poisson(account.EXTRA_CLICKS * count, draw) if count else 0
            for count, draw in zip(clicked, u[8 + 2 * steps :], strict=False)
        ]
        return Batch(
            sent_at,
            emails,
            _running(opened),
            _running(clicked),
            _running(_spread(machines, _latency(account.MACHINE_LATENCY), u[8 + 3 * steps :])),
            _running(_spread(again, _latency(account.REPEAT_LATENCY), u[8 + 4 * steps :])),
            _running(extra),
            scans,
        )

    def _volume(self, stream: Stream, hour: int) -> float:
        """Return the mails that the stream sends in an hour, all providers together."""
        local = datetime.fromtimestamp(hour * HOUR, UTC) + self._offset
        day = local.toordinal()
        swing = account.SWING * math.sin(2 * math.pi * day / account.SWING_DAYS)
        if stream.kind == "campaign":
            for weekday, first, parts in stream.schedule:
                if local.weekday() == weekday and 0 <= local.hour - first < len(parts):
                    skip, size = uniforms(2, self.seed, "campaign", stream.tag, day)
                    if skip >= stream.skipped:
                        return stream.volume * parts[local.hour - first] * math.exp(0.12 * normal(size))
            return 0.0
        (noise,) = uniforms(1, self.seed, "day", stream.sender, stream.tag, day)
        if stream.kind == "drip":
            of_day = account.DRIP_WEEKEND if local.weekday() >= 5 else 1.0
        else:
            of_day = account.VOLUME_BY_WEEKDAY[local.weekday()]
        by_hour = account.VOLUME_BY_HOUR[local.hour] / sum(account.VOLUME_BY_HOUR)
        return stream.volume * of_day * by_hour * math.exp(swing + account.DAY_NOISE * normal(noise))

    def _open_chance(
        self, stream: Stream, esp: str, provider: Provider, hour: int, place: tuple[str, str, str, float]
    ) -> float:
        day = self._mailing(hour)
        common, own = (
            normal(uniforms(1, self.seed, "opens", stream.sender, stream.tag, day, *which)[0]) for which in ((), (esp,))
        )
        chance = min(stream.opens * provider.human, 0.97)
        chance = 1 / (1 + math.exp(-(math.log(chance / (1 - chance)) + stream.noise * common + 0.05 * own)))
        return chance * hit_by(self.incidents, ("esp_spam", "esp_partial", "bad_subject"), *place)

    def _click_chance(self, stream: Stream, hour: int) -> float:
        (draw,) = uniforms(1, self.seed, "clicks", stream.sender, stream.tag, self._mailing(hour))
        sigma = 0.30 if stream.kind == "campaign" else 0.08
        odds = math.log(stream.clicks / (1 - stream.clicks)) + sigma * normal(draw)
        return 1 / (1 + math.exp(-odds))

    def _mailing(self, hour: int) -> int:
        """Return the day that an hour's mail is of, which shares its luck."""
        return (datetime.fromtimestamp(hour * HOUR, UTC) + self._offset).toordinal()

    def _activity(self, sent_at: float, now: float) -> float:
        """Return the readers' hours between two moments: nights and weekends are slow."""
        offset = self._offset.total_seconds()
        return _activity_until(now + offset) - _activity_until(sent_at + offset)


def _activity_until(local: float) -> float:
    weeks, rest = divmod(local - 4 * DAY, 7 * DAY)  # the epoch was a Thursday
    hours = rest / HOUR
    whole = int(hours)
    return weeks * _ACTIVITY[-1] + _ACTIVITY[whole] + (hours - whole) * (_ACTIVITY[whole + 1] - _ACTIVITY[whole])


def _week_of_activity() -> tuple[float, ...]:
    """Return the running sum of the activity over the hours of a week, a mean hour being 1."""
    mean = sum(account.ACTIVITY_BY_HOUR) / 24
    hours = (hour / mean * day for day in account.ACTIVITY_BY_WEEKDAY for hour in account.ACTIVITY_BY_HOUR)
    return tuple(accumulate(hours, initial=0.0))


_ACTIVITY = _week_of_activity()


@lru_cache(maxsize=64)
def _latency(latency: Latency) -> tuple[float, ...]:
    """Return, for each bucket, the chance that an event not yet seen falls into it."""
    ends = [lognormal_cdf(edge, latency.median, latency.sigma) for edge in EDGES]
    return tuple((end - start) / (1 - start) for start, end in pairwise(ends))


def _spread(events: int, chances: Sequence[float], draws: Sequence[float]) -> list[int]:
    """Return how many of the events fall into each bucket; a few come after the last."""
    counts, left = [], events
    for chance, draw in zip(chances, draws, strict=False):
        count = binomial(left, chance, draw) if left else 0
        counts.append(count)
        left -= count
    return counts


def _running(counts: Sequence[int]) -> tuple[int, ...]:
    return tuple(accumulate(counts, initial=0))


def _read(totals: tuple[int, ...], age: float) -> int:
    """Return a running total at an age in hours: a straight line between the edges, rounded down."""
    if age >= EDGES[-1]:
        return totals[-1]
    after = bisect_right(EDGES, age)
    if after == 0:
        return 0
    low, high = totals[after - 1], totals[after]
    return low + int((high - low) * (age - EDGES[after - 1]) / (EDGES[after] - EDGES[after - 1]))
