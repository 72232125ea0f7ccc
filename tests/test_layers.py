"""Imports only point down. A new module has to be given its place here."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("commands",),
    ("app",),
    ("polling",),
    ("web", "doctor", "simulator"),
    ("metrics", "collector"),
    ("plan",),
    ("store", "config"),
    ("directmail",),
    ("watch", "logs"),
    ("clock",),
)
SIMULATOR_MAY = {"directmail.signing", "clock"}


def modules() -> dict[str, Path]:
    """Return every module of the package by its dotted name below it."""
    found = {}
    for path in sorted((ROOT / "exporter").rglob("*.py")):
        parts = path.relative_to(ROOT / "exporter").with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imports(source: str) -> set[str]:
    """Return the modules of the package that a source imports, wherever the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("exporter.") for name in names if name.startswith("exporter.")}


def place(module: str) -> int:
    """Return the layer of a module, by its first part."""
    first = module.split(".", maxsplit=1)[0]
    return next(index for index, layer in enumerate(LAYERS) if first in layer)


def violations(module: str, source: str) -> list[str]:
    known = modules()
    found = []
    for name in imports(source):
        imported = name if name in known else name.rpartition(".")[0]
        if not imported or imported.split(".")[0] == module.split(".", maxsplit=1)[0]:
            continue
        if module.startswith("simulator") and not any(name.startswith(allowed) for allowed in SIMULATOR_MAY):
            found.append(f"{module} imports {name}: the simulator is the other side")
        elif place(imported) <= place(module):
            found.append(f"{module} imports {name}, which is not below it")
    return found


def test_every_module_has_a_place() -> None:
    placed = {name for layer in LAYERS for name in layer}
    assert {name.split(".")[0] for name in modules() if name} == placed


def test_imports_only_point_down() -> None:
    found = [line for module, path in modules().items() if module for line in violations(module, path.read_text())]
    assert found == []


def test_the_client_knows_nothing_of_prometheus() -> None:
    sources = [path.read_text() for module, path in modules().items() if module.startswith("directmail")]
    assert not any("prometheus_client" in source for source in sources)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        pytest.param("store", "from exporter.collector.loop import Collector", id="upwards"),
        pytest.param("store.memory", "from exporter.config import load", id="sideways"),
        pytest.param("web.routes", "def late():\n    import exporter.app", id="inside-a-function"),
        pytest.param("simulator.server", "from exporter.directmail.client import Client", id="the-other-side"),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str) -> None:
    assert violations(module, source)
