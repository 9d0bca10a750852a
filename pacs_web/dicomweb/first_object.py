"""What the first object of a STOW-RS request says of a new exam, as far as its beginning shows."""

from __future__ import annotations

import re

from pydicom.tag import BaseTag, Tag

from pacs_common.errors import BadInput
from pacs_web.dicomweb.body import PEEKED_BYTES, first_part, is_json
from pacs_web.dicomweb.elements import read_elements, sender_of
from pacs_web.nodes.placing import Facts

_TAGS = {
    "Modality": "00080060",
    "StationName": "00081010",
    "InstitutionalDepartmentName": "00081040",
    "RequestingService": "00321033",
}
_LAST = (Tag("RequestingService"), Tag("InstitutionalDepartmentName"))


def facts_in(content_type: str, head: bytes) -> Facts:
    """Return modality, sources and departments of the first object; blanks where it shows none."""
    part = first_part(content_type, head)
    told = _in_json(part) if is_json(part) else _in_dicom(part)
    sources = (told["StationName"], "" if is_json(part) else sender_of(part))
    departments = (told["InstitutionalDepartmentName"], told["RequestingService"])
    return Facts(
        told["Modality"],
        tuple(one for one in sources if one),
        tuple(one for one in departments if one),
    )


def _in_json(part: bytes) -> dict[str, str]:
    return {keyword: _value_in_json(part, tag) for keyword, tag in _TAGS.items()}


def _value_in_json(part: bytes, tag: str) -> str:
    pattern = rf'"{tag}"\s*:\s*\{{[^{{}}]*?"Value"\s*:\s*\[\s*"([^"\\]{{0,64}})"'
    found = re.search(pattern.encode(), part, re.IGNORECASE)
    return found[1].decode("utf-8", "replace") if found else ""


def _in_dicom(part: bytes) -> dict[str, str]:
    """Read up to the requesting service, or less where the beginning ends before it."""
    for last in _LAST:
        try:
            read = read_elements(part, PEEKED_BYTES, lambda tag, _vr, _n, at=last: _past(tag, at))
        except BadInput:
            continue
        return {keyword: str(read.get(keyword, "") or "").strip() for keyword in _TAGS}
    return dict.fromkeys(_TAGS, "")


def _past(tag: BaseTag, last: BaseTag) -> bool:
    return tag > last
