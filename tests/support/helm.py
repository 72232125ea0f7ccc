"""The chart as Helm renders it, by Helm's own code in `helm-python-sdk`; `make chart-test` installs that."""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "deploy" / "chart"
RELEASE = "directmail-exporter"
NAMESPACE = "directmail"


def sdk() -> ModuleType:
    """Return the module; it is imported late, because most runs of the tests do without it."""
    return import_module("helm_python")


def render(
    values: dict[str, Any] | None = None, release: str = RELEASE, chart: Path = CHART
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the objects that the chart makes of the values, by kind and name.

    Raises:
        HelmError: the values are rejected.
    """
    with sdk().Chart.load(chart) as loaded:
        loaded.validate_schema(values)
        files = loaded.render(values, name=release, namespace=NAMESPACE)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for path, text in files.items():
        if path.endswith((".yaml", ".yml")):
            for each in filter(None, yaml.load_all(text, Loader=yaml.CSafeLoader)):
                key = (each["kind"], each["metadata"]["name"])
                assert key not in found, f"{key} is there twice"
                found[key] = each
    return found


def rejection(values: dict[str, Any], chart: Path = CHART) -> str:
    """Return why the chart rejects the values, or "" where it accepts them."""
    try:
        render(values, chart=chart)
    except sdk().HelmError as error:
        return str(error)
    return ""
