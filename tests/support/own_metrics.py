"""The exporter's metrics, as docs/metrics.json lists them for programs."""

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[2] / "docs" / "metrics.json"
CATALOGUE: dict[str, dict[str, Any]] = {each["name"]: each for each in json.loads(FILE.read_text())["metrics"]}
"""By name: type, unit, labels, source, stability and help."""


def own_metrics() -> set[str]:
    """Return the names of the metrics that are about the exporter itself."""
    return {name for name in CATALOGUE if name.startswith(("directmail_exporter_", "directmail_up"))}


def all_metrics() -> set[str]:
    """Return the names of all metrics: of combinations, windows, accounts and the exporter itself."""
    return set(CATALOGUE)
