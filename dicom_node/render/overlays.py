"""Overlay planes (PS3.3 C.9.2): bits of their own, or the unused bits of the pixel cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

from dicom_node.render.codecs import Array
from dicom_node.render.image_format import FAULTS, transfer_syntax_of
from dicom_node.render.pixels import StoredFrame

_ROWS, _COLUMNS, _FRAMES = 0x0010, 0x0011, 0x0015
_TYPE, _ORIGIN, _FIRST_FRAME = 0x0040, 0x0050, 0x0051
_BITS_ALLOCATED, _BIT_POSITION, _LAYER, _DATA = 0x0100, 0x0102, 0x1001, 0x3000


@dataclass(frozen=True, eq=False)
class Overlay:
    """One plane of a frame: its group (0x6000, 0x6002 ...) and where it is set, on the image."""

    group: int
    mask: Array
    is_region: bool

    @property
    def drawn(self) -> Array:
        """The pixels to be drawn: all of a graphic, the outline of a region of interest."""
        return self.mask & ~_inner(self.mask) if self.is_region else self.mask


def groups_of(ds: Dataset) -> list[int]:
    """Return the groups that hold an overlay plane."""
    groups = {tag.group for tag in ds.keys() if tag.group >> 8 == 0x60 and tag.element == _ROWS}
    return sorted(group for group in groups if group % 2 == 0 and group <= 0x601E)


def layer_of(ds: Dataset, group: int) -> str:
    """Return the graphic layer in which a presentation state shows an overlay, "" for none."""
    return str(_value(ds, group, _LAYER) or "").strip()


def overlay(ds: Dataset, group: int, index: int, frame: StoredFrame) -> Overlay | None:
    """Return the plane of `group` for frame `index`; None where it is absent or unreadable.

    `ds` is the image, or a presentation state that brings planes of its own.
    """
    try:
        plane = _plane(ds, group, index, frame)
    except FAULTS:
        return None  # a picture without a broken overlay is better than none
    if plane is None or not plane.any():
        return None
    return Overlay(group, plane, str(_value(ds, group, _TYPE) or "G").strip() == "R")


def drawn_overlays(ds: Dataset, index: int, frame: StoredFrame) -> list[Overlay]:
    """Return all planes of an image that have something to show for frame `index`."""
    found = (overlay(ds, group, index, frame) for group in groups_of(ds))
    return [plane for plane in found if plane is not None]


def _plane(ds: Dataset, group: int, index: int, frame: StoredFrame) -> Array | None:
    if (group, _DATA) not in ds:
        return _embedded(ds, group, frame)
    rows, columns = (int(_value(ds, group, element)) for element in (_ROWS, _COLUMNS))
    number = _frame_number(ds, group, index)
    if number is None or rows < 1 or columns < 1:
        return None
    first = number * rows * columns
    data = ds[group, _DATA]
    content = data.value
    if data.VR == "OW" and transfer_syntax_of(ds) == ExplicitVRBigEndian:
        content = np.frombuffer(content, ">u2").astype("<u2").tobytes()
    packed = np.frombuffer(content, np.uint8)[first // 8 : -(-(first + rows * columns) // 8)]
    bits = np.unpackbits(packed, bitorder="little")[first % 8 :][: rows * columns]
    return _placed(bits.reshape(rows, columns).astype(bool), ds, group, frame)


def _embedded(ds: Dataset, group: int, frame: StoredFrame) -> Array | None:
    form = frame.form
    bit, cell_bits = int(_value(ds, group, _BIT_POSITION)), _value(ds, group, _BITS_ALLOCATED)
    low = form.high_bit + 1 - form.bits_stored
    is_pixel_bit = low <= bit <= form.high_bit
    if form.is_float or form.samples > 1 or cell_bits != form.bits_allocated or is_pixel_bit:
        return None
    return (frame.cells >> bit & 1).astype(bool)


def _frame_number(ds: Dataset, group: int, index: int) -> int | None:
    """Return which frame of the overlay lies on image frame `index`, both from 0."""
    frames = _value(ds, group, _FRAMES)
    if frames is None:
        return 0
    number = index + 1 - int(_value(ds, group, _FIRST_FRAME) or 1)
    return number if 0 <= number < int(frames) else None


def _placed(plane: Array, ds: Dataset, group: int, frame: StoredFrame) -> Array:
    """Return the plane on the grid of the image, its origin as (row, column) from 1."""
    top, left = (int(number) - 1 for number in (_value(ds, group, _ORIGIN) or (1, 1)))
    mask = np.zeros(frame.cells.shape[:2], bool)
    rows = slice(max(0, top), min(mask.shape[0], top + plane.shape[0]))
    columns = slice(max(0, left), min(mask.shape[1], left + plane.shape[1]))
    if rows.stop > rows.start and columns.stop > columns.start:
        mask[rows, columns] = plane[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]
    return mask


def _inner(mask: Array) -> Array:
    padded = np.pad(mask, 1)
    vertical = padded[:-2, 1:-1] & padded[2:, 1:-1]
    return mask & vertical & padded[1:-1, :-2] & padded[1:-1, 2:]


def _value(ds: Dataset, group: int, element: int) -> object:
    found = ds.get((group, element))
    return None if found is None or found.value in (None, "") else found.value
