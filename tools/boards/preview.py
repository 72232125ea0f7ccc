"""Draw a dashboard from a running Prometheus, without Grafana.

`python -m tools.boards.preview URL BOARD PICTURE [SPAN]`. The queries, places, colours and thresholds are the
dashboard's own. What Grafana does beyond that is not shown.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any, Protocol

from tools.boards import build, drawing
from tools.boards.drawing import Series
from tools.boards.panels import WIDTH, Json

PAGE, CELL, GAP = 1600, 38, 8
"""Pixels: the page, a unit of height, and what is left free between panels."""
POINTS = 330
CSS = (Path(__file__).parent / "preview.css").read_text()
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Answers(Protocol):
    """Who is asked."""

    def ask(self, kind: str, **parameters: str) -> Any: ...


class Prometheus:
    """A running one."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def ask(self, kind: str, **parameters: str) -> Any:
        """Return what /api/v1/`kind` answers. Raise URLError."""
        data = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self._url}/api/v1/{kind}?{data}", timeout=60) as answer:  # noqa: S310 # the operator's own
            return json.load(answer)["data"]


class Preview:
    """One board at one moment."""

    def __init__(self, board: Json, prometheus: Answers, span: tuple[float, float]) -> None:
        self._board = board
        self._prometheus = prometheus
        self._span = span
        self._values = {each["name"]: ".+" for each in board["templating"]["list"]}
        self._values |= {"__rate_interval": "4m", "window": "7d"}

    def page(self) -> tuple[str, int]:
        """Return the board as HTML, and its height in pixels."""
        parts, bottom = [], 0
        for panel, values in self._placed():
            place = panel["gridPos"]
            bottom = max(bottom, (place["y"] + place["h"]) * CELL)
            parts.append(self._panel(panel, {**self._values, **values}))
        return f"<!doctype html><meta charset=utf-8><style>{CSS}</style>{''.join(parts)}", bottom + GAP

    def _placed(self) -> Iterator[tuple[Json, Mapping[str, str]]]:
        """Yield the panels, the repeated ones for each value of their variable, and what that value is."""
        for panel in self._board["panels"]:
            if "repeat" not in panel:
                yield panel, {}
                continue
            names = self._labels(panel["repeat"])
            width = WIDTH // len(names)
            for index, name in enumerate(names):
                place = {**panel["gridPos"], "x": index * width, "w": width}
                yield {**panel, "gridPos": place}, {panel["repeat"]: name}

    def _labels(self, name: str) -> list[str]:
        variable = next(each for each in self._board["templating"]["list"] if each["name"] == name)
        series = variable["query"]["query"].removeprefix("label_values(").rpartition(", ")[0]
        found = self._prometheus.ask("query", query=self._expanded(series, self._values))["result"]
        return sorted({each["metric"][name] for each in found})[:3]

    def _expanded(self, text: str, values: Mapping[str, str]) -> str:
        return re.sub(r"\$(\w+)", lambda match: values.get(match[1], match[0]), text)

    def _panel(self, panel: Json, values: Mapping[str, str]) -> str:
        place, column = panel["gridPos"], (PAGE - GAP) / WIDTH
        width, height = place["w"] * column - GAP, place["h"] * CELL - GAP
        where = f"left:{place['x'] * column + GAP:.0f}px;top:{place['y'] * CELL + GAP}px"
        title = escape(self._expanded(panel["title"], values))
        if panel["type"] == "row":
            folded = f" <small>({len(panel['panels'])} panels)</small>" if panel["collapsed"] else ""
            return f'<div class="row" style="{where}">{title}{folded}</div>'
        body = self._body(panel, values, width - 2, height - 28)
        plain = "" if title else " plain"
        head = f'<div class="title">{title}</div>' if title else ""
        return f'<div class="panel{plain}" style="{where};width:{width:.0f}px;height:{height}px">{head}{body}</div>'

    def _body(self, panel: Json, values: Mapping[str, str], width: float, height: float) -> str:
        kind = panel["type"]
        if kind == "text":
            bold = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(panel["options"]["content"]))
            return f'<div class="text">{bold}</div>'
        if kind == "alertlist":
            return self._alerts()
        if kind == "table":
            return drawing.table(panel, *self._rows(panel, values))
        series = list(self._series(panel, values, width))
        if not series:
            return drawing.NOTHING
        if kind == "stat":
            return drawing.stat(panel, series, width, height)
        if kind == "heatmap":
            return drawing.heatmap(series, panel["options"]["yAxis"]["unit"], self._span, width, height)
        draw = drawing.timeline if kind == "state-timeline" else drawing.lines
        return draw(panel, series, self._span, width, height)

    def _alerts(self) -> str:
        def line(alert: Json) -> str:
            color = drawing.COLORS["red" if alert["state"] == "firing" else "orange"]
            labels = " ".join(filter(None, map(alert["labels"].get, ("severity", "target", "account_name", "esp"))))
            name = escape(alert["labels"]["alertname"])
            return f'<b style="color:{color}">{alert["state"]}</b> {name} <small>{escape(labels)}</small>'

        found = sorted(line(alert) for alert in self._prometheus.ask("alerts")["alerts"])
        return f'<div class="text">{"<br>".join(found) or "No alerts"}</div>'

    def _series(self, panel: Json, values: Mapping[str, str], width: float) -> Iterator[Series]:
        start, end = self._span
        step = max((end - start) / min(POINTS, width), seconds(panel.get("interval", "15s")))
        for target in panel["targets"]:
            query = self._expanded(target["expr"], values)
            bounds = {"start": str(end - (end - start) // step * step), "end": str(end), "step": str(step)}
            for each in self._prometheus.ask("query_range", query=query, **bounds)["result"]:
                name = re.sub(r"\{\{(\w+)\}\}", r"{\1}", target["legendFormat"]).format_map(each["metric"])
                points = [(at, float(value)) for at, value in each["values"] if value not in ("NaN", "+Inf", "-Inf")]
                if points:
                    yield Series(name, target["refId"], points)

    def _rows(self, panel: Json, values: Mapping[str, str]) -> tuple[dict[str, dict[str, float]], str]:
        rows: dict[str, dict[str, float]] = {}
        label = ""
        for target in panel["targets"]:
            query = self._expanded(target["expr"], values)
            for each in self._prometheus.ask("query", query=query, time=str(self._span[1]))["result"]:
                ((label, name),) = each["metric"].items()
                rows.setdefault(name, {})[target["refId"]] = float(each["value"][1])
        return rows, label


def screenshot(page: str, height: int, output: Path) -> None:
    """Write a picture of a page of that height. Raise CalledProcessError."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "board.html"
        file.write_text(page, encoding="utf-8")
        flags = (
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/profile",
        )
        size, picture = f"--window-size={PAGE},{height}", f"--screenshot={output}"
        command = ["chromium", *flags, size, picture, file.as_uri()]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 # our own words


def seconds(text: str) -> int:
    """Return the seconds of a span such as `7d`."""
    return int(text[:-1]) * UNITS[text[-1]]


def main(url: str, name: str, output: str, span: str = "") -> None:
    """Draw a board by its uid."""
    board = json.loads(build.files()[build.FOLDER / f"{name}.json"])
    now = time.time()
    start = now - seconds(span or board["time"]["from"].removeprefix("now-"))
    screenshot(*Preview(board, Prometheus(url), (start, now)).page(), Path(output))


if __name__ == "__main__":
    main(*sys.argv[1:])
