"""One pass over an encoded data set that writes its elements as JSON, no objects in between.

Objects of one series share most of their elements, so what was written once is found again by
its bytes. It reads what `store/scan.py` let in: Implicit VR under an explicit label, single
elements and items of Implicit VR among explicit ones, padding at the end.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from dicom_node.metadata.encoded import Encoded
from dicom_node.metadata.json_values import BINARY, NUMERIC, attribute_json
from dicom_node.metadata.representation import signed, vr_of
from dicom_node.store.headers import HEADERS
from dicom_node.store.scan import LONG_VRS, MAX_DEPTH
from dicom_node.store.texts import Coding
from pacs_common.errors import NotDicom

MAX_BINARY_BYTES = 1 << 10  # of binary values that stand in the JSON
MAX_NUMBERS_BYTES = 64 << 10  # of US, FL and their like
MAX_VALUE_BYTES = 8 << 20  # of anything
MAX_SHARED_BYTES = 4 << 10
ALWAYS_BULK = frozenset({0x00420011, 0x7FE00008, 0x7FE00009, 0x7FE00010})
UNDEFINED = 0xFFFFFFFF
_CHARSET, _PIXELS, _TRAILING_PADDING = 0x00080005, 0x7FE00000, 0xFFFCFFFC
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UTF_8 = '"00080005":{"vr":"CS","Value":["ISO_IR 192"]}'


@dataclass(frozen=True)
class Bulk:
    """A value that stays out of the JSON: its path (tags, item numbers from 1) and its place."""

    path: str
    vr: str
    stretches: tuple[tuple[int, int], ...]  # (offset, length) of the value or of each fragment
    is_encapsulated: bool
    is_little_endian: bool


@dataclass
class Shared:
    """What objects of one series have in common: JSON by encoded element."""

    left_bytes: int = 32 << 20
    _by_coding: dict[Coding, dict[bytes, str]] = field(default_factory=dict)

    def of(self, coding: Coding) -> dict[bytes, str]:
        """Return what is known of one encoding."""
        return self._by_coding.setdefault(coding, {})

    def has_room(self, size_bytes: int) -> bool:
        """Take room for one more, while there is some."""
        self.left_bytes -= size_bytes
        return self.left_bytes > 0


def object_of(fragments: dict[int, str]) -> str:
    """Return the JSON object of a data set's elements, in the order of their tags."""
    return "{" + ",".join([fragments[tag] for tag in sorted(fragments)]) + "}"


class _Scope(NamedTuple):
    coding: Coding
    path: tuple[str, ...] = ()
    is_signed: bool = False


class _Element(NamedTuple):
    tag: int
    vr: bytes  # empty where the encoding names none
    length: int
    start: int  # of the value


class Walk:
    """Writes one object; `bulk` lists what is left out."""

    def __init__(self, encoded: Encoded, shared: Shared, address: str) -> None:
        self.bulk: list[Bulk] = []
        self._encoded, self._shared, self._address = encoded, shared, address
        self._bound = 0  # elements whose JSON depends on more than their bytes
        self._is_past_pixels = False

    def fragments(self) -> dict[int, str]:
        """Return the elements of the data set as JSON by tag; raises NotDicom, struct.error."""
        encoded = self._encoded
        coding = encoded.coding._replace(is_implicit=not self._names_vr(encoded.start))
        found: dict[int, str] = {}
        try:
            self._data_set(encoded.start, encoded.size_bytes, _Scope(coding), found)
        except (NotDicom, struct.error):
            if not self._is_past_pixels:  # what senders leave there need be no element
                raise
        found[_CHARSET] = _UTF_8
        return found

    def _data_set(self, position: int, end: int, scope: _Scope, found: dict[int, str]) -> int:
        """Add the elements from `position` on, and return where they end (the hot loop)."""
        encoded = self._encoded
        header, known = HEADERS[scope.coding[:2]], self._shared.of(scope.coding)
        while end - position >= 8:
            index = position - encoded.base
            if index < 0 or index + 12 > len(encoded.data):
                index = encoded.load(position, 12)
            data = encoded.data
            tag, vr, length, size = header(data, index)
            if tag == _ITEM_END or tag == _SEQUENCE_END:
                return position + 8
            stop = index + size + length
            key = data[index:stop] if length <= MAX_SHARED_BYTES and stop <= len(data) else b""
            if key in known:
                fragment = known[key]
                position += size + length
            else:
                bound = self._bound
                element = _Element(tag, vr, length, position + size)
                if tag == _CHARSET:
                    scope = self._with_charset(scope, element)
                    known = self._shared.of(scope.coding)
                elif length != UNDEFINED and position + size + length > end:
                    raise NotDicom("the data set is cut")
                fragment, position = self._written(element, found, scope)
                if key and bound == self._bound and self._shared.has_room(len(key) * 3):
                    known[key] = fragment
            if fragment:
                found[tag] = fragment
        return position

    def _with_charset(self, scope: _Scope, element: _Element) -> _Scope:
        self._bound += 1
        raw = self._encoded.value(element.start, min(element.length, MAX_SHARED_BYTES))
        charset = raw.decode("latin_1").strip(" \0")
        return scope._replace(coding=scope.coding._replace(charset=charset))

    def _written(self, element: _Element, found: dict[int, str], scope: _Scope) -> tuple[str, int]:
        """Return an element's JSON, "" where it has none, and the position after it."""
        if element.length == UNDEFINED:
            return self._undefined(element, found, scope)
        tag, after = element.tag, element.start + element.length
        if tag & 0xFFFF == 0 or tag == _TRAILING_PADDING:
            return "", after  # group lengths say nothing here (PS3.18 F.2.2)
        if tag == _CHARSET:
            return _UTF_8, after
        vr, coding = self._representation(element, found, scope)
        if vr == "SQ":
            return self._sequence_or_bytes(element, found, scope._replace(coding=coding)), after
        if self._is_bulk(tag, vr, element.length):
            stretches = ((element.start, element.length),)
            return self._left_out(element, vr, scope, stretches), after
        raw = self._encoded.value(element.start, element.length)
        return f'"{tag:08X}":{attribute_json(vr, raw, coding)}', after

    def _representation(
        self, element: _Element, found: dict[int, str], scope: _Scope
    ) -> tuple[str, Coding]:
        """Return an element's VR, and how its value is encoded."""
        if element.vr in LONG_VRS and element.vr != b"UN":
            return element.vr.decode("ascii"), scope.coding
        vr, is_certain = vr_of(element.tag, found, is_signed=scope.is_signed)
        self._bound += not is_certain
        if element.vr != b"UN":
            return vr, scope.coding
        return vr, scope.coding._replace(is_implicit=True, is_little_endian=True)  # PS3.5 6.2.2

    def _is_bulk(self, tag: int, vr: str, length: int) -> bool:
        if tag in ALWAYS_BULK:
            return length > 0
        if vr in BINARY:
            return length > MAX_BINARY_BYTES
        return length > (MAX_NUMBERS_BYTES if vr in NUMERIC else MAX_VALUE_BYTES)

    def _left_out(
        self, element: _Element, vr: str, scope: _Scope, stretches: tuple[tuple[int, int], ...]
    ) -> str:
        self._bound += 1
        tag = f"{element.tag:08X}"
        path = "/".join((*scope.path, tag))
        is_encapsulated = element.length == UNDEFINED
        is_little_endian = scope.coding.is_little_endian or element.vr == b"UN"
        self.bulk.append(Bulk(path, vr, stretches, is_encapsulated, is_little_endian))
        self._is_past_pixels |= not scope.path and element.tag >= _PIXELS
        return f'"{tag}":{{"vr":"{vr}","BulkDataURI":"{self._address}{path}"}}'

    def _undefined(
        self, element: _Element, found: dict[int, str], scope: _Scope
    ) -> tuple[str, int]:
        """Write a value of undefined length: a sequence, or the fragments of pixels."""
        is_sequence = element.vr in (b"SQ", b"UN") or (not element.vr and element.tag < _PIXELS)
        if not is_sequence:
            stretches, after = self._fragments(element.start, scope.coding)
            vr = element.vr.decode("ascii") if element.vr in LONG_VRS else "OB"
            return self._left_out(element, vr, scope, stretches), after
        if element.vr == b"UN":
            coding = scope.coding._replace(is_implicit=True, is_little_endian=True)
            scope = scope._replace(coding=coding)
        return self._sequence(element, self._encoded.size_bytes, found, scope)

    def _fragments(self, position: int, coding: Coding) -> tuple[tuple[tuple[int, int], ...], int]:
        found = []
        while True:
            tag, _, length, _ = self._delimiter(position, coding)
            position += 8
            if tag == _SEQUENCE_END:
                return tuple(found), position
            if tag != _ITEM or position + length > self._encoded.size_bytes:
                raise NotDicom("the fragments of the pixels are damaged")
            found.append((position, length))
            position += length

    def _sequence_or_bytes(self, element: _Element, found: dict[int, str], scope: _Scope) -> str:
        """Write a sequence of known length; one that is damaged is what it is, bytes."""
        bulk_before = len(self.bulk)
        try:
            return self._sequence(element, element.start + element.length, found, scope)[0]
        except (NotDicom, struct.error):
            del self.bulk[bulk_before:]
        if self._is_bulk(element.tag, "UN", element.length):
            return self._left_out(element, "UN", scope, ((element.start, element.length),))
        raw = self._encoded.value(element.start, element.length)
        return f'"{element.tag:08X}":{attribute_json("UN", raw, scope.coding)}'

    def _sequence(
        self, element: _Element, end: int, found: dict[int, str], scope: _Scope
    ) -> tuple[str, int]:
        if len(scope.path) >= 2 * MAX_DEPTH:
            raise NotDicom(f"sequences are nested more than {MAX_DEPTH} deep")
        is_signed = signed(found, scope.is_signed)
        items: list[str] = []
        position = element.start
        while end - position >= 8:
            tag, _, length, _ = self._delimiter(position, scope.coding)
            position += 8
            if tag == _SEQUENCE_END:
                break
            if tag != _ITEM:
                raise NotDicom("a sequence is damaged")
            path = (*scope.path, f"{element.tag:08X}", str(len(items) + 1))
            inner = _Scope(self._coding_at(position, scope.coding), path, is_signed)
            item_end = end if length == UNDEFINED else position + length
            if item_end > end:
                raise NotDicom("an item of a sequence is cut")
            item: dict[int, str] = {}
            after = self._data_set(position, item_end, inner, item)
            position = after if length == UNDEFINED else item_end
            items.append(object_of(item))
        value = f',"Value":[{",".join(items)}]' if items else ""
        return f'"{element.tag:08X}":{{"vr":"SQ"{value}}}', position

    def _delimiter(self, position: int, coding: Coding) -> tuple[int, bytes, int, int]:
        return HEADERS[True, coding.is_little_endian](self._encoded.peek(position, 8), 0)

    def _coding_at(self, position: int, coding: Coding) -> Coding:
        """Look whether an item's first element names a VR: some senders mix both."""
        if coding.is_implicit or self._names_vr(position):
            return coding
        return coding._replace(is_implicit=True)

    def _names_vr(self, position: int) -> bool:
        head = self._encoded.peek(position, 8)
        is_delimiter = head[:4] in (b"\xfe\xff\x0d\xe0", b"\xff\xfe\xe0\x0d")
        letters = head[4:6]
        return is_delimiter or (len(letters) == 2 and all(0x40 < one < 0x5B for one in letters))
