"""Uncompressed frames as PS3.5 8.1 and PS3.3 C.7.6.3 lay them out."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset

from dicom_node.render import codecs
from dicom_node.render.codecs import Array
from dicom_node.render.image_format import FAULTS, ImageFormat
from dicom_node.render.pixels import StoredFrame, encapsulated_frame, stored_frame
from pacs_common.errors import NotAcceptable

_LUMINANCE = ("YBR_FULL", "YBR_FULL_422")
_UNDONE = ("YBR_RCT", "YBR_ICT")  # decoders undo these transforms of the codestream
# PS3.3 C.7.6.3.1.2, for bytes
_TO_LUMINANCE = np.array(
    [[0.2990, 0.5870, 0.1140], [-0.1687, -0.3313, 0.5000], [0.5000, -0.4187, -0.0813]], np.float32
)


def raw_frame(ds: Dataset, index: int) -> bytes:
    """Return frame `index` (from 0) little endian, as the attributes of `ds` describe it.

    Colour model, chroma sampling and planar configuration are those that `ds` names, so that its
    metadata are true of the frame; only what is called YBR_RCT or YBR_ICT comes as RGB by pixel.
    Raises NotAcceptable where `ds` names colours that these pixels cannot be given.
    """
    form = ImageFormat.of(ds)
    if not form.is_encapsulated or form.samples == 1:
        return native_bytes(stored_frame(ds, index), form.planar)
    if form.photometric in _LUMINANCE and form.transfer_syntax in codecs.DCT:
        cells = _luminance(ds, form, index)
        return _halved(cells) if form.photometric.endswith("_422") else _placed(cells, form.planar)
    frame = stored_frame(ds, index)
    if form.photometric in _UNDONE:
        return _placed(frame.cells, 0)
    if form.photometric == "YBR_FULL_422" and frame.photometric == "YBR_FULL":
        return _halved(frame.cells, exact=True)
    if form.photometric != frame.photometric:
        raise NotAcceptable(f"these {frame.photometric} pixels are called {form.photometric}")
    return _placed(frame.cells, form.planar)


def native_bytes(frame: StoredFrame, planar: int) -> bytes:
    """Return a decoded frame little endian, colour by plane where `planar` is 1."""
    form = frame.form
    if form.bits_allocated == 1:
        return np.packbits(frame.cells.ravel(), bitorder="little").tobytes()
    if form.is_subsampled:
        return _halved(frame.cells)
    return _placed(frame.cells, planar if form.samples > 1 else 0)


def _placed(cells: Array, planar: int) -> bytes:
    by_plane = cells.transpose(2, 0, 1) if planar else cells
    return by_plane.astype(cells.dtype.newbyteorder("<"), copy=False).tobytes()


def _halved(cells: Array, *, exact: bool = False) -> bytes:
    """Return Y Y Cb Cr for each two pixels of a row (PS3.3 C.7.6.3.1.2)."""
    if cells.shape[1] % 2:
        raise NotAcceptable("an odd number of columns has no YBR_FULL_422 layout")
    pairs = cells.reshape(-1, 2, 3)
    first, second = pairs[:, 0, 1:], pairs[:, 1, 1:]
    if exact and not np.array_equal(first, second):
        raise NotAcceptable("pixels called YBR_FULL_422 have the colours of YBR_FULL")
    chroma = (first.astype(np.uint32) + second + 1) // 2
    return np.hstack([pairs[:, :, 0], chroma.astype(cells.dtype)]).tobytes()


def _luminance(ds: Dataset, form: ImageFormat, index: int) -> Array:
    """Return the YCbCr cells of a lossy JPEG as they are coded, or made from its RGB."""
    try:
        cells = codecs.coded_luminance(encapsulated_frame(ds, index), form)
    except FAULTS:
        cells = None  # let the usual decoders say what is wrong with it
    if cells is not None:
        return cells
    frame = stored_frame(ds, index)
    if frame.photometric != "RGB":
        return frame.cells
    middle = np.array([0, 1, 1], np.float32) * (1 << (form.bits_stored - 1))
    values = np.rint(frame.cells @ _TO_LUMINANCE.T + middle)
    return np.clip(values, 0, (1 << form.bits_stored) - 1).astype(form.cell)
