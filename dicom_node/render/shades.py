"""Modality values to eight bits: the formulas of PS3.3 C.11.2.1.2 and C.11.2.1.3."""

from __future__ import annotations

import numpy as np

from dicom_node.render.codecs import Array
from dicom_node.render.windows import Lut, Window

_MAX = 255.0


def windowed(values: Array, window: Window) -> Array:
    """Return `values` (float) through the window, from 0 (low) to 255 (high), rounded."""
    center, width = window.center, window.width
    if window.function == "SIGMOID":
        with np.errstate(over="ignore"):  # far below the window: exp is infinite, the shade 0
            shades = _MAX / (1.0 + np.exp(values * (-4.0 / width) + 4.0 * center / width))
        return (shades + 0.5).astype(np.uint8)
    if window.function == "LINEAR":
        if width == 1.0:  # a threshold: the slope would be infinite
            return np.where(values <= center - 0.5, 0, 255).astype(np.uint8)
        center, width = center - 0.5, width - 1.0
    slope = values.dtype.type(_MAX / width)
    shades = values * slope
    shades += values.dtype.type(_MAX * (0.5 - center / width) + 0.5)
    np.clip(shades, 0.5, _MAX + 0.5, out=shades)
    return shades.astype(np.uint8)


def looked_up(values: Array, lut: Lut) -> Array:
    """Return `values` through a VOI LUT, its output scaled from Lut.bits to eight bits."""
    return _eight_bits(lut).looked_up(values)


def _eight_bits(lut: Lut) -> Lut:
    top = float((1 << lut.bits) - 1)
    entries = np.minimum(lut.entries.astype(np.float32) * (_MAX / top), _MAX)
    return Lut(lut.first, 8, (entries + 0.5).astype(np.uint8))
