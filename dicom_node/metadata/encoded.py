"""The bytes of a stored data set, read piece by piece: large values and pixels stay on disk."""

from __future__ import annotations

import io
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from dicom_node.overlay.apply import corrected
from dicom_node.store import part10
from dicom_node.store.blobs import CHUNK_BYTES
from dicom_node.store.charsets import DEFAULT_FALLBACK
from dicom_node.store.inflate import Inflater
from dicom_node.store.texts import Coding
from pacs_common.errors import NotDicom

FIRST_BYTES = 16 << 10  # the header of most images
WINDOW_BYTES = 64 << 10
_NEVER = datetime.min.replace(tzinfo=UTC)
_FALLBACK_IS_TOLD = b"fallback_charset"
_TRANSFER_SYNTAX = b"\x02\x00\x10\x00UI"


class Encoded:
    """A window on the data set of an open file: `data`, whose first byte lies at `base`."""

    def __init__(self, file: BinaryIO, data: bytes, start: int, coding: Coding) -> None:
        self.file, self.data, self.base = file, data, 0
        self.start, self.coding = start, coding
        self.size_bytes = file.seek(0, io.SEEK_END)

    def load(self, position: int, size: int) -> int:
        """Move the window over at least `size` bytes; return the place of `position` in it.

        At the end of the file there may be less.
        """
        self.file.seek(position)
        self.data = self.file.read(max(size, WINDOW_BYTES))
        self.base = position
        return 0

    def peek(self, position: int, size: int) -> bytes:
        """Return a few bytes, fewer at the end of the file; the window stays where it is."""
        index = position - self.base
        if 0 <= index and index + size <= len(self.data):
            return self.data[index : index + size]
        self.file.seek(position)
        return self.file.read(size)

    def value(self, position: int, length: int) -> bytes:
        """Return a value; raises NotDicom where it is cut."""
        index = position - self.base
        if index < 0 or index + length > len(self.data):
            index = self.load(position, length)
        found = self.data[index : index + length]
        if len(found) < length:
            raise NotDicom("the data set is cut")
        return found


def opened(path: Path, overlay: str = "") -> Encoded:
    """Open a stored file's data set, as corrections show it; raises NotDicom, FileNotFoundError.

    The caller closes its `file`.
    """
    file = path.open("rb", buffering=0)
    try:
        if overlay:
            file = corrected(file, overlay)
            file.seek(0)
        return _encoded(path, file)
    except BaseException:
        file.close()
        raise


def _encoded(path: Path, file: BinaryIO) -> Encoded:
    data = file.read(FIRST_BYTES)
    if len(data) < 144 or data[128:136] != b"DICM\x02\x00\x00\x00":
        raise NotDicom("no file meta group")
    start = 144 + struct.unpack("<L", data[140:144])[0]
    meta = data[:start]
    fallback = DEFAULT_FALLBACK
    if _FALLBACK_IS_TOLD in meta or start > len(data):
        told = read_file_meta_info(path)
        fallback = part10.provenance(told, _NEVER).fallback_charset
        syntax = str(told.TransferSyntaxUID)
    else:
        syntax = _syntax_of(meta)
    coding = Coding(
        is_implicit=syntax == ImplicitVRLittleEndian,
        is_little_endian=syntax != ExplicitVRBigEndian,
        fallback_charset=fallback,
    )
    if syntax != DeflatedExplicitVRLittleEndian:
        return Encoded(file, data, start, coding)
    file.seek(start)
    body = _inflated(file)
    file.close()
    return Encoded(io.BytesIO(body), body[:FIRST_BYTES], 0, coding)


def _syntax_of(meta: bytes) -> str:
    place = meta.find(_TRANSFER_SYNTAX, 132)
    if place < 0:
        raise NotDicom("the file names no transfer syntax")
    (length,) = struct.unpack_from("<H", meta, place + 6)
    return meta[place + 8 : place + 8 + length].decode("latin_1").rstrip(" \0")


def _inflated(file: BinaryIO) -> bytes:
    inflater = Inflater()
    pieces: list[bytes] = []
    while chunk := file.read(CHUNK_BYTES):
        pieces.extend(inflater.inflate(chunk))
    return b"".join(pieces)
