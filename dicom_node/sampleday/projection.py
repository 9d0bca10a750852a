"""X-ray projections: shapes add their thickness along the beam to one film.

Millimetres on the film, x to the right and y down, (0, 0) in the middle.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]
Spot = tuple[float, float]
Window = tuple[slice, slice]


class Projection:
    """A film of rows x columns pixels of `spacing_mm`; `shadow` is what has been added."""

    def __init__(self, rows: int, columns: int, spacing_mm: float) -> None:
        self.spacing_mm = spacing_mm
        self.x: Array = ((np.arange(columns) - (columns - 1) / 2) * spacing_mm).astype(np.float32)
        self.y: Array = ((np.arange(rows) - (rows - 1) / 2) * spacing_mm).astype(np.float32)
        self.shadow: Array = np.zeros((rows, columns), np.float32)

    def window(self, left: float, right: float, top: float, bottom: float) -> Window:
        """Return the pixels between these borders (which may be empty)."""
        columns = np.searchsorted(self.x, (left, right))
        rows = np.searchsorted(self.y, (top, bottom))
        return slice(*rows.tolist()), slice(*columns.tolist())

    def at(self, window: Window) -> tuple[Array, Array]:
        """Return x (1, w) and y (h, 1) of a window."""
        return self.x[window[1]][None, :], self.y[window[0]][:, None]

    def ball(self, centre: Spot, radii: Spot, weight: float, turn_deg: float = 0.0) -> None:
        """Add an ellipsoid, `weight` thick in its middle."""
        reach = max(radii)
        found = self.window(
            centre[0] - reach, centre[0] + reach, centre[1] - reach, centre[1] + reach
        )
        x, y = self.at(found)
        dx, dy = x - centre[0], y - centre[1]
        cosine, sine = math.cos(math.radians(turn_deg)), math.sin(math.radians(turn_deg))
        along, across = dx * cosine + dy * sine, dy * cosine - dx * sine
        self.shadow[found] += weight * chord((along / radii[0]) ** 2 + (across / radii[1]) ** 2)

    def rod(
        self, start: Spot, end: Spot, radii: Spot, weight: float, *, hollow: float = 0.0,
        waist: float = 0.0,
    ) -> None:  # fmt: skip
        """Add a rod whose radius runs from `radii[0]` to `radii[1]`.

        `hollow` is the share of the radius that is marrow; `waist` narrows the middle.
        """
        found, t, distance = self._along(start, end, max(radii))
        if distance.size == 0:
            return
        radius = radii[0] + (radii[1] - radii[0]) * t
        radius = radius * (1 - waist * (1 - (2 * t - 1) ** 4))
        solid = chord((distance / radius) ** 2)
        if hollow:
            marrow = hollow * np.clip(1.25 * (1 - (2 * t - 1) ** 6), 0, 1)
            solid -= 0.72 * marrow * chord((distance / (radius * np.maximum(marrow, 0.05))) ** 2)
        self.shadow[found] += weight * solid * radius / max(radii)

    def flesh(self, start: Spot, end: Spot, radii: Spot, weight: float) -> None:
        """Add soft tissue around a line; overlapping flesh is a union, not a sum."""
        found, t, distance = self._along(start, end, max(radii))
        if distance.size:
            radius = radii[0] + (radii[1] - radii[0]) * t
            thick = weight * radius * chord((distance / radius) ** 2)
            self.shadow[found] = np.maximum(self.shadow[found], thick)

    def _along(self, start: Spot, end: Spot, reach: float) -> tuple[Window, Array, Array]:
        """Return the window around a line, the position along it (0 to 1) and distance to it."""
        (x0, x1), (y0, y1) = sorted((start[0], end[0])), sorted((start[1], end[1]))
        found = self.window(x0 - reach, x1 + reach, y0 - reach, y1 + reach)
        x, y = self.at(found)
        dx, dy = x - start[0], y - start[1]
        ax, ay = end[0] - start[0], end[1] - start[1]
        t = np.clip((dx * ax + dy * ay) / max(ax * ax + ay * ay, 1e-6), 0, 1).astype(np.float32)
        return found, t, np.hypot(dx - t * ax, dy - t * ay)


def chord(q_squared: Array) -> Array:
    """Return the relative thickness of a round body at squared relative distance `q_squared`."""
    return np.asarray(np.sqrt(np.clip(1 - q_squared, 0, None)), np.float32)


def ramp(value: Array | float, width: float) -> Array:
    """Return 0 below, 1 above, a straight ramp `width` wide around 0."""
    return np.clip(np.asarray(value) / np.float32(width) + np.float32(0.5), 0, 1)


def enlarged(picture: Array, times: int) -> Array:
    """Return the picture with `times` as many rows and columns, bicubic."""
    rows, columns = picture.shape
    film = Image.fromarray(picture)
    return np.asarray(film.resize((columns * times, rows * times), Image.Resampling.BICUBIC))
