"""Draws the events of delivered mail: every batch is a pure function of (seed, stream, provider, hour)."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from exporter.clock import HOUR
from exporter.simulator import account, delivery
from exporter.simulator.account import PROVIDERS, STREAMS, Latency
from exporter.simulator.batch import EDGES, Batch, running
from exporter.simulator.delivery import Sendings
from exporter.simulator.incidents import Incident, hit_by
from exporter.simulator.random_numbers import binomial, lognormal_cdf, normal, poisson, uniforms


class Mailings:
    """The batches of the demo account, drawn once and kept."""

    def __init__(self, seed: int, zone: ZoneInfo, incidents: Sequence[Incident]) -> None:
        self.sendings = Sendings(seed, zone, incidents) if incidents else delivery.usual(seed, zone)
        self._seed = seed
        self._incidents = incidents
        self._usual = usual(seed, zone) if incidents else self
        self._batches: dict[tuple[int, str, int], Batch | None] = {}
        self._opens = lru_cache(maxsize=20_000)(self._opens_of_day)
        self._clicks = lru_cache(maxsize=20_000)(self._clicks_of_day)

    def between(self, index: int, esp: str, begin: float, end: float) -> Iterator[Batch]:
        """Yield the batches of a stream, by its index, to a provider whose hour starts in a stretch of time."""
        for hour in range(math.ceil(begin / HOUR), math.ceil(end / HOUR)):
            batch = self.of_hour(index, esp, hour)
            if batch is not None:
                yield batch

    def of_hour(self, index: int, esp: str, hour: int) -> Batch | None:
        """Return the batch of an hour, None for nothing."""
        key = (index, esp, hour)
        if key not in self._batches:
            usual = self._usual is not self and self.sendings.is_usual(*key)
            self._batches[key] = self._usual.of_hour(*key) if usual else self._draw(*key)
        return self._batches[key]

    def _draw(self, index: int, esp: str, hour: int) -> Batch | None:
        sending = self.sendings.of_hour(index, esp, hour)
        if sending is None or not sending.tracked:
            return None
        stream, provider, emails = STREAMS[index], PROVIDERS[esp], sending.tracked
        place = (stream.sender, stream.tag, esp, float(sending.requested_at))
        day = self.sendings.local(hour).toordinal()
        steps = len(EDGES)
        u = uniforms(5 * steps + 8, self._seed, "batch", stream.sender, stream.tag, esp, hour)  # u[0] drew the mails
        opens = self._opens(index, esp, day) * hit_by(
            self._incidents, ("esp_spam", "esp_partial", "bad_subject"), *place
        )
        humans = binomial(emails, opens, u[1])
        spam = hit_by(self._incidents, ("esp_spam", "esp_partial"), *place)
        machines = binomial(emails - humans, provider.machine * (spam**0.6 if spam < 1 else 1.0), u[2])
        scanner = provider.scanner * hit_by(self._incidents, ("scanner",), *place)
        scans = binomial(emails - humans - machines, min(scanner, 0.9), u[3])
        opened = _spread(humans, _latency(stream.latency), u[8:])
        clicked = [
            binomial(count, clicks, draw)
            for count, clicks, draw in zip(opened, self._clicks(index, day), u[8 + steps :], strict=False)
        ]
        extra = [
            poisson(account.EXTRA_CLICKS * count, draw) if count else 0
            for count, draw in zip(clicked, u[8 + 2 * steps :], strict=False)
        ]
        again = poisson(stream.again * (humans + machines), u[4]) if humans + machines else 0
        return Batch(
            float(sending.arrives_at),
            emails,
            humans=running(opened),
            clickers=running(clicked),
            extra_clicks=running(extra),
            machines=running(_spread(machines, _latency(account.MACHINE_LATENCY), u[8 + 3 * steps :])),
            repeats=running(_spread(again, _latency(account.REPEAT_LATENCY), u[8 + 4 * steps :])),
            scans=scans,
        )

    def _opens_of_day(self, index: int, esp: str, day: int) -> float:
        """Return the chance that a mail of a day is opened by a human, incidents aside."""
        stream, provider = STREAMS[index], PROVIDERS[esp]
        common, own = (
            normal(uniforms(1, self._seed, "opens", stream.sender, stream.tag, day, *which)[0])
            for which in ((), (esp,))
        )
        return _shifted(min(stream.opens * provider.human, 0.97), stream.noise * common + 0.05 * own)

    def _clicks_of_day(self, index: int, day: int) -> tuple[float, ...]:
        """Return the chances that who opens a mail of a day clicks, for each bucket of the first open."""
        stream = STREAMS[index]
        (draw,) = uniforms(1, self._seed, "clicks", stream.sender, stream.tag, day)
        chance = _shifted(stream.clicks, (0.30 if stream.kind == "campaign" else 0.08) * normal(draw))
        return tuple(min(1.0, chance * account.click_weight(stream, age)) for age in EDGES)


@lru_cache(maxsize=8)
def usual(seed: int, zone: ZoneInfo) -> Mailings:
    """Return the batches without an incident, drawn once for all accounts in a process."""
    return Mailings(seed, zone, ())


def _shifted(chance: float, logit: float) -> float:
    return 1 / (1 + (1 - chance) / chance * math.exp(-logit))


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
