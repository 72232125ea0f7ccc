"""The command line: flags and sub-commands."""

import re
from importlib import import_module
from pathlib import Path

import click

from exporter import __version__, logs
from exporter.commands import exit_status, flags, version
from exporter.config.shards import WHOLE, Shard
from exporter.process import signals

SUBCOMMANDS = ("assets", "backfill", "demo", "doctor", "healthcheck", "init", "show", "simulate", "version")
"""Each is the `command` of the module of its name beside this one."""
SERVERS = ("demo", "simulate")
"""Those that run until they are stopped, which is a good end at any moment; others have not done their work by then."""

TELEMETRY_PATH = re.compile(r"(?:/(?!\.\.?(?:/|\Z))[A-Za-z0-9._~-]+)+")
"""A path that is itself wherever it is written: no characters to be escaped, no `.` and `..`."""


class _Subcommands(click.Group):
    """Sub-commands that are imported when they are called: the exporter starts without what it does not need."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            return None
        if cmd_name not in SERVERS:
            signals.release()
        command: click.Command = import_module(f"exporter.commands.{cmd_name}").command
        return command


def _telemetry_path(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not TELEMETRY_PATH.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not a valid path; write one such as /metrics")
    if value.startswith("/-/"):
        raise click.BadParameter(f"{value!r} is below /-/, which is reserved; write one such as /metrics")
    return value


@click.group(cls=_Subcommands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
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
    callback=_telemetry_path,
    help="Path to expose metrics on.",
)
@click.option(
    "--web.config.file",
    "web_config_file",
    type=click.Path(path_type=Path, readable=False),
    help="File with TLS, passwords and headers, in the format of Prometheus' exporter-toolkit.",
)
@click.option(
    "--web.systemd-socket",
    "systemd_socket",
    is_flag=True,
    help="Listen on the sockets passed by systemd instead of the listen addresses.",
)
@click.option("--web.enable-lifecycle", "enable_lifecycle", is_flag=True, help="Enable POST /-/reload.")
@click.option(
    "--web.max-requests",
    "max_requests",
    type=click.IntRange(min=0),
    default=40,
    show_default=True,
    help="Maximum concurrent scrapes; 0 means no limit.",
)
@click.option(
    "--web.disable-exporter-metrics",
    "disable_exporter_metrics",
    is_flag=True,
    help="Omit process_* and python_*.",
)
@click.option(
    "--log.level",
    "log_level",
    type=click.Choice(list(logs.LEVELS), case_sensitive=False),
    default="info",
    show_default=True,
)
@click.option("--log.format", "log_format", type=click.Choice(logs.FORMATS), default="logfmt", show_default=True)
@click.version_option(__version__, message=version.LINE)
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
    disable_exporter_metrics: bool,
    log_level: str,
    log_format: str,
) -> None:
    """Opens and clicks, deliveries, quota and domains of Alibaba Cloud Direct Mail for Prometheus."""
    logs.configure(log_level, log_format)
    if context.invoked_subcommand is not None:
        if shard != WHOLE:
            raise click.UsageError(f"write --shard after {context.invoked_subcommand}")
        return
    if config_check:
        signals.release()
    from exporter import app
    from exporter.commands import check
    from exporter.config.checking import ConfigError
    from exporter.process.immediate_exit import immediate_exit
    from exporter.reload import load
    from exporter.store.database import StateError
    from exporter.web.passwords import is_checking
    from exporter.web.server import Options
    from exporter.web.sockets import BindError

    options = Options(
        listen_addresses=listen_addresses,
        telemetry_path=telemetry_path,
        max_requests=max_requests,
        enable_lifecycle=enable_lifecycle,
        config_file=web_config_file,
        systemd_socket=systemd_socket,
    )
    try:
        settings = load(config_file, shard)
        program = app.App(
            settings,
            options,
            config_file=config_file,
            auto_reload=auto_reload,
            shard=shard,
            process_metrics=not disable_exporter_metrics,
        )
    except ConfigError as error:
        exit_status.fail(str(error))
    if config_check:
        click.echo(check.report(settings, shard))
        if problems := check.without_credentials(settings.of(shard)):
            exit_status.fail(str(ConfigError(str(config_file), problems)))
        return
    exit_status.run(program.run(), BindError, StateError)
    if is_checking():  # a thread computes bcrypt: Python would wait for it, or abort when a daemon thread returns late
        immediate_exit()


def main() -> None:
    """Run the program; the exit status is 0, 1 for what cannot run, 2 for wrong flags."""
    logs.configure()
    logs.take_over()
    cli(prog_name="directmail-exporter")
