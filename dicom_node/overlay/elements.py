"""Elements of an encoded data set: found by their headers, and written anew (PS3.5 7)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from dicom_node.overlay.pieces import Piece, length_of
from dicom_node.store.headers import HEADERS
from dicom_node.store.scan import LONG_VRS, MAX_DEPTH
from dicom_node.store.texts import Coding
from pacs_common.errors import NotDicom

UNDEFINED = 0xFFFFFFFF
PIXELS = 0x7FE00000
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
WINDOW_BYTES = 64 << 10
_MAX_SHORT = 0xFFFE  # the longest value whose length has 16 bits


class Source:
    """The bytes of a data set in an open file, read through a window."""

    def __init__(self, file: BinaryIO, end: int) -> None:
        self.end = end
        self._file, self._data, self._base = file, b"", 0

    def read(self, position: int, size: int) -> bytes:
        """Return bytes; raises NotDicom where there are fewer."""
        index = position - self._base
        if index < 0 or index + size > len(self._data):
            self._file.seek(position)
            self._data, self._base, index = self._file.read(max(size, WINDOW_BYTES)), position, 0
        found = self._data[index : index + size]
        if len(found) < size:
            raise NotDicom("the data set is cut")
        return found


class Element(NamedTuple):
    """One element and where it lies; `vr` is empty where the encoding names none."""

    tag: int
    vr: bytes
    length: int
    at: int
    value_at: int
    end: int

    @property
    def whole(self) -> Piece:
        """The element as it lies."""
        return self.at, self.end - self.at


def elements(source: Source, position: int, end: int, coding: Coding) -> Iterator[Element]:
    """Yield the elements of a data set or item, a delimiter last; raises NotDicom."""
    header = HEADERS[coding.is_implicit, coding.is_little_endian]
    while end - position >= 8:
        size = min(12, end - position)
        tag, vr, length, taken = header(source.read(position, size) + b"\0" * (12 - size), 0)
        value_at = position + taken
        if tag in (ITEM_END, SEQUENCE_END):
            yield Element(tag, b"", 0, position, value_at, value_at)
            return
        stop = value_at + length
        if length == UNDEFINED:
            if tag >= PIXELS and tag != ITEM:
                stop = value_at  # fragments: nobody looks behind them here
            else:
                stop = _end_of_items(source, value_at, inner_coding(vr, coding), 0)
        elif stop > end:
            raise NotDicom("the data set is cut")
        yield Element(tag, vr, length, position, value_at, stop)
        position = stop


def items(source: Source, position: int, end: int, coding: Coding) -> Iterator[Element]:
    """Yield the items of a sequence; of one that has no length, its end is that of its content."""
    header = HEADERS[True, coding.is_little_endian]
    while end - position >= 8:
        tag, _, length, _ = header(source.read(position, 8), 0)
        if tag == SEQUENCE_END:
            return
        if tag != ITEM:
            raise NotDicom("a sequence is damaged")
        stop = position + 8 + length
        if length == UNDEFINED:
            stop = _end_of_item(source, position + 8, coding, 0)
        elif stop > end:
            raise NotDicom("an item of a sequence is cut")
        yield Element(tag, b"", length, position, position + 8, stop)
        position = stop


def inner_coding(vr: bytes, coding: Coding) -> Coding:
    """Return how the items of a sequence are encoded: within UN, Implicit VR (PS3.5 6.2.2)."""
    if vr == b"UN":
        return coding._replace(is_implicit=True, is_little_endian=True)
    return coding


def coding_at(source: Source, position: int, end: int, coding: Coding) -> Coding:
    """Look whether a first element names its VR: some senders mix both encodings."""
    if coding.is_implicit or end - position < 8:
        return coding
    head = source.read(position, 8)
    is_delimiter = head[:4] in (b"\xfe\xff\x0d\xe0", b"\xff\xfe\xe0\x0d")
    names_vr = all(0x40 < one < 0x5B for one in head[4:6])
    return coding if is_delimiter or names_vr else coding._replace(is_implicit=True)


def _end_of_items(source: Source, position: int, coding: Coding, depth: int) -> int:
    """Return where a sequence without a length ends."""
    header = HEADERS[True, coding.is_little_endian]
    if depth > 2 * MAX_DEPTH:
        raise NotDicom(f"sequences are nested more than {MAX_DEPTH} deep")
    while True:
        tag, _, length, _ = header(source.read(position, 8), 0)
        position += 8
        if tag == SEQUENCE_END:
            return position
        if tag != ITEM:
            raise NotDicom("a sequence is damaged")
        if length == UNDEFINED:
            position = _end_of_item(source, position, coding, depth + 1)
        else:
            position += length
        if position > source.end:
            raise NotDicom("a sequence is cut")


def _end_of_item(source: Source, position: int, coding: Coding, depth: int) -> int:
    coding = coding_at(source, position, source.end, coding)
    header = HEADERS[coding.is_implicit, coding.is_little_endian]
    while True:
        size = min(12, source.end - position)
        if size < 8:
            raise NotDicom("an item of a sequence is cut")
        tag, vr, length, taken = header(source.read(position, size) + b"\0" * (12 - size), 0)
        position += taken
        if tag == ITEM_END:
            return position
        if length == UNDEFINED:
            position = _end_of_items(source, position, inner_coding(vr, coding), depth + 1)
        else:
            position += length


def headed(tag: int, vr: bytes, length: int, coding: Coding) -> bytes:
    """Return the header of an element; what is too long for its VR is UN (PS3.5 6.2.2)."""
    order = "<" if coding.is_little_endian else ">"
    group, number = tag >> 16, tag & 0xFFFF
    if coding.is_implicit:
        return struct.pack(f"{order}HHL", group, number, length)
    if not LONG_VRS.get(vr, True) and length <= _MAX_SHORT:
        return struct.pack(f"{order}HH2sH", group, number, vr, length)
    vr = vr if LONG_VRS.get(vr) else b"UN"
    return struct.pack(f"{order}HH2sHL", group, number, vr, 0, length)


def element(tag: int, vr: bytes, value: bytes, coding: Coding) -> bytes:
    """Return an element whose value is padded to an even length."""
    value += (b"\0" if vr in (b"UI", b"OB", b"UN") else b" ") * (len(value) % 2)
    return headed(tag, vr, len(value), coding) + value


def item(content: Iterable[Piece], coding: Coding) -> list[Piece]:
    """Return an item of known length."""
    pieces = list(content)
    return [headed(ITEM, b"", length_of(pieces), coding._replace(is_implicit=True)), *pieces]


def sequence(tag: int, vr: bytes, content: Iterable[Piece], coding: Coding) -> list[Piece]:
    """Return a sequence of known length, of the pieces of its items."""
    pieces = list(content)
    return [headed(tag, vr or b"SQ", length_of(pieces), coding), *pieces]
