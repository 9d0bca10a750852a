"""One lossless encoder for each transfer syntax, and the decoder that proves its work.

What an encoder wrote is read back and compared, each sample, because a damaged lossless JPEG
decodes silently to wrong pixels. The decoder is another library than the encoder's where one is
at hand at a bearable price: liblj92 reads libjpeg-turbo's .70, OpenJPEG reads OpenJPH's HTJ2K,
imagecodecs reads the run lengths of pylibjpeg-rle. JPEG-LS and JPEG 2000 are read back by the
library that wrote them (CharLS, OpenJPEG): the only other reader of JPEG-LS is three times slower
and stops all other threads, and of JPEG 2000 there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np
from pydicom import uid
from rle.rle import encode_frame as encode_rle_frame

from dicom_node.render.codecs import Array, run_length_planes
from dicom_node.render.image_format import FAULTS, first_line
from dicom_node.render.pixels import StoredFrame
from pacs_common.errors import NotAcceptable

_COLOURS = ("RGB", "YBR_FULL")
_ENCODABLE = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", *_COLOURS)


@dataclass(frozen=True)
class Codec:
    """A lossless encoder, a decoder that proves its work, and what its objects then say."""

    encode: Callable[[Array, int, bool], bytes]
    """Takes samples (rows, columns[, 3]), the number of bits that they use, and if they are RGB."""
    decode: Callable[[bytes, Array], Array]
    """Takes a codestream and an array like the one that it should give."""
    names_sign: bool = False
    """True where samples are coded with their sign, False where the low Bits Stored bits are
    coded as unsigned."""
    planar: int = 0
    """The Planar Configuration of colour (PS3.5 8.2)."""
    rgb: str = "RGB"
    """The Photometric Interpretation of what was RGB (PS3.5 8.2)."""


def encoded_frame(frame: StoredFrame, codec: Codec) -> bytes:
    """Return one frame losslessly encoded and read back; NotAcceptable where it does not fit."""
    _require_encodable(frame)
    samples = _coded_samples(frame, codec)
    try:
        data = codec.encode(samples, frame.form.bits_stored, frame.photometric == "RGB")
        decoded = np.asarray(codec.decode(data, samples))
    except FAULTS as fault:
        raise NotAcceptable(f"the encoder refuses this frame: {first_line(fault)}") from None
    if decoded.shape != samples.shape or not np.array_equal(decoded, samples):
        raise NotAcceptable("the encoded frame does not read back equal")
    if len(data) >= samples.nbytes:
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
    elif form.samples != (3 if frame.photometric in _COLOURS else 1):
        why = f"{frame.photometric} pixels of {form.samples} samples"
    elif form.is_subsampled or (
        form.photometric.startswith("YBR_FULL") and frame.photometric != form.photometric
    ):
        why = "colours that decoding changes"
    elif frame.has_outside_bits:
        why = "bits outside Bits Stored"
    if why is not None:
        raise NotAcceptable(f"a lossless codec does not hold {why}: take the frame uncompressed")


def _coded_samples(frame: StoredFrame, codec: Codec) -> Array:
    samples = frame.samples
    if not codec.names_sign:
        cells = samples.view(f"u{samples.itemsize}")
        samples = cells & cells.dtype.type((1 << frame.form.bits_stored) - 1)
    return np.ascontiguousarray(samples)


def _precision(samples: Array, bits: int) -> int:
    """Return 9 bits or more for 16-bit cells: readers choose the size of the cell by it."""
    return bits if samples.itemsize == 1 else max(9, bits)


def _encode_jpeg(samples: Array, bits: int, _is_rgb: bool) -> bytes:
    precision = 8 if samples.itemsize == 1 else _precision(samples, bits)
    space = {"colorspace": "RGB", "outcolorspace": "RGB"} if samples.ndim == 3 else {}
    return bytes(
        imagecodecs.jpeg8_encode(
            samples, lossless=True, predictor=1, bitspersample=precision, **space
        )
    )


def _decode_jpeg(data: bytes, _like: Array) -> Array:
    return imagecodecs.ljpeg_decode(data)


def _encode_jpeg_ls(samples: Array, _bits: int, _is_rgb: bool) -> bytes:
    return bytes(imagecodecs.jpegls_encode(samples))


def _decode_jpeg_ls(data: bytes, _like: Array) -> Array:
    return imagecodecs.jpegls_decode(data)


def _encode_jpeg_2000(samples: Array, bits: int, is_rgb: bool) -> bytes:
    return bytes(
        imagecodecs.jpeg2k_encode(
            samples,
            level=0,
            codecformat="j2k",
            reversible=True,
            mct=is_rgb,
            bitspersample=_precision(samples, bits),  # it clips: Bits Stored hold all samples here
        )
    )


def _decode_jpeg_2000(data: bytes, like: Array) -> Array:
    return imagecodecs.jpeg2k_decode(data, out=np.empty_like(like))


def _encode_htj2k(samples: Array, _bits: int, is_rgb: bool) -> bytes:
    return bytes(imagecodecs.htj2k_encode(samples, reversible=True, rgb=is_rgb, planar=False))


def _encode_rle(samples: Array, _bits: int, _is_rgb: bool) -> bytes:
    rows, columns, *colours = samples.shape
    size = rows, columns, colours[0] if colours else 1, 8 * samples.itemsize
    return bytes(encode_rle_frame(samples.tobytes(), *size, "<"))


def _decode_rle(data: bytes, like: Array) -> Array:
    rows, columns, *colours = like.shape
    planes = run_length_planes(data, rows * columns, colours[0] if colours else 1, like.itemsize)
    values = planes.reshape(-1, rows, columns)
    return values.transpose(1, 2, 0) if colours else values[0]


ENCODERS: dict[str, Codec] = {
    uid.JPEGLosslessSV1: Codec(_encode_jpeg, _decode_jpeg),
    uid.JPEGLSLossless: Codec(_encode_jpeg_ls, _decode_jpeg_ls),
    uid.JPEG2000Lossless: Codec(
        _encode_jpeg_2000, _decode_jpeg_2000, names_sign=True, rgb="YBR_RCT"
    ),
    uid.HTJ2KLossless: Codec(_encode_htj2k, _decode_jpeg_2000, names_sign=True, rgb="YBR_RCT"),
    uid.RLELossless: Codec(_encode_rle, _decode_rle, planar=1),
}
