"""Write the dashboards as JSON: `python -m tools.boards.build`."""

import json
from pathlib import Path

from tools.boards import engagement_board, exporter_board

FOLDER = Path(__file__).parents[2] / "grafana"


def files() -> dict[Path, str]:
    """Return every file's text by its path."""
    boards = (engagement_board.make(), exporter_board.make())
    return {FOLDER / f"{board['uid']}.json": json.dumps(board, indent=2) + "\n" for board in boards}


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
