"""The names of all metrics that the exporter may show."""

from exporter.metrics import account, tables
from tools.references import own


def own_metrics() -> set[str]:
    """Return the names of the exporter's own metrics."""
    return {entry.name for entry in own()}


def all_metrics() -> set[str]:
    """Return the names of all metrics: of combinations, windows, accounts and the exporter itself."""
    return own_metrics() | {family.name for family in (*tables.families(), *account.FAMILIES)}
