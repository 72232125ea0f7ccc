"""Write what pyproject.toml says of the project to every place that shows it: `python -m tools.project`.

The addresses of [project.urls] are shown by rules, units, the chart and the Dockerfile, none of which can read it.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

from tools.artefacts import ROOT, write

ADDRESS = r"https?://[^\s\"'#]+"


def project(root: Path = ROOT) -> dict[str, Any]:
    """Return the table [project] of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def version(root: Path = ROOT) -> str:
    """Return the version of the package, without importing it."""
    text = (root / "exporter" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert found is not None
    return found[1]


def files(root: Path = ROOT) -> dict[Path, str]:
    """Return the text of every file that shows an address, as it has to be."""
    urls = project(root)["urls"]
    pages = urls["Documentation"]
    runbooks = f"{pages}/runbooks.md"
    places = (
        ("prometheus/*.rules.yml", "runbook_url: ", runbooks),
        ("prometheus/tests/*.yml", "runbook_url: ", runbooks),
        ("docs/alerting.md", "sed -i 's#", runbooks),
        ("deploy/systemd/*.service", "Documentation=", f"{pages}/deploy.md"),
        ("Dockerfile", 'image.source="', urls["Source"]),
        ("Dockerfile", 'image.url="', urls["Homepage"]),
        ("Dockerfile", 'image.documentation="', pages),
    )
    made: dict[Path, str] = {}
    for pattern, before, address in places:
        for path in sorted(root.glob(pattern)):
            text = made.get(path) or path.read_text(encoding="utf-8")
            written, found = re.subn(f"(?<={re.escape(before)}){ADDRESS}", address, text)
            if found:
                made[path] = written
    return made


if __name__ == "__main__":
    write(files())
