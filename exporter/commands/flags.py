"""Flags that several commands have."""

import os
import socket
from pathlib import Path

import click
from click.core import ParameterSource

from exporter.config import shards

LISTEN_ADDRESS = "DIRECTMAIL_EXPORTER_LISTEN_ADDRESS"
"""The environment variable with the address that the exporter listens on and a container's health check requests."""

config_file = click.option(
    "--config.file",
    "config_file",
    type=click.Path(path_type=Path, readable=False),  # an unreadable file is not a usage error
    default="config.yaml",
    show_default=True,
    help="Path of the config file.",
)


def _addresses(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Return the addresses. The variable set to nothing is not taken for the default, which is every interface."""
    is_default = context.get_parameter_source(parameter.name or "") is ParameterSource.DEFAULT
    if not value or (is_default and LISTEN_ADDRESS in os.environ):
        raise click.BadParameter(f"{LISTEN_ADDRESS} is blank; write host:port, or unset it")
    return value


listen_addresses = click.option(
    "--web.listen-address",
    "listen_addresses",
    multiple=True,
    default=[":10058"],
    envvar=LISTEN_ADDRESS,
    callback=_addresses,
    show_default=True,
    show_envvar=True,
    help="Address to listen on. Repeatable.",
)


def _shard(context: click.Context, parameter: click.Parameter, value: str | None) -> shards.Shard:
    """Return the shard. Wrong flags are status 2, a hostname that does not fit them is status 1."""
    if value is None:
        return shards.WHOLE
    try:
        return shards.parse(value, os.environ.get("HOSTNAME") or socket.gethostname())
    except shards.NoOrdinal as error:
        click.echo(str(error), err=True)
        context.exit(1)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


shard = click.option(
    "--shard",
    metavar="I/N",
    callback=_shard,
    help="Poll the targets of shard I of N, from 0 to N-1; auto/N reads I from a hostname such as exporter-3.",
)
