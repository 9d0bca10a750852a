"""A data set's texts in UTF-8 (ISO_IR 192), nested ones too; all else stays where it lies."""

from __future__ import annotations

import struct
from typing import NamedTuple

from pydicom.datadict import dictionary_VR, private_dictionary_VR

from dicom_node.overlay.elements import (
    ITEM_END,
    PIXELS,
    SEQUENCE_END,
    UNDEFINED,
    Element,
    Source,
    coding_at,
    elements,
    headed,
    inner_coding,
    items,
    sequence,
)
from dicom_node.overlay.elements import element as written
from dicom_node.overlay.pieces import Piece
from dicom_node.store.charsets import decode
from dicom_node.store.scan import LONG_VRS, MAX_DEPTH
from dicom_node.store.texts import CHARSET, Coding
from pacs_common.errors import NotDicom

UTF_8 = b"ISO_IR 192"
_ESCAPE = 0x1B
_TEXTS = {b"LO", b"LT", b"PN", b"SH", b"ST", b"UC", b"UT"}


class Converted(NamedTuple):
    """The pieces of one element in UTF-8."""

    element: Element
    pieces: list[Piece]


class Converter:
    """Writes the elements of one data set, which may be nested, in UTF-8."""

    def __init__(self, source: Source, coding: Coding, depth: int = 0) -> None:
        self._source, self._coding, self._depth = source, coding, depth
        self._creators: dict[int, str] = {}

    def written(self, found: Element) -> list[Piece]:
        """Return an element in UTF-8; those of a group's length are left out: they change."""
        if found.tag & 0xFFFF == 0:
            return []
        if found.tag == CHARSET:
            self._follow(found)
            return [written(CHARSET, b"CS", UTF_8, self._coding)]
        vr = self._vr(found)
        if vr == b"SQ":
            return self._sequence(found)
        if vr not in _TEXTS or found.length == UNDEFINED:
            return [found.whole]
        raw = self._source.read(found.value_at, found.length)
        self._note_creator(found, raw)
        if raw.isascii() and _ESCAPE not in raw:
            return [found.whole]
        text = decode(raw, self._coding.charset, self._coding.fallback_charset)[0]
        named = found.vr or vr
        value = text.rstrip("\0 ").encode("utf-8", "replace")
        return [written(found.tag, named, value + b" " * (len(value) % 2), self._coding)]

    def _follow(self, found: Element) -> None:
        raw = self._source.read(found.value_at, found.length)
        self._coding = self._coding._replace(charset=raw.decode("latin_1").strip(" \0"))

    def _vr(self, found: Element) -> bytes:
        if found.length == UNDEFINED and found.vr in (b"", b"UN", b"SQ") and found.tag < PIXELS:
            return b"SQ"
        if found.vr in LONG_VRS and found.vr != b"UN":
            return found.vr
        try:
            return self._dictionary_vr(found.tag).encode("ascii")
        except KeyError:
            return b"UN"

    def _dictionary_vr(self, tag: int) -> str:
        if not tag >> 16 & 1:
            return dictionary_VR(tag)
        number = tag & 0xFFFF
        if 0x10 <= number <= 0xFF:
            return "LO"
        return private_dictionary_VR(tag, self._creators[tag & 0xFFFF0000 | number >> 8])

    def _note_creator(self, found: Element, raw: bytes) -> None:
        if found.tag >> 16 & 1 and 0x10 <= found.tag & 0xFFFF <= 0xFF:
            self._creators[found.tag] = raw.decode("latin_1").strip(" \0")

    def _sequence(self, found: Element) -> list[Piece]:
        """Return a sequence whose items are in UTF-8; one that is damaged stays what it is."""
        try:
            content = self._items(found)
        except (NotDicom, struct.error):
            if found.length == UNDEFINED:
                raise
            return [found.whole]
        if found.length != UNDEFINED:
            return sequence(found.tag, found.vr, content, self._coding)
        end = headed(SEQUENCE_END, b"", 0, self._delimiters)
        head = headed(found.tag, found.vr or b"SQ", UNDEFINED, self._coding)
        return [head, *content, end]

    @property
    def _delimiters(self) -> Coding:
        return self._coding._replace(is_implicit=True)

    def _items(self, found: Element) -> list[Piece]:
        if self._depth > MAX_DEPTH:
            raise NotDicom(f"sequences are nested more than {MAX_DEPTH} deep")
        coding = inner_coding(found.vr, self._coding)
        content: list[Piece] = []
        for one in items(self._source, found.value_at, found.end, coding):
            inner = coding_at(self._source, one.value_at, one.end, coding)
            converter = Converter(self._source, inner, self._depth + 1)
            content += converter.item(one)
        return content

    def item(self, one: Element) -> list[Piece]:
        """Return a whole item in UTF-8, with the kind of length that it has."""
        pieces: list[Piece] = []
        for found in elements(self._source, one.value_at, one.end, self._coding):
            if found.tag not in (ITEM_END, SEQUENCE_END):
                pieces += self.written(found)
        if one.length != UNDEFINED:
            return [*sequence(one.tag, b"", pieces, self._delimiters)]
        head = headed(one.tag, b"", UNDEFINED, self._delimiters)
        return [head, *pieces, headed(ITEM_END, b"", 0, self._delimiters)]
