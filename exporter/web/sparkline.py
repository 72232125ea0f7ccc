"""Thirty days as a line a few pixels high: the points of an SVG polyline, broken where a day is unknown."""

from collections.abc import Iterator, Sequence

WIDTH, HEIGHT, EDGE = 120, 24, 2
"""Of the drawing, in its own units; the edge keeps the line's thickness inside."""


def lines(values: Sequence[int | None], top: int) -> Iterator[str]:
    """Yield the `points` of each unbroken piece; `top` is the value at the upper edge."""
    step = (WIDTH - 2 * EDGE) / max(len(values) - 1, 1)
    piece: list[str] = []
    for index, value in enumerate((*values, None)):
        if value is None:
            if len(piece) == 1:
                piece *= 2  # a lone day is a dot
            if piece:
                yield " ".join(piece)
            piece = []
        else:
            x = EDGE + index * step
            y = HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * value / max(top, 1)
            piece.append(f"{x:.1f},{y:.1f}")
