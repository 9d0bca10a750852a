"""The elements of a data set in another little endian encoding, around the pixels."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
from pydicom.charset import default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from dicom_node.render.image_format import PIXEL_KEYWORDS

_WORD_BYTES = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


def copied(ds: Dataset, *, implicit: bool = False) -> Dataset:
    """Return a data set of the same elements, to be written little endian in this kind of VR.

    Those that nobody touched stay unparsed; big endian words outside the pixels are turned.
    """
    result = Dataset({tag: ds.get_item(tag) for tag in ds.keys() if tag.group > 2})
    if not _mixes_encodings(result, ds.original_encoding):
        result.set_original_encoding(*ds.original_encoding, ds.original_character_set)
    if ds.original_encoding != (implicit, True):
        result = copy.deepcopy(result)
    if ds.original_encoding[1] is False:
        _turn_words(result)
    return result


def put(ds: Dataset, keyword: str, value: object) -> None:
    """Set an element anew: the old one belongs to the caller's data set too."""
    ds.pop(keyword, None)
    setattr(ds, keyword, value)


def written(ds: Dataset, *, implicit: bool) -> bytes:
    """Return the encoded data set, little endian, without group 2."""
    return _encoded(ds, implicit, default_encoding)


def written_around(ds: Dataset, pixel_tag: int, *, implicit: bool) -> tuple[bytes, bytes]:
    """Return the encoded elements before `pixel_tag` and those behind it."""
    charset = ds.get("SpecificCharacterSet") or default_encoding
    before = _part(ds, lambda tag: tag < pixel_tag)
    behind = _part(ds, lambda tag: tag > pixel_tag)
    return _encoded(before, implicit, default_encoding), _encoded(behind, implicit, charset)


def _part(ds: Dataset, belongs: Callable[[int], bool]) -> Dataset:
    part = Dataset({tag: ds.get_item(tag) for tag in ds.keys() if belongs(tag)})
    part.set_original_encoding(*ds.original_encoding, ds.original_character_set)
    return part


def _encoded(ds: Dataset, implicit: bool, charset: str | list[str]) -> bytes:
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = implicit, True
    write_dataset(file, ds, charset)
    return file.getvalue()


def _mixes_encodings(ds: Dataset, encoding: tuple[bool | None, bool | None]) -> bool:
    """Whether elements were read in another encoding than the file's (real files do that)."""
    items = (ds.get_item(tag) for tag in ds.keys())
    return any(
        isinstance(item, RawDataElement)
        and (item.is_implicit_VR, item.is_little_endian) != encoding
        for item in items
    )


def _turn_words(ds: Dataset) -> None:
    """Turn big endian words that pydicom keeps as bytes; pixels are turned by their cells."""
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                _turn_words(item)
        elif element.VR in _WORD_BYTES and element.value and element.keyword not in PIXEL_KEYWORDS:
            words = np.frombuffer(element.value, f">u{_WORD_BYTES[element.VR]}")
            element.value = words.byteswap().tobytes()
