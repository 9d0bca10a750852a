"""Lines and texts on a picture: the graphic annotations of presentation states (PS3.3 C.10.5)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset

from dicom_node.render.attributes import decimals, text, values
from dicom_node.render.codecs import Array
from dicom_node.render.placement import Placement
from pacs_common.errors import CannotRender

Point = tuple[float, float]
Font = ImageFont.FreeTypeFont
Mapped = Callable[[float, float], Point]
FONT = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
MAX_POINTS = 20_000
MAX_TEXT = 2_000
MAX_DRAWN = 100_000  # corners and letters of one picture
_FAR = 1e5  # what lies further away is cut off: drawing there takes for ever
_ROUND = 72  # corners of what is drawn for a circle
_CURVE = 12  # pieces of a curve between two of its points
_HALO = 40  # the shade around bright texts, so that they are read on white


@lru_cache(64)
def _sized(size: int) -> Font:
    return ImageFont.truetype(FONT, size)


def font_of(size: float) -> Font:
    """Return the font that texts are drawn in: Latin with every accent, Greek, Cyrillic, Arabic."""
    return _sized(round(size))


class Canvas:
    """A picture that is drawn upon, of shades or RGB."""

    def __init__(self, picture: Array, placement: Placement) -> None:
        self.image = Image.fromarray(np.ascontiguousarray(picture))
        self._draw = ImageDraw.Draw(self.image)
        self._placement = placement
        self._width = max(1, round(min(self.image.size) / 400))
        self._left = MAX_DRAWN

    @property
    def picture(self) -> Array:
        """The picture with all that was drawn."""
        return np.asarray(self.image)

    def mapped(self, units: str) -> Mapped:
        """Return how coordinates in PIXEL or DISPLAY units come onto the picture."""
        return self._placement.within if units == "DISPLAY" else self._placement.point

    def graphic(self, item: Dataset, shade: int) -> None:
        """Draw an item of the Graphic Object Sequence; one that makes no sense draws nothing."""
        numbers = decimals(item, "GraphicData")[: 2 * MAX_POINTS]
        points = list(zip(numbers[::2], numbers[1::2], strict=False))
        kind = text(item, "GraphicType")
        if not points or max(map(abs, numbers)) > _FAR:
            return
        outline = _OUTLINES.get(kind, _nothing)(points)
        self._spend(len(outline))
        mapped = self.mapped(text(item, "GraphicAnnotationUnits"))
        corners = [mapped(*point) for point in outline]
        if kind == "POINT":
            self._dot(corners[0], shade)
        elif len(corners) > 1:
            if text(item, "GraphicFilled") == "Y" and _is_closed(outline):
                self._draw.polygon(corners, fill=self._ink(shade))
            self._draw.line(corners, fill=self._ink(shade), width=self._width, joint="curve")

    def text_object(self, item: Dataset, shade: int) -> None:
        """Draw an item of the Text Object Sequence in its box or at its anchor."""
        words = "\n".join(str(value) for value in values(item, "UnformattedTextValue"))
        words = words.replace("\r\n", "\n").strip()[:MAX_TEXT]
        box = self._box(item)
        anchor = self._anchor(item)
        if box is not None:
            if anchor is not None and text(item, "AnchorPointVisibility") == "Y":
                end = _nearest(box, anchor)
                self._draw.line([anchor, end], fill=self._ink(shade), width=self._width)
            justified = text(item, "BoundingBoxTextHorizontalJustification") or "LEFT"
            self._boxed(words, box, justified, shade)
        elif anchor is not None:
            if text(item, "AnchorPointVisibility") == "Y":
                self._dot(anchor, shade)
            self.words(words, (anchor[0] + 4 * self._width, anchor[1]), shade)

    def words(self, words: str, at: Point, shade: int = 255, side: str = "la") -> None:
        """Draw lines of text at a point; `side` is Pillow's anchor, "la" for left and top."""
        self._written(words, at, shade, side, font_of(self._usual))

    def _spend(self, drawn: int) -> None:
        """Count what is drawn: half of somebody's marks would be worse than none."""
        self._left -= drawn
        if self._left < 0:
            raise CannotRender(f"there is more to draw than {MAX_DRAWN} corners and letters")

    @property
    def _usual(self) -> float:
        """The size of letters that suits the picture."""
        return max(10.0, min(self.image.size) / 40)

    def _boxed(
        self, words: str, box: tuple[float, float, float, float], justified: str, shade: int
    ) -> None:
        left, top, right, bottom = box
        font = font_of(self._usual)
        for share in (1.0, 0.8, 0.65, 0.5):
            font = font_of(max(9.0, share * self._usual))
            *_, width, height = self._draw.multiline_textbbox((0, 0), words, font=font)
            if width <= right - left and height <= bottom - top:
                break
        x, side = {"CENTER": ((left + right) / 2, "ma"), "RIGHT": (right, "ra")}.get(
            justified, (left, "la")
        )
        self._written(words, (x, top), shade, side, font)

    def _written(
        self, words: str, at: Point, shade: int, side: str, font: ImageFont.FreeTypeFont
    ) -> None:
        if not words or max(map(abs, at)) > _FAR:
            return
        self._spend(len(words))
        align = {"r": "right", "m": "center"}.get(side[0], "left")
        self._draw.multiline_text(
            at,
            words,
            fill=self._ink(shade),
            font=font,
            anchor=side,
            align=align,
            stroke_width=1,
            stroke_fill=self._ink(_HALO if shade > 128 else 255),
        )

    def _box(self, item: Dataset) -> tuple[float, float, float, float] | None:
        first = decimals(item, "BoundingBoxTopLeftHandCorner")
        last = decimals(item, "BoundingBoxBottomRightHandCorner")
        if len(first) != 2 or len(last) != 2 or max(map(abs, first + last)) > _FAR:
            return None
        mapped = self.mapped(text(item, "BoundingBoxAnnotationUnits"))
        (x1, y1), (x2, y2) = mapped(*first), mapped(*last)
        return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)

    def _anchor(self, item: Dataset) -> Point | None:
        point = decimals(item, "AnchorPoint")
        if len(point) != 2 or max(map(abs, point)) > _FAR:
            return None
        return self.mapped(text(item, "AnchorPointAnnotationUnits"))(*point)

    def _dot(self, point: Point, shade: int) -> None:
        size = 2 * self._width
        x, y = point
        self._draw.ellipse((x - size, y - size, x + size, y + size), fill=self._ink(shade))

    def _ink(self, shade: int) -> int | tuple[int, int, int]:
        return shade if self.image.mode == "L" else (shade, shade, shade)


def _nothing(_points: Sequence[Point]) -> list[Point]:
    return []


def _as_they_are(points: Sequence[Point]) -> list[Point]:
    return list(points)


def _circle(points: Sequence[Point]) -> list[Point]:
    """Two points: the center, and one on the circumference."""
    if len(points) < 2:
        return []
    center, edge = points[:2]
    radius = math.dist(center, edge)
    return _ellipse_around(center, (radius, 0.0), (0.0, radius))


def _ellipse(points: Sequence[Point]) -> list[Point]:
    """Four points: the ends of the major axis, then those of the minor one."""
    if len(points) < 4:
        return []
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = points[:4]
    center = (x1 + x2) / 2, (y1 + y2) / 2
    return _ellipse_around(center, ((x2 - x1) / 2, (y2 - y1) / 2), ((x4 - x3) / 2, (y4 - y3) / 2))


def _ellipse_around(center: Point, major: Point, minor: Point) -> list[Point]:
    angles = [2 * math.pi * step / _ROUND for step in range(_ROUND + 1)]
    return [
        (
            center[0] + major[0] * math.cos(angle) + minor[0] * math.sin(angle),
            center[1] + major[1] * math.cos(angle) + minor[1] * math.sin(angle),
        )
        for angle in angles
    ]


def _curve(points: Sequence[Point]) -> list[Point]:
    """Return a Catmull-Rom spline through the points; a closed one stays smooth at its end."""
    if len(points) < 3:
        return list(points)
    before, after = (points[-2], points[1]) if _is_closed(points) else (points[0], points[-1])
    knots = np.array([before, *points, after])
    steps = np.linspace(0, 1, _CURVE, endpoint=False)[:, np.newaxis]
    drawn: list[Point] = []
    for p0, p1, p2, p3 in zip(knots, knots[1:], knots[2:], knots[3:], strict=False):
        cubic = 3 * p1 - p0 - 3 * p2 + p3
        square = 2 * p0 - 5 * p1 + 4 * p2 - p3
        piece = 0.5 * (2 * p1 + (p2 - p0) * steps + square * steps**2 + cubic * steps**3)
        drawn += [(float(x), float(y)) for x, y in piece]
    return [*drawn, points[-1]]


def _is_closed(points: Sequence[Point]) -> bool:
    return len(points) > 2 and math.dist(points[0], points[-1]) < 1e-3


def _nearest(box: tuple[float, float, float, float], point: Point) -> Point:
    left, top, right, bottom = box
    return min(max(point[0], left), right), min(max(point[1], top), bottom)


_OUTLINES: dict[str, Callable[[Sequence[Point]], list[Point]]] = {
    "POINT": _as_they_are,
    "POLYLINE": _as_they_are,
    "INTERPOLATED": _curve,
    "CIRCLE": _circle,
    "ELLIPSE": _ellipse,
}
