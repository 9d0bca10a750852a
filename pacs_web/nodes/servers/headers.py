"""An instance's header out of its metadata in DICOM JSON, in the form that our nodes tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydicom.datadict import dictionary_description, dictionary_keyword
from pydicom.uid import UID

from pacs_web.federation.dicom_json import text

DEEPEST = 20
_SYNTAX = ("00083002", "00020010")


def header_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `GET /api/instances/<uid>/header` of our own nodes tells: docs/interfaces.md."""
    syntax = next((_first(metadata.get(tag)) for tag in _SYNTAX if tag in metadata), "")
    return {
        "study_uid": text(metadata, "StudyInstanceUID"),
        "series_uid": text(metadata, "SeriesInstanceUID"),
        "sop_instance_uid": text(metadata, "SOPInstanceUID"),
        "transfer_syntax": UID(syntax).name if syntax else "",
        "elements": _elements(metadata, DEEPEST),
    }


def _elements(data_set: Mapping[str, Any], deeper: int) -> list[dict[str, Any]]:
    return [
        _element(tag, told, deeper)
        for tag, told in sorted(data_set.items())
        if isinstance(told, Mapping) and len(tag) == 8
    ]


def _element(tag: str, told: Mapping[str, Any], deeper: int) -> dict[str, Any]:
    vr, found = str(told.get("vr", "UN")), told.get("Value")
    values = found if isinstance(found, list) else []
    element: dict[str, Any] = {
        "tag": f"({tag[:4]},{tag[4:]})",
        "vr": vr,
        "length": None,
        **_named(tag),
    }
    if vr == "SQ":
        items = [one for one in values if isinstance(one, Mapping)] if deeper else []
        many = "item" if len(values) == 1 else "items"
        nested = [_elements(one, deeper - 1) for one in items]
        return {**element, "value": f"{len(values)} {many}", "items": nested}
    if "BulkDataURI" in told or "InlineBinary" in told:
        return {**element, "value": "bulk data"}
    return {**element, "value": "\\".join(_text(one) for one in values)}


def _named(tag: str) -> dict[str, Any]:
    try:
        number = int(tag, 16)
        private = bool(number >> 16 & 1)
        return {
            "name": dictionary_description(number),
            "keyword": dictionary_keyword(number),
            "private": private,
        }
    except (KeyError, ValueError):
        odd = tag[3:4] in "13579BDF"
        return {"name": "Private" if odd else "Unknown", "keyword": "", "private": odd}


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "=".join(str(value.get(part, "")) for part in ("Alphabetic", "Ideographic")).strip(
            "="
        )
    return "" if value is None else str(value)


def _first(element: Any) -> str:
    values = element.get("Value") if isinstance(element, Mapping) else None
    return str(values[0]) if isinstance(values, list) and values else ""
