"""Identifiers of C-FIND answers: elements to bytes, in the set that the request can read.

Written here element by element: an answer has thirty short texts, and a data set's machinery
would cost more than the database does.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import lru_cache

from pydicom.charset import decode_bytes, encode_string

from dicom_node.index.answers import Element
from dicom_node.store.charsets import encodings_of

SPECIFIC_CHARACTER_SET = 0x00080005
UTF_8 = "ISO_IR 192"
_DELIMITERS = "\\^="
_IMPLICIT, _EXPLICIT, _LONG = (
    struct.Struct("<HHL"),
    struct.Struct("<HH2sH"),
    struct.Struct("<HH2sHL"),
)
_MAX_SHORT = 0xFFFE
_TEXTS = {"SH", "LO", "ST", "LT", "PN", "UC", "UT"}
_NUMBERS = {"US": struct.Struct("<H"), "UL": struct.Struct("<L")}


class CannotHold(Exception):
    """A character set lacks a character of an answer."""


class Encoder:
    """Encodes answers in one syntax, in the character set of the request wherever that can."""

    def __init__(self, *, is_implicit: bool, charset: str = "") -> None:
        self._is_implicit = is_implicit
        self._charset = charset if len(encodings_of(charset)) else ""
        self._encodings = encodings_of(self._charset)

    def encode(self, elements: Iterable[Element]) -> bytes:
        """Return the identifier; it names its Specific Character Set unless it is plain ASCII."""
        listed = list(elements)
        try:
            return self._all(listed, self._charset, self._encodings)
        except CannotHold:
            return self._all(listed, UTF_8, encodings_of(UTF_8))

    def _all(self, elements: list[Element], charset: str, encodings: tuple[str, ...]) -> bytes:
        if charset:
            elements = [*elements, (SPECIFIC_CHARACTER_SET, "CS", charset)]
        return self._body(sorted(elements, key=_tag_of), encodings)

    def _body(self, elements: list[Element], encodings: tuple[str, ...]) -> bytes:
        return b"".join(
            self._element(tag, vr, self._value(vr, value, encodings)) for tag, vr, value in elements
        )

    def _value(self, vr: str, value: object, encodings: tuple[str, ...]) -> bytes:
        if value is None:
            return b""
        if isinstance(value, list):
            return b"".join(self._item(item, encodings) for item in value)
        if vr in _NUMBERS:
            kind = _NUMBERS[vr]
            return kind.pack(int(str(value)) & ((1 << 8 * kind.size) - 1))
        raw = _encoded(str(value), encodings if vr in _TEXTS else _ANY)
        return raw + (b"\0" if vr == "UI" else b" ") if len(raw) % 2 else raw

    def _item(self, elements: list[Element], encodings: tuple[str, ...]) -> bytes:
        body = self._body(elements, encodings)
        return _IMPLICIT.pack(0xFFFE, 0xE000, len(body)) + body

    def _element(self, tag: int, vr: str, value: bytes) -> bytes:
        group, element = tag >> 16, tag & 0xFFFF
        if self._is_implicit:
            return _IMPLICIT.pack(group, element, len(value)) + value
        if vr in ("SQ", "UC", "UT") or len(value) > _MAX_SHORT:  # PS3.5 6.2.2: over-long as UN
            said = vr if vr in ("SQ", "UC", "UT") else "UN"
            return _LONG.pack(group, element, said.encode(), 0, len(value)) + value
        return _EXPLICIT.pack(group, element, vr.encode(), len(value)) + value


_ANY = ("latin_1",)


def _tag_of(element: Element) -> int:
    return element[0]


def _encoded(text: str, encodings: tuple[str, ...]) -> bytes:
    if text.isascii():
        return text.encode()
    if not encodings:
        raise CannotHold
    if encodings is _ANY:
        return text.encode("latin_1", "replace")
    if len(encodings) > 1 or encodings[0].startswith("iso2022"):
        return _by_escapes(text, encodings)
    try:
        return text.encode(encodings[0])
    except UnicodeEncodeError:
        raise CannotHold from None


@lru_cache(256)
def _by_escapes(text: str, encodings: tuple[str, ...]) -> bytes:
    """Encode by ISO 2022, the first set being back after each delimiter (PS3.5 6.1.2.5.3)."""
    found, start = [], 0
    for position, letter in enumerate([*text, "\\"]):
        if letter in _DELIMITERS:
            found.append(_component(text[start:position], encodings))
            found.append(letter.encode())
            start = position + 1
    return b"".join(found[:-1])


def _component(text: str, encodings: tuple[str, ...]) -> bytes:
    if text.isascii():
        return text.encode()
    if encodings[0] == "ascii" and any("\x80" <= letter <= "\xff" for letter in text):
        raise CannotHold
    sets = ["iso8859" if name == "ascii" else name for name in encodings]  # pydicom's word for it
    try:
        raw = encode_string(text, sets)
        is_whole = decode_bytes(raw, sets, set()) == text
    except (UnicodeError, LookupError, Warning):
        is_whole = False
    if not is_whole:
        raise CannotHold
    return raw
