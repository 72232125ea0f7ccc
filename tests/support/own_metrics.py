"""The names of the exporter's own metrics."""

from prometheus_client import CollectorRegistry

from exporter.metrics import telemetry


def own_metrics() -> set[str]:
    registry = CollectorRegistry()
    telemetry.Telemetry(registry, {})
    names = set()
    for family in registry.collect():
        if family.name.startswith("directmail"):
            names.add(family.name + ("_total" if family.type == "counter" else ""))
    return names
