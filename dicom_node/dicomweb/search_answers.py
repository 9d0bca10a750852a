"""The matches of a search in the DICOM JSON model (PS3.18 F.2)."""

from __future__ import annotations

import json
from typing import Any

from dicom_node.index.answers import Element
from dicom_node.index.attributes import ATTRIBUTES, Level
from pacs_common.resources import resource_path

STUDY_UID, SERIES_UID, SOP_UID = 0x0020000D, 0x0020000E, 0x00080018
_CHARACTER_SET, _RETRIEVE_URL = 0x00080005, 0x00081190
_UTF_8 = {"vr": "CS", "Value": ["ISO_IR 192"]}
_NAMED_BY = {Level.STUDY: STUDY_UID, Level.SERIES: SERIES_UID, Level.IMAGE: SOP_UID}
_REQUIRED = {a.tag for a in ATTRIBUTES.values() if a.required}
_TEXT = {"ST", "LT", "UT", "UR"}  # a backslash is part of them


class Writer:
    """Writes the matches of one search; `service` is the base URL.

    What instances of a series have in common is written once: each element as it was before.
    """

    def __init__(self, level: Level, service: str) -> None:
        self._level, self._service = level, service
        self._texts: dict[Element, str] = {}

    def as_json(self, match: list[Element]) -> dict[str, Any]:
        """Return a match without what is empty and may be left out."""
        told = {tag: found for tag, vr, value in match if (found := _element(tag, vr, value))}
        told |= self._added(match)
        return {f"{tag:08X}": told[tag] for tag in sorted(told)}

    def as_text(self, match: list[Element]) -> str:
        """Return `as_json` as text."""
        told = {}
        for element in match:
            try:
                text = self._texts.get(element)
            except TypeError:  # the items of a sequence, which are a list
                text = _text_of(element[0], _element(*element))
            if text is None:
                text = self._texts[element] = _text_of(element[0], _element(*element))
            if text:
                told[element[0]] = text
        for tag, found in self._added(match).items():
            told[tag] = _text_of(tag, found)
        return f"{{{', '.join([told[tag] for tag in sorted(told)])}}}"

    def _added(self, match: list[Element]) -> dict[int, dict[str, Any]]:
        url = _retrieve_url(match, self._level, self._service)
        return {_CHARACTER_SET: _UTF_8, _RETRIEVE_URL: {"vr": "UR", "Value": [url]}}


def _element(tag: int, vr: str, value: Any) -> dict[str, Any] | None:
    """Return an element in the model; None where it is empty and may be left out."""
    if value not in (None, "", []):
        return {"vr": vr, "Value": _values(vr, value)}
    return {"vr": vr} if tag in _REQUIRED else None


def _text_of(tag: int, element: dict[str, Any] | None) -> str:
    return f'"{tag:08X}": {json.dumps(element)}' if element else ""


def _retrieve_url(match: list[Element], level: Level, service: str) -> str:
    """Return where WADO-RS gives what was found (PS3.18 10.6.3.3)."""
    values = {tag: value for tag, _, value in match}
    levels = list(_NAMED_BY)
    uids = [values[_NAMED_BY[above]] for above in levels[: levels.index(level) + 1]]
    return f"{service}/{resource_path(*uids)}"


def _values(vr: str, value: Any) -> list[Any]:
    if isinstance(value, list):
        return [_item(item) for item in value]
    if isinstance(value, int):
        return [value]
    parts = [value] if vr in _TEXT else value.split("\\")
    if vr == "PN":
        return [_name(part) for part in parts]
    if vr in ("IS", "DS"):
        return [(int(part) if vr == "IS" else float(part)) if part else None for part in parts]
    return [part or None for part in parts]


def _item(item: list[Element]) -> dict[str, Any]:
    return {
        f"{tag:08X}": {"vr": vr, "Value": _values(vr, value)}
        for tag, vr, value in item
        if value is not None
    }


def _name(name: str) -> dict[str, str]:
    groups = zip(("Alphabetic", "Ideographic", "Phonetic"), name.split("="), strict=False)
    return {kind: group for kind, group in groups if group}
