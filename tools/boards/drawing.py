"""Draws panels as HTML and SVG: a likeness of Grafana's, for looking at the boards without one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import pairwise

from tools.boards.panels import Json

COLORS = {
    "green": "#73BF69",
    "yellow": "#FADE2A",
    "orange": "#FF9830",
    "red": "#F2495C",
    "blue": "#5794F2",
    "text": "#CCCCDC",
}
PALETTE = ("#73BF69", "#F2CC0C", "#8AB8FF", "#FF780A", "#F2495C", "#5794F2", "#B877D9", "#705DA0", "#37872D", "#FADE2A")
NOTHING = '<div class="text">No data</div>'
STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its name, the refId of its query, and (seconds since the epoch, value)."""

    name: str
    ref: str
    points: Sequence[tuple[float, float]]

    @property
    def last(self) -> float:
        return self.points[-1][1]


def settings(panel: Json, name: str, ref: str = "") -> Json:
    """Return a field's settings: the panel's own, then what is special about its name or query."""
    config = panel["fieldConfig"]
    found: Json = dict(config["defaults"])
    for override in config["overrides"]:
        matcher = override["matcher"]
        if matcher["options"] == (ref if matcher["id"] == "byFrameRefID" else name):
            found |= {each["id"]: each["value"] for each in override["properties"]}
    return found


def text_of(value: float, unit: str, decimals: int | None = None) -> str:
    """Return a number in its unit."""
    if unit == "percentunit":
        return f"{value * 100:.{1 if decimals is None else decimals}f}%"
    if unit == "s":
        for size, name in ((86_400, "days"), (3600, "hours"), (60, "min"), (1, "s")):
            if abs(value) >= size:
                return f"{value / size:.3g} {name}"
        return f"{value * 1000:.3g} ms" if value else "0 s"
    if unit in ("short", "bytes"):
        base, names = (1024, ("", " KiB", " MiB", " GiB")) if unit == "bytes" else (1000, ("", " K", " Mil", " Bil"))
        power = 0
        while abs(value) >= base and power < 3:
            value, power = value / base, power + 1
        digits = 2 if power else (decimals if decimals is not None else 2)
        return f"{value:.{digits}f}".rstrip("0").rstrip(".") + names[power] if digits else f"{value:.0f}{names[power]}"
    if unit == "reqps":
        return f"{value:.3g} req/s"
    return f"{value:.{2 if decimals is None else decimals}f}"


def color_at(value: float, thresholds: Json) -> str:
    """Return the colour of the step that a value has reached."""
    reached = [step["color"] for step in thresholds["steps"] if step["value"] is None or value >= step["value"]]
    return COLORS[reached[-1]]


def shown(value: float, field: Json) -> str:
    """Return a value as a field shows it: mapped to a word, or in its unit."""
    for mapping in field.get("mappings", ()):
        if f"{value:g}" in mapping["options"]:
            return str(mapping["options"][f"{value:g}"]["text"])
    return text_of(value, field["unit"], field.get("decimals"))


def path(points: Sequence[tuple[float, float]], gap: float) -> str:
    """Return an SVG path, broken where more than `gap` lies between two points."""
    parts, last = [], float("-inf")
    for x, y in points:
        parts.append(f"{'M' if x - last > gap else 'L'}{x:.1f} {y:.1f}")
        last = x
    return "".join(parts)


def stat(panel: Json, series: Sequence[Series], width: float, height: float) -> str:
    """Return large numbers, each with its past behind it."""
    cells, cell_width = [], width / max(len(series), 1)
    for each in series:
        field = settings(panel, each.name)
        color = color_at(each.last, field["thresholds"])
        mode = panel["options"]["textMode"]
        value = each.name if mode == "name" else shown(each.last, field)
        label = f'<div class="label">{escape(each.name)}</div>' if mode == "value_and_name" else ""
        line = _sparkline(each, color, cell_width, height * 0.35) if panel["options"]["graphMode"] == "area" else ""
        cells.append(
            f'<div class="cell">{label}<div class="number" style="color:{color}">{escape(value)}</div>{line}</div>'
        )
    return f'<div class="stat">{"".join(cells)}</div>'


def _sparkline(series: Series, color: str, width: float, height: float) -> str:
    times, values = zip(*series.points, strict=True)
    low, high, start, span = min(values), max(values), times[0], max(times[-1] - times[0], 1)
    line = [
        ((at - start) / span * width, height - 2 - (value - low) / ((high - low) or 1) * (height - 6))
        for at, value in series.points
    ]
    area = f"{path(line, width)}L{width:.0f} {height:.0f}L0 {height:.0f}Z"
    return (
        f'<svg class="spark" width="{width:.0f}" height="{height:.0f}"><path d="{area}" fill="{color}" opacity=".15"/>'
        f'<path d="{path(line, width)}" stroke="{color}" fill="none"/></svg>'
    )


@dataclass(frozen=True, slots=True)
class _Frame:
    """The rectangle of a graph, and what its edges mean."""

    start: float
    end: float
    low: float
    high: float
    width: float
    height: float
    left: float = 62.0
    bottom: float = 20.0

    def x(self, at: float) -> float:
        return self.left + (at - self.start) / (self.end - self.start) * (self.width - self.left - 8)

    def y(self, value: float) -> float:
        return 6 + (self.high - value) / (self.high - self.low) * (self.height - 6 - self.bottom)

    def axes(self, ticks: Mapping[float, str]) -> str:
        parts = [
            f'<path d="M{self.left} {self.y(value):.1f}H{self.width - 8}" class="grid"/>'
            f'<text x="{self.left - 6}" y="{self.y(value) + 4:.1f}" text-anchor="end">{escape(name)}</text>'
            for value, name in ticks.items()
        ]
        count = int(self.width // 110)
        for part in range(1, count):
            at = self.start + (self.end - self.start) * part / count
            name = f"{datetime.fromtimestamp(at, UTC):%m-%d %H:%M}"
            parts.append(f'<text x="{self.x(at):.0f}" y="{self.height - 4}" text-anchor="middle">{name}</text>')
        return "".join(parts)


def lines(panel: Json, series: Sequence[Series], span: tuple[float, float], width: float, height: float) -> str:
    """Return lines or stacked bars, with the legend on the right."""
    defaults = panel["fieldConfig"]["defaults"]
    custom, steps = defaults["custom"], defaults["thresholds"]["steps"]
    is_bars = custom["drawStyle"] == "bars"
    limits = [] if custom["thresholdsStyle"]["mode"] == "off" else [step for step in steps if step["value"] is not None]
    totals: dict[float, float] = {}
    for each in series:
        for at, value in each.points:
            totals[at] = totals.get(at, 0.0) + value if is_bars else max(value, totals.get(at, value))
    lowest = min((value for each in series for _, value in each.points), default=0.0)
    low = min(lowest, defaults["min"]) if "min" in defaults else lowest
    high = max([*totals.values(), *(step["value"] * 1.1 for step in limits), low + 1e-9]) * 1.02
    if high - low < 1e-6:
        high = low + 1
    step = _nice((high - low) / max(3, height / 55))
    ticks = {
        at * step: text_of(at * step, defaults["unit"]) for at in range(int(-(-low // step)), int(high // step) + 1)
    }
    below = panel["options"]["legend"]["placement"] == "bottom"
    frame = _Frame(*span, low, high, width if below else width - _legend_width(series), height - 30 * below)
    colors = {(each.name, each.ref): _series_color(panel, each, index) for index, each in enumerate(series)}
    drawn = [frame.axes(ticks)]
    if is_bars:
        drawn.append(_bars(series, colors, frame))
    else:
        for each in reversed(series):
            dash = ' stroke-dasharray="8 6"' if "custom.lineStyle" in settings(panel, each.name, each.ref) else ""
            line = path([(frame.x(at), frame.y(value)) for at, value in each.points], _gap(each, frame))
            drawn.append(f'<path d="{line}" stroke="{colors[each.name, each.ref]}" class="line"{dash}/>')
    for limit in limits:
        y = frame.y(limit["value"])
        drawn.append(
            f'<path d="M{frame.left} {y:.1f}H{frame.width - 8}" stroke="{COLORS[limit["color"]]}" class="limit"/>'
        )
    graph = f'<svg width="{frame.width:.0f}" height="{frame.height:.0f}">{"".join(drawn)}</svg>'
    return f'<div class="{"below" if below else "side"}">{graph}{_legend(panel, series, colors)}</div>'


def _nice(step: float) -> float:
    """Return the next round step."""
    power = 10.0 ** (len(f"{int(step)}") - 1) if step >= 1 else 1.0
    while power > step:
        power /= 10
    return next(power * factor for factor in STEPS if power * factor >= step * 0.999)


def _gap(series: Series, frame: _Frame) -> float:
    """Return the pixels between two points from which on the line is broken."""
    times = [at for at, _ in series.points]
    usual = min((after - before for before, after in pairwise(times)), default=1.0)
    return (frame.x(usual * 1.5) - frame.x(0)) + 0.1


def _series_color(panel: Json, series: Series, index: int) -> str:
    color = settings(panel, series.name, series.ref)["color"]
    return str(color.get("fixedColor") or PALETTE[index % len(PALETTE)])


def _bars(series: Sequence[Series], colors: Mapping[tuple[str, str], str], frame: _Frame) -> str:
    below: dict[float, float] = {}
    parts = []
    for each in series:
        for at, value in each.points:
            base = below.get(at, 0.0)
            below[at] = base + value
            top, foot = frame.y(base + value), frame.y(base)
            wide = max(1.0, (frame.x(3600) - frame.x(0)) * 0.8)
            parts.append(_box(frame.x(at), top, wide, foot - top, colors[each.name, each.ref]))
    return "".join(parts)


def _box(x: float, y: float, width: float, height: float, color: str, opacity: float = 1.0) -> str:
    size = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{color}" opacity="{opacity:.2f}"/>'


def _legend_width(series: Sequence[Series]) -> float:
    return 85 + 6.4 * max((len(each.name) for each in series), default=0)


def _legend(panel: Json, series: Sequence[Series], colors: Mapping[tuple[str, str], str]) -> str:
    ordered = sorted(series, key=lambda each: each.last, reverse=panel["options"]["legend"]["sortDesc"])
    rows = [
        f'<tr><td><i style="background:{colors[each.name, each.ref]}"></i>{escape(each.name)}</td>'
        f"<td>{escape(shown(each.last, settings(panel, each.name, each.ref)))}</td></tr>"
        for each in ordered
    ]
    return f'<table class="legend"><tr><th></th><th>Last *</th></tr>{"".join(rows)}</table>'


def heatmap(series: Sequence[Series], unit: str, span: tuple[float, float], width: float, height: float) -> str:
    """Return the cells of a histogram's cumulative buckets, by `le` as a number."""
    ordered = sorted(series, key=lambda each: float(each.name))
    frame = _Frame(*span, 0, len(ordered), width, height)
    below: dict[float, float] = {}
    cells = []
    for row, each in enumerate(ordered):
        for at, value in each.points:
            count = value - below.get(at, 0.0)
            below[at] = value
            if count > 1e-9:
                cells.append((at, row, count))
    most = max((count for _, _, count in cells), default=1.0)
    times = sorted(below)
    wide = frame.x(times[1]) - frame.x(times[0]) if len(times) > 1 else 2.0
    tall = frame.y(0) - frame.y(1)
    drawn = [
        _box(frame.x(at), frame.y(row + 1), wide, tall - 1, COLORS["blue"], 0.15 + 0.85 * (count / most) ** 0.5)
        for at, row, count in cells
    ]
    ticks = {
        row + 1.0: "+Inf" if each.name == "+Inf" else text_of(float(each.name), unit)
        for row, each in enumerate(ordered)
    }
    return f'<svg width="{width:.0f}" height="{height:.0f}">{frame.axes(ticks)}{"".join(drawn)}</svg>'


def timeline(panel: Json, series: Sequence[Series], span: tuple[float, float], width: float, height: float) -> str:
    """Return bands of states."""
    frame = _Frame(*span, 0, len(series), width, height)
    field = panel["fieldConfig"]["defaults"]
    drawn = [frame.axes({row + 0.5: each.name for row, each in enumerate(series)})]
    for row, each in enumerate(series):
        wide = _gap(each, frame)
        top, tall = frame.y(row + 0.9), frame.y(0) - frame.y(0.8)
        drawn += [_box(frame.x(at), top, wide, tall, color_at(value, field["thresholds"])) for at, value in each.points]
    return f'<svg width="{width:.0f}" height="{height:.0f}">{"".join(drawn)}</svg>'


def table(panel: Json, rows: Mapping[str, Mapping[str, float]], label: str) -> str:
    """Return a table; `rows` has the values by refId for each value of the label, the largest first column on top."""
    columns = panel["transformations"][1]["options"]["renameByName"]
    heads = [settings(panel, label).get("displayName", label), *columns.values()]
    ordered = sorted(rows.items(), key=lambda row: row[1].get("A", 0.0), reverse=True)
    body = []
    for name, values in ordered:
        cells = [f"<td>{escape(name)}</td>"]
        for key, column in columns.items():
            field, value = settings(panel, column), values.get(key[-1])
            is_colored = "custom.cellOptions" in field and value is not None
            style = f' style="color:{color_at(value, field["thresholds"])}"' if is_colored and value is not None else ""
            cells.append(f"<td{style}>{'' if value is None else escape(shown(value, field))}</td>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    return f'<table class="table"><tr>{head}</tr>{"".join(body)}</table>'
