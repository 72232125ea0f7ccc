"""The command line: flags and sub-commands."""

import asyncio
import sys
import time
import traceback
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from exporter import __revision__, __version__, flags, logs
from exporter.shards import WHOLE, Shard

if TYPE_CHECKING:  # the program starts without what it may not need
    from exporter.simulator.server import Habits, Simulator
    from exporter.simulator.traffic import Choices

_Result = TypeVar("_Result")

DEMO_ADDRESS = "127.0.0.1:10058"


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@flags.config_file
@flags.shard
@click.option("--config.check", "config_check", is_flag=True, help="Validate the config, print its plan, and exit.")
@click.option(
    "--config.enable-auto-reload",
    "auto_reload",
    is_flag=True,
    help="Reload the config when its content changes.",
)
@flags.listen_addresses
@click.option(
    "--web.telemetry-path",
    "telemetry_path",
    default="/metrics",
    show_default=True,
    help="Path of the metrics.",
)
@click.option(
    "--web.config.file",
    "web_config_file",
    type=click.Path(path_type=Path),
    help="TLS, passwords and headers, in the format of Prometheus' exporter-toolkit.",
)
@click.option(
    "--web.systemd-socket",
    "systemd_socket",
    is_flag=True,
    help="Listen on the sockets that systemd hands over, in the place of the listen addresses.",
)
@click.option("--web.enable-lifecycle", "enable_lifecycle", is_flag=True, help="Allow POST /-/reload.")
@click.option(
    "--web.max-requests",
    "max_requests",
    type=click.IntRange(min=1),
    default=40,
    show_default=True,
    help="Scrapes at the same time.",
)
@click.option("--log.level", "log_level", type=click.Choice(list(logs.LEVELS)), default="info", show_default=True)
@click.option("--log.format", "log_format", type=click.Choice(logs.FORMATS), default="logfmt", show_default=True)
@click.version_option(__version__, message=f"directmail-exporter %(version)s (revision {__revision__})")
@click.pass_context
def cli(
    context: click.Context,
    config_file: Path,
    shard: Shard,
    config_check: bool,
    auto_reload: bool,
    listen_addresses: tuple[str, ...],
    telemetry_path: str,
    web_config_file: Path | None,
    systemd_socket: bool,
    enable_lifecycle: bool,
    max_requests: int,
    log_level: str,
    log_format: str,
) -> None:
    """Opens and clicks of Alibaba Cloud Direct Mail for Prometheus."""
    logs.configure(log_level, log_format)
    if not telemetry_path.startswith("/"):
        raise click.BadParameter(f"{telemetry_path!r} does not start with /", param_hint="--web.telemetry-path")
    if context.invoked_subcommand is not None:
        if shard != WHOLE:
            raise click.UsageError(f"--shard stands before {context.invoked_subcommand}; write it after")
        return
    from exporter import app, check
    from exporter.checking import ConfigError

    options = app.Options(
        listen_addresses, telemetry_path, max_requests, enable_lifecycle, web_config_file, systemd_socket
    )
    try:
        settings = app.load(config_file, shard)
        program = app.App(
            settings,
            options,
            config_file=config_file,
            auto_reload=auto_reload,
            shard=shard,
        )
    except ConfigError as error:
        _fail(str(error))
    if config_check:
        click.echo(check.report(settings, shard))
        return
    _run(program.run())


@cli.command()
@click.option("--listen", default=DEMO_ADDRESS, show_default=True, help="Address of the exporter.")
@click.option(
    "--speed",
    type=click.FloatRange(min=1, max=3600),
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
    from exporter import demo as the_demo
    from exporter.app import Options
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
    _run(the_demo.run(simulator, options, speed, started, history))


@cli.command()
@click.option("--listen", default="127.0.0.1:8025", show_default=True, help="Address to listen on.")
@click.option("--access-key-id", envvar="SIMULATOR_ACCESS_KEY_ID", help="The key that is accepted.")
@click.option(
    "--access-key-secret",
    envvar="SIMULATOR_ACCESS_KEY_SECRET",
    help="Its secret; better in SIMULATOR_ACCESS_KEY_SECRET.",
)
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
    access_key_id: str | None,
    access_key_secret: str | None,
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
    """Run the simulator alone: the API's wire format on loopback."""
    from exporter import demo as the_demo
    from exporter.simulator.server import Habits
    from exporter.simulator.traffic import Choices

    try:
        choices = Choices(ZoneInfo(timezone), attribution, hourly)
    except (ZoneInfoNotFoundError, ValueError):
        raise click.BadParameter(f"{timezone!r} is not a time zone", param_hint="--timezone") from None
    habits = Habits(rows, rate_format, largest_page, rate_limit, retry_after)
    simulator = _simulator(speed, incidents, faults, seed=seed, choices=choices, habits=habits)
    simulator.key_id = access_key_id or simulator.key_id
    simulator.secret = access_key_secret or simulator.secret
    simulator.signing_time = time.time  # only the mail goes faster, not who asks
    _run(the_demo.simulate(simulator, listen, lambda url: click.echo(f"GetTrackList: {url}")))


@cli.command()
@flags.config_file
@flags.shard
@click.option("--days", type=click.IntRange(1, 30), default=30, show_default=True, help="Closed days to go back.")
@click.option("--query", help="Only this query.  [default: all]")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="File to write, such as history.om.",
)
def backfill(config_file: Path, shard: Shard, days: int, query: str | None, output: Path) -> None:
    """Write the past as OpenMetrics, for promtool tsdb create-blocks-from."""
    from exporter import app, progress
    from exporter.config import ConfigError

    try:
        settings = app.load(config_file, shard)
    except ConfigError as error:
        _fail(str(error))
    names = {each.name for target in settings.targets for each in target.queries}
    if query is not None and query not in names:
        raise click.BadParameter(f"{query!r} is no query of the config; name one of {', '.join(sorted(names))}")
    if not output.parent.is_dir():
        raise click.BadParameter(f"{output.parent} is no directory", param_hint="--output")
    _run(progress.backfill(settings.of(shard), days, query, output))


@cli.command()
@flags.config_file
@flags.shard
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: for tickets.",
)
def doctor(config_file: Path, shard: Shard, style: str) -> None:
    """Ask each target at most ten real questions, and tell what is wrong and what mends it."""
    from exporter import app
    from exporter.clock import SystemClock
    from exporter.config import ConfigError
    from exporter.doctor import report
    from exporter.doctor.examination import examine, longest

    try:
        settings = app.load(config_file, shard).of(shard)
    except ConfigError as error:
        _fail(str(error))
    click.echo(longest(settings), err=True)
    reports = _run(examine(settings, SystemClock()))
    if reports is None:
        _fail("interrupted")
    click.echo(report.as_json(reports) if style == "json" else report.as_text(reports))
    sys.exit(0 if report.is_well(reports) else 1)


@cli.command()
@flags.listen_addresses
@click.option("--url", help="Ask this instead of the address to listen on.")
@click.option("--insecure", is_flag=True, help="Take any certificate of --url.")
def healthcheck(listen_addresses: tuple[str, ...], url: str | None, insecure: bool) -> None:
    """Ask a running exporter for its health, with TLS or without; for containers without curl.

    Of several addresses to listen on the first is asked.
    """
    from exporter.healthcheck import NotHealthy, of_listener, of_url

    try:
        click.echo(of_url(url, insecure=insecure) if url else of_listener(listen_addresses[0]))
    except NotHealthy as error:
        _fail(f"not healthy: {error}")


def main() -> None:
    """Run the program; the exit status is 0, 1 for what cannot run, 2 for wrong flags."""
    cli(prog_name="directmail-exporter")


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


def _run(work: Coroutine[Any, Any, _Result]) -> _Result | None:
    """Run to the end and return what comes of it, None after Ctrl-C. What can be mended is one line; a bug is loud."""
    from exporter.state import StateError
    from exporter.web.sockets import BindError

    try:
        return asyncio.run(work)
    except (BindError, StateError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        return None
    except Exception:  # noqa: BLE001  whatever else it is, it is a bug
        traceback.print_exc()
        _fail("this is a bug in directmail-exporter; please report the lines above")


def _fail(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(1)
