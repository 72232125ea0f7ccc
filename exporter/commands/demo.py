"""`demo`: exporter and simulator on loopback, no account, no file."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from exporter.app import App, Options
from exporter.commands import exit_status
from exporter.commands.demo_past import moments, replay
from exporter.commands.history_export import Backfill
from exporter.commands.simulate import faults_flag, incidents_flag, made_clock, made_simulator, read_zone, speed_flag
from exporter.config import loader
from exporter.config.model import Config, Refresh
from exporter.metrics.history import History
from exporter.plan import validation
from exporter.simulator.account import PROVIDERS, STREAMS, Infrastructure
from exporter.simulator.server import Habits, Simulator
from exporter.simulator.traffic import SHANGHAI, Choices, Traffic

CALLS_PER_MINUTE = 15_000
"""In real time: some 900 cells are there within 5 seconds."""
POLL_SECONDS, SHORTEST_POLL, USUAL_POLL = 5.0, 0.5, 300.0
"""In real time, unless the clock is so fast that an exporter's usual five minutes pass sooner."""
ADDRESS = "127.0.0.1:10058"
JOB, TARGET = "directmail", "demo"
DAY = 86_400.0
MORNING = 10
"""The hour of the day at which the demo starts: by then enough mail was read for alerts to notice what is wrong."""


@click.command()
@click.option("--listen", default=ADDRESS, show_default=True, help="Address of the exporter.")
@speed_flag(1000)
@click.option(
    "--timezone",
    callback=read_zone,
    help="Where the account's day begins.  [default: where it is between 10 and 11 in the morning]",
)
@incidents_flag
@faults_flag
@click.option(
    "--history",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the last 30 days to this file first, for promtool.",
)
def command(
    listen: str,
    speed: float,
    timezone: ZoneInfo | None,
    incidents: tuple[str, ...],
    faults: tuple[str, ...],
    history: Path | None,
) -> None:
    """Run exporter and simulator together; no account needed."""
    clock = made_clock(speed)
    zone = timezone or morning_zone(clock.time())
    habits = Habits(calls_per_minute=2 * CALLS_PER_MINUTE)
    simulator = made_simulator(clock, incidents, faults, choices=Choices(zone), habits=habits)

    def started(addresses: list[str]) -> None:
        time = datetime.fromtimestamp(clock.time(), zone)
        exit_status.say(f"Metrics:  http://{addresses[0]}/metrics")
        exit_status.say(f"Status:   http://{addresses[0]}/")
        exit_status.say(f"It is {time:%H:%M} where the account's day begins ({zone}).")
        exit_status.say("All windows are filled within ten seconds. Ctrl-C ends the demo.")
        if history is not None:
            data = history.with_suffix("")
            exit_status.say("A Prometheus that has the last 30 days and scrapes this demo:")
            exit_status.say(f"  promtool tsdb create-blocks-from openmetrics {history} {data}")
            exit_status.say(
                "  prometheus --config.file=prometheus/prometheus.yml --storage.tsdb.retention.time=40d "
                f"--storage.tsdb.path={data} --web.listen-address=127.0.0.1:9090"
            )

    options = Options(listen_addresses=(listen,))
    exit_status.run(run(simulator, options, speed, started, history))


def morning_zone(now: float) -> ZoneInfo:
    """Return a zone in which it is between 10 and 11 in the morning at that time."""
    ahead = (MORNING - datetime.fromtimestamp(now, UTC).hour + 12) % 24 - 12
    return ZoneInfo(f"Etc/GMT{-ahead:+d}")  # POSIX' sign: Etc/GMT-8 is 8 hours ahead of UTC


def settings(endpoint: str, speed: float = 1.0, zone: ZoneInfo = SHANGHAI) -> Config:
    """Return the demo's config. What is said of time is of a clock that runs `speed` times as fast as ours."""
    senders = sorted({stream.sender for stream in STREAMS})
    tags = {sender: [stream.tag for stream in STREAMS if stream.sender == sender] for sender in senders}
    routes = {key: sorted({getattr(stream.through, key) for stream in STREAMS}) for key in Infrastructure._fields}
    poll = min(POLL_SECONDS * speed, max(USUAL_POLL, SHORTEST_POLL * speed))
    text = f"""
poll_interval: {poll:.0f}s
windows: [today, yesterday, 7d, 30d]
reported_rates: true
targets:
  - name: {TARGET}
    endpoint: {endpoint}
    timezone: {zone}
    rate_limit_per_minute: {CALLS_PER_MINUTE / speed:g}
    queries:
      - name: account
      - name: by_sender
        account_name: {senders}
      - name: by_esp
        account_name: {senders}
        esp: {list(PROVIDERS)}
"""
    text += "".join(
        f"      - name: by_tag\n        account_name: {sender}\n        tag_name: {tags[sender]}\n"
        for sender in senders
    )
    text += "".join(f"      - name: by_{key}\n        {key}: {values}\n" for key, values in routes.items())
    return validation.checked("the demo's config", *loader.parse(text))


def past(traffic: Traffic, until: float, instance: str, days: float = 30.0, step: float = 900.0) -> History:
    """Return what a Prometheus would hold that scraped an exporter of this traffic at `instance` every `step` seconds.

    The exporter polled every 5 minutes, but not for the window of 30 days, which alone would be half of the work.
    Read it with `--query.lookback-delta` a little longer than the step.
    """
    polled = replace(
        settings("http://127.0.0.1:1", USUAL_POLL / POLL_SECONDS, traffic.choices.zone),
        windows=("today", "yesterday", "7d"),
        refresh=Refresh(recent=3 * 3600, older=DAY),
    )
    times = moments(until - days * DAY, until, step)
    return replay(polled, {TARGET: traffic}, times, labels={"job": JOB, "instance": instance})


async def run(
    simulator: Simulator,
    options: Options,
    speed: float,
    started: Callable[[list[str]], None],
    history: Path | None = None,
) -> None:
    """Run the exporter against the simulator until stopped, the past written to `history` first.

    Raise BindError as App.run does.
    """
    environment = {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": simulator.key_id,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": simulator.secret,
    }
    async with simulator.listen() as url:
        made = settings(url, speed, simulator.traffic.choices.zone)
        if history is not None:
            past = Backfill(made, simulator.clock, environment=environment)
            await past.run(history, asyncio.Event())
        exporter = App(made, options, clock=simulator.clock, environment=environment)
        await exporter.run(started)
