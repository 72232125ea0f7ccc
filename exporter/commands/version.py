"""`version`: prints the release and its commit."""

import click

from exporter import __revision__, __version__

LINE = f"directmail-exporter {__version__} (revision {__revision__})"


@click.command()
def command() -> None:
    """Show the version and exit, as --version does."""
    click.echo(LINE)
