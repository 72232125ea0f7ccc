"""Draws the mail that is requested and the outcome of its delivery.

Every sending is a pure function of (seed, stream, provider, hour). What its readers do is drawn elsewhere, from other
keys: numbers of delivery never change numbers of engagement.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from exporter.clock import HOUR
from exporter.simulator import account
from exporter.simulator.account import PROVIDERS, STREAMS
from exporter.simulator.incidents import Incident, hit_by, hitting
from exporter.simulator.random_numbers import binomial, normal, poisson, uniforms

REQUESTED = ("sender_stopped", "campaigns_stopped", "runaway", "holiday")
REJECTED = ("esp_reject", "bounce_spike")
UNTRACKED = ("flag_lost", "untracked")
"""Incidents by what they change: the mail that is requested, delivered, tracked. Each changes what follows, too."""


class Delivery(NamedTuple):
    """What the delivery operation counts, in mails."""

    requested: int
    delivered: int
    failed: int
    invalid: int


NO_MAIL = Delivery(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Sending:
    """One hour's mail of a stream to a provider: what is requested in that hour, and its end."""

    requested_at: int
    """Seconds since the epoch, as `arrives_at`."""
    arrives_at: int
    """When the provider begins to accept or reject it; later than the request where it defers."""
    tracked: int
    delivered: int
    """Tracked or not."""
    rejected: int
    given_up: int
    """Rejected too, but after some time."""
    invalid: int

    def until(self, now: float) -> Delivery:
        """Return its outcome up to `now`; finally every mail is delivered, failed or invalid.

        Whole numbers throughout: rounded down, the parts never add up to more than what was requested.
        """

        def so_far(mails: int, since: int) -> int:
            return mails * min(max(int(now) - since, 0), HOUR) // HOUR

        total = self.delivered + self.rejected + self.given_up + self.invalid
        return Delivery(
            so_far(total, self.requested_at),
            so_far(self.delivered, self.arrives_at),
            so_far(self.rejected, self.arrives_at) + so_far(self.given_up, self.arrives_at + account.RETRIED),
            so_far(self.invalid, self.requested_at),
        )


class Sendings:
    """The sendings of the demo account, drawn once and kept."""

    def __init__(self, seed: int, zone: ZoneInfo, incidents: Sequence[Incident]) -> None:
        self._seed = seed
        self._zone = zone
        self._incidents = incidents
        self._volume = lru_cache(maxsize=20_000)(self._volume_of_hour)
        self._luck = lru_cache(maxsize=20_000)(self._luck_of_day)
        self._drawn: dict[tuple[int, str, int], Sending | None] = {}
        self._usual = usual(seed, zone) if incidents else self
        deferrals = [each.factor for each in incidents if each.name == "deferred"]
        self.settles_after = 2 * HOUR + account.RETRIED + max(map(_delay, deferrals), default=0)
        """Seconds after an hour begins in which nothing of its mail is on its way any more."""

    def between(self, index: int, esp: str, begin: float, end: float) -> Iterator[Sending]:
        """Yield the sendings of a stream, by its index, to a provider that are requested in a stretch of time."""
        for hour in range(math.ceil(begin / HOUR), math.ceil(end / HOUR)):
            sending = self.of_hour(index, esp, hour)
            if sending is not None:
                yield sending

    def of_hour(self, index: int, esp: str, hour: int) -> Sending | None:
        """Return what is sent in an hour, None for nothing."""
        key = (index, esp, hour)
        if key not in self._drawn:
            is_shared = self._usual is not self and self.is_usual(index, esp, hour)
            self._drawn[key] = self._usual.of_hour(*key) if is_shared else self._draw(*key)
        return self._drawn[key]

    def is_usual(self, index: int, esp: str, hour: int) -> bool:
        """Return whether no incident hits the mail of an hour."""
        stream, at = STREAMS[index], hour * HOUR
        return not any(each.is_on(at) and each.concerns(stream.sender, stream.tag, esp) for each in self._incidents)

    def local(self, hour: int) -> datetime:
        """Return the local time of an hour."""
        return datetime.fromtimestamp(hour * HOUR, self._zone)

    def _draw(self, index: int, esp: str, hour: int) -> Sending | None:
        stream, provider = STREAMS[index], PROVIDERS[esp]
        requested_at = hour * HOUR
        place = (stream.sender, stream.tag, esp, float(requested_at))
        volume = self._volume(index, hour) * provider.share
        mean = volume * hit_by(self._incidents, REQUESTED, *place)
        if mean <= 0 or any(hitting(self._incidents, ("account_frozen",), *place)):
            return None
        # Of mails that can be tracked; the first number of the key with which the readers' part is drawn.
        (u,) = uniforms(1, self._seed, "batch", stream.sender, stream.tag, esp, hour)
        tracked = poisson(volume * hit_by(self._incidents, REQUESTED + REJECTED + UNTRACKED, *place), u)
        delivered = max(tracked, poisson(volume * hit_by(self._incidents, REQUESTED + REJECTED, *place), u))
        accepted = max(delivered, poisson(mean, u))
        # All other mails.
        v = uniforms(6, self._seed, "delivery", stream.sender, stream.tag, esp, hour)
        plain = poisson(mean * account.PLAIN, v[0])
        plain_delivered = binomial(plain, min(hit_by(self._incidents, REJECTED, *place), 1.0), v[1])
        failed, invalid = self._luck(index, esp, self.local(hour).toordinal())
        failing = poisson(mean * failed, v[2])
        given_up = binomial(failing, account.GIVEN_UP, v[3])
        listed = hit_by(self._incidents, ("invalid_list",), *place)
        deferral = max((each.factor for each in hitting(self._incidents, ("deferred",), *place)), default=0.0)
        sending = Sending(
            requested_at,
            requested_at + _delay(deferral),
            tracked,
            delivered + plain_delivered,
            rejected=accepted - delivered + plain - plain_delivered + failing - given_up,
            given_up=given_up,
            invalid=poisson(mean * invalid, v[4]) + (poisson(mean * (listed - 1), v[5]) if listed > 1 else 0),
        )
        return sending if sending.delivered or sending.rejected or given_up or sending.invalid else None

    def _volume_of_hour(self, index: int, hour: int) -> float:
        """Return the mails that a stream sends in an hour, all providers together."""
        stream, local = STREAMS[index], self.local(hour)
        day = local.toordinal()
        if stream.kind == "campaign":
            for weekday, first, parts in stream.schedule:
                if local.weekday() == weekday and 0 <= local.hour - first < len(parts):
                    skip, size = uniforms(2, self._seed, "campaign", stream.tag, day)
                    if skip >= stream.skipped:
                        return stream.volume * parts[local.hour - first] * math.exp(0.12 * normal(size))
            return 0.0
        (noise,) = uniforms(1, self._seed, "day", stream.sender, stream.tag, day)
        if stream.kind == "drip":
            of_day = account.DRIP_WEEKEND if local.weekday() >= 5 else 1.0
        else:
            of_day = account.VOLUME_BY_WEEKDAY[local.weekday()]
        by_hour = account.VOLUME_BY_HOUR[local.hour] / sum(account.VOLUME_BY_HOUR)
        swing = account.SWING * math.sin(2 * math.pi * day / account.SWING_DAYS)
        return stream.volume * of_day * by_hour * math.exp(swing + account.DAY_NOISE * normal(noise))

    def _luck_of_day(self, index: int, esp: str, day: int) -> tuple[float, float]:
        """Return the parts of a day's mail that fail and that are invalid."""
        stream, provider = STREAMS[index], PROVIDERS[esp]
        failed, invalid = (
            math.exp(account.DAY_NOISE * normal(u))
            for u in uniforms(2, self._seed, "losses", stream.sender, stream.tag, esp, day)
        )
        return stream.failed * provider.failed * failed, stream.invalid * provider.invalid * invalid


@lru_cache(maxsize=8)
def usual(seed: int, zone: ZoneInfo) -> Sendings:
    """Return the sendings without an incident, drawn once for all accounts in a process."""
    return Sendings(seed, zone, ())


def _delay(hours: float) -> int:
    """Return a deferral in whole seconds, so that no mail is tracked a moment before it is delivered."""
    return round(hours * HOUR)
