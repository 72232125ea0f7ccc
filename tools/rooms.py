"""The rooms of `exporter/`, floor by floor: `python -m tools.rooms` prints them, and `make docs` draws them.

A room is a folder of the package or a module directly in it. It may import rooms of lower floors only.
"""

import ast
import sys
from collections import Counter
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path

from tools.artefacts import ROOT, write

PICTURE = ROOT / "docs" / "rooms.svg"
FLOORS: tuple[tuple[str, ...], ...] = (
    ("commands",),
    ("app",),
    ("polling", "reload"),
    ("polled_target",),
    ("web", "doctor", "simulator"),
    ("metrics", "collector"),
    ("plan", "target_client"),
    ("store", "config"),
    ("directmail",),
    ("watch", "logs"),
    ("process",),
    ("clock",),
)
"""From top to bottom; `python -m exporter` is above all of them."""

Arrow = tuple[str, str]


@cache
def modules() -> Mapping[str, Path]:
    """Return every module of the package by its dotted name below it; "" is the package itself."""
    found = {}
    for path in sorted((ROOT / "exporter").rglob("*.py")):
        parts = path.relative_to(ROOT / "exporter").with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


@cache
def imports(source: str) -> frozenset[str]:
    """Return the modules of the package that a source imports, wherever the import is written."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    known = modules()
    inside = (name.removeprefix("exporter.") for name in names if name.startswith("exporter."))
    found = (name if name in known else name.rpartition(".")[0] for name in inside)
    return frozenset(filter(None, found))


def room(module: str) -> str:
    """Return the room that a module is in."""
    return module.partition(".")[0]


def floor(name: str) -> int:
    """Return the floor of a room, 0 at the top. Raise KeyError for a room that has no place in FLOORS."""
    return {each: number for number, row in enumerate(FLOORS) for each in row}[name]


def arrows() -> Counter[Arrow]:
    """Return which room imports which, and by how many imports."""
    found: Counter[Arrow] = Counter()
    for module, path in modules().items():
        if module not in ("", "__main__"):
            targets = (room(name) for name in imports(path.read_text(encoding="utf-8")))
            found.update((room(module), target) for target in targets if target != room(module))
    return found


def text() -> str:
    """Return rooms, floors and arrows for a terminal."""
    known = arrows()
    lines = []
    for number, row in enumerate(FLOORS):
        for each in row:
            below = ", ".join(f"{to} {count}" for (start, to), count in sorted(known.items()) if start == each)
            lines.append(f"{number}  {each:<11} {len(_members(each)):>2} modules  -> {below or '-'}")
    up = [f"{start} -> {to}" for start, to in known if floor(start) >= floor(to)]
    lines.append(
        f"{len(known)} arrows, {sum(known.values())} imports between rooms; up or level: {', '.join(up) or 'none'}"
    )
    return "\n".join(lines) + "\n"


GROUND = FLOORS[-3:]
"""What every room may use: drawn as one bar, without arrows."""
PLACES = {
    "commands": 2.3,
    "app": 1.1,
    "polling": 1.4,
    "polled_target": 1.0,
    "web": 0.0,
    "doctor": 2.7,
    "simulator": 4.0,
    "metrics": 0.5,
    "collector": 1.8,
    "plan": 2.1,
    "target_client": 3.6,
    "store": 0.9,
    "config": 2.9,
    "directmail": 1.6,
}
"""How far to the right a room is drawn, in columns, so that no arrow runs behind a box."""
COLUMN, ROW, BOX_WIDTH, BOX_HEIGHT = 192, 84, 180, 48
WIDTH = 5 * COLUMN


def svg() -> str:
    """Return the picture: a row a floor, and the arrows that do not follow from others."""
    drawn = [
        _arrow(_middle(start), _middle(to))
        for start, to in sorted(without_detours(set(arrows())))
        if start in PLACES and to in PLACES
    ]
    boxes = [_box(name, _first_words(name), *_middle(name), BOX_WIDTH) for name in PLACES]
    ground = sorted(each for row in GROUND for each in row)
    height = (len(FLOORS) - len(GROUND) + 1) * ROW
    boxes.append(_box(", ".join(ground), "What the rooms above are built on", WIDTH / 2, height - ROW / 2, WIDTH - 12))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" role="img" '
        'aria-label="The rooms of the package; imports point down only">\n'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#8a929c"/></marker></defs>\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n' + "\n".join([*drawn, *boxes]) + "\n</svg>\n"
    )


def without_detours(known: set[Arrow]) -> set[Arrow]:
    """Return the arrows less those for which there is a longer way: what is left says the same."""
    below: Mapping[str, set[str]] = {start: {to for each, to in known if each == start} for start, _ in known}

    def reached(start: str) -> set[str]:
        direct = below.get(start, set())
        return direct.union(*(reached(each) for each in direct))

    return {(start, to) for start, to in known if not any(to in reached(other) for other in below[start] - {to})}


def _members(name: str) -> list[str]:
    return [module for module in modules() if room(module) == name]


def _middle(name: str) -> tuple[float, float]:
    return (PLACES[name] + 0.5) * COLUMN, (floor(name) + 0.5) * ROW


def _first_words(name: str) -> str:
    """Return what a room says of itself first."""
    path = ROOT / "exporter" / name
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    first = (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    return first.partition(":")[0].partition(",")[0].rstrip(".")


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (left, top), (right, bottom) = start, end
    return (
        f'<path d="M{left:g} {top + BOX_HEIGHT / 2:g} L{right:g} {bottom - BOX_HEIGHT / 2 - 2:g}" '
        'stroke="#8a929c" stroke-width="1.2" fill="none" marker-end="url(#tip)"/>'
    )


def _box(name: str, words: str, x: float, y: float, width: float) -> str:
    middle = f'x="{x:g}" text-anchor="middle"'
    return (
        f'<rect x="{x - width / 2:g}" y="{y - BOX_HEIGHT / 2:g}" width="{width:g}" height="{BOX_HEIGHT}" rx="6" '
        'fill="#f4f6f8" stroke="#57606a"/>'
        f'<text {middle} y="{y - 4:g}" font-size="15" font-weight="600" fill="#1f2328">{name}</text>'
        f'<text {middle} y="{y + 14:g}" font-size="11" fill="#57606a">{escape(words)}</text>'
    )


def main() -> None:
    """Print the rooms; with `--write` draw them."""
    if "--write" in sys.argv[1:]:
        write({PICTURE: svg()})
    else:
        sys.stdout.write(text())


if __name__ == "__main__":
    main()
