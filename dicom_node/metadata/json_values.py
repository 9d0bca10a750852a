"""Values of one element as DICOM JSON (PS3.18 F.2.3 to F.2.7), from the bytes that hold them."""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Callable
from json.encoder import encode_basestring

import numpy as np

from dicom_node.store.charsets import decode
from dicom_node.store.texts import Coding

BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
SAFE_INTEGER = 2**53  # what a number of JavaScript holds exactly
MAX_NUMERAL_CHARS = 32
_NUMBERS = {
    "US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d",
}  # fmt: skip
NUMERIC = frozenset(_NUMBERS)
_WORD_BYTES = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8} | {
    vr: struct.calcsize(f"={kind}") for vr, kind in _NUMBERS.items()
}
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_PADDING = " \0"


def attribute_json(vr: str, raw: bytes, coding: Coding) -> str:
    """Return one attribute, without its tag: '{"vr":"CS","Value":["CT"]}'.

    A value that makes no sense for its VR stays what it is: a number's text as a string, bytes
    that cannot be numbers as those of UN. NaN and infinities, unknown to JSON, are null.
    """
    if vr in BINARY:
        return _binary(vr, raw, coding)
    write = _WRITERS.get(vr)
    if write is None or len(raw) % _WORD_BYTES.get(vr, 1):
        return _binary("UN", raw, coding)
    values = write(vr, raw, coding)
    return f'{{"vr":"{vr}","Value":[{values}]}}' if values else f'{{"vr":"{vr}"}}'


def little_endian(vr: str, raw: bytes) -> bytes:
    """Return the words of a Big Endian value in Little Endian; an odd rest stays behind them."""
    size = _WORD_BYTES.get(vr, 1)
    if size == 1:
        return raw
    whole = len(raw) - len(raw) % size
    return np.frombuffer(raw[:whole], f">u{size}").byteswap().tobytes() + raw[whole:]


def _binary(vr: str, raw: bytes, coding: Coding) -> str:
    if not raw:
        return f'{{"vr":"{vr}"}}'
    plain = raw if coding.is_little_endian else little_endian(vr, raw)
    return f'{{"vr":"{vr}","InlineBinary":"{base64.b64encode(plain).decode("ascii")}"}}'


def _several(vr: str, raw: bytes, coding: Coding) -> str:
    text = _text(vr, raw, coding).strip(_PADDING)
    if not text:
        return ""
    one = _name if vr == "PN" else _string
    return ",".join([one(part.strip(_PADDING)) for part in text.split("\\")])


def _single(vr: str, raw: bytes, coding: Coding) -> str:
    """Return a text that may hold backslashes; its leading spaces count (PS3.5 6.2)."""
    text = _text(vr, raw, coding).rstrip(_PADDING)
    return encode_basestring(text) if text else ""


def _numerals(vr: str, raw: bytes, _coding: Coding) -> str:
    text = raw.decode("latin_1").strip(_PADDING)
    if not text:
        return ""
    return ",".join([_numeral(part.strip(_PADDING)) for part in text.split("\\")])


def _numbers(vr: str, raw: bytes, coding: Coding) -> str:
    kind = _NUMBERS[vr]
    count = len(raw) // _WORD_BYTES[vr]
    order = "<" if coding.is_little_endian else ">"
    values = struct.unpack(f"{order}{count}{kind}", raw)
    if vr == "FL":
        return ",".join(map(_float32, values))
    if vr == "FD":
        return ",".join([repr(v) if math.isfinite(v) else "null" for v in values])
    if vr in ("UV", "SV"):
        return ",".join([str(v) if abs(v) <= SAFE_INTEGER else f'"{v}"' for v in values])
    return ",".join(map(str, values))


def _tags(_vr: str, raw: bytes, coding: Coding) -> str:
    order = "<" if coding.is_little_endian else ">"
    count = len(raw) // 4
    words = struct.unpack(f"{order}{2 * count}H", raw[: 4 * count])
    pairs = zip(words[::2], words[1::2], strict=True)
    return ",".join([f'"{group:04X}{element:04X}"' for group, element in pairs])


def _text(vr: str, raw: bytes, coding: Coding) -> str:
    if vr in _DECODED:
        return decode(raw, coding.charset, coding.fallback_charset)[0]
    return raw.decode("latin_1")


def _string(text: str) -> str:
    return encode_basestring(text) if text else "null"


def _name(text: str) -> str:
    """Return a person's name by its component groups (F.2.2), null where all are empty."""
    groups = zip(_GROUPS, (part.strip(_PADDING) for part in text.split("=", 2)), strict=False)
    told = [f'"{title}":{encode_basestring(part)}' for title, part in groups if part.strip("^")]
    return f"{{{','.join(told)}}}" if told else "null"


def _numeral(text: str) -> str:
    """Return a DS or IS value: its own digits where JSON reads them, else a string."""
    if not text:
        return "null"
    if len(text) > MAX_NUMERAL_CHARS or not _NUMBER.match(text):
        return encode_basestring(text)
    value = float(text)
    if not math.isfinite(value) or (text.lstrip("+-").isdigit() and abs(value) > SAFE_INTEGER):
        return encode_basestring(text)
    if _JSON_NUMBER.match(text):
        return text
    return str(int(value)) if text.lstrip("+-").isdigit() else repr(value)


def _float32(value: float) -> str:
    """Return the shortest numeral that is this number of single precision."""
    if not math.isfinite(value):
        return "null"
    short = f"{value:.7g}"
    return short if struct.unpack("<f", _packed(short))[0] == value else f"{value:.9g}"


def _packed(numeral: str) -> bytes:
    try:
        return struct.pack("<f", float(numeral))
    except OverflowError:  # the largest numbers, rounded up
        return struct.pack("<f", math.inf)


_DECODED = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_WRITERS: dict[str, Callable[[str, bytes, Coding], str]] = {
    **dict.fromkeys(("AE", "AS", "CS", "DA", "DT", "LO", "PN", "SH", "TM", "UC", "UI"), _several),
    **dict.fromkeys(("LT", "ST", "UR", "UT"), _single),
    **dict.fromkeys(("DS", "IS"), _numerals),
    **dict.fromkeys(_NUMBERS, _numbers),
    "AT": _tags,
}
