"""Display shutters: what of an image is covered (PS3.3 C.7.6.11, C.7.6.15)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset

from dicom_node.render.attributes import decimal, decimals, values
from dicom_node.render.codecs import Array
from dicom_node.render.overlays import overlay
from dicom_node.render.pixels import StoredFrame

_EDGES = (
    "ShutterLeftVerticalEdge",
    "ShutterUpperHorizontalEdge",
    "ShutterRightVerticalEdge",
    "ShutterLowerHorizontalEdge",
)


@dataclass(frozen=True, eq=False)
class Shutter:
    """Which pixels of the image are covered, and with which shade (0 to 255)."""

    mask: Array
    shade: int


def shutter_of(item: Dataset, frame: StoredFrame) -> Shutter | None:
    """Return the shutter that an image, one of its groups or a presentation state names.

    Of several shapes each covers its own part; an unusable shape covers nothing.
    """
    covered = np.zeros(frame.cells.shape[:2], bool)
    for shape in values(item, "ShutterShape"):
        for opening in _openings(str(shape).strip().upper(), item, covered.shape):
            covered |= ~opening
    group = int(decimal(item, "ShutterOverlayGroup", 0))
    if "BITMAP" in [str(shape).strip().upper() for shape in values(item, "ShutterShape")]:
        bitmap = overlay(item, group, 0, frame)
        covered |= covered if bitmap is None else bitmap.mask
    if not covered.any():
        return None
    return Shutter(covered, shade_of(item, "ShutterPresentationValue", 0))


def shade_of(item: Dataset, keyword: str, default: int) -> int:
    """Return a presentation value from 0 to 65535 as a shade from 0 to 255."""
    value = decimal(item, keyword, -1)
    return round(value / 257) if 0 <= value <= 65535 else default


def _openings(shape: str, item: Dataset, size: tuple[int, ...]) -> Iterator[Array]:
    """Yield what one shape leaves open; its rows and columns count from 1."""
    rows, columns = np.ogrid[1 : size[0] + 1, 1 : size[1] + 1]
    if shape == "RECTANGULAR":
        edges = [decimals(item, keyword) for keyword in _EDGES]
        if all(edges):
            left, top, right, bottom = (edge[0] for edge in edges)
            yield (columns >= left) & (columns <= right) & (rows >= top) & (rows <= bottom)
    elif shape == "CIRCULAR":
        center, radius = decimals(item, "CenterOfCircularShutter"), decimal(item, _RADIUS, 0)
        if len(center) == 2 and radius > 0:
            yield (rows - center[0]) ** 2 + (columns - center[1]) ** 2 <= radius**2
    elif shape == "POLYGONAL":
        corners = decimals(item, "VerticesOfThePolygonalShutter")
        points = [(x - 1, y - 1) for y, x in zip(corners[::2], corners[1::2], strict=False)]
        if len(points) >= 3 and max(map(abs, corners)) < 1e6:
            image = Image.new("L", (size[1], size[0]))
            ImageDraw.Draw(image).polygon(points, fill=1, outline=1)
            yield np.asarray(image) > 0


_RADIUS = "RadiusOfCircularShutter"
