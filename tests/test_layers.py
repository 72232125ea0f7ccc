"""Imports point down: between rooms, and between the modules of a room. A new module has to be given its place."""

from itertools import combinations

import pytest

from tools import rooms

ORDER: dict[str, tuple[str, ...]] = {
    "commands": (
        "main",
        "demo",
        "demo_replay",
        "demo_account",
        "demo_series",
        "simulate",
        "assets",
        "backfill",
        "backfill_reading",
        "backfill_file",
        "doctor",
        "init",
        "init_config",
        "init_survey",
        "show",
        "show_formats",
        "show_rows",
        "show_reading",
        "check",
        "healthcheck",
        "version",
        "flags",
        "exit_status",
    ),
    "web": (
        "server",
        "listener",
        "tls_transport",
        "connections",
        "routes",
        "authentication",
        "passwords",
        "connection_limit",
        "webconfig",
        "tls",
        "sockets",
        "status",
        "status_targets",
        "status_rows",
        "status_account",
        "status_choice",
        "status_text",
        "sparkline",
    ),
    "doctor": (
        "examination",
        "steps",
        "steps.account",
        "steps.domain_filter",
        "steps.breakdowns",
        "steps.days",
        "steps.lists",
        "calls",
        "checks",
        "checks.settings",
        "checks.account",
        "checks.domain_filter",
        "checks.breakdowns",
        "checks.days",
        "checks.numbers",
        "checks.pages",
        "checks.clock",
        "evidence",
        "created",
        "recording",
        "sanitizing",
        "report",
        "failures",
        "wording",
        "findings",
        "http_trace",
    ),
    "simulator": (
        "server",
        "replay",
        "corrupted_responses",
        "account_summary",
        "domains",
        "track_list",
        "sender_statistics",
        "statistics_request",
        "list_operations",
        "paging",
        "call",
        "behaviour",
        "signature_check",
        "error_responses",
        "traffic",
        "mailings",
        "delivery",
        "batch",
        "faults",
        "incidents",
        "account",
        "random_numbers",
    ),
    "metrics": (
        "publisher",
        "account_publisher",
        "windows",
        "tables",
        "engagement",
        "delivery",
        "table",
        "account",
        "history",
        "telemetry",
        "target_metrics",
        "target_rows",
        "exposition",
        "gzip_packing",
        "text_format",
        "negotiation",
        "crc32",
    ),
    "collector": (
        "loop",
        "discovery",
        "account_reader",
        "due_requests",
        "filter_support",
        "filter_groups",
        "result_checks",
        "failures",
        "earlier_days",
        "progress",
        "record_times",
        "states",
        "round_robin",
        "outages",
        "backoff",
    ),
    "plan": (
        "validation",
        "selection",
        "schedule",
        "due_cells",
        "target_plan",
        "cardinality",
        "pacing",
        "combinations",
        "calendar",
    ),
    "store": (
        "state_file",
        "open_file",
        "snapshot",
        "database",
        "old_schemas",
        "pending_writes",
        "encoding",
        "memory",
        "discovered_values",
        "account_facts",
    ),
    "config": (
        "loader",
        "model",
        "schema",
        "queries",
        "credentials",
        "shards",
        "regions",
        "addresses",
        "scalars",
        "durations",
        "yamlfile",
        "checking",
    ),
    "process": ("garbage", "http_drain", "signals", "immediate_exit", "stderr", "systemd"),
    "directmail": (
        "client",
        "ram_policy",
        "listing",
        "account",
        "crosscheck",
        "rates",
        "paging",
        "transport",
        "http_causes",
        "connections",
        "credential_provider",
        "ram_credentials",
        "causes",
        "proxies",
        "threads",
        "credentials",
        "classification",
        "responses",
        "statistics",
        "statistics.registry",
        "statistics.engagement",
        "statistics.delivery",
        "statistics.statistic",
        "redaction",
        "decoding",
        "signing",
        "model",
        "limiter",
        "errors",
    ),
}
"""The modules of each room; one imports only those after it."""
SIMULATOR_MAY = {"directmail.signing", "clock", "process.http_drain"}


def violations(module: str, source: str) -> list[str]:
    """Return what is wrong with a module's imports."""
    found = []
    for name in rooms.imports(source):
        own, its = rooms.room(module), rooms.room(name)
        if module.startswith("simulator.") and its != "simulator" and name not in SIMULATOR_MAY:
            found.append(f"{module} imports {name}: the simulator is the other side")
        elif own != its and rooms.floor(its) <= rooms.floor(own):
            found.append(f"{module} imports {name}, which is not on a lower floor")
        elif own == its and not _is_after(own, module, name):
            found.append(f"{module} imports {name}, which is not after it in its room")
    return found


def _is_after(room: str, module: str, name: str) -> bool:
    order = [f"{room}.{each}" for each in ORDER[room]]
    return module in order and name in order[order.index(module) + 1 :]


def test_every_room_and_every_module_has_a_place() -> None:
    known = {name for name in rooms.modules() if name and name != "__main__"}
    assert {rooms.room(name) for name in known} == {name for row in rooms.FLOORS for name in row}
    assert {name for name in known if "." in name} == {f"{room}.{name}" for room, row in ORDER.items() for name in row}


def test_imports_only_point_down() -> None:
    modules = {name: path for name, path in rooms.modules().items() if name and name != "__main__"}
    assert [line for module, path in modules.items() for line in violations(module, path.read_text())] == []


def test_a_room_re_exports_nothing() -> None:
    packages = [
        path for path in rooms.modules().values() if path.name == "__init__.py" and path.parent.name != "exporter"
    ]
    assert packages
    assert all(not rooms.imports(path.read_text()) for path in packages)


def test_the_client_does_not_depend_on_prometheus() -> None:
    sources = [path.read_text() for module, path in rooms.modules().items() if rooms.room(module) == "directmail"]
    assert not any("prometheus_client" in source for source in sources)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        pytest.param("store.memory", "from exporter.collector.loop import Collector", id="upwards"),
        pytest.param("store.memory", "from exporter.config import load", id="sideways"),
        pytest.param("store.memory", "from exporter.store import state_file", id="upwards-in-the-room"),
        pytest.param("web.routes", "def late():\n    import exporter.app", id="inside-a-function"),
        pytest.param("simulator.server", "from exporter.directmail.client import Client", id="the-other-side"),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str) -> None:
    assert violations(module, source)


class TestThePicture:
    def test_it_is_drawn_from_the_imports_as_they_are(self) -> None:
        assert rooms.PICTURE.read_text() == rooms.svg(), "run `make docs`"

    def test_every_room_is_reached_by_the_arrows_that_are_left(self) -> None:
        """An arrow is left out only where others lead the same way."""
        arrows = set(rooms.arrows())
        kept = rooms.without_detours(arrows)
        ways = set(kept)
        while more := {(start, to) for start, via in ways for other, to in kept if via == other} - ways:
            ways |= more
        assert arrows <= ways
        assert not any(
            {(a, b), (b, a)} <= ways for a, b in combinations({each for arrow in arrows for each in arrow}, 2)
        )
