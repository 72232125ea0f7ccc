"""Where generated files are, and how they are written."""

from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]


def write(files: Mapping[Path, str]) -> None:
    """Write every file's text."""
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
