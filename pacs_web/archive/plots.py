"""The geometry of the plots: numbers in, text for SVG's attributes out.

Coordinates are text, so that no language writes them with a comma. Lengths are in a plot's own
units: WIDTH across, HEIGHT down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 1000, 100
_GAP = 0.28  # of a column, between it and the next


@dataclass(frozen=True)
class Box:
    """A rectangle, `kind` being its class and `title` what a pointer is told."""

    kind: str
    x: str
    y: str
    width: str
    height: str
    title: str = ""


def fill(total: float, parts: Iterable[tuple[str, float]]) -> list[Box]:
    """Return the parts of a whole side by side, in their order; what is over the end is cut."""
    boxes, at = [], 0.0
    for kind, amount in parts:
        end = min(WIDTH, at + WIDTH * max(0.0, amount) / total) if total > 0 else at
        if end > at:
            boxes.append(Box(kind, _n(at), "0", _n(end - at), _n(HEIGHT)))
        at = end
    return boxes


def across(share: float | None) -> str:
    """Return where a share (0 to 1) of the whole stands; "" where there is none."""
    return "" if share is None else _n(WIDTH * min(1.0, max(0.0, share)))


def columns(values: Sequence[float], titles: Sequence[str]) -> list[Box]:
    """Return a column for each value, the greatest as high as the plot."""
    top, step = max(values, default=0), WIDTH / max(1, len(values))
    return [
        Box(
            "column",
            _n(index * step + step * _GAP / 2),
            _n(HEIGHT - HEIGHT * value / top),
            _n(step * (1 - _GAP)),
            _n(HEIGHT * value / top),
            title,
        )
        for index, (value, title) in enumerate(zip(values, titles, strict=True))
        if value > 0
    ]


def line(shares: Sequence[float | None]) -> str:
    """Return the points of a line of shares (0 to 1) from left to right; what is unknown is left
    out, and fewer than two points are no line."""
    step = WIDTH / max(1, len(shares) - 1)
    known = [(index * step, share) for index, share in enumerate(shares) if share is not None]
    if len(known) < 2:
        return ""
    return " ".join(f"{_n(x)},{_n(HEIGHT - HEIGHT * min(1.0, share))}" for x, share in known)


def under(points: str) -> str:
    """Return the points of the area below a line."""
    if not points:
        return ""
    first, last = points.split()[0].split(",")[0], points.split()[-1].split(",")[0]
    return f"{first},{HEIGHT} {points} {last},{HEIGHT}"


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
