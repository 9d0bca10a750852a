"""From the image's grid to the picture's: turned, mirrored, cropped, flipped, and scaled."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset

from dicom_node.render.attributes import decimals
from dicom_node.render.codecs import Array
from pacs_common.errors import BadInput

_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_MAX_ASPECT = 20.0  # beyond it the spacing is a mistake, not a shape
MAX_SIDE = 8192

Area = tuple[int, int, int, int]  # left, top, right, bottom; the last two are outside


@dataclass(frozen=True)
class Region:
    """A part of a picture: its corner and size in source pixels; a negative size flips it.

    PS3.18 8.3.5.1.3. None stands for what the caller left out.
    """

    left: int | None = None
    top: int | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class Placement:
    """How an image of `columns` x `rows` becomes a picture of `size` (width, height).

    The image is turned by `turns` quarters clockwise, then mirrored left to right (PS3.3 C.10.6);
    `area` is what is seen of that, in its pixels, and may reach beyond it; `flips` (horizontal,
    vertical) come last.
    """

    columns: int
    rows: int
    area: Area
    size: tuple[int, int]
    turns: int = 0
    mirrored: bool = False
    flips: tuple[bool, bool] = (False, False)

    @classmethod
    def whole(cls, columns: int, rows: int) -> Placement:
        """Return the placement that changes nothing."""
        return cls(columns, rows, (0, 0, columns, rows), (columns, rows))

    @property
    def area_size(self) -> tuple[int, int]:
        """The width and height of what is seen, in pixels of the image."""
        left, top, right, bottom = self.area
        return right - left, bottom - top

    def cropped(self, region: Region) -> Placement:
        """Return the same, of a region of what is seen; BadInput where none of it is inside."""
        left, top, right, bottom = self.area
        x, y = region.left or 0, region.top or 0
        width = right - left - x if region.width is None else region.width
        height = bottom - top - y if region.height is None else region.height
        area = (
            left + max(0, x),
            top + max(0, y),
            min(right, left + x + abs(width)),
            min(bottom, top + y + abs(height)),
        )
        if area[2] <= area[0] or area[3] <= area[1]:
            raise BadInput("the viewport's source region lies outside the image")
        return replace(self, area=area, flips=(width < 0, height < 0))

    def fitted(self, viewport: tuple[int, int], aspect: float, most: float = 1.0) -> Placement:
        """Return the same, in square pixels that fit into the viewport, enlarged at `most` so.

        `aspect` is the height of a pixel of the image divided by its width.
        """
        width, height = square(self.area_size, 1 / aspect if self.turns % 2 else aspect)
        scale = min(most, viewport[0] / width, viewport[1] / height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return replace(self, size=size)

    @property
    def reaches_beyond(self) -> bool:
        """True where a part of what is seen lies outside the image."""
        width, height = (self.columns, self.rows)[:: -1 if self.turns % 2 else 1]
        left, top, right, bottom = self.area
        return left < 0 or top < 0 or right > width or bottom > height

    def cut(self, grid: Array) -> Array:
        """Return what is seen of an array on the image's grid, as a view, turned and mirrored."""
        grid = np.rot90(grid, -self.turns % 4) if self.turns else grid
        grid = grid[:, ::-1] if self.mirrored else grid
        left, top, right, bottom = (max(0, end) for end in self.area)
        return grid[top:bottom, left:right]

    def finished(self, picture: Array, fill: int = 0) -> Array:
        """Return a picture of what `cut` gave, with margins of `fill`, flipped and scaled."""
        if self.reaches_beyond:
            picture = self._with_margins(picture, fill)
        picture = picture[:, ::-1] if self.flips[0] else picture
        picture = picture[::-1] if self.flips[1] else picture
        return scaled(picture, self.size)

    def _with_margins(self, picture: Array, fill: int) -> Array:
        left, top, _, _ = self.area
        width, height = self.area_size
        result = np.full((height, width, *picture.shape[2:]), fill, np.uint8)
        y, x = max(0, -top), max(0, -left)
        result[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
        return result

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point of the image lies on the picture (0, 0: the corner of a pixel)."""
        columns, rows = self.columns, self.rows
        for _ in range(self.turns):
            x, y = rows - y, x
            columns, rows = rows, columns
        if self.mirrored:
            x = columns - x
        width, height = self.area_size
        return self.within((x - self.area[0]) / width, (y - self.area[1]) / height)

    def within(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point of the displayed area (0 to 1) lies on the picture."""
        x = 1 - x if self.flips[0] else x
        y = 1 - y if self.flips[1] else y
        return x * self.size[0], y * self.size[1]


def square(size: tuple[int, int], aspect: float) -> tuple[float, float]:
    """Return the width and height in square pixels of what has `size` pixels of another shape."""
    if aspect > 1:
        return float(size[0]), size[1] * aspect
    return size[0] / aspect, float(size[1])


def aspect_of(ds: Dataset) -> float:
    """Return a pixel's height divided by its width (PS3.3 C.7.6.3.1.7), 1.0 where unsaid."""
    for keyword in (*_SPACINGS, "PixelAspectRatio"):
        aspect = ratio(decimals(ds, keyword))
        if aspect is not None:
            return aspect
    return 1.0


def ratio(pair: list[float]) -> float | None:
    """Return the first of two numbers divided by the second, None where that is no shape."""
    if len(pair) < 2 or min(pair[:2]) <= 0:
        return None
    found = pair[0] / pair[1]
    return found if 1 / _MAX_ASPECT <= found <= _MAX_ASPECT else None


def scaled(picture: Array, size: tuple[int, int]) -> Array:
    """Return the picture in another size (width, height)."""
    if size == (picture.shape[1], picture.shape[0]):
        return picture
    how = Image.Resampling.BOX if _shrinks(picture, size) else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize(size, how))


def _shrinks(picture: Array, size: tuple[int, int]) -> bool:
    return size[0] * 2 <= picture.shape[1] and size[1] * 2 <= picture.shape[0]
