"""What a data set says about its pixels (PS3.3 C.7.6.3), read once and checked."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from pacs_common.errors import CannotRender

# What a codec or a lazily parsed element raises over a damaged file: codecs raise RuntimeError
# subclasses, pydicom the others. Programming errors such as NameError still surface.
FAULTS = (
    BytesLengthException,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    EOFError,
    OSError,
    struct.error,
    zlib.error,
)

NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
)
PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_FLOAT_BITS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
VIDEO = ("1.2.840.10008.1.2.4.10", "1.2.840.10008.1.2.7.")  # MPEG-2, H.264, H.265; SMPTE 2110


@dataclass(frozen=True)
class ImageFormat:
    """The shape and the meaning of one object's stored pixels."""

    transfer_syntax: UID
    keyword: str
    rows: int
    columns: int
    samples: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar: int
    photometric: str

    @classmethod
    def of(cls, ds: Dataset) -> ImageFormat:
        """Return the format of `ds`, or raise CannotRender where it has no usable pixels."""
        keyword = pixel_keyword(ds)
        if keyword is None:
            raise CannotRender(_why_no_pixels(ds))
        try:
            return cls._read(ds, keyword)
        except FAULTS as fault:
            raise CannotRender(
                f"the description of the pixels cannot be read: {first_line(fault)}"
            ) from None

    @classmethod
    def _read(cls, ds: Dataset, keyword: str) -> ImageFormat:
        allocated = _FLOAT_BITS.get(keyword) or _number(ds, "BitsAllocated")
        if allocated not in (1, 8, 16, 32, 64):
            raise CannotRender(f"Bits Allocated of {allocated} is not supported")
        stored = min(_number(ds, "BitsStored", allocated), allocated)
        high_bit = _number(ds, "HighBit", stored - 1)
        return cls(
            transfer_syntax=transfer_syntax_of(ds),
            keyword=keyword,
            rows=_number(ds, "Rows"),
            columns=_number(ds, "Columns"),
            samples=_number(ds, "SamplesPerPixel", 1),
            frames=_number(ds, "NumberOfFrames", 1),
            bits_allocated=allocated,
            bits_stored=stored,
            high_bit=high_bit if stored <= high_bit + 1 <= allocated else stored - 1,
            signed=ds.get("PixelRepresentation") == 1,
            planar=1 if ds.get("PlanarConfiguration") == 1 else 0,
            photometric=str(ds.get("PhotometricInterpretation") or "MONOCHROME2").strip().upper(),
        )

    @property
    def is_float(self) -> bool:
        """True for (Double) Float Pixel Data, PS3.3 C.7.6.24 and C.7.6.25."""
        return self.keyword in _FLOAT_BITS

    @property
    def is_encapsulated(self) -> bool:
        """True where frames are codestreams."""
        return self.transfer_syntax not in NATIVE

    @property
    def is_video(self) -> bool:
        """True for MPEG and its kin, whose frames are no separate codestreams."""
        return self.transfer_syntax.startswith(VIDEO)

    @property
    def is_subsampled(self) -> bool:
        """True for native 4:2:2 pixels: two bytes a pixel (PS3.3 C.7.6.3.1.2)."""
        native = not self.is_encapsulated
        return native and self.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422")

    @property
    def frame_pixels(self) -> int:
        """The number of sample values of one frame as it is stored natively."""
        samples = 2 if self.is_subsampled else self.samples
        return self.rows * self.columns * samples

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one decoded frame: (rows, columns) or (rows, columns, samples)."""
        grid = (self.rows, self.columns)
        return grid if self.samples == 1 else (*grid, self.samples)

    @property
    def cell(self) -> np.dtype[Any]:
        """The little endian unsigned (or float) type of one pixel cell; a byte for single bits."""
        if self.is_float:
            return np.dtype(f"<f{self.bits_allocated // 8}")
        return np.dtype(f"<u{max(1, self.bits_allocated // 8)}")


def first_line(fault: BaseException) -> str:
    """Return what a fault says, short enough for an answer."""
    lines = str(fault).strip().splitlines()
    return " ".join(lines[:2])[:200] if lines else type(fault).__name__


def pixel_keyword(ds: Dataset) -> str | None:
    """Return which of the three pixel elements `ds` holds, if any."""
    return next((keyword for keyword in PIXEL_KEYWORDS if keyword in ds), None)


def transfer_syntax_of(ds: Dataset) -> UID:
    """Return the stored transfer syntax, from the file meta or from how `ds` was read."""
    meta = getattr(ds, "file_meta", None)
    stated = meta.get("TransferSyntaxUID") if meta is not None else None
    if stated:
        return UID(str(stated))
    implicit, little = ds.original_encoding
    if little is False:
        return ExplicitVRBigEndian
    return ExplicitVRLittleEndian if implicit is False else ImplicitVRLittleEndian


def _why_no_pixels(ds: Dataset) -> str:
    if "EncapsulatedDocument" in ds:
        kind = str(ds.get("MIMETypeOfEncapsulatedDocument") or "unknown type")
        return f"this object is a document ({kind}), not an image"
    return "this object has no pixels"


def _number(ds: Dataset, keyword: str, default: int | None = None) -> int:
    value = ds.get(keyword)
    if value is None or value == "":
        if default is None:
            raise CannotRender(f"{keyword} is missing")
        return default
    number = int(value)
    if number < 1 and keyword != "HighBit":
        if default is None:
            raise CannotRender(f"{keyword} of {number} makes no image")
        return default
    return number
