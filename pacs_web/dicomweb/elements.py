"""Elements of a DICOM file that is still on its way: a small file may inflate to gigabytes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from pacs_common.errors import BadInput

_PREAMBLE_BYTES = 128
_NOT_READ = (  # what pydicom raises for bytes that are no data set, or end in one
    InvalidDicomError, ValueError, KeyError, TypeError, AttributeError, EOFError, OSError,
    NotImplementedError, RecursionError, struct.error, zlib.error,
)  # fmt: skip
StopWhen = Callable[[BaseTag, str | None, int], bool]


def read_elements(file: bytes, most_bytes: int, stop_when: StopWhen) -> Dataset:
    """Return the elements of a PS3.10 file before the one at which `stop_when` says to stop.

    A deflated data set (PS3.5 A.5) is read no further than `most_bytes`. Raises BadInput.
    """
    try:
        return _read(file, most_bytes, stop_when)
    except _NOT_READ as error:
        raise BadInput(f"this is no DICOM file: {error}") from None


def _read(file: bytes, most_bytes: int, stop_when: StopWhen) -> Dataset:
    stream = io.BytesIO(file)
    stream.seek(_PREAMBLE_BYTES)
    if stream.read(4) != b"DICM":
        raise BadInput("this is no DICOM file: it has no preamble")
    meta = read_dataset(stream, False, True, stop_when=_is_behind_meta)
    syntax = str(meta.get("TransferSyntaxUID", ""))
    if syntax == DeflatedExplicitVRLittleEndian:
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(stream.read(), most_bytes)
        stream = io.BytesIO(inflated)
    is_little_endian = syntax != ExplicitVRBigEndian
    is_implicit = syntax == ImplicitVRLittleEndian
    return read_dataset(stream, is_implicit, is_little_endian, stop_when=stop_when)


def sender_of(file: bytes) -> str:
    """Return the AE title that sent a PS3.10 file (0002,0016), "" where none is told."""
    stream = io.BytesIO(file)
    stream.seek(_PREAMBLE_BYTES + 4)
    try:
        meta = read_dataset(stream, False, True, stop_when=_is_behind_meta)
        return str(meta.get("SourceApplicationEntityTitle", "") or "")
    except _NOT_READ:
        return ""


def _is_behind_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != 2
