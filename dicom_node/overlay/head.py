"""The elements before an object's pixels, while corrections are applied to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC

from dicom_node.overlay.attributes import Edit, edits_of
from dicom_node.overlay.chain import Change, unpacked
from dicom_node.overlay.elements import (
    UNDEFINED,
    Element,
    Source,
    coding_at,
    element,
    inner_coding,
    item,
    items,
    sequence,
)
from dicom_node.overlay.pieces import Piece
from dicom_node.overlay.utf8 import UTF_8, Converter
from dicom_node.store.charsets import decode, encodings_of
from dicom_node.store.texts import CHARSET, Coding

SYSTEM = "ARGENS"
_ORIGINALS = 0x04000561
_MODIFIED, _MODIFIED_AT, _MODIFYING_SYSTEM = 0x04000550, 0x04000562, 0x04000563
_PREVIOUS_SOURCE, _REASON = 0x04000564, 0x04000565
_CORRECT = b"CORRECT"  # PS3.3 C.12.1: replaces what was chosen or typed wrongly
_DECODED = {b"LO", b"PN", b"SH", b"UT", b"LT", b"ST", b"UC"}
_READ_AS_ANOTHER = {"ISO_IR 13"}  # pydicom takes it for Shift JIS


class Head:
    """The head of one data set while corrections are applied to it, one after the other."""

    def __init__(
        self, source: Source, coding: Coding, head: Sequence[Element], overlay: str
    ) -> None:
        self.told: list[Piece] = []  # items of the Original Attributes Sequence
        self._source, self._coding, self._head = source, coding, head
        self._stored = {one.tag: one for one in head}
        texts = [t for c in unpacked(overlay) for edit in edits_of(c.values) for t in edit.texts]
        self._own_set = encoding_for(texts, coding)
        self._is_converted = self._own_set is None
        self._pieces: dict[int, list[Piece]] = self._as_stored()
        self._texts: dict[int, str] = {}
        self._changed: set[int] = set()

    def apply(self, change: Change, source: str) -> None:
        """Show what a correction says, and tell of the values that it replaces."""
        previous: list[Piece] = []
        for edit in edits_of(change.values):
            if self._shows(edit):
                continue
            known = self._pieces.get(edit.tag)
            previous += known or [element(edit.tag, edit.vr, b"", self._coding)]
            self._put(edit)
        if previous:
            self.told += self._item(change, source, previous)

    def pieces(self) -> list[Piece]:
        """Return the elements in the order in which they came, what is new at its place."""
        if self._is_converted:
            self._pieces[CHARSET] = [element(CHARSET, b"CS", UTF_8, self._coding)]
        self._pieces[_ORIGINALS] = self._originals()
        left = {tag for tag in self._pieces if tag not in self._stored}
        found: list[Piece] = []
        for one in self._head:
            for tag in sorted(tag for tag in left if tag < one.tag):
                found += self._pieces[tag]
                left.discard(tag)
            if one.tag & 0xFFFF:  # of a group's length, which is another one now
                found += self._pieces.get(one.tag, [])
        for tag in sorted(left):
            found += self._pieces[tag]
        return found

    def _as_stored(self) -> dict[int, list[Piece]]:
        if not self._is_converted:
            return {one.tag: [one.whole] for one in self._head}
        converter = Converter(self._source, self._coding)
        return {one.tag: converter.written(one) for one in self._head}

    def _shows(self, edit: Edit) -> bool:
        """Whether the data set shows already what a correction says."""
        if edit.removes:
            return edit.tag not in self._pieces
        if edit.items:
            return self._bytes(edit.tag) == b"".join(map(_plain, self._encoded(edit)))
        return self._text(edit) == edit.text

    def _text(self, edit: Edit) -> str:
        if edit.tag in self._changed:
            return self._texts.get(edit.tag, "")
        one = self._stored.get(edit.tag)
        if one is None or one.length == UNDEFINED:
            return ""
        raw = self._source.read(one.value_at, one.length)
        if edit.vr in _DECODED:
            text = decode(raw, self._coding.charset, self._coding.fallback_charset)[0]
        else:
            text = raw.decode("latin_1")
        text = text.replace("\0", "").strip()
        return "\\".join(part.strip() for part in text.split("\\")) if "\\" in text else text

    def _bytes(self, tag: int) -> bytes:
        found = []
        for piece in self._pieces.get(tag, []):
            is_bytes = isinstance(piece, bytes)
            found.append(piece if is_bytes else self._source.read(*piece))  # type: ignore[misc]
        return b"".join(found)

    def _put(self, edit: Edit) -> None:
        self._changed.add(edit.tag)
        self._texts[edit.tag] = edit.text or ""
        if edit.removes:
            self._pieces.pop(edit.tag, None)
        else:
            self._pieces[edit.tag] = self._encoded(edit)

    def _encoded(self, edit: Edit) -> list[Piece]:
        if not edit.items:
            return [element(edit.tag, edit.vr, self._value(edit.text or ""), self._coding)]
        content: list[Piece] = []
        for leaves in edit.items:
            content += item(
                [element(tag, vr, self._value(text), self._coding) for tag, vr, text in leaves],
                self._coding,
            )
        return sequence(edit.tag, b"SQ", content, self._coding)

    def _value(self, text: str) -> bytes:
        return text.encode(self._own_set or "utf-8")

    def _item(self, change: Change, source: str, previous: Iterable[Piece]) -> list[Piece]:
        """Return one item of the Original Attributes Sequence."""
        coding = self._coding
        told = sequence(_MODIFIED, b"SQ", item(previous, coding), coding)
        moment = change.moment.astimezone(UTC).strftime("%Y%m%d%H%M%S.%f+0000")
        for tag, vr, value in (
            (_MODIFIED_AT, b"DT", moment.encode("ascii")),
            (_MODIFYING_SYSTEM, b"LO", SYSTEM.encode("ascii")),
            (_PREVIOUS_SOURCE, b"LO", source.encode("ascii", "replace")),
            (_REASON, b"CS", _CORRECT),
        ):
            told.append(element(tag, vr, value, coding))
        return item(told, coding)

    def _originals(self) -> list[Piece]:
        """Return the whole sequence: what it held when it came, and what was corrected here."""
        stored = self._stored.get(_ORIGINALS)
        if stored is None or stored.vr == b"UN":  # whose items of another VR cannot stand by ours
            return sequence(_ORIGINALS, b"SQ", self.told, self._coding)
        coding = inner_coding(stored.vr, self._coding)
        kept: list[Piece] = []
        for one in items(self._source, stored.value_at, stored.end, coding):
            if self._is_converted:
                inner = coding_at(self._source, one.value_at, one.end, coding)
                kept += Converter(self._source, inner).item(one)
            else:
                kept.append(one.whole)
        return sequence(_ORIGINALS, b"SQ", [*kept, *self.told], self._coding)


def _plain(piece: Piece) -> bytes:
    return piece if isinstance(piece, bytes) else b""


def encoding_for(texts: Iterable[str], coding: Coding) -> str | None:
    """Return the Python encoding in which new texts fit an object's own set, None for none.

    Code extensions (ISO 2022) are read, not written: what they cannot say in ASCII is UTF-8.
    """
    wanted = [text for text in texts if not text.isascii()]
    if not wanted:
        return "ascii"
    encodings = encodings_of(coding.charset)
    is_plain = "\\" not in coding.charset and "2022" not in coding.charset
    if len(encodings) != 1 or not is_plain or coding.charset in _READ_AS_ANOTHER:
        return None
    for text in wanted:
        try:
            raw = text.encode(encodings[0])
        except UnicodeError:
            return None
        if decode(raw, coding.charset, "")[0] != text:
            return None
    return encodings[0]
