"""Reads single values out of DICOM JSON (PS3.18 annex F), by keyword."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from math import isfinite
from typing import Any

Attributes = Mapping[str, Any]

TAGS = {
    "InstanceAvailability": "00080056",
    "SOPClassUID": "00080016",
    "SOPInstanceUID": "00080018",
    "StudyDate": "00080020",
    "StudyTime": "00080030",
    "AccessionNumber": "00080050",
    "Modality": "00080060",
    "ModalitiesInStudy": "00080061",
    "StudyDescription": "00081030",
    "SeriesDescription": "0008103E",
    "PatientName": "00100010",
    "PatientID": "00100020",
    "IssuerOfPatientID": "00100021",
    "PatientBirthDate": "00100030",
    "PatientSex": "00100040",
    "BodyPartExamined": "00180015",
    "StudyInstanceUID": "0020000D",
    "SeriesInstanceUID": "0020000E",
    "SeriesNumber": "00200011",
    "InstanceNumber": "00200013",
    "PatientOrientation": "00200020",
    "ImagePositionPatient": "00200032",
    "ImageOrientationPatient": "00200037",
    "Laterality": "00200060",
    "ImageLaterality": "00200062",
    "SliceLocation": "00201041",
    "NumberOfStudyRelatedSeries": "00201206",
    "NumberOfStudyRelatedInstances": "00201208",
    "NumberOfSeriesRelatedInstances": "00201209",
    "PhotometricInterpretation": "00280004",
    "NumberOfFrames": "00280008",
    "Rows": "00280010",
    "Columns": "00280011",
    "BitsStored": "00280101",
    "RecommendedDisplayFrameRate": "00082144",
    "FrameTime": "00181063",
    "WindowCenter": "00281050",
    "WindowWidth": "00281051",
    "WindowCenterWidthExplanation": "00281055",
}


def values(attributes: Attributes, keyword: str) -> list[Any]:
    """Return an attribute's values ([] where it is absent or empty)."""
    element = attributes.get(TAGS[keyword]) or {}
    return [value for value in element.get("Value") or [] if value not in (None, "")]


def text(attributes: Attributes, keyword: str) -> str:
    """Return the values as text, joined by a backslash as in DICOM ("" where empty)."""
    return "\\".join(str(value).strip() for value in values(attributes, keyword))


def whole(attributes: Attributes, keyword: str) -> int | None:
    """Return the first value as an integer, or None where it is no number."""
    found = numbers(attributes, keyword)
    return int(found[0]) if found else None


def numbers(attributes: Attributes, keyword: str) -> list[float]:
    """Return the values as numbers; [] where one of them is none (JSON may hold strings).

    What has no end ("1e999", "NaN") is none: neither `int` nor a browser's JSON can hold it.
    """
    try:
        found = [float(value) for value in values(attributes, keyword)]
    except (TypeError, ValueError, OverflowError):
        return []
    return found if all(isfinite(number) for number in found) else []


def person(attributes: Attributes, keyword: str) -> str:
    """Return a person's name in its alphabetic form (`FAMILY^Given`), else the next best."""
    for value in values(attributes, keyword):
        if isinstance(value, str):
            return value
        for group in ("Alphabetic", "Ideographic", "Phonetic"):
            if value.get(group):
                return str(value[group])
    return ""


def day(raw: str) -> date | None:
    """Return a DICOM date (YYYYMMDD, or the old YYYY.MM.DD) as a date, None for nonsense."""
    digits = raw.replace(".", "")
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) if digits else None
    except ValueError:
        return None
