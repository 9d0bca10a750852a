"""Decoding by Specific Character Set (0008,0005), PS3.3 C.12.1.1.2 and PS3.5 6.1."""

from __future__ import annotations

import re
from functools import lru_cache

from pydicom.charset import decode_bytes, python_encoding

DEFAULT_FALLBACK = "ISO_IR 100"
_ESCAPE = 0x1B
_DELIMITERS = set(b"\\^=\r\n\t\f")  # after each of them the first set is back (PS3.5 6.1.2.5.3)
_ASCII = {"", "ISO_IR 6", "ISO 2022 IR 6"}


@lru_cache(256)
def encodings_of(charset: str) -> tuple[str, ...]:
    """Return the Python encodings of a value of (0008,0005), () where one of them is unknown."""
    found = []
    for term in charset.split("\\"):
        name = _corrected(term.strip(" \0"))
        encoding = "ascii" if name in _ASCII else python_encoding.get(name)
        if encoding is None:
            return ()
        found.append(encoding)
    return tuple(found)


def decode(raw: bytes, charset: str, fallback: str) -> tuple[str, bool]:
    """Return (text, whether it was guessed): by its set, else by the fallback set."""
    if raw.isascii() and _ESCAPE not in raw:
        return raw.decode("ascii"), False
    for name, is_guess in ((charset, False), (fallback, True)):
        text = _decoded(raw, encodings_of(name))
        if text is not None:
            return text, is_guess
    return raw.decode("latin_1"), True


def _decoded(raw: bytes, encodings: tuple[str, ...]) -> str | None:
    if not encodings:
        return None
    try:
        if _ESCAPE not in raw:
            return raw.decode(encodings[0])
        text = decode_bytes(raw, encodings, _DELIMITERS)
    except (UnicodeError, LookupError, Warning):
        return None
    return None if "\ufffd" in text else text


def _corrected(term: str) -> str:
    """Return a defined term as PS3.3 spells it: "ISO-IR 100" and "ISO IR 100" are common."""
    term = re.sub(r"^ISO[ _-]IR[ _-]?(?=\d)", "ISO_IR ", term)
    return re.sub(r"^ISO[ _-]2022[ _-]IR[ _-]", "ISO 2022 IR ", term)
