"""Colour frames to eight-bit RGB: palette, RGB, and the luminance-chrominance models.

ICC profiles are not applied: the numbers go out as they are stored, as every browser takes them.
"""

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
_RETIRED = ("HSV", "CMYK")


def is_colour(photometric: str) -> bool:
    """Return whether a picture of these colours needs three channels."""
    return not photometric.startswith("MONOCHROME")


def rgb(samples: Array, frame: StoredFrame, ds: Dataset) -> Array:
    """Return `samples` of the frame (whole or decimated) as RGB, uint8, (rows, columns, 3)."""
    photometric = frame.photometric
    if photometric == "PALETTE COLOR":
        return _from_palette(samples, ds)
    if photometric in _RETIRED:
        raise CannotRender(f"{photometric} colours were retired in 1998 and are not shown")
    if samples.ndim != 3 or samples.shape[2] < 3:
        raise CannotRender(f"{photometric} pixels need three samples a pixel")
    first = 1 if photometric == "ARGB" else 0
    shades = _to_eight_bits(samples[..., first : first + 3], frame.form.bits_stored)
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
    """Look the samples up in the palette's table, made once for all of them."""
    if samples.ndim != 2 or samples.dtype.kind not in "iu":
        raise CannotRender("PALETTE COLOR pixels have one whole number a pixel")
    try:
        first, table = _palette(ds)
    except FAULTS as fault:
        raise CannotRender(f"the palette cannot be read: {first_line(fault)}") from None
    indexes = samples.astype(np.int64) - first
    return np.take(table, indexes, axis=0, mode="clip")


def _palette(ds: Dataset) -> tuple[int, Array]:
    """Return the value of the first entry, and all entries as eight-bit RGB (PS3.3 C.7.6.3.1.5)."""
    count, first, bits = (int(number) for number in ds.RedPaletteColorLookupTableDescriptor)
    count = count % 65536 or 65536
    if first > 32767 and ds.get("PixelRepresentation") == 1:
        first -= 65536
    values = np.arange(first, first + count, dtype=np.int64)
    coloured = apply_color_lut(values, ds)[..., :3]
    if coloured.dtype.itemsize == 1 or bits <= 8 or coloured.max() <= 255:
        return first, np.ascontiguousarray(coloured, np.uint8)  # eight bits in wider entries
    return first, (coloured >> 8).astype(np.uint8)
