"""Colour frames to eight-bit RGB: palette, RGB, and the luminance-chrominance models."""

from __future__ import annotations

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut

from dicom_node.render.codecs import Array
from dicom_node.render.image_format import FAULTS, first_line
from dicom_node.render.pixels import StoredFrame
from pacs_common.errors import CannotRender

_PARTIAL_RANGE = ("YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_PARTIAL")


def is_colour(photometric: str) -> bool:
    """Return whether a picture of these colours needs three channels."""
    return not photometric.startswith("MONOCHROME")


def rgb(samples: Array, frame: StoredFrame, ds: Dataset) -> Array:
    """Return `samples` of the frame (whole or decimated) as RGB, uint8, (rows, columns, 3)."""
    photometric = frame.photometric
    if photometric == "PALETTE COLOR":
        return _from_palette(samples, ds)
    if samples.ndim != 3 or samples.shape[2] < 3:
        raise CannotRender(f"{photometric} pixels need three samples a pixel")
    shades = _to_eight_bits(samples[..., :3], frame.form.bits_stored)
    if photometric in _PARTIAL_RANGE:
        return _from_partial_range(shades)
    if photometric.startswith("YBR"):  # full range, PS3.3 C.7.6.3.1.2: the JPEG convention
        return np.asarray(Image.frombytes("YCbCr", _size(shades), shades.tobytes()).convert("RGB"))
    return shades


def _size(shades: Array) -> tuple[int, int]:
    return shades.shape[1], shades.shape[0]


def _to_eight_bits(samples: Array, bits_stored: int) -> Array:
    if samples.dtype.kind == "f":
        raise CannotRender("floating point colours are not supported")
    if samples.dtype.kind == "i":
        samples = samples.astype(np.int64) + (1 << (bits_stored - 1))
    if bits_stored > 8:
        return (samples >> (bits_stored - 8)).astype(np.uint8)
    return np.ascontiguousarray(samples, np.uint8)


def _from_partial_range(shades: Array) -> Array:
    luma = (shades[..., 0].astype(np.float32) - 16) * (255 / 219)
    blue, red = ((shades[..., i].astype(np.float32) - 128) * (255 / 224) for i in (1, 2))
    channels = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    return np.clip(np.stack(channels, -1) + 0.5, 0, 255).astype(np.uint8)


def _from_palette(samples: Array, ds: Dataset) -> Array:
    try:
        coloured = apply_color_lut(samples, ds)[..., :3]
        bits = int(ds.RedPaletteColorLookupTableDescriptor[2])
    except FAULTS as fault:
        raise CannotRender(f"the palette cannot be read: {first_line(fault)}") from None
    if coloured.dtype.itemsize == 1 or bits <= 8 or coloured.max() <= 255:
        return np.ascontiguousarray(coloured, np.uint8)  # eight bits kept in wider entries
    return (coloured >> 8).astype(np.uint8)
