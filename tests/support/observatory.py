"""What the dashboards are proved on: two Prometheuses that scrape a live exporter of made-up mail.

One has 16 days of history that were written into it, one scrapes every minute with default settings and has done so for
weeks.

Prometheus' time is the machine's, so the account is moved instead: it is always a Wednesday morning there.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp

from exporter.app import App
from exporter.commands.demo import morning_zone
from exporter.commands.demo_replay import moments, replay
from exporter.config import loader
from exporter.config.model import Config, Refresh
from exporter.reload import checked
from exporter.simulator import incidents
from exporter.simulator.account import PROVIDERS, STREAMS
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.delivery import Delivery
from exporter.simulator.server import KEY_ID, SECRET, Simulator
from exporter.simulator.traffic import Choices, Counts, Traffic
from exporter.web.server import Options
from tests.support.processes import PATIENCE, started
from tools.stack import rules
from tools.stack.programs import free_address
from tools.stack.prometheus import Prometheus, Stretch, load, prometheus, record

DAY = 86_400.0
HISTORY, FINE = 16 * DAY, 8 * DAY
COARSE_STEP, STEP, MINUTE = 3600.0, 900.0, 60.0
"""Seconds between two samples of the past, FINE of which is shown. Prometheus looks back a little longer."""
LATELY = 4 * 3600.0
"""Seconds that the Prometheus that scrapes every minute has without a gap, now and a week ago."""
JOB, TARGET = "directmail", "demo"
ACCOUNT = ("directmail_account_state", "directmail_domain_verified", "directmail_sender_emails")
SEEN = (
    "rate(directmail_exporter_api_request_duration_seconds_count[4m]) > 0",
    "target:directmail_account_daily_quota_used:predicted_ratio",
    "stream:directmail_track_emails:today",
    'ALERTS{alertname="DirectMailEspOpenRateDrop"}',
)
"""What answers once Prometheus has seen the live exporter call, and has evaluated the rules over it."""
OWN = re.compile(
    r"^(process_cpu_seconds_total|directmail_exporter_api_request_duration_seconds_\w+)(?:\{(.*)\})? (\S+)$",
    re.MULTILINE,
)
"""Counters that a made-up past does not have: it made no calls."""
JUST_BEFORE = 12 * MINUTE
"""Seconds before now in which there is a sample every minute, twice the range of a rate."""
INCIDENTS = ("esp_spam:start=-20h,for=2d", "tracking_down:start=-3d,for=8h")
WEDNESDAY = date(2026, 4, 22)


@dataclass(frozen=True)
class Observer:
    """A Prometheus: how often it scrapes, how far it looks back for a sample, and what it has of the past (seconds)."""

    scrapes: str
    flags: tuple[str, ...]
    samples: Callable[[float], Iterable[float]]
    """The times of its samples."""
    evaluations: Callable[[float], Sequence[Stretch]]
    """When it evaluated its rules."""


def _minutes(now: float) -> Iterable[float]:
    """Return the times of samples: every minute where a panel looks for one, else an hour apart.

    That is lately, a week ago, and, where each closed day is one point, half a day off.
    """
    looked_for = [(now, LATELY), (now - 7 * DAY, LATELY), (now - 0.5 * DAY, 5 * MINUTE), (now - 1.5 * DAY, 5 * MINUTE)]
    lately = (at for end, span in looked_for for at in moments(end - span, end + MINUTE, MINUTE) if at < now)
    return sorted({*moments(now - 16 * DAY, now, COARSE_STEP), *lately})


def _around_the_quarters(now: float) -> list[Stretch]:
    """Return the last hour, and some minutes around the quarters of two days: where the alerts look for the usual."""
    quarter = 6 * 3600.0
    quarters = [(now - DAY) // quarter * quarter - number * quarter for number in range(8)]
    return [*(Stretch(at - 4 * MINUTE, at, MINUTE) for at in quarters), Stretch(now - 3600, now, MINUTE)]


BACKFILLED = Observer(
    "5s",
    (f"--query.lookback-delta={COARSE_STEP + 60:.0f}s",),
    lambda now: (
        *moments(now - HISTORY, now - FINE, COARSE_STEP),
        *moments(now - FINE, now - JUST_BEFORE, STEP),
        *moments(now - JUST_BEFORE, now, MINUTE),
    ),
    lambda now: [Stretch(now - HISTORY + DAY, now - FINE, COARSE_STEP), Stretch(now - FINE, now, STEP)],
)
EVERY_MINUTE = Observer("1m", (), _minutes, _around_the_quarters)


class Midweek(Traffic):
    """The mail up to a Wednesday morning, shown as the mail up to now: each day has that of a day in that month."""

    def __init__(self, now: float) -> None:
        zone = morning_zone(now)
        self._away = WEDNESDAY - datetime.fromtimestamp(now, zone).date()
        planned = [incidents.parse(text, now + self._away.total_seconds()) for text in INCIDENTS]
        super().__init__(choices=Choices(zone), incidents=planned)

    def counts(self, day: date, now: float, **filters: str) -> Counts:
        return super().counts(day + self._away, now + self._away.total_seconds(), **filters)

    def delivery(self, day: date, now: float, **filters: str) -> Delivery:
        return super().delivery(day + self._away, now + self._away.total_seconds(), **filters)


def settings(endpoint: str, zone: ZoneInfo) -> Config:
    """Return a config with every breakdown that a row of the boards requests."""
    senders = sorted({stream.sender for stream in STREAMS})
    routes = {key: sorted({getattr(stream.through, key) for stream in STREAMS}) for key in STREAMS[0].through._fields}
    both = {"statistics": ["engagement", "delivery"]}
    queries: list[dict[str, object]] = [
        {"name": "account", **both},
        {"name": "by_sender", "account_name": senders, **both},
        {"name": "by_esp", "account_name": senders, "esp": list(PROVIDERS), **both},
        {"name": "by_domain", "domain": sorted({stream.domain for stream in STREAMS})},
    ]
    queries += [
        {
            "name": f"by_tag_{number}",
            "account_name": sender,
            "tag_name": [stream.tag for stream in STREAMS if stream.sender == sender],
        }
        for number, sender in enumerate(senders, 1)
    ]
    queries += [{"name": f"by_{key}", key: values} for key, values in routes.items()]
    text = (
        "poll_interval: 5m\nwindows: [today, yesterday, 7d]\nreported_rates: true\n"
        f"account_interval: 1m\ndomains_interval: 1m\ntargets:\n  - name: {TARGET}\n"
        f"    endpoint: {endpoint}\n    timezone: {zone}\n    rate_limit_per_minute: 1200\n    queries: {queries}\n"
    )
    return checked("the observatory's config", *loader.parse(text))


def wanted(metric: str, labels: Mapping[str, str]) -> bool:
    """Return whether the boards request a metric's past: not for ratios, which they compute themselves."""
    return not metric.endswith("_ratio") and not metric.startswith("directmail_track_window")


def write_history(path: Path, traffic: Traffic, times: Iterable[float], instance: str) -> None:
    """Write what a Prometheus would have got at these times."""
    polled = replace(settings("http://127.0.0.1:1", traffic.choices.zone), refresh=Refresh(recent=3 * 3600, older=DAY))
    replay(polled, {TARGET: traffic}, times, labels={"job": JOB, "instance": instance}, wanted=wanted).write(path)


@asynccontextmanager
async def observatory(folder: Path, observer: Observer) -> AsyncIterator[tuple[Prometheus, Traffic]]:
    """Run all of it; enter when Prometheus has seen everything. The mail of the days before now has two incidents."""
    now = time.time()
    traffic = Midweek(now)
    address, past = free_address(), folder / "past.om"
    write_history(past, traffic, tuple(observer.samples(now)), address)
    await load(folder, past)
    await record(folder, rules.passes(folder), observer.evaluations(now), *observer.flags)
    scrapes = (
        f"global: {{scrape_interval: {observer.scrapes}, evaluation_interval: 15s}}\n"
        f"rule_files: ['{rules.RECORDING}', '{rules.ALERTS}']\n"
        f"scrape_configs: [{{job_name: {JOB}, static_configs: [{{targets: ['{address}']}}]}}]\n"
    )
    async with (
        Simulator(traffic, behaviour=Behaviour(calls_per_minute=100_000)).listen() as url,
        exporter(settings(url, traffic.choices.zone), address) as shown,
    ):
        past.write_text("".join(_just_before(shown, address)))
        await load(folder, past)
        async with prometheus(folder, scrapes, *observer.flags) as server:
            async with asyncio.timeout(5 * PATIENCE):
                for each in SEEN:
                    while not await server.query(each):
                        await asyncio.sleep(0.5)
            yield server, traffic


def _just_before(shown: str, instance: str) -> Iterator[str]:
    """Yield the minutes before now of the counters that a made-up past does not have, growing to what is shown now."""
    times = list(moments(time.time() - JUST_BEFORE, time.time(), MINUTE))
    for name, labels, value in OWN.findall(shown):
        own = ",".join(filter(None, (labels, f'job="{JOB}"', f'instance="{instance}"')))
        for part, at in enumerate(times):
            yield f"{name}{{{own}}} {float(value) * part / len(times)} {at:.0f}\n"
    yield "# EOF\n"


@asynccontextmanager
async def exporter(made: Config, address: str) -> AsyncIterator[str]:
    """Run an exporter of the simulator; yield what it shows when it has read everything once."""
    environment = {"ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET}
    live = App(made, Options((address,)), environment=environment)
    task, _ = await started(live)
    async with asyncio.timeout(5 * PATIENCE), aiohttp.ClientSession() as session:
        while not _has_everything(text := await _metrics(session, address)):
            await asyncio.sleep(0.5)
    yield text
    live.stop()
    await task


async def _metrics(session: aiohttp.ClientSession, address: str) -> str:
    async with session.get(f"http://{address}/metrics") as answer:
        return await answer.text()


def _has_everything(text: str) -> bool:
    samples = [line.partition(" ") for line in text.splitlines()]
    names = {name.partition("{")[0] for name, _, _ in samples}
    backlog = [float(value) for name, _, value in samples if name.startswith("directmail_exporter_backlog_cells")]
    return len(backlog) == 2 and not any(backlog) and names.issuperset(ACCOUNT)
