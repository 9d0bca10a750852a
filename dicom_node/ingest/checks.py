"""What must hold before an object is kept: it is whole, and it is what its sender said it was."""

from __future__ import annotations

import struct

from dicom_node.index.entry import Identity, identify
from dicom_node.store.part10 import Header
from pacs_common.errors import NotDicom, UidMismatch

_LONG_VR = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT"}
_LONG_VR |= {b"UV"}
_FIRST_TAG = 0x00040000  # PS3.5 7.1: groups 0000 and 0002 are never in a data set
_UNDEFINED = 0xFFFFFFFF
_ITEM, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_PADDING_BYTES = 8  # a tail shorter than an element header is padding


def check_identity(header: Header, affected_class: str, affected_uid: str) -> Identity:
    """Return the object's UIDs; raises UidMismatch where the command named others (0xA900)."""
    if len(header.data_set) == 0:
        raise NotDicom("the data set is empty")
    if min(header.data_set.keys()) < _FIRST_TAG:
        raise NotDicom("the data set holds elements of a command or of a file meta group")
    identity = identify(header.data_set)
    if affected_uid and affected_uid != identity.instance:
        raise UidMismatch(
            f"Affected SOP Instance UID {affected_uid[:64]} is not the data set's "
            f"{identity.instance}"
        )
    if affected_class and affected_class != identity.sop_class:
        raise UidMismatch(
            f"Affected SOP Class UID {affected_class[:64]} is not the data set's "
            f"{identity.sop_class}"
        )
    return identity


def check_whole(header: Header) -> None:
    """Raise NotDicom where an element from the pixels on ends beyond the data (a cut object).

    Only top-level elements and the fragments of encapsulated pixels are walked, never parsed.
    """
    explicit, order = not header.is_implicit, "<" if header.is_little_endian else ">"
    body, position = header.body, header.stopped_at
    while len(body) - position >= _PADDING_BYTES:
        position = _after_element(body, position, explicit, order)
        if position > len(body):
            raise NotDicom(f"the data set is cut: {position - len(body)} bytes are missing")


def _after_element(body: bytes, position: int, explicit: bool, order: str) -> int:
    start, length = _value_of(body, position, explicit, order)
    if length != _UNDEFINED:
        return start + length
    position = start
    while position + 8 <= len(body):
        tag = struct.unpack_from(f"{order}HH", body, position)
        (length,) = struct.unpack_from(f"{order}L", body, position + 4)
        position += 8
        if tag == _SEQUENCE_END:
            return position
        if tag != _ITEM or length == _UNDEFINED:
            raise NotDicom("the fragments of the pixels are damaged")
        position += length
    raise NotDicom("the data set is cut inside its pixel fragments")


def _value_of(body: bytes, position: int, explicit: bool, order: str) -> tuple[int, int]:
    vr = body[position + 4 : position + 6]
    if not explicit:
        return position + 8, struct.unpack_from(f"{order}L", body, position + 4)[0]
    if vr not in _LONG_VR:
        return position + 8, struct.unpack_from(f"{order}H", body, position + 6)[0]
    if position + 12 > len(body):
        raise NotDicom("the data set is cut inside an element")
    return position + 12, struct.unpack_from(f"{order}L", body, position + 8)[0]
