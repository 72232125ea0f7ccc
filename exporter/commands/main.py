"""The command line: flags and sub-commands."""

import sys
from pathlib import Path

import click

from exporter import __revision__, __version__, logs
from exporter.commands import exit_status as ending
from exporter.commands import flags
from exporter.commands import simulate as trial
from exporter.config.shards import WHOLE, Shard


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
    from exporter import app
    from exporter.commands import check
    from exporter.config.checking import ConfigError

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
        ending.fail(str(error))
    if config_check:
        click.echo(check.report(settings, shard))
        return
    ending.run(program.run())


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
    from exporter import app
    from exporter.commands import progress
    from exporter.config.load import ConfigError

    try:
        settings = app.load(config_file, shard)
    except ConfigError as error:
        ending.fail(str(error))
    names = {each.name for target in settings.targets for each in target.queries}
    if query is not None and query not in names:
        raise click.BadParameter(f"{query!r} is no query of the config; name one of {', '.join(sorted(names))}")
    if not output.parent.is_dir():
        raise click.BadParameter(f"{output.parent} is no directory", param_hint="--output")
    ending.run(progress.backfill(settings.of(shard), days, query, output))


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
    from exporter.config.load import ConfigError
    from exporter.doctor import report
    from exporter.doctor.examination import examine, longest

    try:
        settings = app.load(config_file, shard).of(shard)
    except ConfigError as error:
        ending.fail(str(error))
    click.echo(longest(settings), err=True)
    reports = ending.run(examine(settings, SystemClock()))
    if reports is None:
        ending.fail("interrupted")
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
    from exporter.commands.healthcheck import NotHealthy, of_listener, of_url

    try:
        click.echo(of_url(url, insecure=insecure) if url else of_listener(listen_addresses[0]))
    except NotHealthy as error:
        ending.fail(f"not healthy: {error}")


cli.add_command(trial.demo)
cli.add_command(trial.simulate)


def main() -> None:
    """Run the program; the exit status is 0, 1 for what cannot run, 2 for wrong flags."""
    cli(prog_name="directmail-exporter")
