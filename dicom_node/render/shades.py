"""Modality values to shades from 0 to 1 and to 255: PS3.3 C.11.2.1.2 and C.11.2.1.3."""

from __future__ import annotations

import numpy as np

from dicom_node.render.codecs import Array
from dicom_node.render.windows import Window

_MAX = 255.0


def windowed(values: Array, window: Window) -> Array:
    """Return `values` (float) through the window, from 0 (low) to 255 (high), rounded."""
    if window.function == "SIGMOID" or is_threshold(window):
        return eight_bits(fractions(values, window))
    return affine(values, *line(window))


def fractions(values: Array, window: Window) -> Array:
    """Return `values` (float) through the window as shades from 0.0 to 1.0."""
    center, width = window.center, window.width
    if window.function == "SIGMOID":
        with np.errstate(over="ignore"):  # far below the window: exp is infinite, the shade 0
            return 1.0 / (1.0 + np.exp(values * (-4.0 / width) + 4.0 * center / width))
    if is_threshold(window):
        return (values > center - 0.5).astype(np.float32)
    slope, intercept = line(window)
    return np.clip((values * slope + intercept) / _MAX, 0.0, 1.0)


def is_threshold(window: Window) -> bool:
    """True for the linear window of width 1, whose slope would be infinite."""
    return window.function == "LINEAR" and window.width == 1.0


def line(window: Window) -> tuple[float, float]:
    """Return slope and intercept of a linear window's shades from 0 to 255."""
    center, width = window.center, window.width
    if window.function == "LINEAR":
        center, width = center - 0.5, width - 1.0
    return _MAX / width, _MAX * (0.5 - center / width)


def affine(values: Array, slope: float, intercept: float) -> Array:
    """Return slope * values + intercept as shades from 0 to 255, rounded.

    Computed in one pass over float32 (float64 for values beyond 24 bits): the fastest way that
    was measured, tables of all values included.
    """
    wide = values.dtype.itemsize > 2 and values.dtype != np.float32
    kind = np.float64 if wide else np.float32
    shades = values.astype(kind)
    with np.errstate(over="ignore", invalid="ignore"):
        shades *= kind(slope)
        shades += kind(intercept + 0.5)
    np.clip(shades, 0.5, _MAX + 0.5, out=shades)
    if values.dtype.kind == "f":
        np.nan_to_num(shades, copy=False)
    return shades.astype(np.uint8)


def eight_bits(shades: Array) -> Array:
    """Return shades from 0.0 to 1.0 as numbers from 0 to 255, rounded."""
    return (np.nan_to_num(shades) * _MAX + 0.5).astype(np.uint8)
