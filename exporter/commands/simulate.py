"""`simulate`: the API's other side alone, on loopback."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from exporter.clock import Clock, SystemClock, VirtualClock
from exporter.commands import exit_status
from exporter.simulator import faults as known_faults
from exporter.simulator import incidents as known_incidents
from exporter.simulator.server import Habits, Simulator
from exporter.simulator.traffic import Choices, Traffic
from exporter.web.sockets import cannot_listen, split_address


def read_zone(context: click.Context, option: click.Parameter, name: str | None) -> ZoneInfo | None:
    """Return the zone of a flag's value, None for no value. Raise BadParameter for an unknown one."""
    try:
        return ZoneInfo(name) if name is not None else None
    except (ZoneInfoNotFoundError, ValueError):
        raise click.BadParameter(f"{name!r} is not a time zone") from None


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
@click.option(
    "--timezone", default="Asia/Shanghai", callback=read_zone, show_default=True, help="Where the day begins."
)
@click.option("--hourly", is_flag=True, help="Answers are of the last full hour, 15 minutes late.")
@click.option("--incident", "incidents", multiple=True, help="What goes wrong in the mail, such as esp_spam.")
@click.option("--fault", "faults", multiple=True, help="What goes wrong in the API, such as throttle:0.1.")
def command(
    listen: str,
    seed: int,
    speed: float,
    rate_limit: int,
    retry_after: bool,
    largest_page: int,
    rows: str,
    rate_format: str,
    attribution: str,
    timezone: ZoneInfo,
    hourly: bool,
    incidents: tuple[str, ...],
    faults: tuple[str, ...],
) -> None:
    """Run the simulator alone: the API's wire format on loopback.

    It accepts the key in SIMULATOR_ACCESS_KEY_ID and SIMULATOR_ACCESS_KEY_SECRET, or a made-up one.
    """
    choices = Choices(timezone, attribution, hourly)
    habits = Habits(rows, rate_format, largest_page, rate_limit, retry_after)
    simulator = made_simulator(made_clock(speed), incidents, faults, seed=seed, choices=choices, habits=habits)
    simulator.key_id = os.environ.get("SIMULATOR_ACCESS_KEY_ID") or simulator.key_id
    simulator.secret = os.environ.get("SIMULATOR_ACCESS_KEY_SECRET") or simulator.secret
    simulator.signing_time = time.time  # only the mail goes faster, not who asks
    exit_status.run(_serve(simulator, listen, lambda url: click.echo(f"GetTrackList: {url}")))


def made_clock(speed: float) -> Clock:
    """Return a clock that starts now and runs `speed` times as fast as the machine's."""
    return SystemClock() if speed == 1 else VirtualClock(speed)


def made_simulator(
    clock: Clock,
    incident_texts: tuple[str, ...],
    fault_texts: tuple[str, ...],
    *,
    habits: Habits,
    seed: int = 7,
    choices: Choices,
) -> Simulator:
    """Return a simulator whose mail goes by the clock. Raise UsageError for an unknown incident or fault."""
    try:
        planned = [known_incidents.parse(text, clock.time()) for text in incident_texts]
        broken = [known_faults.parse(text) for text in fault_texts]
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return Simulator(Traffic(seed, choices, planned), clock=clock, habits=habits, faults=broken)


async def _serve(simulator: Simulator, listen: str, started: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. Raise BindError where the address cannot be had."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    host, port = split_address(listen)
    async with AsyncExitStack() as stack:
        try:
            url = await stack.enter_async_context(simulator.listen(host, port))
        except OSError as error:
            raise cannot_listen(listen, error) from None
        started(url)
        await stopped.wait()
