"""Write the dashboards as JSON, in both forms of Grafana and for Perses: `python -m tools.boards.build`."""

import json
from pathlib import Path

from tools.artefacts import ROOT, write
from tools.boards import engagement_board, exporter_board, perses, schema_v2

CLASSIC, RESOURCES, PERSES = ROOT / "grafana", ROOT / "deploy" / "grafana", ROOT / "deploy" / "perses"
"""The others are not below the first, which Grafana reads with all of its folders: it would have each board twice."""


def files() -> dict[Path, str]:
    """Return every file's text by its path."""
    boards = (engagement_board.make(), exporter_board.make())
    made = {CLASSIC / f"{board['uid']}.json": board for board in boards}
    made |= {RESOURCES / f"{board['uid']}.json": schema_v2.resource(board) for board in boards}
    made |= {PERSES / f"{board['uid']}.json": perses.dashboard(board) for board in boards}
    return {path: json.dumps(made_of, indent=2) + "\n" for path, made_of in made.items()}


if __name__ == "__main__":
    write(files())
