"""Where compressed pixels lie in a stored file: in items, told by their tags (PS3.5 A.4)."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

UNDEFINED = 0xFFFFFFFF
_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
_HEAD_BYTES = 8
Range = tuple[int, int]  # offset in the file, bytes


def pixel_element(file: BinaryIO) -> tuple[int, int]:
    """Read tag and length of the element at which reading the header stopped (PS3.5 7.1).

    The bytes are little endian; raises EOFError where the file ends in it.
    """
    group, element, vr, length = struct.unpack("<HH2sH", _exactly(file, _HEAD_BYTES))
    if vr.isalpha() and vr.isupper():  # else its VR is implicit: the length has all four bytes
        return group << 16 | element, struct.unpack("<L", _exactly(file, 4))[0]
    return group << 16 | element, int.from_bytes(vr, "little") | length << 16


def offset_table(file: BinaryIO) -> bytes:
    """Read the basic offset table, with which the items begin; ValueError where there is none."""
    tag, length = _item(file)
    if tag != _ITEM:
        raise ValueError("the pixels are in no items")
    return _exactly(file, length)


def fragments(file: BinaryIO) -> list[Range]:
    """Return where the fragments behind the offset table lie; ValueError, EOFError where cut."""
    file_bytes = os.fstat(file.fileno()).st_size
    found = []
    while (item := _item(file))[0] == _ITEM:
        start, length = file.tell(), item[1]
        if start + length > file_bytes:
            raise ValueError("a fragment is cut")
        found.append((start, length))
        file.seek(length, os.SEEK_CUR)
    if item[0] != _SEQUENCE_END or not found:
        raise ValueError("the fragments are damaged")
    return found


def _item(file: BinaryIO) -> tuple[int, int]:
    group, element, length = struct.unpack("<HHL", _exactly(file, _HEAD_BYTES))
    return group << 16 | element, length


def _exactly(file: BinaryIO, size_bytes: int) -> bytes:
    data = file.read(size_bytes)
    if len(data) < size_bytes:
        raise EOFError("the file ends early")
    return data
