"""One PS3.10 file on its way in: its meta group is read first, its data set streams on."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable

from dicom_node.dimse.association.offers import STORED_SYNTAXES, storage_classes
from dicom_node.index import non_patient
from dicom_node.ingest.ingest import Incoming
from dicom_node.store.part10 import PREAMBLE
from pacs_common.errors import ArgensError, ClassNotSupported, NotDicom, SyntaxNotSupported

MAX_META_BYTES = 1 << 20
_LONG_VRS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"}
_CLASS, _UID, _SYNTAX = 0x0002, 0x0003, 0x0010
_GROUP_LENGTH = 0x0000
Begin = Callable[[str, str], Incoming]  # SOP class, transfer syntax


class ObjectPart:
    """Takes the bytes of one file; an error waits in `failure`, and what follows is passed over."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._head: bytearray | None = bytearray()
        self._said = ("", "")
        self.incoming: Incoming | None = None
        self.failure: ArgensError | None = None

    @property
    def named(self) -> tuple[str, str]:
        """SOP Class and Instance UID: the data set's, else what the meta group says."""
        found = self.incoming.named if self.incoming is not None else ("", "")
        return found if all(found) else self._said

    def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes of the file."""
        if self.failure is not None:
            return
        try:
            if self.incoming is not None:
                self.incoming.write(chunk)
            else:
                self._begin_with(chunk)
        except ArgensError as error:
            self.fail(error)

    def end(self) -> None:
        """Know that the file is whole; a file without a data set fails."""
        if self.incoming is None and self.failure is None:
            self.fail(NotDicom("it is cut before its data set"))

    def fail(self, error: ArgensError) -> None:
        """Keep the first failure, and nothing of the object."""
        self.failure = self.failure or error
        if self.incoming is not None:
            self.incoming.abandon()
        self._head = None

    def _begin_with(self, chunk: bytes | memoryview) -> None:
        head = self._head = (self._head or bytearray()) + chunk
        meta = read_meta(head)
        if meta is None:
            if len(head) > MAX_META_BYTES:
                raise NotDicom("its file meta group does not end")
            return
        elements, start = meta
        self._said = (_uid(elements, _CLASS), _uid(elements, _UID))
        self.incoming = self._begin(*kept_here(self._said[0], _uid(elements, _SYNTAX)))
        self._head = None
        if len(head) > start:
            self.incoming.write(memoryview(head)[start:])


def read_meta(head: bytes | bytearray) -> tuple[dict[int, bytes], int] | None:
    """Return (elements of group 0002, offset of the data set), None where more bytes are needed.

    Raises NotDicom. The group's length is believed where an element ends there; else the group
    ends with the first element of another one (PS3.10 7.1).
    """
    if not PREAMBLE[128:].startswith(bytes(head[128:132])) and len(head) > 128:
        raise NotDicom("it has no DICM prefix: no PS3.10 file")
    at, end, elements = len(PREAMBLE), -1, {}
    while at != end:
        if len(head) < at + 12:
            return None
        group, element, vr, length = struct.unpack_from("<HH2sH", head, at)
        if group != 2:
            break
        start = at + 8
        if vr in _LONG_VRS:
            (length,) = struct.unpack_from("<L", head, at + 8)
            start = at + 12
        if length > MAX_META_BYTES or not vr.isalpha() or element in elements:
            raise NotDicom("its file meta group cannot be read")
        if len(head) < start + length:
            return None
        elements[element] = bytes(head[start : start + length])
        at = start + length
        if element == _GROUP_LENGTH and length == 4:
            end = at + int.from_bytes(elements[element], "little")
    if not elements:
        raise NotDicom("it has no file meta group")
    return elements, at


def _uid(elements: dict[int, bytes], element: int) -> str:
    return elements.get(element, b"").decode("ascii", "replace").strip(" \0")[:64]


def kept_here(sop_class: str, syntax: str) -> tuple[str, str]:
    """Return class and syntax of what the node keeps; by C-STORE others are not negotiated.

    Raises NotDicom, SyntaxNotSupported or ClassNotSupported.
    """
    if not sop_class or not syntax:
        raise NotDicom("it names no SOP class or no transfer syntax")
    if syntax not in STORED_SYNTAXES:
        raise SyntaxNotSupported(f"objects in transfer syntax {syntax} are not kept here")
    if sop_class not in non_patient.CLASSES and sop_class not in _classes():
        raise ClassNotSupported(f"objects of SOP class {sop_class} are not kept here")
    return sop_class, syntax


@functools.cache
def _classes() -> frozenset[str]:
    return frozenset(storage_classes())
