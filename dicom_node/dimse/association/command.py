"""Command sets (PS3.7 6.3.1, E.1): between bytes and a dictionary of keyword -> value.

Always Implicit VR Little Endian, and a few dozen elements of group 0000: small enough to be
read and written without a data set's machinery, which the rate of C-STORE answers needs.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from pydicom.datadict import DicomDictionary

from dicom_node.dimse.association.wire import BadPdu

C_STORE, C_GET, C_FIND, C_MOVE, C_ECHO = 0x0001, 0x0010, 0x0020, 0x0021, 0x0030
N_EVENT_REPORT, N_GET, N_SET, N_ACTION, N_CREATE, N_DELETE = (
    0x0100, 0x0110, 0x0120, 0x0130, 0x0140, 0x0150,
)  # fmt: skip
C_CANCEL, RESPONSE = 0x0FFF, 0x8000
NO_DATA_SET, DATA_SET = 0x0101, 0x0001
MAX_COMMAND_BYTES = 1 << 16
COMMENT_CHARS = 64  # an LO

_ELEMENT = struct.Struct("<HHL")
_KEYWORD_OF = {tag: entry[4] for tag, entry in DicomDictionary.items() if tag >> 16 == 0}
_TAG_OF = {keyword: tag for tag, keyword in _KEYWORD_OF.items()}
_VR_OF = {tag: entry[0] for tag, entry in DicomDictionary.items() if tag >> 16 == 0}
_NUMBERS = {vr: struct.Struct(f"<{code}") for vr, code in (("US", "H"), ("UL", "L"), ("SS", "h"))}
_NUMBER_ELEMENTS = {
    vr: struct.Struct(f"<HHL{number.format[1:]}") for vr, number in _NUMBERS.items()
}
_OF_THE_MESSAGE = {"CommandGroupLength", "CommandDataSetType"}


def decode(encoded: bytes) -> dict[str, Any]:
    """Return a command set's values: numbers, text, lists of tags; raises BadPdu.

    Elements that PS3.7 does not know are passed over; the first of several equal ones counts.
    """
    found: dict[str, Any] = {}
    position = 0
    while position < len(encoded):
        if position + 8 > len(encoded):
            raise BadPdu("a command set that is cut")
        group, element, length = _ELEMENT.unpack_from(encoded, position)
        position += 8
        if group != 0 or position + length > len(encoded):
            raise BadPdu("a command set that cannot be read")
        keyword = _KEYWORD_OF.get(element)
        if keyword is not None:
            value = _value(element, encoded[position : position + length])
            if value is not None:
                found.setdefault(keyword, value)
        position += length
    if not isinstance(found.get("CommandField"), int):
        raise BadPdu("a command set without its Command Field")
    return found


def encode(command: Mapping[str, Any], *, has_data: bool) -> bytes:
    """Return a command set's bytes; its group length and data set type are filled in here."""
    values = {_TAG_OF[k]: v for k, v in command.items() if k not in _OF_THE_MESSAGE}
    values[_TAG_OF["CommandDataSetType"]] = DATA_SET if has_data else NO_DATA_SET
    body = b"".join(_element(tag, values[tag]) for tag in sorted(values))
    return _element(0, len(body)) + body


def comment(text: str) -> str:
    """Return one line as an Error Comment (0000,0902) takes it: 64 characters of ASCII."""
    return text.encode("ascii", "replace").decode().replace("\\", "/")[:COMMENT_CHARS]


def has_data_set(command: Mapping[str, Any]) -> bool:
    """Return whether a data set follows this command set."""
    return command.get("CommandDataSetType", NO_DATA_SET) != NO_DATA_SET


def _value(tag: int, value: bytes) -> Any:
    """Return a number, a text or a list of tags; None for what is not one number."""
    vr = _VR_OF[tag]
    number = _NUMBERS.get(vr)
    if number is not None:
        return number.unpack(value)[0] if len(value) == number.size else None
    if vr == "AT":
        return [(g << 16) | e for g, e in struct.iter_unpack("<HH", _cut(value, 4))]
    return value.decode("latin-1").strip("\0 ")


def _cut(value: bytes, size: int) -> bytes:
    return value[: len(value) // size * size]


def _element(tag: int, value: Any) -> bytes:
    vr = _VR_OF[tag]
    number = _NUMBER_ELEMENTS.get(vr)
    if number is not None:
        return number.pack(0, tag, _NUMBERS[vr].size, value)
    encoded = _encoded(vr, value)
    return _ELEMENT.pack(0, tag, len(encoded)) + encoded


def _encoded(vr: str, value: Any) -> bytes:
    if vr == "AT":
        return b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in value)
    encoded = str(value).encode("ascii", "replace")
    return encoded + (b"\0" if vr == "UI" else b" ") if len(encoded) % 2 else encoded
