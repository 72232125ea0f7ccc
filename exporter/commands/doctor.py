"""`doctor`: a few real calls for each target, and what is wrong in plain words."""

import sys
from pathlib import Path

import click

from exporter.clock import SystemClock
from exporter.commands import exit_status, flags
from exporter.config.checking import ConfigError
from exporter.config.shards import Shard
from exporter.doctor import report
from exporter.doctor.examination import examine, longest
from exporter.plan import validation


@click.command()
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
def command(config_file: Path, shard: Shard, style: str) -> None:
    """Make a few real calls to each target; say what is wrong and how to fix it, and which settings fit."""
    try:
        settings = validation.load(config_file, shard).of(shard)
    except ConfigError as error:
        exit_status.fail(str(error))
    click.echo(longest(settings), err=True)
    reports = exit_status.run(examine(settings, SystemClock()))
    if reports is None:
        exit_status.fail("interrupted")
    shown = report.as_json if style == "json" else report.as_text
    click.echo(shown(reports, sys.stdout.encoding or "utf-8"))
    sys.exit(0 if report.is_well(reports) else 1)
