"""The commands that need no account: the demo, and the simulator alone."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from exporter.commands import exit_status as ending

if TYPE_CHECKING:  # the program starts without what it may not need
    from exporter.simulator.server import Habits, Simulator
    from exporter.simulator.traffic import Choices

DEMO_ADDRESS = "127.0.0.1:10058"


@click.command()
@click.option("--listen", default=DEMO_ADDRESS, show_default=True, help="Address of the exporter.")
@click.option(
    "--speed",
    type=click.FloatRange(min=1, max=1000),
    default=1.0,
    show_default=True,
    help="How fast the demo's clock runs.",
)
@click.option("--incident", "incidents", multiple=True, help="What goes wrong in the mail, such as esp_spam.")
@click.option("--fault", "faults", multiple=True, help="What goes wrong in the API, such as throttle:0.1.")
@click.option(
    "--history",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the last 30 days to this file first, for promtool.",
)
def demo(listen: str, speed: float, incidents: tuple[str, ...], faults: tuple[str, ...], history: Path | None) -> None:
    """Run exporter and simulator together; no account needed."""
    from exporter.app import Options
    from exporter.commands import demo as the_demo
    from exporter.simulator.server import Habits

    simulator = _simulator(speed, incidents, faults, habits=Habits(calls_per_minute=2 * the_demo.CALLS_PER_MINUTE))

    def started(addresses: list[str]) -> None:
        click.echo(f"Metrics:  http://{addresses[0]}/metrics")
        click.echo(f"Status:   http://{addresses[0]}/")
        click.echo("All windows are filled within half a minute. Ctrl-C ends the demo.")
        if history is not None:
            data = history.with_suffix("")
            click.echo("A Prometheus that has the last 30 days and scrapes this demo:")
            click.echo(f"  promtool tsdb create-blocks-from openmetrics {history} {data}")
            click.echo(
                "  prometheus --config.file=prometheus/prometheus.yml --storage.tsdb.retention.time=40d "
                f"--storage.tsdb.path={data} --web.listen-address=127.0.0.1:9090"
            )

    options = Options(listen_addresses=(listen,))
    ending.run(the_demo.run(simulator, options, speed, started, history))


@click.command()
@click.option("--listen", default="127.0.0.1:8025", show_default=True, help="Address to listen on.")
@click.option("--seed", type=int, default=7, show_default=True, help="Another seed is another account's traffic.")
@click.option(
    "--speed",
    type=click.FloatRange(min=1, max=3600),
    default=1.0,
    show_default=True,
    help="How fast the mail's clock runs.",
)
@click.option(
    "--rate-limit",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    help="Calls a minute before it throttles.",
)
@click.option("--retry-after", is_flag=True, help="Throttling tells how long to wait.")
@click.option(
    "--largest-page",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Rows of the largest page.",
)
@click.option(
    "--rows", type=click.Choice(["day", "hour", "sum"]), default="day", show_default=True, help="What a row is of."
)
@click.option("--rate-format", type=click.Choice(["31.42", "31.42%", "0.3142"]), default="31.42", show_default=True)
@click.option(
    "--attribution",
    type=click.Choice(["send", "event"]),
    default="send",
    show_default=True,
    help="The day that opens are booked on.",
)
@click.option("--timezone", default="Asia/Shanghai", show_default=True, help="Where the day begins.")
@click.option("--hourly", is_flag=True, help="Answers are of the last full hour, 15 minutes late.")
@click.option("--incident", "incidents", multiple=True, help="What goes wrong in the mail, such as esp_spam.")
@click.option("--fault", "faults", multiple=True, help="What goes wrong in the API, such as throttle:0.1.")
def simulate(
    listen: str,
    seed: int,
    speed: float,
    rate_limit: int,
    retry_after: bool,
    largest_page: int,
    rows: str,
    rate_format: str,
    attribution: str,
    timezone: str,
    hourly: bool,
    incidents: tuple[str, ...],
    faults: tuple[str, ...],
) -> None:
    """Run the simulator alone: the API's wire format on loopback.

    It accepts the key in SIMULATOR_ACCESS_KEY_ID and SIMULATOR_ACCESS_KEY_SECRET, or a made-up one.
    """
    from exporter.commands import demo as the_demo
    from exporter.simulator.server import Habits
    from exporter.simulator.traffic import Choices

    try:
        choices = Choices(ZoneInfo(timezone), attribution, hourly)
    except (ZoneInfoNotFoundError, ValueError):
        raise click.BadParameter(f"{timezone!r} is not a time zone", param_hint="--timezone") from None
    habits = Habits(rows, rate_format, largest_page, rate_limit, retry_after)
    simulator = _simulator(speed, incidents, faults, seed=seed, choices=choices, habits=habits)
    simulator.key_id = os.environ.get("SIMULATOR_ACCESS_KEY_ID") or simulator.key_id
    simulator.secret = os.environ.get("SIMULATOR_ACCESS_KEY_SECRET") or simulator.secret
    simulator.signing_time = time.time  # only the mail goes faster, not who asks
    ending.run(the_demo.simulate(simulator, listen, lambda url: click.echo(f"GetTrackList: {url}")))


def _simulator(
    speed: float,
    incident_texts: tuple[str, ...],
    fault_texts: tuple[str, ...],
    *,
    habits: "Habits",
    seed: int = 7,
    choices: "Choices | None" = None,
) -> "Simulator":
    """Return a simulator whose mail goes `speed` times as fast. Raise BadParameter for what it does not know."""
    from exporter.clock import SystemClock, VirtualClock
    from exporter.simulator import faults, incidents
    from exporter.simulator.server import Simulator
    from exporter.simulator.traffic import Choices, Traffic

    clock = SystemClock() if speed == 1 else VirtualClock(speed)
    try:
        planned = [incidents.parse(text, clock.time()) for text in incident_texts]
        broken = [faults.parse(text) for text in fault_texts]
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return Simulator(Traffic(seed, choices or Choices(), planned), clock=clock, habits=habits, faults=broken)
