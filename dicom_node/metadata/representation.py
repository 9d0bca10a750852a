"""The VR of an element whose encoding names none, or only UN (PS3.5 6.2.2, PS3.6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache

from pydicom.datadict import dictionary_VR, private_dictionary_VR

_PIXEL_REPRESENTATION = 0x00280103


def vr_of(tag: int, fragments: Mapping[int, str], *, is_signed: bool) -> tuple[str, bool]:
    """Return (VR, whether it is the same in every data set).

    `fragments` is the JSON of the elements before it: private creators stand among them.
    """
    if not tag >> 16 & 1:
        vr = _public(tag)
        if " or " not in vr:
            return vr, True
        return _one_of(vr, signed(fragments, is_signed)), False
    element = tag & 0xFFFF
    if 0x10 <= element <= 0xFF:
        return "LO", True
    creator = fragments.get(tag & 0xFFFF0000 | element >> 8)
    return (_private(tag, _first_value(creator)) if creator else "UN"), False


def signed(fragments: Mapping[int, str], inherited: bool) -> bool:
    """Return whether pixels, and what is of their kind, are signed (PS3.3 C.7.6.3.1.2)."""
    told = fragments.get(_PIXEL_REPRESENTATION)
    return inherited if told is None else _first_value(told) == "1"


def _first_value(fragment: str) -> str:
    values = next(iter(json.loads(f"{{{fragment}}}").values())).get("Value", [""])
    return str(values[0])


@lru_cache(4096)
def _public(tag: int) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


@lru_cache(4096)
def _private(tag: int, creator: str) -> str:
    try:
        vr = private_dictionary_VR(tag, creator)
    except KeyError:
        return "UN"
    return _one_of(vr, False)


def _one_of(vr: str, is_signed: bool) -> str:
    """Choose among "US or SS" and their like; binary where bytes are one of the choices."""
    choices = vr.split(" or ")
    if "OW" in choices:
        return "OW"
    return choices[-1] if is_signed and "SS" in choices else choices[0]
