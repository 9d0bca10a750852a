"""Walks an encoded data set while it streams in: proves that it is whole, keeps a few values.

One pass, no recursion, constant memory: values that nobody wants, pixels above all, are passed
over by their length (PS3.5 7.1, 7.5, A.4). It tolerates what readers in the field tolerate:
Implicit VR under an explicit label and the other way round, single elements and items of Implicit
VR among explicit ones, padding at the end.
"""

from __future__ import annotations

from collections.abc import Collection
from struct import Struct
from typing import NamedTuple

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from dicom_node.store.inflate import Inflater
from pacs_common.errors import NotDicom

MAX_VALUE_BYTES = 32 << 10  # of a value that is kept: a longer one counts as absent
MAX_DEPTH = 100  # of sequences within sequences; readers that recurse must live
# Whether the length of a VR takes 32 bits, after two reserved bytes; any other VR is none.
LONG_VRS = dict.fromkeys(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split(), True)
LONG_VRS |= dict.fromkeys(
    b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split(), False
)
_UNDEFINED = 0xFFFFFFFF
_DELIMITERS, _PIXELS, _FIRST_GROUP = 0xFFFE, 0x7FE0, 0x0004
_ITEM, _ITEM_END, _SEQUENCE_END = 0xE000, 0xE00D, 0xE0DD
_NOTHING: frozenset[int] = frozenset()


class Value(NamedTuple):
    """An element's value as it came; `vr` is empty where the encoding names none."""

    vr: bytes
    raw: bytes


class Scanner:
    """Takes the chunks of one data set (no group 0002), of any size, in their order.

    `values` holds what was found of the `wanted` tags at top level, before the pixels. Of a
    sequence it holds the encoded items.
    """

    def __init__(self, transfer_syntax: str, wanted: Collection[int]) -> None:
        self.values: dict[int, Value] = {}
        self.is_little_endian = transfer_syntax != ExplicitVRBigEndian
        self._is_implicit = transfer_syntax == ImplicitVRLittleEndian
        self._inflater = Inflater() if transfer_syntax == DeflatedExplicitVRLittleEndian else None
        order = "<" if self.is_little_endian else ">"
        self._explicit = Struct(f"{order}HH2sH").unpack_from
        self._implicit = Struct(f"{order}HHL").unpack_from
        self._long = Struct(f"{order}L").unpack_from
        self._wanted = frozenset(wanted)
        self._is_collecting = True  # until the pixels
        self._is_empty = True
        self._depth = 0  # odd: within a sequence or pixel fragments; even: within an item
        self._implicit_from = 0  # the depth from which an explicit data set is implicit
        self._in_fragments = False
        self._at_begin = True  # of the data set or of an item
        self._carry = b""  # the first bytes of a header
        self._skip = 0  # bytes to come of the value that is being passed over
        self._kept: bytearray | None = None  # the value that is being kept, and whose it is
        self._kept_tag, self._kept_vr, self._kept_from = 0, b"", 0

    @property
    def is_implicit(self) -> bool:
        """Whether it is really Implicit VR, whatever its label says."""
        return self._is_implicit and not self._implicit_from

    def feed(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes; raises NotDicom where they cannot belong to a data set."""
        if self._inflater is None:
            self._walk(chunk)
            return
        for piece in self._inflater.inflate(chunk):
            self._walk(piece)

    def finish(self) -> None:
        """Raise NotDicom where the data set is empty or cut."""
        if self._inflater is not None:
            self._inflater.finish()
        if self._skip:
            raise NotDicom(f"the data set is cut: {self._skip} bytes are missing")
        if self._depth:
            raise NotDicom("the data set is cut inside a sequence")
        if len(self._carry) >= 8 or self._carry.strip(b"\0"):
            raise NotDicom("the data set is cut inside an element")
        if self._is_empty:
            raise NotDicom("the data set is empty")

    def _walk(self, chunk: bytes | memoryview) -> None:
        end, position = len(chunk), 0
        if self._skip:
            position = min(self._skip, end)
            self._skip -= position
            self._keep(chunk[:position])
            if not self._skip and not self._depth:
                self._close()
        if position == end:
            return
        if self._carry:
            chunk = self._carry + bytes(chunk[position:])
            end, position = len(chunk), 0
        self._kept_from = position
        position = self._pass_elements(chunk, position, end)
        self._keep(chunk[self._kept_from : position])
        self._skip = max(0, position - end)
        self._carry = bytes(chunk[position:])

    def _pass_elements(self, data: bytes | memoryview, position: int, end: int) -> int:
        """Return the position of the first header that is not whole, or that of a later chunk."""
        while end - position >= 8:
            if not (self._at_begin or self._depth & 1):
                plain = self._pass_implicit if self._is_implicit else self._pass_explicit
                position = plain(data, position, end)
                if end - position < 8:
                    break
            after = self._pass_one(data, position, end)
            if after < 0:
                break
            position = after
        return position

    def _pass_explicit(self, data: bytes | memoryview, position: int, end: int) -> int:
        """Pass over plain elements (the hot loop); stop before any that wants a closer look."""
        unpack, unpack_long, is_long = self._explicit, self._long, LONG_VRS.get
        is_top = self._depth == 0
        wanted = self._wanted if is_top and self._is_collecting else _NOTHING
        while end - position >= 12:
            group, element, vr, length = unpack(data, position)
            start, long = position + 8, is_long(vr)
            if long:
                (length,) = unpack_long(data, start)
                start += 4
            if long is None or length == _UNDEFINED:
                return position
            if is_top and not _FIRST_GROUP <= group < _PIXELS:
                return position
            tag = group << 16 | element
            if tag in wanted:
                if length > MAX_VALUE_BYTES or start + length > end:
                    return position
                self.values[tag] = Value(vr, bytes(data[start : start + length]))
            position = start + length
        return position

    def _pass_implicit(self, data: bytes | memoryview, position: int, end: int) -> int:
        unpack = self._implicit
        is_top = self._depth == 0
        wanted = self._wanted if is_top and self._is_collecting else _NOTHING
        while end - position >= 8:
            group, element, length = unpack(data, position)
            if length == _UNDEFINED or group == _DELIMITERS:
                return position
            if is_top and not _FIRST_GROUP <= group < _PIXELS:
                return position
            tag, start = group << 16 | element, position + 8
            if tag in wanted:
                if length > MAX_VALUE_BYTES or start + length > end:
                    return position
                self.values[tag] = Value(b"", bytes(data[start : start + length]))
            position = start + length
        return position

    def _pass_one(self, data: bytes | memoryview, position: int, end: int) -> int:
        """Pass over one header of any kind; -1 where its bytes have not all come."""
        group, element, length = self._implicit(data, position)
        if self._depth & 1 or group == _DELIMITERS:
            return self._pass_delimiter(group, element, length, data, position)
        if self._at_begin:
            self._detect_vr(data, position)
        vr, start = b"", position + 8
        if not self._is_implicit:
            vr = bytes(data[position + 4 : position + 6])
            if LONG_VRS.get(vr):
                if end - position < 12:
                    return -1
                (length,) = self._long(data, start)
                start += 4
            elif vr in LONG_VRS or b"AA" <= vr <= b"ZZ":
                length = self._explicit(data, position)[3]
            else:
                vr = b""  # a single element of Implicit VR
        if self._depth == 0:
            self._check_group(group)
        return self._pass_value(group << 16 | element, vr, length, data, start)

    def _check_group(self, group: int) -> None:
        self._is_empty = False
        if group >= _PIXELS:
            self._is_collecting = False
        elif group < _FIRST_GROUP and self._is_collecting:  # after pixels, zeros are padding
            raise NotDicom("the data set holds elements of a command or of a file meta group")

    def _pass_value(
        self, tag: int, vr: bytes, length: int, data: bytes | memoryview, start: int
    ) -> int:
        is_wanted = self._depth == 0 and self._is_collecting and tag in self._wanted
        if is_wanted:
            self.values.pop(tag, None)  # the last one counts
        if length == _UNDEFINED:
            self._open(tag, vr)
        elif length > MAX_VALUE_BYTES:
            return start + length
        if is_wanted:
            self._kept, self._kept_tag, self._kept_vr = bytearray(), tag, vr
            self._kept_from = start
            if length != _UNDEFINED and start + length <= len(data):
                self._keep(data[start : start + length])
                self._close()
        return start if length == _UNDEFINED else start + length

    def _open(self, tag: int, vr: bytes) -> None:
        """Enter a value of undefined length: a sequence, or the fragments of pixels."""
        self._depth += 1
        if self._depth > 2 * MAX_DEPTH:
            raise NotDicom(f"sequences are nested more than {MAX_DEPTH} deep")
        self._in_fragments = vr not in (b"", b"SQ", b"UN") or (not vr and tag >> 16 == _PIXELS)
        if vr == b"UN" and not self._is_implicit:  # PS3.5 6.2.2
            self._is_implicit, self._implicit_from = True, self._depth

    def _pass_delimiter(
        self, group: int, element: int, length: int, data: bytes | memoryview, position: int
    ) -> int:
        if not self._depth & 1:
            self._end_item(element, length)
        elif group != _DELIMITERS:
            raise NotDicom("a sequence or the fragments of the pixels are damaged")
        elif element == _SEQUENCE_END:
            self._leave()
            if not self._depth:
                self._keep(data[self._kept_from : position])
                self._close()
        elif element != _ITEM or (self._in_fragments and length == _UNDEFINED):
            raise NotDicom("a sequence or the fragments of the pixels are damaged")
        elif length != _UNDEFINED:
            return position + 8 + length
        else:
            self._depth += 1
            self._at_begin = not self._is_implicit
        return position + 8

    def _end_item(self, element: int, length: int) -> None:
        if self._depth:
            if element != _ITEM_END:
                raise NotDicom("an item of a sequence has no end")
            self._leave()
        elif element == _ITEM or length:
            raise NotDicom("an item stands outside a sequence")
        elif element == _ITEM_END:
            self._is_collecting = False  # readers stop here

    def _leave(self) -> None:
        self._depth -= 1
        self._in_fragments = self._at_begin = False
        if self._depth < self._implicit_from:
            self._is_implicit, self._implicit_from = False, 0

    def _detect_vr(self, data: bytes | memoryview, position: int) -> None:
        """Look whether the first element names a VR: some senders label their objects wrongly."""
        self._at_begin = False
        one, two = data[position + 4], data[position + 5]
        is_implicit = not (0x40 < one < 0x5B and 0x40 < two < 0x5B)
        if self._depth == 0:
            self._is_implicit = is_implicit
        elif is_implicit:
            self._is_implicit, self._implicit_from = True, self._depth

    def _keep(self, piece: bytes | memoryview) -> None:
        if self._kept is not None:
            self._kept += piece[: MAX_VALUE_BYTES + 1]
            if len(self._kept) > MAX_VALUE_BYTES:
                self._kept = None

    def _close(self) -> None:
        if self._kept is not None:
            self.values[self._kept_tag] = Value(self._kept_vr, bytes(self._kept))
        self._kept = None
