"""The command line: flags and sub-commands."""

from importlib import import_module
from pathlib import Path

import click

from exporter import __revision__, __version__, logs
from exporter.commands import exit_status, flags
from exporter.config.shards import WHOLE, Shard

SUBCOMMANDS = ("assets", "backfill", "demo", "doctor", "healthcheck", "simulate")
"""Each is the `command` of the module of its name beside this one."""


class _Subcommands(click.Group):
    """Sub-commands that are imported when they are called: the exporter starts without what it does not need."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            return None
        command: click.Command = import_module(f"exporter.commands.{cmd_name}").command
        return command


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
    from exporter import app
    from exporter.commands import check
    from exporter.config.checking import ConfigError
    from exporter.plan import validation

    options = app.Options(
        listen_addresses, telemetry_path, max_requests, enable_lifecycle, web_config_file, systemd_socket
    )
    try:
        settings = validation.load(config_file, shard)
        program = app.App(
            settings,
            options,
            config_file=config_file,
            auto_reload=auto_reload,
            shard=shard,
        )
    except ConfigError as error:
        exit_status.fail(str(error))
    if config_check:
        click.echo(check.report(settings, shard))
        return
    exit_status.run(program.run())


def main() -> None:
    """Run the program; the exit status is 0, 1 for what cannot run, 2 for wrong flags."""
    cli(prog_name="directmail-exporter")
