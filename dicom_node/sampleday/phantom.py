"""Painting anatomy into one CT plane: planes in patient space, soft-edged shapes, smooth noise.

Millimetres in the patient's coordinates (PS3.3 C.7.6.2.1.1: +x left, +y back, +z head) and
Hounsfield units throughout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Window = tuple[slice, slice]
Point = tuple[float, float, float]
MARGIN_MM = 8.0  # more than a warp moves a point


@dataclass(frozen=True)
class Plane:
    """A square slice: where its first pixel lies, how rows run, and each pixel's coordinates."""

    origin: Point
    spacing_mm: float
    tilt_deg: float
    columns_x: Array  # (1, W)
    rows_y: Array  # (H, 1)
    rows_z: Array  # (H, 1)
    x: Array  # (H, W), warped
    y: Array  # (H, W), warped

    @property
    def orientation(self) -> tuple[float, ...]:
        """Return Image Orientation (Patient): the row's direction, then the column's."""
        tilt = math.radians(self.tilt_deg)
        return (1.0, 0.0, 0.0, 0.0, round(math.cos(tilt), 6), round(math.sin(tilt), 6))


class Waves:
    """Smooth noise in space, a sum of sine waves; cheap, since a plane separates into axes."""

    def __init__(
        self, rng: np.random.Generator, count: int, wavelength_mm: float, spread: float = 0.4
    ) -> None:
        directions = rng.normal(size=(count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = wavelength_mm * rng.uniform(1 - spread, 1 + spread, count)
        self._k = directions * (2 * np.pi / lengths)[:, None]
        self._phases = rng.uniform(0, 2 * np.pi, count)
        self._scale = math.sqrt(2 / count)

    def over(self, x: Array, y: Array, z: Array) -> Array:
        """Return noise of variance 1 over columns x (1, W) and rows y, z (H, 1)."""
        total = np.zeros((y.shape[0], x.shape[1]), np.float32)
        for (kx, ky, kz), phase in zip(self._k, self._phases, strict=True):
            across = (kx * x).astype(np.float32)
            down = (ky * y + kz * z + phase).astype(np.float32)
            total += np.sin(down) * np.cos(across) + np.cos(down) * np.sin(across)
        return total * np.float32(self._scale)


def plane_at(
    z_mm: float,
    size: int,
    field_mm: float,
    centre_y_mm: float = 0.0,
    tilt_deg: float = 0.0,
    warp: tuple[Waves, Waves] | None = None,
    warp_mm: float = 0.0,
) -> Plane:
    """Return the plane whose centre lies at (0, centre_y, z), tilted about the x axis."""
    spacing = field_mm / size
    steps = ((np.arange(size) - (size - 1) / 2) * spacing).astype(np.float32)
    tilt = math.radians(tilt_deg)
    columns_x = steps[None, :]
    rows_y = (centre_y_mm + steps * math.cos(tilt)).astype(np.float32)[:, None]
    rows_z = (z_mm + steps * math.sin(tilt)).astype(np.float32)[:, None]
    x, y = np.broadcast_arrays(columns_x, rows_y)
    if warp is not None:
        x = x + warp_mm * warp[0].over(columns_x, rows_y, rows_z)
        y = y + warp_mm * warp[1].over(columns_x, rows_y, rows_z)
    origin = (float(columns_x[0, 0]), float(rows_y[0, 0]), float(rows_z[0, 0]))
    return Plane(origin, spacing, tilt_deg, columns_x, rows_y, rows_z, x, y)


class Canvas:
    """The Hounsfield units of one plane while it is painted, back to front."""

    def __init__(self, plane: Plane, fill: float) -> None:
        self.plane = plane
        self.hu: Array = np.full(plane.x.shape, fill, np.float32)
        self._column_mm = plane.columns_x[0]
        self._row_mm = plane.rows_y[:, 0]

    def blend(self, cover: Array, value: float | Array, window: Window | None = None) -> None:
        """Mix `value` in where `cover` (0 to 1) says so."""
        part = self.hu if window is None else self.hu[window]
        part += cover * (value - part)

    def ellipsoid(
        self,
        centre: Point,
        radii: Point,
        value: float,
        *,
        turn_deg: float = 0.0,
        soft_mm: float = 1.2,
        mask: Array | None = None,
    ) -> None:
        """Paint an ellipsoid, turned about z by `turn_deg`, only where `mask` allows."""
        reach = max(radii[:2])
        found = self._window((centre[0], centre[0]), (centre[1], centre[1]), reach)
        if found is None:
            return
        dz = (self.plane.rows_z[found[0]] - centre[2]) / radii[2]
        if np.abs(dz).min() >= 1:
            return
        dx, dy = self.plane.x[found] - centre[0], self.plane.y[found] - centre[1]
        if turn_deg:
            cosine, sine = math.cos(math.radians(turn_deg)), math.sin(math.radians(turn_deg))
            dx, dy = dx * cosine + dy * sine, dy * cosine - dx * sine
        q = np.sqrt((dx / radii[0]) ** 2 + (dy / radii[1]) ** 2 + dz**2)
        cover = edge((1 - q) * min(radii[:2]), soft_mm)
        self.blend(cover if mask is None else cover * mask[found], value, found)

    def tube(
        self,
        start: Point,
        end: Point,
        radius_mm: float,
        value: float,
        *,
        soft_mm: float = 1.2,
        mask: Array | None = None,
    ) -> None:
        """Paint a round tube between two points."""
        rows = self.plane.rows_z
        low, high = sorted((start[2], end[2]))
        if rows.max() < low - radius_mm or rows.min() > high + radius_mm:
            return
        found = self._window((start[0], end[0]), (start[1], end[1]), radius_mm)
        if found is None:
            return
        distance = self._distance(found, start, end)
        cover = edge(radius_mm - distance, soft_mm)
        self.blend(cover if mask is None else cover * mask[found], value, found)

    def _distance(self, window: Window, start: Point, end: Point) -> Array:
        dx = self.plane.x[window] - start[0]
        dy = self.plane.y[window] - start[1]
        dz = self.plane.rows_z[window[0]] - start[2]
        along = np.subtract(end, start)
        t = (dx * along[0] + dy * along[1] + dz * along[2]) / max(float(along @ along), 1e-6)
        t = np.clip(t, 0, 1).astype(np.float32)
        squared = (dx - t * along[0]) ** 2 + (dy - t * along[1]) ** 2 + (dz - t * along[2]) ** 2
        return np.asarray(np.sqrt(squared))

    def _window(
        self, xs: tuple[float, float], ys: tuple[float, float], reach: float
    ) -> Window | None:
        reach += MARGIN_MM
        left, right = np.searchsorted(self._column_mm, (min(xs) - reach, max(xs) + reach))
        top, bottom = np.searchsorted(self._row_mm, (min(ys) - reach, max(ys) + reach))
        if left == right or top == bottom:
            return None
        return slice(top, bottom), slice(left, right)


def edge(inside_mm: Array, soft_mm: float) -> Array:
    """Return 1 well inside, 0 well outside, a ramp `soft_mm` wide on the border."""
    return np.clip(inside_mm / np.float32(soft_mm) + np.float32(0.5), 0, 1)


def bump(value: Array, centre: float | Array, width: float) -> Array:
    """Return a bell of height 1 around `centre`."""
    return np.exp(-(((value - centre) / width) ** 2))


class Grain:
    """Correlated noise of deviation 1, cut at random from one larger sheet (fast and seeded)."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, int], blur: int) -> None:
        self._shape = shape
        sheet: Array = rng.standard_normal((shape[0] + 256, shape[1] + 256), np.float32)
        for _ in range(blur):
            sheet = (sheet + np.roll(sheet, 1, 0)) / 2
            sheet = (sheet + np.roll(sheet, 1, 1)) / 2
        self._sheet = sheet / sheet.std()

    def cut(self, rng: np.random.Generator) -> Array:
        """Return one piece of the sheet, perhaps turned over."""
        top, left = rng.integers(0, 256, 2)
        rows, columns = self._shape
        piece: Array = self._sheet[top : top + rows, left : left + columns]
        down, across = rng.choice((-1, 1), 2)
        return np.asarray(piece[::down, ::across])
