"""The same image in another transfer syntax, without loss: single frames and whole objects.

There is one way to each syntax: `raw_frames` lays out what is uncompressed, `encoders` has one
encoder for each compressed syntax and proves its work, `codecs` has the decoders.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import chain

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset

from dicom_node.render import codecs
from dicom_node.render.encoders import ENCODERS, Codec, encoded_frame
from dicom_node.render.image_format import (
    FAULTS,
    NATIVE,
    ImageFormat,
    first_line,
    pixel_keyword,
    transfer_syntax_of,
)
from dicom_node.render.pixels import StoredFrame, encapsulated_frame, stored_frame, stored_frames
from dicom_node.render.raw_frames import native_bytes, raw_frame
from dicom_node.render.rewritten import copied, put, written, written_around
from pacs_common.errors import CannotRender, NotAcceptable

UNCOMPRESSED: tuple[str, ...] = (
    str(uid.ExplicitVRLittleEndian),
    str(uid.ImplicitVRLittleEndian),
    str(uid.DeflatedExplicitVRLittleEndian),
)
COMPRESSED: tuple[str, ...] = tuple(map(str, ENCODERS))
OFFERED: tuple[str, ...] = (*UNCOMPRESSED, *COMPRESSED)
"""The transfer syntaxes that `to_syntax` can write, the best compressed one first."""

_TAGS = {"PixelData": 0x7FE00010, "FloatPixelData": 0x7FE00008, "DoubleFloatPixelData": 0x7FE00009}
_FLOAT_VRS = {"FloatPixelData": b"OF", "DoubleFloatPixelData": b"OD"}
_ITEM, _END_OF_ITEMS = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
_UNDEFINED = 0xFFFFFFFF
_MAX_BYTES = 0xFFFFFFFE  # the longest that an element can say it is (PS3.5 7.1)


def frame_as(ds: Dataset, index: int, transfer_syntax_uid: str) -> bytes:
    """Return frame `index` (from 0) as it is stored, raw little endian, or lossless.

    A raw frame (Explicit VR Little Endian) has the layout and the colours that `ds` names.
    Raises NotAcceptable where the syntax cannot hold it, CannotRender where it has no pixels.
    """
    form = ImageFormat.of(ds)
    if form.is_encapsulated and form.transfer_syntax == transfer_syntax_uid:
        return encapsulated_frame(ds, index)
    if transfer_syntax_uid == uid.ExplicitVRLittleEndian:
        return raw_frame(ds, index)
    codec = ENCODERS.get(transfer_syntax_uid)
    if codec is None:
        raise NotAcceptable(f"frames are not offered as {uid.UID(transfer_syntax_uid).name}")
    return encoded_frame(stored_frame(ds, index), codec)


def to_syntax(ds: Dataset, transfer_syntax_uid: str) -> bytes:
    """Return the encoded data set, without group 2, in one of `OFFERED` or as it is stored.

    See `encoded`, which gives the same bytes frame by frame.
    """
    file = BytesIO()
    for part in encoded(ds, transfer_syntax_uid):
        file.write(part)
    return file.getvalue()


def encoded(ds: Dataset, transfer_syntax_uid: str) -> Iterator[bytes]:
    """Yield the encoded data set, without group 2, in one of `OFFERED` or as it is stored.

    `ds` stays as it is. Nothing is lost: every bit of native pixels stays, samples that are
    compressed are read back and compared, and what came lossy is marked so (0028,2110). The
    attributes that describe the pixels say what they are now; offset tables are not written
    (an empty Basic Offset Table, PS3.5 A.4). Only one frame is held at a time, and the first one
    is made before anything is yielded.

    Raises NotAcceptable where the syntax cannot hold these pixels (or they would not shrink),
    CannotRender where `ds` has none or they cannot be decoded; after the first chunk too, where
    it is a later frame that does not fit.
    """
    if transfer_syntax_uid == uid.DeflatedExplicitVRLittleEndian:
        return _deflated(encoded(ds, str(uid.ExplicitVRLittleEndian)))
    stored = transfer_syntax_of(ds)
    as_stored = transfer_syntax_uid == stored and stored not in NATIVE
    if not as_stored and transfer_syntax_uid not in OFFERED:
        raise NotAcceptable(f"objects are not offered as {uid.UID(transfer_syntax_uid).name}")
    return _explained(_parts(ds, transfer_syntax_uid, as_stored=as_stored))


def _parts(ds: Dataset, target: str, *, as_stored: bool) -> Iterator[bytes]:
    same_pixels = transfer_syntax_of(ds) in UNCOMPRESSED or pixel_keyword(ds) is None
    if as_stored or (same_pixels and target in UNCOMPRESSED):
        implicit = target == uid.ImplicitVRLittleEndian
        yield written(copied(ds, implicit=implicit), implicit=implicit)
    elif target in UNCOMPRESSED:
        yield from _with_native_pixels(ds, implicit=target == uid.ImplicitVRLittleEndian)
    else:
        yield from _with_codestreams(ds, ENCODERS[target])


def _explained(parts: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from parts
    except FAULTS as fault:
        raise CannotRender(f"the object cannot be written: {first_line(fault)}") from None


def _deflated(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield PS3.5 A.5: a bare deflated stream of even length."""
    deflate, size = zlib.compressobj(wbits=-zlib.MAX_WBITS), 0
    for part in parts:
        data = deflate.compress(part)
        size += len(data)
        yield data
    end = deflate.flush()
    yield end + b"\0" * ((size + len(end)) % 2)


def _with_native_pixels(ds: Dataset, *, implicit: bool) -> Iterator[bytes]:
    form = ImageFormat.of(ds)
    frames = _alike(stored_frames(ds))
    first = next(frames)
    planar = 0 if form.is_encapsulated else form.planar
    size = _native_size(first)
    head, tail = _around_pixels(ds, first, first.photometric, planar, implicit=implicit)
    vr = _FLOAT_VRS.get(form.keyword) or (b"OB" if form.cell.itemsize == 1 else b"OW")
    yield head + _element(_TAGS[form.keyword], vr, size + size % 2, implicit=implicit)
    yield from _native(chain([first], frames), planar)
    yield b"\0" * (size % 2) + tail


def _native_size(frame: StoredFrame) -> int:
    form = frame.form
    samples = form.frames * form.frame_pixels
    size = -(-samples // 8) if form.bits_allocated == 1 else samples * form.cell.itemsize
    if size > _MAX_BYTES:
        raise CannotRender("the decoded pixels are too long for one element")
    return size


def _native(frames: Iterable[StoredFrame], planar: int) -> Iterator[bytes]:
    """Yield frames; single bits of one follow those of the other without a gap (PS3.5 8.1.1)."""
    rest = np.empty(0, np.uint8)
    for frame in frames:
        if frame.form.bits_allocated != 1:
            yield native_bytes(frame, planar)
            continue
        bits = np.concatenate([rest, frame.cells.ravel()])
        whole = len(bits) - len(bits) % 8
        rest = bits[whole:]
        yield np.packbits(bits[:whole], bitorder="little").tobytes()
    yield np.packbits(rest, bitorder="little").tobytes()


def _with_codestreams(ds: Dataset, codec: Codec) -> Iterator[bytes]:
    frames = _alike(stored_frames(ds))
    first = next(frames)
    data = encoded_frame(first, codec)
    photometric = codec.rgb if first.photometric == "RGB" else first.photometric
    head, tail = _around_pixels(ds, first, photometric, codec.planar, implicit=False)
    yield head + _element(_TAGS["PixelData"], b"OB", _UNDEFINED, implicit=False) + _item(b"")
    yield _item(data)
    for frame in frames:
        yield _item(encoded_frame(frame, codec))
    yield _END_OF_ITEMS + tail


def _alike(frames: Iterator[StoredFrame]) -> Iterator[StoredFrame]:
    """Yield frames of one colour model, since a data set can name one only."""
    first = next(frames)
    yield first
    for frame in frames:
        if frame.photometric != first.photometric:
            raise CannotRender(f"frames are {first.photometric} and {frame.photometric}")
        yield frame


def _around_pixels(
    ds: Dataset, frame: StoredFrame, photometric: str, planar: int, *, implicit: bool
) -> tuple[bytes, bytes]:
    """Return the encoded elements before and behind the pixels, saying what those are now."""
    result, form = copied(ds, implicit=implicit), frame.form
    if photometric != form.photometric:
        put(result, "PhotometricInterpretation", photometric)
    if form.samples > 1 and not form.is_subsampled:
        put(result, "PlanarConfiguration", planar)
    if form.transfer_syntax in codecs.DCT and result.get("LossyImageCompression") != "01":
        put(result, "LossyImageCompression", "01")
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        result.pop(keyword, None)
    return written_around(result, _TAGS[form.keyword], implicit=implicit)


def _element(tag: int, vr: bytes, size: int, *, implicit: bool) -> bytes:
    start = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    return start + (b"" if implicit else vr + b"\0\0") + struct.pack("<I", size)


def _item(data: bytes) -> bytes:
    return _ITEM + struct.pack("<I", len(data)) + data
