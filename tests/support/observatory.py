"""What the dashboards are proved on: a Prometheus with 30 days of made-up mail that scrapes a live exporter of it.

Prometheus' time is the machine's, so the account is moved instead: it is always a Wednesday morning there.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from exporter.app import App, Options
from exporter.commands.demo import morning_zone
from exporter.commands.demo_past import moments, replay
from exporter.config import loader
from exporter.config.model import Config, Refresh
from exporter.plan import validation
from exporter.simulator import incidents
from exporter.simulator.account import PROVIDERS, STREAMS
from exporter.simulator.server import KEY_ID, SECRET, Habits, Simulator
from exporter.simulator.traffic import Choices, Counts, Traffic
from tests.support.processes import PATIENCE, started
from tools.stack import rules
from tools.stack.programs import free_address
from tools.stack.prometheus import Prometheus, Stretch, load, prometheus, record

DAY = 86_400.0
HISTORY, FINE = 30 * DAY, 8 * DAY
COARSE_STEP, STEP = 3600.0, 900.0
"""Seconds between two samples of the past, FINE of which is shown. Prometheus looks back a little longer."""
JOB, TARGET = "directmail", "demo"
READ = "directmail_exporter_backlog_cells == 0 and on (target) rate(directmail_exporter_api_requests_total[2m]) > 0"
"""True once Prometheus has seen the live exporter call and have everything."""
INCIDENTS = ("esp_spam:start=-20h,for=2d", "tracking_down:start=-3d,for=8h")
WEDNESDAY = date(2026, 4, 22)


class Midweek(Traffic):
    """The mail up to a Wednesday morning, told as the mail up to now: each day has that of a day in that month."""

    def __init__(self, now: float) -> None:
        zone = morning_zone(now)
        self._away = WEDNESDAY - datetime.fromtimestamp(now, zone).date()
        planned = [incidents.parse(text, now + self._away.total_seconds()) for text in INCIDENTS]
        super().__init__(choices=Choices(zone), incidents=planned)

    def counts(self, day: date, now: float, **filters: str) -> Counts:
        return super().counts(day + self._away, now + self._away.total_seconds(), **filters)


def settings(endpoint: str, zone: ZoneInfo) -> Config:
    """Return a config with every breakdown that a row of the boards asks for."""
    senders = sorted({stream.sender for stream in STREAMS})
    routes = {key: sorted({getattr(stream.through, key) for stream in STREAMS}) for key in STREAMS[0].through._fields}
    queries: list[dict[str, object]] = [
        {"name": "account"},
        {"name": "by_sender", "account_name": senders},
        {"name": "by_esp", "account_name": senders, "esp": list(PROVIDERS)},
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
        f"poll_interval: 5m\nwindows: [today, yesterday, 7d]\nreported_rates: true\ntargets:\n  - name: {TARGET}\n"
        f"    endpoint: {endpoint}\n    timezone: {zone}\n    rate_limit_per_minute: 1200\n    queries: {queries}\n"
    )
    return validation.checked("the observatory's config", *loader.parse(text))


def wanted(metric: str, labels: Mapping[str, str]) -> bool:
    """Return whether the boards ask for a metric's past: not for ratios, which they compute themselves."""
    return not metric.endswith("_ratio") and not metric.startswith("directmail_track_window")


def write_past(path: Path, traffic: Traffic, now: float, instance: str) -> None:
    """Write what a Prometheus would have got in the days before."""
    polled = replace(settings("http://127.0.0.1:1", traffic.choices.zone), refresh=Refresh(recent=3 * 3600, older=DAY))
    times = (*moments(now - HISTORY, now - FINE, COARSE_STEP), *moments(now - FINE, now, STEP))
    replay(polled, {TARGET: traffic}, times, labels={"job": JOB, "instance": instance}, wanted=wanted).write(path)


@asynccontextmanager
async def observatory(folder: Path) -> AsyncIterator[Prometheus]:
    """Run all of it; enter when the live exporter has everything. The days before now have two incidents."""
    now = time.time()
    traffic = Midweek(now)
    address = free_address()
    past = folder / "past.om"
    write_past(past, traffic, now, address)
    await load(folder, past)
    lookback = f"--query.lookback-delta={COARSE_STEP + 60:.0f}s"
    stretches = [Stretch(now - HISTORY + DAY, now - FINE, COARSE_STEP), Stretch(now - FINE, now, STEP)]
    await record(folder, rules.passes(folder), stretches, lookback)
    scrapes = (
        "global: {scrape_interval: 5s, evaluation_interval: 15s}\n"
        f"rule_files: ['{rules.RECORDING}', '{rules.ALERTS}']\n"
        f"scrape_configs: [{{job_name: {JOB}, static_configs: [{{targets: ['{address}']}}]}}]\n"
    )
    async with (
        Simulator(traffic, habits=Habits(calls_per_minute=100_000)).listen() as url,
        prometheus(folder, scrapes, lookback) as server,
        exporter(settings(url, traffic.choices.zone), address),
    ):
        async with asyncio.timeout(PATIENCE):
            while not await server.query(READ):
                await asyncio.sleep(0.5)
        yield server


@asynccontextmanager
async def exporter(made: Config, address: str) -> AsyncIterator[None]:
    """Run an exporter of the simulator."""
    environment = {"ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET}
    live = App(made, Options((address,)), environment=environment)
    task, _ = await started(live)
    yield
    live.stop()
    await task
