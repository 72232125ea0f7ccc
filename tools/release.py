"""Build what a release consists of, to the same bytes every time: `make release`, or `python -m tools.release --help`.

The time in every file is that of the commit; SOURCE_DATE_EPOCH overrides it, as reproducible-builds.org specifies.
"""

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from exporter.commands import assets
from tools import project
from tools.artefacts import ROOT

SUMS = "SHA256SUMS"


@click.command()
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Folder to write to; it must be empty.")
@click.option("--wheels", type=click.Path(path_type=Path), required=True, help="Wheels of requirements.txt.")
@click.option("--cyclonedx", type=click.Path(path_type=Path), required=True, help="The program cyclonedx-py.")
def main(output: Path, wheels: Path, cyclonedx: Path) -> None:
    """Build wheel, sdist, chart, a tarball of the assets, an SBOM and checksums."""
    output.mkdir(parents=True, exist_ok=True)
    if list(output.iterdir()):
        raise click.UsageError(f"{output} is not empty")
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or _run("git", "log", "-1", "--format=%ct").strip()
    name, version = project.project()["name"], project.version()
    targets = ("-t", "wheel", "-t", "sdist")
    _run(sys.executable, "-m", "hatchling", "build", *targets, "-d", output.absolute(), SOURCE_DATE_EPOCH=epoch)
    pack_chart(output, int(epoch))
    _pack(output / f"{name}-assets-{version}.tar.gz", f"{name}-assets-{version}", assets.files(), int(epoch))
    bom = _bom(next(output.glob("*.whl")), wheels, cyclonedx, version, epoch)
    (output / f"{name}-{version}.cdx.json").write_text(
        json.dumps(bom, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(output.iterdir())]
    (output / SUMS).write_text("".join(sums), encoding="utf-8")
    click.echo("".join(sums), nl=False)


def pack_chart(output: Path, epoch: int) -> Path:
    """Write the chart as Helm packs one: its name and version, and in it a folder of its name. Return the file."""
    chart, name = ROOT / "deploy" / "chart", project.project()["name"]
    archive = output / f"{name}-{project.version()}.tgz"
    files = ((path.relative_to(chart), path) for path in sorted(chart.rglob("*")) if path.is_file())
    _pack(archive, name, files, epoch)
    return archive


def _pack(archive: Path, folder: str, files: Iterable[tuple[Path, Path]], epoch: int) -> None:
    """Write files by their names below a folder as tar.gz, with one owner, mode and time for all."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, path in files:
            entry = tarfile.TarInfo(f"{folder}/{name.as_posix()}")
            content = path.read_bytes()
            entry.size, entry.mtime, entry.mode = len(content), epoch, 0o644
            tar.addfile(entry, io.BytesIO(content))
    with archive.open("wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=epoch) as compressed:
        compressed.write(packed.getvalue())


def _bom(wheel: Path, wheels: Path, cyclonedx: Path, version: str, epoch: str) -> dict[str, Any]:
    """Return the bill of materials of an environment with the wheel and everything it depends on."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=False)
        python = Path(folder) / "bin" / "python"
        pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
        _run(
            *pip, "install", "--quiet", "--no-compile", "--no-index", "--no-deps", wheel, *sorted(wheels.glob("*.whl"))
        )
        command = (cyclonedx, "environment", "--pyproject", ROOT / "pyproject.toml", "--output-reproducible", python)
        bom: dict[str, Any] = json.loads(_run(*command, SOURCE_DATE_EPOCH=epoch))
    bom["metadata"]["component"]["version"] = version
    for each in (bom["metadata"]["component"], *bom["components"]):
        # Installed from a file, which is this machine's; what users install from is known by the purl.
        references = [one for one in each.get("externalReferences", []) if not one["url"].startswith("file:")]
        each["externalReferences"] = sorted(references, key=lambda one: (one["type"], one["url"]))
        each["purl"] = f"pkg:pypi/{each['name'].lower().replace('_', '-')}@{each['version']}"
    return bom


def _run(*command: str | Path, **environment: str) -> str:
    """Return what a command prints. Raise ClickException where it fails."""
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise click.ClickException(f"{' '.join(map(str, command))}\n{ended.stdout}{ended.stderr}")
    return ended.stdout


if __name__ == "__main__":
    main()
