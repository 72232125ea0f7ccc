"""`demo`: runs exporter and simulator on loopback, without account or file."""

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from exporter.app import App
from exporter.clock import DAY, HOUR, MINUTE
from exporter.commands import exit_status
from exporter.commands.demo_replay import keep, moments, replay
from exporter.commands.simulate import faults_flag, incidents_flag, made_clock, parsed, read_zone, speed_flag
from exporter.config import loader
from exporter.config.model import Config, Refresh
from exporter.metrics.history import History
from exporter.reload import checked
from exporter.simulator.account import PROVIDERS, STREAMS, Infrastructure
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.server import Simulator
from exporter.simulator.traffic import SHANGHAI, Choices, Traffic
from exporter.store.database import StateError
from exporter.store.memory import Store
from exporter.web.server import Options
from exporter.web.sockets import BindError

CALLS_PER_MINUTE = 15_000
"""In real time: some 900 cells are there within 5 seconds."""
POLL_SECONDS, SHORTEST_POLL, USUAL_POLL = 5.0, 0.5, 300.0
"""In real time, unless the clock is so fast that an exporter's usual five minutes pass sooner."""
ADDRESS = "127.0.0.1:10058"
ACCOUNT_POLLS = 12
"""Polls between two checks at the account and its domains: a minute in real time."""
BOTH = "[engagement, delivery]"
JOB, TARGET = "directmail", "demo"
DAYS = 30
MORNING = 11
"""The hour of the day at which the demo starts: by then enough mail was read for alerts to notice what is wrong."""
COARSE_STEP, STEP, SHOWN, FINE, FINE_STEP = 1800.0, 900.0, 8 * DAY, 3 * HOUR, MINUTE
"""The past has a sample every COARSE_STEP seconds, every STEP in the SHOWN seconds that boards open with, and in its
last FINE seconds every FINE_STEP, as a Prometheus does."""
LOOKBACK = "--query.lookback-delta=31m"
"""What a Prometheus needs to draw a line through samples that are COARSE_STEP apart."""


@click.command()
@click.option("--listen", default=ADDRESS, show_default=True, help="Address of the exporter; port 0 is a free one.")
@speed_flag(1000)
@click.option(
    "--timezone",
    callback=read_zone,
    help="Time zone of the account.  [default: one where it is between 11:00 and 12:00]",
)
@incidents_flag
@faults_flag
@click.option(
    "--history",
    type=click.Path(path_type=Path, dir_okay=False),
    help="First write the history to this file, for promtool; the exporter's counters continue from it.",
)
@click.option("--days", type=click.IntRange(1, DAYS), help=f"Days of history that --history writes.  [default: {DAYS}]")
@click.option("--state-file", type=click.Path(path_type=Path, dir_okay=False), hidden=True)
def command(
    listen: str,
    speed: float,
    timezone: ZoneInfo | None,
    incidents: tuple[str, ...],
    faults: tuple[str, ...],
    history: Path | None,
    days: int | None,
    state_file: Path | None,
) -> None:
    """Run exporter and simulator together; no account needed."""
    if days is not None and history is None:
        raise click.UsageError("--days is the length of the history; add --history FILE, or leave --days out")
    days = days or DAYS
    if history is not None:
        if not history.parent.is_dir():
            exit_status.fail(f"{history.parent} is not a directory")
        exit_status.check_writable(history.parent)
    clock = made_clock(speed)
    zone = timezone or morning_zone(clock.time())
    planned, broken = parsed(incidents, faults, clock.time())
    behaviour = Behaviour(calls_per_minute=2 * CALLS_PER_MINUTE)
    simulator = Simulator(
        Traffic(choices=Choices(zone), incidents=planned), clock=clock, behaviour=behaviour, faults=broken
    )

    def started(addresses: list[str]) -> None:
        time = datetime.fromtimestamp(clock.time(), zone)
        exit_status.message(f"Metrics:  http://{addresses[0]}/metrics")
        exit_status.message(f"Status:   http://{addresses[0]}/")
        exit_status.message(f"It is {time:%H:%M} in the account's time zone ({zone}).")
        exit_status.message("All windows are complete within ten seconds. Ctrl-C stops the demo.")
        if history is not None:
            data = history.with_suffix("")
            exit_status.message("To run Prometheus with this history, scraping the demo:")
            exit_status.message(f"  promtool tsdb create-blocks-from openmetrics {history} {data}")
            exit_status.message(
                "  prometheus --config.file=prometheus/prometheus.yml --storage.tsdb.retention.time=40d "
                f"{LOOKBACK} --storage.tsdb.path={data} --web.listen-address=127.0.0.1:9090"
            )

    with ExitStack() as kept:
        if history is not None:
            folder = kept.enter_context(tempfile.TemporaryDirectory(prefix="directmail-demo-"))
            exit_status.message(f"Writing {days} days to {history}; 30 days take about 20 seconds of CPU time.")
            state_file = Path(folder) / "state.db"
            try:
                write_history(history, state_file, simulator.traffic, clock.time(), listen, days)
            except OSError as error:
                exit_status.fail(f"{history}: {error.strerror}")
        options = Options(listen_addresses=(listen,))
        exit_status.run(_run(simulator, options, speed, started, state_file), BindError, StateError)


def morning_zone(now: float) -> ZoneInfo:
    """Return a zone in which it is between 11 and 12 in the morning at that time."""
    ahead = (MORNING - datetime.fromtimestamp(now, UTC).hour + 12) % 24 - 12
    return ZoneInfo(f"Etc/GMT{-ahead:+d}")  # POSIX' sign: Etc/GMT-8 is 8 hours ahead of UTC


def settings(endpoint: str, speed: float = 1.0, zone: ZoneInfo = SHANGHAI) -> Config:
    """Return the demo's config. Its times are of a clock that runs `speed` times as fast."""
    senders = sorted({stream.sender for stream in STREAMS})
    tags = {sender: [stream.tag for stream in STREAMS if stream.sender == sender] for sender in senders}
    routes = {key: sorted({getattr(stream.through, key) for stream in STREAMS}) for key in Infrastructure._fields}
    domains = sorted({stream.domain for stream in STREAMS})
    poll = min(POLL_SECONDS * speed, max(USUAL_POLL, SHORTEST_POLL * speed))
    text = f"""
poll_interval: {poll:.0f}s
windows: [today, yesterday, 7d, 30d]
account_interval: {ACCOUNT_POLLS * poll:.0f}s
domains_interval: {ACCOUNT_POLLS * poll:.0f}s
reported_rates: true
targets:
  - name: {TARGET}
    endpoint: {endpoint}
    timezone: {zone}
    rate_limit_per_minute: {CALLS_PER_MINUTE / speed:g}
    queries:
      - name: account
        statistics: {BOTH}
      - name: by_sender
        account_name: {senders}
        statistics: {BOTH}
      - name: by_esp
        account_name: {senders}
        esp: {list(PROVIDERS)}
        statistics: {BOTH}
      - name: by_domain
        domain: {domains}
        statistics: {BOTH}
"""
    text += "".join(
        f"      - name: by_tag\n        account_name: {sender}\n        tag_name: {tags[sender]}\n"
        for sender in senders
    )
    text += "".join(f"      - name: by_{key}\n        {key}: {values}\n" for key, values in routes.items())
    return checked("the demo's config", *loader.parse(text))


def past(
    traffic: Traffic, until: float, instance: str, days: float = DAYS, step: float = STEP, store: Store | None = None
) -> History:
    """Return what a Prometheus would hold that scraped an exporter of this traffic at `instance` every `step` seconds.

    Before the days that are SHOWN it has no more than a sample every COARSE_STEP seconds.

    The exporter polled every 5 minutes, but not for the window of 30 days, which alone would be half of the work.
    Read it with `--query.lookback-delta` a little longer than the step. The `store` has what it knew in the end.
    """
    polled = replace(
        settings("http://127.0.0.1:1", USUAL_POLL / POLL_SECONDS, traffic.choices.zone),
        windows=("today", "yesterday", "7d"),
        refresh=Refresh(recent=3 * HOUR, older=DAY),
        account_interval=3 * HOUR,
    )
    start, turn = until - days * DAY, until - FINE
    shown = max(start, until - SHOWN)
    times = chain(
        moments(start, shown, max(step, COARSE_STEP)), moments(shown, turn, step), moments(turn, until, FINE_STEP)
    )
    return replay(polled, {TARGET: traffic}, times, labels={"job": JOB, "instance": instance}, store=store)


def write_history(
    history: Path, state_file: Path, traffic: Traffic, until: float, instance: str, days: float = DAYS
) -> None:
    """Write the days before for promtool, and what the exporter knew in the end. Raise OSError and StateError."""
    store = Store()
    past(traffic, until, instance, days, store=store).write(history)
    asyncio.run(keep(store, state_file))


async def _run(
    simulator: Simulator,
    options: Options,
    speed: float,
    started: Callable[[list[str]], None],
    state_file: Path | None = None,
) -> None:
    """Run the exporter against the simulator until stopped. Raise BindError with another address, and StateError."""
    environment = {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": simulator.key_id,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": simulator.secret,
    }
    async with simulator.listen() as url:
        made = replace(settings(url, speed, simulator.traffic.choices.zone), state_file=state_file)
        try:
            await App(made, options, clock=simulator.clock, environment=environment).run(started)
        except BindError as error:
            other = "--listen 127.0.0.1:0"
            raise BindError(f'{error}; {other} uses a free port, as in: make demo ARGS="{other}"') from None
