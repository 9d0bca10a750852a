"""Where the frames of a stored file lie: byte ranges, by its header and the tags of its items.

What cannot be told without decoding (big endian, deflated, bits that share a byte, offset tables
that name no fragment) is not mapped: such frames are read by parsing the object.
"""

from __future__ import annotations

import itertools
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.render.image_format import ImageFormat
from dicom_node.store import part10
from dicom_node.store.fragments import UNDEFINED, Range, fragments, offset_table, pixel_element
from pacs_common.errors import ArgensError

_KEYWORDS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: ""}
_PLAIN = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
_FIRST, _FRAGMENT = struct.Struct("<L"), struct.Struct("<QL")


@dataclass(frozen=True, slots=True)
class Map:
    """The frames of one file of `file_bytes`; `count` is 0 where they are not mapped.

    Uncompressed frames follow each other from `start`, `stride` bytes each. For codestreams
    `ranges` holds the number of the first fragment of each frame and that of all fragments
    (32 bits each), then offset (64 bits) and bytes (32 bits) of every fragment, little endian.
    """

    file_bytes: int
    count: int = 0
    start: int = 0
    stride: int = 0
    ranges: bytes = b""

    def of(self, index: int) -> list[Range]:
        """Return where frame `index` (from 0) lies; several ranges where it is in fragments."""
        if self.stride:
            return [(self.start + index * self.stride, self.stride)]
        first, end = struct.unpack_from("<2L", self.ranges, index * _FIRST.size)
        fragments = (self.count + 1) * _FIRST.size
        return [
            _FRAGMENT.unpack_from(self.ranges, fragments + number * _FRAGMENT.size)
            for number in range(first, end)
        ]


def mapped(path: Path) -> Map:
    """Return the map of a stored file; raises OSError where it cannot be read."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            return _mapped(file, size) or Map(size)
        except (ArgensError, *part10.UNREADABLE):
            return Map(size)


def _mapped(file: BinaryIO, file_bytes: int) -> Map | None:
    ds = part10.read_header(file)
    tag, length = pixel_element(file)
    if tag not in _KEYWORDS:
        return None
    ds[tag] = DataElement(tag, "OB", b"")
    form = ImageFormat.of(ds)
    if form.is_encapsulated and length == UNDEFINED and not form.is_video:
        return _encapsulated(file, file_bytes, form, ds)
    if form.transfer_syntax not in _PLAIN or length == UNDEFINED:
        return None
    bits = form.frame_pixels * form.bits_allocated
    start, stride = file.tell(), bits // 8
    if bits % 8 or min(start + length, file_bytes) < start + stride * form.frames:
        return None
    return Map(file_bytes, form.frames, start, stride)


def _encapsulated(file: BinaryIO, file_bytes: int, form: ImageFormat, ds: Dataset) -> Map | None:
    basic = offset_table(file)
    origin = file.tell()
    found = fragments(file)
    if ds.get("ExtendedOffsetTable") and ds.get("ExtendedOffsetTableLengths"):
        firsts = _by_extended_offsets(ds, origin, found)
    elif basic:
        offsets = struct.unpack(f"<{len(basic) // 4}L", basic)
        firsts = _numbers_of(offsets, origin, found)
    elif form.frames == 1:
        firsts = [0]
    else:
        firsts = list(range(len(found)))
    if firsts is None or len(firsts) != form.frames:
        return None
    ranges = [_FIRST.pack(number) for number in (*firsts, len(found))]
    ranges += [_FRAGMENT.pack(*fragment) for fragment in found]
    return Map(file_bytes, form.frames, ranges=b"".join(ranges))


def _by_extended_offsets(ds: Dataset, origin: int, found: list[Range]) -> list[int] | None:
    """Return the fragment of each frame, which has one (PS3.3 C.7.6.3.1.8), shortened to it."""
    offsets = _longs(ds.ExtendedOffsetTable)
    lengths = _longs(ds.ExtendedOffsetTableLengths)
    numbers = _numbers_of(offsets, origin, found)
    if numbers != list(range(len(found))) or len(lengths) != len(found):
        return None
    for number, length in enumerate(lengths):
        start, whole = found[number]
        if length > whole:
            return None
        found[number] = start, length
    return numbers


def _numbers_of(offsets: tuple[int, ...], origin: int, found: list[Range]) -> list[int] | None:
    """Return the fragments that begin at these offsets of their item tags, None if one is none."""
    number_at = {start - 8 - origin: number for number, (start, _) in enumerate(found)}
    numbers = [number_at.get(offset, -1) for offset in offsets]
    is_in_order = numbers[:1] == [0] and all(
        one < other for one, other in itertools.pairwise(numbers)
    )
    return numbers if is_in_order else None


def _longs(table: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(table) // 8}Q", table)
