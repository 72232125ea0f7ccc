"""The command line in this process."""

import click
from click.testing import CliRunner, Result

from exporter.commands.main import cli


def subcommand(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command


def run(*arguments: str, environment: dict[str, str] | None = None) -> Result:
    return CliRunner(env=environment).invoke(cli, arguments)
