"""The header of one encoded element, in each of the encodings (PS3.5 7.1)."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from dicom_node.store.scan import LONG_VRS


def _explicit_header(order: str) -> Callable[[bytes, int], tuple[int, bytes, int, int]]:
    """Return a function that gives (tag, VR, length, size of the header) of an element."""
    unpack, unpack_long = Struct(f"{order}HH2sH").unpack_from, Struct(f"{order}L").unpack_from
    is_long = LONG_VRS.get

    def header(data: bytes, index: int) -> tuple[int, bytes, int, int]:
        group, number, vr, length = unpack(data, index)
        long = is_long(vr)
        if long:
            return group << 16 | number, vr, unpack_long(data, index + 8)[0], 12
        if long is None and not b"AA" <= vr <= b"ZZ":  # of Implicit VR, or a delimiter
            return group << 16 | number, b"", unpack_long(data, index + 4)[0], 8
        return group << 16 | number, vr, length, 8

    return header


def _implicit_header(order: str) -> Callable[[bytes, int], tuple[int, bytes, int, int]]:
    unpack = Struct(f"{order}HHL").unpack_from

    def header(data: bytes, index: int) -> tuple[int, bytes, int, int]:
        group, number, length = unpack(data, index)
        return group << 16 | number, b"", length, 8

    return header


# By (is it Implicit VR, is it Little Endian).
HEADERS = {
    (False, True): _explicit_header("<"),
    (False, False): _explicit_header(">"),
    (True, True): _implicit_header("<"),
    (True, False): _implicit_header(">"),
}
