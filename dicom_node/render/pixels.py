"""Stored pixels: one frame decoded, one codestream as it came, one digest over all frames."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames, get_frame
from pydicom.uid import ExplicitVRBigEndian

from dicom_node.render import codecs
from dicom_node.render.codecs import Array, Cells
from dicom_node.render.image_format import (
    FAULTS,
    NATIVE,
    ImageFormat,
    first_line,
    pixel_keyword,
    transfer_syntax_of,
)
from pacs_common.errors import CannotRender

NO_PIXELS_SHA256 = hashlib.sha256(b"argens no pixels").hexdigest()


@dataclass(frozen=True)
class StoredFrame:
    """One decoded frame.

    `samples` has the shape (rows, columns) or (rows, columns, samples); its values are those of
    the low Bits Stored bits, sign-extended where Pixel Representation says so. `cells` are the
    whole pixel cells as unsigned integers, where bits outside Bits Stored may stand.
    `photometric` names the colours as decoded: "RGB" after a lossy JPEG or a JPEG 2000 transform.
    """

    samples: Array
    cells: Array
    photometric: str
    form: ImageFormat

    @property
    def has_outside_bits(self) -> bool:
        """True where bits outside Bits Stored say something: an old overlay, or garbage."""
        form = self.form
        if form.is_float or form.bits_allocated == 1 or form.bits_stored == form.bits_allocated:
            return False
        if form.high_bit != form.bits_stored - 1:
            return True
        high = self.cells >> form.bits_stored
        if not high.any():
            return False
        return not form.signed or bool(
            np.any((high != 0) & (self.cells != self.samples.view(self.cells.dtype)))
        )


def frame_count(ds: Dataset) -> int:
    """Return the number of frames that `ds` says it has; CannotRender where it has no pixels."""
    return ImageFormat.of(ds).frames


def stored_frame(ds: Dataset, index: int) -> StoredFrame:
    """Return frame `index` (from 0), decoding nothing else; CannotRender with the reason if not."""
    form = _checked(ds, index)
    if form.is_encapsulated:
        return _settled(codecs.decoded_cells(_codestream(ds, form, index), form, ds, index), form)
    try:
        return _settled(_native_cells(ds, form, index), form)
    except FAULTS as fault:
        raise CannotRender(f"frame {index + 1} cannot be read: {first_line(fault)}") from None


def stored_frames(ds: Dataset) -> Iterator[StoredFrame]:
    """Yield all frames in order, decoding one at a time; raises CannotRender at the first bad one.

    Codestreams are found by going once through the fragments, not anew for each frame.
    """
    form = _checked(ds, 0)
    if not form.is_encapsulated:
        yield from (stored_frame(ds, index) for index in range(form.frames))
        return
    for index, data in enumerate(_codestreams(ds, form)):
        yield _settled(codecs.decoded_cells(data, form, ds, index), form)


def encapsulated_frame(ds: Dataset, index: int) -> bytes:
    """Return the stored codestream of frame `index`, its fragments joined."""
    form = _checked(ds, index)
    if not form.is_encapsulated:
        raise CannotRender("the pixels are stored uncompressed, there is no codestream")
    return _codestream(ds, form, index)


def pixel_sha256(ds: Dataset) -> str:
    """Return the digest of the decoded pixels, the same in every lossless transfer syntax.

    Two objects have the same digest exactly when they have the same rows, columns, samples,
    frames, Bits Stored and sign, and the same values in every frame, colour by pixel and with no
    colour conversion. Bits outside Bits Stored count where they are there (a lossless JPEG cannot
    hold them, so such an object differs from its compressed form). The colour model, Bits
    Allocated and byte order do not count.

    Codestreams that decoders need not decode alike (DCT, irreversible wavelets), video, and what
    cannot be decoded are digested as they are encoded, frame by frame where frames can be told
    apart. An object without pixels has NO_PIXELS_SHA256.
    """
    keyword = pixel_keyword(ds)
    if keyword is None:
        return NO_PIXELS_SHA256
    try:
        return _decoded_sha256(ds, ImageFormat.of(ds))
    except CannotRender:
        return _encoded_sha256(ds, keyword)


def _checked(ds: Dataset, index: int) -> ImageFormat:
    form = ImageFormat.of(ds)
    if not 0 <= index < form.frames:
        raise CannotRender(f"there is no frame {index + 1}, only {form.frames}")
    if form.is_video:
        raise CannotRender(f"this object is a video ({form.transfer_syntax.name}), not an image")
    return form


def _codestream(ds: Dataset, form: ImageFormat, index: int) -> bytes:
    try:
        return get_frame(
            ds.PixelData,
            index,
            number_of_frames=form.frames,
            extended_offsets=_extended_offsets(ds),
        )
    except FAULTS as fault:
        raise CannotRender(f"frame {index + 1} cannot be found: {first_line(fault)}") from None


def _extended_offsets(ds: Dataset) -> tuple[bytes, bytes] | None:
    if "ExtendedOffsetTable" in ds and "ExtendedOffsetTableLengths" in ds:
        return ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths
    return None


def _native_cells(ds: Dataset, form: ImageFormat, index: int) -> Cells:
    data = memoryview(getattr(ds, form.keyword))
    if form.bits_allocated == 1:
        first_bit = index * form.frame_pixels
        last = -(-(first_bit + form.frame_pixels) // 8)
        if len(data) < last:
            raise ValueError("the pixel data end before it")
        return codecs.bit_cells(data[first_bit // 8 : last], form, first_bit % 8)
    size = form.frame_pixels * form.cell.itemsize
    frame = _little_endian(data, index * size, size, ds, form)
    if len(frame) < size:
        raise ValueError("the pixel data end before it")
    return codecs.native_cells(frame, form)


def _little_endian(
    data: memoryview, start: int, size: int, ds: Dataset, form: ImageFormat
) -> memoryview:
    """Return `size` bytes from `start`; from big endian, with the bytes of each cell turned."""
    word = form.cell.itemsize
    if form.transfer_syntax != ExplicitVRBigEndian:
        return data[start : start + size]
    if word == 1:
        if ds[form.keyword].VR != "OW":
            return data[start : start + size]
        word = 2  # bytes in OW are turned in pairs, whatever a frame's first byte is
    first = start - start % word
    last = start + size + (start + size) % word
    turned = np.frombuffer(data[first:last], f">u{word}").astype(f"<u{word}")
    return memoryview(turned.tobytes())[start - first : start - first + size]


def _settled(cells: Cells, form: ImageFormat) -> StoredFrame:
    """Give the low Bits Stored bits of each cell their sign."""
    values = cells.values
    unused = form.bits_allocated - form.bits_stored
    if form.is_float or not (unused or form.signed):
        samples = values
    elif form.signed:
        samples = _sign_extended(values, form, cells.whole)
    elif cells.whole:
        low = form.high_bit + 1 - form.bits_stored
        samples = (values >> low) & values.dtype.type((1 << form.bits_stored) - 1)
    else:  # a codestream that exceeds Bits Stored overshoots: white must not turn black
        samples = np.minimum(values, values.dtype.type((1 << form.bits_stored) - 1))
    kept = samples.view(values.dtype) if form.signed and not cells.whole else values
    return StoredFrame(samples, kept, cells.photometric, form)


def _sign_extended(values: Array, form: ImageFormat, whole: bool) -> Array:
    unused = form.bits_allocated - form.bits_stored
    low = form.high_bit + 1 - form.bits_stored if whole else 0
    signed = values.view(f"<i{values.dtype.itemsize}")
    return (signed << (unused - low)) >> unused if unused else signed


def _decoded_sha256(ds: Dataset, form: ImageFormat) -> str:
    if form.is_video:
        raise CannotRender("video is digested as it is encoded")
    kind = "float" if form.is_float else "signed" if form.signed else "unsigned"
    digest = hashlib.sha256(
        f"argens pixels 1: {form.rows} rows, {form.columns} columns, {form.samples} samples, "
        f"{form.frames} frames, {form.bits_stored} bits, {kind}".encode()
    )
    for part in _frame_digests(ds, form):
        digest.update(part)
    return digest.hexdigest()


def _frame_digests(ds: Dataset, form: ImageFormat) -> Iterator[bytes]:
    """Yield one digest a frame; only one frame is decoded at a time."""
    if not form.is_encapsulated:
        for index in range(form.frames):
            yield _samples_digest(stored_frame(ds, index))
        return
    for index, data in enumerate(_codestreams(ds, form)):
        if _is_reproducible(data, form):
            cells = codecs.decoded_cells(data, form, ds, index)
            yield _samples_digest(_settled(cells, form))
        else:
            yield hashlib.sha256(b"codestream" + data).digest()


def _codestreams(ds: Dataset, form: ImageFormat) -> Iterator[bytes]:
    found = 0
    try:
        frames = generate_frames(
            ds.PixelData, number_of_frames=form.frames, extended_offsets=_extended_offsets(ds)
        )
        for data in frames:
            if found == form.frames:
                break
            yield data
            found += 1
    except FAULTS as fault:
        raise CannotRender(f"frame {found + 1} cannot be found: {first_line(fault)}") from None
    if found < form.frames:
        raise CannotRender(f"only {found} of {form.frames} frames are there")


def _is_reproducible(data: bytes, form: ImageFormat) -> bool:
    read_header = codecs.HEADERS.get(form.transfer_syntax)
    if read_header is None:
        return True
    try:
        return read_header(data).reproducible
    except FAULTS:
        return True  # let the decoders say what is wrong with it


def _samples_digest(frame: StoredFrame) -> bytes:
    samples = frame.samples
    if not frame.form.is_float:
        width = next(bytes_ for bytes_ in (1, 2, 4, 8) if frame.form.bits_stored <= 8 * bytes_)
        kind = "i" if frame.form.signed else "u"
        samples = samples.astype(f"<{kind}{width}", copy=False)
    outside = frame.has_outside_bits
    digest = hashlib.sha256(b"cells" if outside else b"samples")
    digest.update(np.ascontiguousarray(frame.cells if outside else samples))
    return digest.digest()


def _encoded_sha256(ds: Dataset, keyword: str) -> str:
    syntax = transfer_syntax_of(ds)
    kind = "native" if syntax in NATIVE else syntax
    digest = hashlib.sha256(f"argens encoded pixels, {kind}: ".encode())
    try:
        digest.update(getattr(ds, keyword) or b"")
    except FAULTS:
        digest.update(b"unreadable")
    return digest.hexdigest()
