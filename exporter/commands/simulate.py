"""`simulate`: runs the API's simulator alone, on loopback."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from exporter.clock import Clock, SystemClock, VirtualClock
from exporter.commands import exit_status
from exporter.process import signals
from exporter.simulator import faults as known_faults
from exporter.simulator import incidents as known_incidents
from exporter.simulator.behaviour import CHOICES, Behaviour
from exporter.simulator.replay import Recording, RecordingError
from exporter.simulator.server import KEY_ID, SECRET, Simulator
from exporter.simulator.traffic import Choices, Traffic
from exporter.web.sockets import BindError, cannot_listen, split_address

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def _listed(what: str, names: Mapping[str, str]) -> str:
    """Return a help text with every choice."""
    width = max(map(len, names)) + 2
    # The first line keeps click from joining the others.
    return "\n".join(["\b", what, *(f"  {name:<{width}}{text}" for name, text in names.items())])


incidents_flag = click.option(
    "--incident",
    "incidents",
    multiple=True,
    metavar="NAME[:KEY=VALUE,...]",
    help=_listed(
        f"Incident in the mail traffic; keys are {', '.join(known_incidents.KEYS)}. Repeatable.",
        {name: kind.what for name, kind in known_incidents.NAMES.items()},
    ),
)
faults_flag = click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[:PROBABILITY][,KEY=VALUE,...]",
    help=_listed(f"Fault of the API; keys are {', '.join(known_faults.OPTIONS)}. Repeatable.", known_faults.NAMES),
)


def speed_flag(most: int) -> Callable[[Decorated], Decorated]:
    """Return the flag for the speed of the clock."""
    return click.option(
        "--speed",
        type=click.FloatRange(min=1, max=most),
        default=1.0,
        show_default=True,
        help="Speed of the clock.",
    )


def read_zone(context: click.Context, option: click.Parameter, name: str | None) -> ZoneInfo | None:
    """Return the zone of a flag's value, None for no value. Raise BadParameter for an unknown one."""
    try:
        return ZoneInfo(name) if name is not None else None
    except (ZoneInfoNotFoundError, ValueError):
        raise click.BadParameter(f"{name!r} is not a time zone") from None


@click.command()
@click.option("--listen", default="127.0.0.1:8025", show_default=True, help="Address to listen on.")
@click.option("--seed", type=int, default=7, show_default=True, help="Seed of the traffic.")
@speed_flag(3600)
@click.option(
    "--rate-limit",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    help="Calls per minute of each operation before it throttles.",
)
@click.option("--retry-after", is_flag=True, help="Throttling responses include the time to wait.")
@click.option(
    "--largest-page",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Rows of the largest page.",
)
@click.option("--rows", type=click.Choice(CHOICES["rows"]), default="day", show_default=True, help="What a row covers.")
@click.option(
    "--rate-format",
    type=click.Choice(CHOICES["rate_format"]),
    default="31.42",
    show_default=True,
    help="Format of GetTrackList's rates.",
)
@click.option(
    "--attribution",
    type=click.Choice(["send", "event"]),
    default="send",
    show_default=True,
    help="Day that opens are counted on.",
)
@click.option(
    "--clock-text",
    type=click.Choice(CHOICES["clock_text"]),
    default="china",
    show_default=True,
    help="Time zone of CreateTime.",
)
@click.option(
    "--domain-filter",
    type=click.Choice(CHOICES["domain_filter"]),
    default="exact",
    show_default=True,
    help="What the filter Domain matches.",
)
@click.option(
    "--no-dedicated-ips",
    type=click.Choice([mode for mode in CHOICES["no_dedicated_ips"] if mode]),
    default=None,
    help="The account has no dedicated IPs: the response to filters by ESP, IP or pool.",
)
@click.option(
    "--user-status",
    type=click.Choice(CHOICES["user_status"]),
    default="codes",
    show_default=True,
    help="UserStatus of an account in several states: the largest code, or their bits.",
)
@click.option(
    "--sender-counts",
    type=click.Choice(CHOICES["sender_counts"]),
    default="used",
    show_default=True,
    help="Meaning of a sender's DailyCount and MonthCount.",
)
@click.option(
    "--timezone", default="Asia/Shanghai", callback=read_zone, show_default=True, help="Time zone of the account."
)
@click.option("--hourly", is_flag=True, help="Responses show the last full hour, 15 minutes late.")
@click.option(
    "--recording",
    "recording_folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Replay a recording of `doctor --record` instead of generated traffic.",
)
@incidents_flag
@faults_flag
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
    clock_text: str,
    domain_filter: str,
    no_dedicated_ips: str | None,
    user_status: str,
    sender_counts: str,
    timezone: ZoneInfo,
    hourly: bool,
    recording_folder: Path | None,
    incidents: tuple[str, ...],
    faults: tuple[str, ...],
) -> None:
    """Run the simulator alone: the API's wire format on loopback.

    It accepts the key in SIMULATOR_ACCESS_KEY_ID and SIMULATOR_ACCESS_KEY_SECRET, or a made-up one, which it prints.
    """
    choices = Choices(timezone, attribution, hourly)
    behaviour = Behaviour(
        rows=rows,
        rate_format=rate_format,
        largest_page=largest_page,
        calls_per_minute=rate_limit,
        retry_after=retry_after,
        clock_text=clock_text,
        domain_filter=domain_filter,
        no_dedicated_ips=no_dedicated_ips or "",
        user_status=user_status,
        sender_counts=sender_counts,
    )
    clock = made_clock(speed)
    planned, broken = parsed(incidents, faults, clock.time())
    try:
        recording = Recording(recording_folder) if recording_folder else None
    except RecordingError as error:
        exit_status.fail(str(error))
    simulator = Simulator(
        Traffic(seed, choices, planned),
        os.environ.get("SIMULATOR_ACCESS_KEY_ID") or KEY_ID,
        os.environ.get("SIMULATOR_ACCESS_KEY_SECRET") or SECRET,
        clock=clock,
        behaviour=behaviour,
        faults=broken,
        signing_time=time.time,  # only the mail goes faster, not the requests
        recording=recording,
    )
    is_made_up = (simulator.key_id, simulator.secret) == (KEY_ID, SECRET)
    key = f"\nexport ALIBABA_CLOUD_ACCESS_KEY_ID={KEY_ID}\nexport ALIBABA_CLOUD_ACCESS_KEY_SECRET={SECRET}"
    exit_status.run(
        _serve(simulator, listen, lambda url: exit_status.message(f"GetTrackList: {url}{key if is_made_up else ''}")),
        BindError,
    )


def made_clock(speed: float) -> Clock:
    """Return a clock that starts now and runs `speed` times as fast as the machine's."""
    return SystemClock() if speed == 1 else VirtualClock(speed)


def parsed(
    incident_texts: Iterable[str], fault_texts: Iterable[str], now: float
) -> tuple[list[known_incidents.Incident], list[known_faults.Fault]]:
    """Return the incidents and faults of the flags. Raise UsageError for an unknown one."""
    try:
        return (
            [known_incidents.parse(text, now) for text in incident_texts],
            [known_faults.parse(text) for text in fault_texts],
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None


async def _serve(simulator: Simulator, listen: str, started: Callable[[str], None]) -> None:
    """Serve until stopped, also by a terminal that is closed. Raise BindError where the address is not available."""
    stopped = asyncio.Event()
    host, port = split_address(listen)
    with signals.handled(asyncio.get_running_loop(), stop=stopped.set, reload=stopped.set):
        async with AsyncExitStack() as stack:
            try:
                url = await stack.enter_async_context(simulator.listen(host, port))
            except OSError as error:
                raise cannot_listen(listen, error) from None
            started(url)
            await stopped.wait()
