"""Two objects side by side: whose they are, and the elements in which they differ."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dicom_node.index.attributes import UNREADABLE
from dicom_node.models import Instance, Quarantined
from dicom_node.store import part10
from dicom_node.store.layout import Layout
from pacs_common.errors import ArgensError

MAX_DIFFERENCES = 200
MAX_VALUE_CHARS = 256
_FACTS = {
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "issuer": "IssuerOfPatientID",
    "birth_date": "PatientBirthDate",
    "sex": "PatientSex",
    "study_uid": "StudyInstanceUID",
    "study_date": "StudyDate",
    "study_description": "StudyDescription",
    "accession_number": "AccessionNumber",
    "modality": "Modality",
    "series_uid": "SeriesInstanceUID",
    "series_description": "SeriesDescription",
    "instance_number": "InstanceNumber",
    "rows": "Rows",
    "columns": "Columns",
}


def object_in_quarantine(layout: Layout, row: Quarantined) -> Dataset:
    """Read a quarantined object; raises ArgensError where it cannot be read."""
    path = layout.quarantined(row.hour, row.uid, row.received_sha256)
    try:
        return part10.read_object(path)
    except OSError as error:
        raise ArgensError(f"the quarantined file cannot be read: {error.strerror}") from None


def stored_object(layout: Layout, stored: Instance) -> Dataset | None:
    """Read the stored object; None where its file is lost, damaged or in the archive."""
    try:
        return part10.read_object(layout.object(stored.hour, stored.uid))
    except (ArgensError, OSError):
        return None


def facts(ds: Dataset) -> dict[str, str]:
    """Return what tells people whose an object is and what it shows."""
    return {name: _value(ds, keyword) for name, keyword in _FACTS.items()}


def differences(stored: Dataset, came: Dataset) -> list[dict[str, str]]:
    """Return the elements in which two objects differ, in the order of their tags."""
    found = []
    for tag in sorted(set(stored.keys()) | set(came.keys())):
        one, other = _text(stored, tag), _text(came, tag)
        if one == other and _raw(stored, tag) == _raw(came, tag):
            continue
        if one == other:
            other = f"{other} (other content)"
        named = came if tag in came else stored
        found.append(
            {"tag": _written(tag), "name": _name(named, tag), "stored": one, "came": other}
        )
        if len(found) == MAX_DIFFERENCES:
            break
    return found


def _value(ds: Dataset, keyword: str) -> str:
    try:
        value = ds.get(keyword, "")
    except UNREADABLE:
        return ""
    return "" if value is None else str(value)[:MAX_VALUE_CHARS]


def _text(ds: Dataset, tag: BaseTag) -> str:
    """Return an element's value as people read it, "" where it is absent."""
    if tag not in ds:
        return ""
    try:
        element = ds[tag]
        if element.VR == "SQ":
            return _shortened("; ".join(_item(item) for item in element.value))
        if isinstance(element.value, bytes):
            return f"{len(element.value)} bytes"
        return _shortened(str(element.value if element.value is not None else ""))
    except UNREADABLE as error:
        return _shortened(f"cannot be read: {error}")


def _item(item: Dataset) -> str:
    return ", ".join(f"{_name(item, tag)}: {_text(item, tag)}" for tag in sorted(item.keys()))


def _raw(ds: Dataset, tag: BaseTag) -> Any:
    try:
        return ds[tag].value if tag in ds else None
    except UNREADABLE:
        return ds.get_item(tag)


def _name(ds: Dataset, tag: BaseTag) -> str:
    try:
        return ds[tag].name.strip("[]")
    except UNREADABLE:
        return ""


def _written(tag: BaseTag) -> str:
    return f"({tag.group:04X},{tag.element:04X})"


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[:MAX_VALUE_CHARS]}…"
