"""The data sets of storage commitment: lists of SOP references (PS3.4 J.3.2.1.1, J.3.3.1.1)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from dicom_node.store import part10
from pacs_common.errors import BadInput

_REFERENCED_CLASS, _REFERENCED_INSTANCE = (0x0008, 0x1150), (0x0008, 0x1155)
_RETRIEVE_AE, _TRANSACTION = (0x0008, 0x0054), (0x0008, 0x1195)
_FAILURE_REASON, _FAILED, _REFERENCED = (0x0008, 0x1197), (0x0008, 0x1198), (0x0008, 0x1199)
_UNDEFINED = 0xFFFFFFFF
_SEQUENCE_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
_BLOCK_BYTES = 1 << 16
_UID = re.compile(r"[0-9.]{1,64}\Z")
Item = tuple[str, str]  # SOP class, SOP instance
Failed = tuple[str, str, int]


def request(encoded: bytes, syntax: str) -> tuple[str, list[Item]]:
    """Return Transaction UID and references of a commitment request; raises BadInput."""
    ds = part10.parse_data_set(encoded, syntax)
    items = [_reference(item) for item in _items(ds, "ReferencedSOPSequence")]
    if not items:
        raise BadInput("the Referenced SOP Sequence is empty")
    return _transaction(ds), list(dict.fromkeys(items))


def report(encoded: bytes, syntax: str) -> tuple[str, list[tuple[str, int]]]:
    """Return Transaction UID and (SOP instance, failure reason or 0) of a report; BadInput."""
    ds = part10.parse_data_set(encoded, syntax)
    outcome = [(_reference(item)[1], 0) for item in _items(ds, "ReferencedSOPSequence")]
    for item in _items(ds, "FailedSOPSequence"):
        reason = item.get("FailureReason")
        outcome.append((_reference(item)[1], reason if isinstance(reason, int) else 0x0110))
    return _transaction(ds), outcome


def encode(
    syntax: str,
    transaction_uid: str,
    done: Iterable[Item],
    failed: Iterable[Failed] = (),
    retrieve_ae: str = "",
) -> Iterator[bytes]:
    """Yield the data set of a request or a report in blocks: its lists are never held whole."""
    coder = _Coder(is_implicit=syntax == ImplicitVRLittleEndian)
    block = bytearray()
    for part in coder.parts(transaction_uid, done, failed, retrieve_ae):
        block += part
        if len(block) >= _BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    yield bytes(block)


class _Coder:
    def __init__(self, *, is_implicit: bool) -> None:
        self._is_implicit = is_implicit

    def parts(
        self,
        transaction_uid: str,
        done: Iterable[Item],
        failed: Iterable[Failed],
        retrieve_ae: str,
    ) -> Iterator[bytes]:
        if retrieve_ae:
            yield self._element(_RETRIEVE_AE, b"AE", retrieve_ae.encode("ascii"), b" ")
        yield self._uid(_TRANSACTION, transaction_uid)
        yield from self._sequence(
            _FAILED,
            (
                self._reference(sop_class, uid)
                + self._element(_FAILURE_REASON, b"US", struct.pack("<H", reason))
                for sop_class, uid, reason in failed
            ),
        )
        yield from self._sequence(_REFERENCED, (self._reference(*item) for item in done))

    def _sequence(self, tag: tuple[int, int], items: Iterator[bytes]) -> Iterator[bytes]:
        """Yield a sequence of items; none at all where there are no items."""
        is_empty = True
        for item in items:
            if is_empty:
                yield struct.pack("<HH", *tag)
                yield b"" if self._is_implicit else b"SQ\0\0"
                yield struct.pack("<L", _UNDEFINED)
                is_empty = False
            yield struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item
        if not is_empty:
            yield _SEQUENCE_END

    def _reference(self, sop_class: str, uid: str) -> bytes:
        return self._uid(_REFERENCED_CLASS, sop_class) + self._uid(_REFERENCED_INSTANCE, uid)

    def _uid(self, tag: tuple[int, int], uid: str) -> bytes:
        return self._element(tag, b"UI", uid.encode("ascii"), b"\0")

    def _element(self, tag: tuple[int, int], vr: bytes, value: bytes, pad: bytes = b"") -> bytes:
        value += pad * (len(value) % 2)
        if self._is_implicit:
            return struct.pack("<HHL", *tag, len(value)) + value
        return struct.pack("<HH2sH", *tag, vr, len(value)) + value


def _items(ds: Dataset, keyword: str) -> list[Dataset]:
    try:
        return list(ds.get(keyword) or [])
    except part10.UNREADABLE as error:
        raise BadInput(f"{keyword} cannot be read: {error}") from None


def _reference(item: Dataset) -> Item:
    return _uid(item, "ReferencedSOPClassUID"), _uid(item, "ReferencedSOPInstanceUID")


def _transaction(ds: Dataset) -> str:
    return _uid(ds, "TransactionUID")


def _uid(ds: Dataset, keyword: str) -> str:
    value: Any = None
    try:
        value = ds.get(keyword)
    except part10.UNREADABLE:
        pass  # said below
    text = str(value or "").strip("\0 ")
    if not _UID.match(text):
        raise BadInput(f"{keyword} is missing or no UID")
    return text
