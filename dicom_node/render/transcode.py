"""The same image in another transfer syntax: whole objects uncompressed, single frames lossless.

Nothing leaves here unchecked: what an encoder wrote is read back by another decoder and
compared, because a damaged lossless JPEG decodes silently to wrong pixels.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np
from pydicom import uid
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from dicom_node.render.codecs import JPEG_PROGRESSIVE, Array
from dicom_node.render.image_format import (
    FAULTS,
    PIXEL_KEYWORDS,
    ImageFormat,
    first_line,
    pixel_keyword,
    transfer_syntax_of,
)
from dicom_node.render.pixels import StoredFrame, encapsulated_frame, stored_frame
from pacs_common.errors import CannotRender, NotAcceptable

_PIXEL_DATA = 0x7FE00010
_WORD_BYTES = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_ENCODABLE = ("MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL")
_DCT = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, *JPEG_PROGRESSIVE)


@dataclass(frozen=True)
class Codec:
    """A lossless encoder, and a decoder by other hands that proves its work."""

    encode: Callable[[Array, int], bytes]
    """Takes unsigned samples and the number of bits that they use."""
    decode: Callable[[bytes], Array]


def _encode_jpeg(samples: Array, bits: int) -> bytes:
    # 9 bits or more in 16-bit cells: readers choose the size of the cell by the precision
    precision = 8 if samples.itemsize == 1 else max(9, bits)
    space = {"colorspace": "RGB", "outcolorspace": "RGB"} if samples.ndim == 3 else {}
    return bytes(
        imagecodecs.jpeg8_encode(
            samples, lossless=True, predictor=1, bitspersample=precision, **space
        )
    )


ENCODERS: dict[str, Codec] = {
    uid.JPEGLosslessSV1: Codec(_encode_jpeg, imagecodecs.ljpeg_decode),
}


_SAME_PIXELS = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
)


def frame_as(ds: Dataset, index: int, transfer_syntax_uid: str) -> bytes:
    """Return frame `index` (from 0) as it is stored, raw little endian, or lossless.

    A raw frame of a native object has the stored layout; one that had to be decoded has the
    planar configuration that `ds` names and the colours of the decoder (`StoredFrame.photometric`).
    Raises NotAcceptable where the syntax cannot hold it, CannotRender where it has no pixels.
    """
    form = ImageFormat.of(ds)
    if form.is_encapsulated and form.transfer_syntax == transfer_syntax_uid:
        return encapsulated_frame(ds, index)
    if transfer_syntax_uid == uid.ExplicitVRLittleEndian:
        return _raw(stored_frame(ds, index), form.planar)
    codec = ENCODERS.get(transfer_syntax_uid)
    if codec is None:
        raise NotAcceptable(f"frames are not offered as {uid.UID(transfer_syntax_uid).name}")
    return _encoded(stored_frame(ds, index), codec)


def to_uncompressed(ds: Dataset, transfer_syntax_uid: str) -> bytes:
    """Return the encoded data set, without group 2, in Explicit or Implicit VR Little Endian.

    `ds` stays as it is. Every bit of lossless pixels stays, those outside Bits Stored included;
    the attributes that describe the pixels say what they are after decoding.
    """
    if transfer_syntax_uid not in (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian):
        raise NotAcceptable(f"{uid.UID(transfer_syntax_uid).name} is not an uncompressed syntax")
    implicit = transfer_syntax_uid == uid.ImplicitVRLittleEndian
    try:
        result = _copied(ds, deeply=ds.original_encoding != (implicit, True))
        if ds.original_encoding[1] is False:
            _turn_words(result)
        if pixel_keyword(ds) is not None and transfer_syntax_of(ds) not in _SAME_PIXELS:
            _put_decoded(result, ds)
        return _written(result, implicit=implicit)
    except FAULTS as fault:
        raise CannotRender(
            f"the object cannot be written uncompressed: {first_line(fault)}"
        ) from None


def _encoded(frame: StoredFrame, codec: Codec) -> bytes:
    _require_encodable(frame)
    bits = frame.form.bits_stored
    cells = frame.samples.view(f"u{frame.samples.itemsize}")
    cells = np.ascontiguousarray(cells & cells.dtype.type((1 << bits) - 1))
    try:
        data = codec.encode(cells, bits)
        decoded = np.asarray(codec.decode(data))
    except FAULTS as fault:
        raise NotAcceptable(f"the encoder refuses this frame: {first_line(fault)}") from None
    if decoded.shape != cells.shape or not np.array_equal(decoded, cells):
        raise NotAcceptable("the encoded frame does not read back equal")
    if len(data) >= cells.nbytes:
        raise NotAcceptable("this frame does not shrink: take it uncompressed")
    return data + b"\0" * (len(data) % 2)


def _require_encodable(frame: StoredFrame) -> None:
    form = frame.form
    why = None
    if form.is_float:
        why = "floating point pixels"
    elif form.bits_allocated not in (8, 16):
        why = f"pixels of {form.bits_allocated} bits"
    elif frame.photometric not in _ENCODABLE:
        why = f"{frame.photometric} pixels"
    elif form.is_subsampled or (form.photometric.startswith("YBR_FULL") and _recoloured(frame)):
        why = "colours that decoding changes"
    elif frame.has_outside_bits:
        why = "bits outside Bits Stored"
    if why is not None:
        raise NotAcceptable(f"a lossless codec does not hold {why}: take the frame uncompressed")


def _recoloured(frame: StoredFrame) -> bool:
    return frame.photometric != frame.form.photometric


def _raw(frame: StoredFrame, planar: int) -> bytes:
    form = frame.form
    if form.bits_allocated == 1:
        return np.packbits(frame.cells.ravel(), bitorder="little").tobytes()
    if form.is_subsampled:
        return _subsampled(frame.cells)
    cells = frame.cells.transpose(2, 0, 1) if planar and form.samples > 1 else frame.cells
    return cells.astype(form.cell, copy=False).tobytes()


def _subsampled(cells: Array) -> bytes:
    pairs = cells.reshape(-1, 6)  # Y1 Cb Cr, Y2 Cb Cr -> Y1 Y2 Cb Cr
    return np.ascontiguousarray(pairs[:, [0, 3, 1, 2]]).tobytes()


def _copied(ds: Dataset, *, deeply: bool) -> Dataset:
    """Return a data set of the same elements; those that nobody touched stay unparsed."""
    result = Dataset({tag: ds.get_item(tag) for tag in ds.keys() if tag.group > 2})
    if not _mixes_encodings(result, ds.original_encoding):
        result.set_original_encoding(*ds.original_encoding, ds.original_character_set)
    return copy.deepcopy(result) if deeply else result


def _mixes_encodings(ds: Dataset, encoding: tuple[bool | None, bool | None]) -> bool:
    """Whether elements were read in another encoding than the file's (real files do that)."""
    items = (ds.get_item(tag) for tag in ds.keys())
    return any(
        isinstance(item, RawDataElement)
        and (item.is_implicit_VR, item.is_little_endian) != encoding
        for item in items
    )


def _turn_words(ds: Dataset) -> None:
    """Turn big endian words that pydicom keeps as bytes; pixels are turned by their cells."""
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                _turn_words(item)
        elif element.VR in _WORD_BYTES and element.value and element.keyword not in PIXEL_KEYWORDS:
            words = np.frombuffer(element.value, f">u{_WORD_BYTES[element.VR]}")
            element.value = words.byteswap().tobytes()


def _put_decoded(result: Dataset, ds: Dataset) -> None:
    form = ImageFormat.of(ds)
    photometric, data = _all_raw(ds, form)
    if form.is_float:
        _put(result, form.keyword, data)
        return
    vr = "OB" if form.cell.itemsize == 1 else "OW"
    result[_PIXEL_DATA] = DataElement(_PIXEL_DATA, vr, data + b"\0" * (len(data) % 2))
    if not form.is_encapsulated:
        return
    _put(result, "PhotometricInterpretation", photometric)
    if form.samples > 1:
        _put(result, "PlanarConfiguration", 0)
    if form.transfer_syntax in _DCT and result.get("LossyImageCompression") != "01":
        _put(result, "LossyImageCompression", "01")
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        result.pop(keyword, None)


def _put(ds: Dataset, keyword: str, value: object) -> None:
    """Set an element anew: the old one belongs to the caller's data set too."""
    ds.pop(keyword, None)
    setattr(ds, keyword, value)


def _all_raw(ds: Dataset, form: ImageFormat) -> tuple[str, bytes]:
    """Return the colours and the bytes of all frames, laid out as PS3.5 8.1 says."""
    planar = 0 if form.is_encapsulated else form.planar
    photometric, parts = form.photometric, []
    for index in range(form.frames):
        frame = stored_frame(ds, index)
        if form.is_encapsulated:
            photometric = frame.photometric
        parts.append(frame.cells.tobytes() if form.bits_allocated == 1 else _raw(frame, planar))
    data = b"".join(parts)
    if form.bits_allocated == 1:  # bits of one frame follow those of the other without a gap
        data = np.packbits(np.frombuffer(data, np.uint8), bitorder="little").tobytes()
    return photometric, data


def _written(ds: Dataset, *, implicit: bool) -> bytes:
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = implicit, True
    write_dataset(file, ds)
    return file.getvalue()
