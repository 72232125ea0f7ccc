"""`doctor`: makes a few real calls for each target and explains problems in plain words."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from exporter.clock import SystemClock
from exporter.commands import exit_status, flags
from exporter.config.checking import ConfigError
from exporter.config.shards import Shard
from exporter.doctor import recording, report
from exporter.doctor.examination import examine, longest
from exporter.doctor.sanitizing import Sanitizer
from exporter.reload import load


@click.command()
@flags.config_file
@flags.shard
@click.option(
    "--format",
    "style",
    type=click.Choice(report.FORMATS),
    default="text",
    show_default=True,
    help="Output format; json is for support tickets.",
)
@click.option(
    "--record",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write all requests and responses, sanitised, to a new folder; prints them first.",
)
@click.option("--scale-counts", is_flag=True, help="With --record: multiply all counts by a secret factor.")
@click.option("--yes", is_flag=True, help="With --record: write without confirmation.")
def command(config_file: Path, shard: Shard, style: str, folder: Path | None, scale_counts: bool, yes: bool) -> None:
    """Make a few real calls to each target; report what is wrong and how to fix it, and which settings fit.

    A recording (--record) lets others test against the responses to your account. It contains no key; senders, tags,
    domains, IPs and ids are replaced, dates are shifted by whole weeks.
    """
    if (scale_counts or yes) and folder is None:
        raise click.UsageError("--scale-counts and --yes need --record")
    if folder is not None:
        exit_status.check_writable(folder)
        if folder.exists() and any(folder.iterdir()):
            exit_status.fail(f"{folder} is not empty; name a new folder for --record")
    try:
        settings = load(config_file, shard).of(shard)
    except ConfigError as error:
        exit_status.fail(str(error))
    click.echo(longest(settings), err=True)
    clock = SystemClock()
    recorded = {target.name: recording.CallRecorder(clock) for target in settings.targets} if folder else {}
    reports = exit_status.run(examine(settings, clock, recorders=recorded))
    if reports is None:
        exit_status.fail("interrupted")
    shown = report.as_json if style == "json" else report.as_text
    exit_status.result(shown(reports, sys.stdout.encoding or "utf-8"))
    if folder is not None:
        found = zip(settings.targets, reports, strict=True)
        sanitizer = Sanitizer.random(scaled=scale_counts)
        made = [recording.files(each, recorded[each.name].kept, one.findings, sanitizer) for each, one in found]
        offer(folder, made, yes=yes)
    sys.exit(0 if report.is_well(reports) else 1)


def offer(folder: Path, recordings: Sequence[Mapping[str, str]], *, yes: bool) -> None:
    """Show the files of each target's recording, and write them unless the reader says no.

    One recording is the folder itself, several are numbered folders in it.
    """
    several = len(recordings) > 1
    made = {
        f"{number}/{name}" if several else name: text
        for number, files in enumerate(recordings, 1)
        for name, text in files.items()
    }
    if not made:
        click.echo("no request sent; nothing to record", err=True)
        return
    for name, text in made.items():
        click.echo(f"--- {folder / name}\n{text}", err=True, nl=False)
    click.echo(f"The recording consists of these {len(made)} files.", err=True)
    try:
        if not yes and not click.confirm(f"Write them to {folder}?", err=True):
            click.echo("nothing written", err=True)
            return
    except click.Abort:
        exit_status.fail("nothing written: no confirmation on stdin; use --yes to write without it")
    try:
        recording.write(folder, made)
    except OSError as error:
        exit_status.fail(f"{folder}: {error.strerror}; files there may be incomplete")
    click.echo(f"recording written to {folder}", err=True)
