"""One decoder for each transfer syntax, chosen by measurement and checked for exactness.

A decoder takes a codestream and the format that its data set claims, and returns pixel cells
with their colour model. What it cannot read is left to pydicom's decoders.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder

from dicom_node.render.codestreams import FrameHeader, j2k_header, jpeg_header
from dicom_node.render.image_format import FAULTS, ImageFormat, first_line
from pacs_common.errors import CannotRender

Array = NDArray[Any]
DEFLATED_IMAGE_FRAME = "1.2.840.10008.1.2.8.1"
JPEG_PROGRESSIVE = ("1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55")
DCT = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, *JPEG_PROGRESSIVE)
_END_OF_IMAGE = b"\xff\xd9"
_PADDING_BYTES = 16  # real files have a byte or a few behind the end
_RLE_HEADER_BYTES = 64
_RGB_IDS = (b"RGB", b"rgb")


@dataclass(frozen=True)
class Cells:
    """One frame's pixel cells (rows, columns[, samples]), unsigned or float, and their colours."""

    values: Array
    photometric: str
    whole: bool
    """True where they are stored cells, False where a codestream's values were put into cells."""


def native_cells(data: bytes | memoryview, form: ImageFormat) -> Cells:
    """Return the cells of one uncompressed little endian frame."""
    values = np.frombuffer(data, form.cell, form.frame_pixels)
    if form.is_subsampled:
        return Cells(_upsampled(values).reshape(form.shape), without_422(form.photometric), True)
    if form.samples > 1 and form.planar:
        planes = values.reshape(form.samples, form.rows, form.columns)
        return Cells(np.ascontiguousarray(planes.transpose(1, 2, 0)), form.photometric, True)
    return Cells(values.reshape(form.shape), form.photometric, True)


def bit_cells(data: bytes | memoryview, form: ImageFormat, first_bit: int = 0) -> Cells:
    """Return one frame of single bits (PS3.5 8.1.1) that starts `first_bit` bits into `data`."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    frame = bits[first_bit : first_bit + form.frame_pixels]
    return Cells(frame.reshape(form.shape), form.photometric, True)


def _upsampled(values: Array) -> Array:
    pairs = values.reshape(-1, 4)  # Y1 Y2 Cb Cr -> Y1 Cb Cr, Y2 Cb Cr
    return pairs[:, [0, 2, 3, 1, 2, 3]]


def without_422(photometric: str) -> str:
    """Return the colours of pixels whose chroma was spread over all pixels."""
    return photometric.removesuffix("_422")


def _jpeg(data: bytes, form: ImageFormat) -> Cells:
    header = jpeg_header(data)
    _check_size(header, form)
    _check_end(data)
    if header.reproducible:  # no colour conversion: lossless means the values as they were coded
        space = {"colorspace": "RGB", "outcolorspace": "RGB"} if header.components == 3 else {}
        decoded = imagecodecs.jpeg8_decode(data, **space)
        return _fitted(decoded, form, header, form.photometric)
    if header.components != 3:
        return _fitted(imagecodecs.jpeg8_decode(data), form, header, form.photometric)
    decoded = imagecodecs.jpeg8_decode(
        data, colorspace=_jpeg_colours(header, form), outcolorspace="RGB"
    )
    return _fitted(decoded, form, header, "RGB")


def coded_luminance(data: bytes, form: ImageFormat) -> Array | None:
    """Return the YCbCr cells of a lossy colour JPEG, or None where it is not coded in YCbCr."""
    header = jpeg_header(data)
    _check_size(header, form)
    _check_end(data)
    colours = _jpeg_colours(header, form)
    if header.reproducible or colours == "RGB":
        return None
    try:
        decoded = imagecodecs.jpeg8_decode(data, colorspace=colours, outcolorspace="YCBCR")
    except imagecodecs.Jpeg8Error:  # its Adobe segment says RGB, from which nothing is converted
        return None
    return _fitted(decoded, form, header, "YBR_FULL").values


def _jpeg_colours(header: FrameHeader, form: ImageFormat) -> str | None:
    """Trust the codestream's own marks first, then the data set (real files label both wrong)."""
    if header.component_ids in _RGB_IDS:
        return "RGB"
    if header.names_colours:
        return None  # the decoder follows JFIF and Adobe markers by itself
    return "RGB" if form.photometric == "RGB" else "YCBCR"


def _jpeg_ls(data: bytes, form: ImageFormat) -> Cells:
    header = jpeg_header(data)
    _check_size(header, form)
    _check_end(data)
    if not data.rstrip(b"\0").endswith(_END_OF_IMAGE):
        data += _END_OF_IMAGE  # without it the decoder may search for ever
    decoded = imagecodecs.jpegls_decode(data, out=_blank(header, form))
    return _fitted(decoded, form, header, form.photometric)


def _jpeg_2000(data: bytes, form: ImageFormat) -> Cells:
    header = j2k_header(data)
    _check_size(header, form)
    decoded = imagecodecs.jpeg2k_decode(data, out=_blank(header, form))
    return _fitted(decoded, form, header, _after_wavelet(form))


def _blank(header: FrameHeader, form: ImageFormat) -> Array:
    """Return what a decoder fills: where a damaged codestream stops it, nobody's memory shows."""
    width = next(size for size in (1, 2, 4, 8) if header.precision <= 8 * size)
    return np.zeros(form.shape, f"{'i' if header.signed else 'u'}{width}")


def _after_wavelet(form: ImageFormat) -> str:
    return "RGB" if form.photometric in ("YBR_RCT", "YBR_ICT") else form.photometric


def _rle(data: bytes, form: ImageFormat) -> Cells:
    if form.bits_allocated == 1:  # packed bits, run-length encoded as bytes
        return bit_cells(run_length_planes(data, -(-form.frame_pixels // 8), 1, 1), form)
    pixels = form.rows * form.columns
    planes = run_length_planes(data, pixels, form.samples, form.cell.itemsize)
    values = planes.reshape(form.samples, form.rows, form.columns)
    cells = values[0] if form.samples == 1 else values.transpose(1, 2, 0)
    return Cells(np.ascontiguousarray(cells), without_422(form.photometric), True)


def run_length_planes(data: bytes, pixels: int, samples: int, width: int) -> Array:
    """Return (samples, pixels) unsigned little endian values of `width` bytes from RLE segments.

    A segment holds one byte of one sample, the highest first (PS3.5 G.2). Damage is refused here
    and never tried with another decoder: some of them panic over it.
    """
    count, *offsets = struct.unpack_from("<16I", data.ljust(_RLE_HEADER_BYTES, b"\0"))
    bounds = [*offsets[:count], len(data)]
    sound = count == samples * width and all(a < b for a, b in pairwise(bounds))
    if not sound or bounds[0] < _RLE_HEADER_BYTES:
        raise CannotRender("the run lengths of this frame are damaged")
    planes = np.empty((samples, pixels, width), np.uint8)
    for index, (start, end) in enumerate(pairwise(bounds)):
        planes[index // width, :, width - 1 - index % width] = _segment(data[start:end], pixels)
    return planes.reshape(samples, -1).view(f"<u{width}")


def _segment(data: bytes, pixels: int) -> Array:
    try:
        plain = imagecodecs.packbits_decode(data, out=pixels)
    except imagecodecs.PackbitsError:
        plain = b""
    if len(plain) != pixels:
        raise CannotRender("the run lengths of this frame are damaged")
    return np.frombuffer(plain, np.uint8)


def _deflated(data: bytes, form: ImageFormat) -> Cells:
    if form.bits_allocated == 1:
        return bit_cells(_inflate(data, -(-form.frame_pixels // 8)), form)
    return native_cells(_inflate(data, form.frame_pixels * form.cell.itemsize), form)


def _inflate(data: bytes, size: int) -> bytes:
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size)
    if len(inflated) < size:
        raise ValueError("the deflated frame is too short")
    return inflated


def _check_size(header: FrameHeader, form: ImageFormat) -> None:
    """Refuse before decoding: a small codestream may claim gigabytes."""
    if not 1 <= header.precision <= 32:
        raise CannotRender(f"the codestream claims {header.precision} bits")
    coded = (header.rows, header.columns, header.components)
    if coded != (form.rows, form.columns, form.samples):
        raise CannotRender(
            "the codestream is {} x {} with {} component(s)".format(*coded)
            + f", the data set says {form.rows} x {form.columns} with {form.samples}"
        )


def _check_end(data: bytes) -> None:
    """Refuse what is cut off: decoders of JPEG fill the rest with gray, and say nothing."""
    if data.find(_END_OF_IMAGE, max(0, len(data) - _PADDING_BYTES)) < 0:
        raise CannotRender("the codestream of this frame is cut off")


def _fitted(decoded: Array, form: ImageFormat, header: FrameHeader, photometric: str) -> Cells:
    """Bring decoded values into the data set's cells, with the sign that the data set names."""
    if decoded.shape != form.shape:
        raise ValueError(f"decoded to {decoded.shape}, not {form.shape}")
    if header.signed != form.signed and header.precision <= form.bits_stored:
        shift = 8 * decoded.dtype.itemsize - header.precision
        kind = "i" if form.signed else "u"
        decoded = (decoded << shift).view(f"{kind}{decoded.dtype.itemsize}") >> shift
    if decoded.dtype.itemsize > form.cell.itemsize and _exceeds(decoded, form):
        raise CannotRender("the codestream has more bits than the data set allocates")
    signed = np.dtype(f"i{form.cell.itemsize}")
    values = decoded.astype(signed if decoded.dtype.kind == "i" else form.cell, copy=False)
    return Cells(values.view(form.cell), without_422(photometric), False)


def _exceeds(decoded: Array, form: ImageFormat) -> bool:
    return bool(decoded.max() >> form.bits_allocated) or bool(
        decoded.min() < -(1 << (form.bits_allocated - 1))
    )


DECODERS: dict[str, Callable[[bytes, ImageFormat], Cells]] = {
    **dict.fromkeys(DCT, _jpeg),
    uid.JPEGLossless: _jpeg,
    uid.JPEGLosslessSV1: _jpeg,
    uid.JPEGLSLossless: _jpeg_ls,
    uid.JPEGLSNearLossless: _jpeg_ls,
    uid.JPEG2000Lossless: _jpeg_2000,
    uid.JPEG2000: _jpeg_2000,
    # by OpenJPEG too: OpenJPH is twice as fast, but passes over damage, and some of it crashes it
    uid.HTJ2KLossless: _jpeg_2000,
    uid.HTJ2KLosslessRPCL: _jpeg_2000,
    uid.HTJ2K: _jpeg_2000,
    uid.RLELossless: _rle,
    DEFLATED_IMAGE_FRAME: _deflated,
}

HEADERS: dict[str, Callable[[bytes], FrameHeader]] = {
    uid_: j2k_header if decoder is _jpeg_2000 else jpeg_header
    for uid_, decoder in DECODERS.items()
    if decoder not in (_rle, _deflated)
}


def decoded_cells(data: bytes, form: ImageFormat, ds: Dataset, index: int) -> Cells:
    """Return the cells of frame `index`, whose codestream is `data`, or raise CannotRender."""
    syntax = form.transfer_syntax
    decoder = DECODERS.get(syntax)
    if decoder is None:
        raise CannotRender(f"no decoder for the transfer syntax {str(syntax)[:64]!r}")
    try:
        return decoder(data, form)
    except FAULTS as fault:
        return _by_pydicom(form, ds, index, fault)


def _by_pydicom(form: ImageFormat, ds: Dataset, index: int, first: BaseException) -> Cells:
    try:
        values, properties = get_decoder(form.transfer_syntax).as_array(ds, index=index, raw=True)
        photometric = str(properties["photometric_interpretation"])
        header = FrameHeader(*values.shape[:2], form.samples, form.bits_stored, form.signed, False)
        return _fitted(values, form, header, photometric)
    except NotImplementedError:
        fault: BaseException = first
    except FAULTS as second:
        fault = second
    raise CannotRender(f"frame {index + 1} cannot be decoded: {first_line(fault)}") from None
