"""`assets`: writes the files that belong to the exporter: example config, rules, dashboards, systemd units."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import click

from exporter.commands import exit_status

PACKAGE = Path(__file__).parent.parent
INSIDE = Path("exporter") / "assets"
"""Where a wheel has the files; pyproject.toml lists them."""


@click.command()
@click.option(
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder to write to; created if it does not exist.",
)
@click.option("--force", is_flag=True, help="Overwrite changed files.")
def command(folder: Path, force: bool) -> None:
    """Write the example config, rules, dashboards and systemd units of this version to a folder.

    Files that are there with other content are kept, and nothing is written, unless --force is given.
    """
    try:
        contents = {folder / name: path.read_bytes() for name, path in files()}
        changed = [path for path, content in contents.items() if path.exists() and path.read_bytes() != content]
        if changed and not force:
            names = ", ".join(str(path) for path in changed)
            exit_status.fail(f"nothing written: {names} would be overwritten; use --force or another folder")
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        exit_status.fail(f"{error.filename}: cannot be written: {error.strerror}")
    click.echo(f"{len(contents)} files written to {folder}")


def files(package: Path = PACKAGE) -> Iterator[tuple[Path, Path]]:
    """Yield the name of every file and where it is: in the package, or in the source tree that has not been built."""
    for name, source in sorted(_sources(package)):
        inside = sorted(source.rglob("*")) if source.is_dir() else [source]
        yield from ((name / path.relative_to(source), path) for path in inside if path.is_file())


def _sources(package: Path) -> Iterator[tuple[Path, Path]]:
    built = package / INSIDE.name
    if built.is_dir():
        yield from ((Path(path.name), path) for path in built.iterdir())
        return
    tree = package.parent
    settings = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))
    included = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    yield from ((Path(target).relative_to(INSIDE), tree / source) for source, target in included.items())
