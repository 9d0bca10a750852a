"""The texts of the values that a scan kept: decoded, stripped, several values by backslash."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from pydicom.charset import default_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_sequence

from dicom_node.store.charsets import DEFAULT_FALLBACK, decode
from dicom_node.store.part10 import UNREADABLE
from dicom_node.store.scan import Value

CHARSET = 0x00080005
_DECODED = {b"LO", b"PN", b"SH", b"UC"}
_ONE_VALUE = {b"LT", b"ST", b"UT"}  # a backslash is part of them
_PLAIN = {b"AE", b"AS", b"CS", b"DA", b"DT", b"TM", b"UI", b"UR"}
_NUMBERS = {
    b"US": "H", b"SS": "h", b"UL": "L", b"SL": "l",
    b"UV": "Q", b"SV": "q", b"FL": "f", b"FD": "d",
}  # fmt: skip


class Coding(NamedTuple):
    """How the values of a data set are encoded."""

    is_implicit: bool = False
    is_little_endian: bool = True
    charset: str = ""
    fallback_charset: str = DEFAULT_FALLBACK


class Texts:
    """Gives the text of a path: a keyword, or one into a sequence ("Sequence.Keyword").

    A path into a sequence gives one value for each item, "" for an item without it, and "" where
    no item has any. What makes no sense for its VR counts as absent.
    """

    def __init__(self, values: Mapping[int, Value], coding: Coding) -> None:
        self.is_guessed = False  # whether a text was not decodable by the object's own set
        self._values = values
        self._coding = coding
        self._items: dict[int, list[Dataset]] = {}

    def __call__(self, path: str) -> str:
        """Return the text of a path, "" where it is absent."""
        sequence, tag, vr = place_of(path)
        value = self._values.get(sequence or tag)
        if value is None or not value.raw:
            return ""
        if not sequence:
            return self._text(value, vr, self._coding.charset)
        found = [self._of_item(item, tag, vr) for item in self._items_of(sequence, value)]
        return "\\".join(found) if any(found) else ""

    def _text(self, value: Value, vr: bytes, charset: str) -> str:
        vr, raw = vr if value.vr in (b"", b"UN") else value.vr, value.raw
        if vr in _DECODED or vr in _ONE_VALUE:
            text, is_guessed = decode(raw, charset, self._coding.fallback_charset)
            self.is_guessed |= is_guessed
        elif vr in _PLAIN:
            text = raw.decode("latin_1")
        elif vr in (b"DS", b"IS"):
            text = _numeral(raw)
        else:
            return self._numbers(raw, vr)
        text = text.replace("\0", "").strip()
        if "\\" in text and vr not in _ONE_VALUE:
            text = "\\".join(part.strip() for part in text.split("\\"))
        return text

    def _numbers(self, raw: bytes, vr: bytes) -> str:
        kind = _NUMBERS.get(vr)
        if kind is None or len(raw) % struct.calcsize(kind):
            return ""
        order = "<" if self._coding.is_little_endian else ">"
        count = len(raw) // struct.calcsize(kind)
        return "\\".join(map(str, struct.unpack(f"{order}{count}{kind}", raw)))

    def _items_of(self, sequence: int, value: Value) -> list[Dataset]:
        if sequence not in self._items:
            is_implicit = self._coding.is_implicit or value.vr == b"UN"
            try:
                self._items[sequence] = list(
                    read_sequence(
                        io.BytesIO(value.raw),
                        is_implicit,
                        self._coding.is_little_endian,
                        len(value.raw),
                        default_encoding,
                    )
                )
            except (*UNREADABLE, Warning):
                self._items[sequence] = []
        return self._items[sequence]

    def _of_item(self, item: Dataset, tag: int, vr: bytes) -> str:
        own = _raw_of(item, CHARSET)
        charset = own.raw.decode("latin_1") if own else self._coding.charset
        value = _raw_of(item, tag)
        return "" if value is None else self._text(value, vr, charset).split("\\")[0].strip()


@lru_cache(1024)
def place_of(path: str) -> tuple[int, int, bytes]:
    """Return (tag of the sequence or 0, tag, VR by the dictionary) of a path."""
    sequence, _, keyword = path.rpartition(".")
    tag = _tag_of(keyword)
    return _tag_of(sequence) if sequence else 0, tag, dictionary_VR(tag).split(" ")[0].encode()


def _tag_of(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(f"{keyword} is in no data dictionary")
    return tag


def _raw_of(item: Dataset, tag: int) -> Value | None:
    element = item.get_item(tag) if tag in item else None
    raw = getattr(element, "value", None)
    if not isinstance(raw, bytes):
        return None
    return Value((element.VR or "").encode(), raw)


def _numeral(raw: bytes) -> str:
    """Return the text of a DS or IS value, "" where a part of it is no number."""
    text = raw.decode("latin_1").replace("\0", "").strip()
    try:
        for part in text.split("\\"):
            if part.strip():
                float(part)
    except ValueError:
        return ""
    return text
