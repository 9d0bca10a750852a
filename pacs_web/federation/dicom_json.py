"""Reads single values out of DICOM JSON (PS3.18 annex F), by keyword."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from math import isfinite
from typing import Any

Attributes = Mapping[str, Any]

TAGS = {
    "ImageType": "00080008",
    "SOPClassUID": "00080016",
    "SOPInstanceUID": "00080018",
    "StudyDate": "00080020",
    "SeriesDate": "00080021",
    "AcquisitionDate": "00080022",
    "ContentDate": "00080023",
    "StudyTime": "00080030",
    "SeriesTime": "00080031",
    "AcquisitionTime": "00080032",
    "ContentTime": "00080033",
    "AccessionNumber": "00080050",
    "InstanceAvailability": "00080056",
    "Modality": "00080060",
    "ModalitiesInStudy": "00080061",
    "CodeValue": "00080100",
    "CodeMeaning": "00080104",
    "StudyDescription": "00081030",
    "SeriesDescription": "0008103E",
    "InstitutionalDepartmentName": "00081040",
    "ReferencedSeriesSequence": "00081115",
    "ReferencedImageSequence": "00081140",
    "ReferencedSOPInstanceUID": "00081155",
    "ReferencedFrameNumber": "00081160",
    "ReferencedSOPSequence": "00081199",
    "RecommendedDisplayFrameRate": "00082144",
    "PixelPresentation": "00089205",
    "PatientName": "00100010",
    "PatientID": "00100020",
    "IssuerOfPatientID": "00100021",
    "PatientBirthDate": "00100030",
    "PatientSex": "00100040",
    "PatientWeight": "00101030",
    "AnatomicalOrientationType": "00102210",
    "BodyPartExamined": "00180015",
    "CineRate": "00180040",
    "FrameTime": "00181063",
    "RadiopharmaceuticalStartTime": "00181072",
    "RadionuclideTotalDose": "00181074",
    "RadionuclideHalfLife": "00181075",
    "RadiopharmaceuticalStartDateTime": "00181078",
    "StudyInstanceUID": "0020000D",
    "SeriesInstanceUID": "0020000E",
    "SeriesNumber": "00200011",
    "InstanceNumber": "00200013",
    "PatientOrientation": "00200020",
    "ImagePositionPatient": "00200032",
    "ImageOrientationPatient": "00200037",
    "FrameOfReferenceUID": "00200052",
    "Laterality": "00200060",
    "ImageLaterality": "00200062",
    "SliceLocation": "00201041",
    "NumberOfStudyRelatedSeries": "00201206",
    "NumberOfStudyRelatedInstances": "00201208",
    "NumberOfSeriesRelatedInstances": "00201209",
    "FrameLaterality": "00209072",
    "PhotometricInterpretation": "00280004",
    "NumberOfFrames": "00280008",
    "Rows": "00280010",
    "Columns": "00280011",
    "CorrectedImage": "00280051",
    "BitsStored": "00280101",
    "WindowCenter": "00281050",
    "WindowWidth": "00281051",
    "RescaleType": "00281054",
    "WindowCenterWidthExplanation": "00281055",
    "LossyImageCompression": "00282110",
    "LossyImageCompressionRatio": "00282112",
    "RequestingService": "00321033",
    "MeasurementUnitsCodeSequence": "004008EA",
    "RelationshipType": "0040A010",
    "ValueType": "0040A040",
    "ConceptNameCodeSequence": "0040A043",
    "DateTime": "0040A120",
    "Date": "0040A121",
    "Time": "0040A122",
    "PersonName": "0040A123",
    "UID": "0040A124",
    "TextValue": "0040A160",
    "ConceptCodeSequence": "0040A168",
    "MeasuredValueSequence": "0040A300",
    "NumericValueQualifierCodeSequence": "0040A301",
    "NumericValue": "0040A30A",
    "CurrentRequestedProcedureEvidenceSequence": "0040A375",
    "PertinentOtherEvidenceSequence": "0040A385",
    "CompletionFlag": "0040A491",
    "VerificationFlag": "0040A493",
    "ContentSequence": "0040A730",
    "DocumentTitle": "00420010",
    "EncapsulatedDocument": "00420011",
    "MIMETypeOfEncapsulatedDocument": "00420012",
    "RadiopharmaceuticalInformationSequence": "00540016",
    "Units": "00541001",
    "DecayCorrection": "00541102",
    "GraphicType": "00700023",
    "ImageHorizontalFlip": "00700041",
    "ImageRotation": "00700042",
    "ContentLabel": "00700080",
    "ContentDescription": "00700081",
    "ContentCreatorName": "00700084",
    "SharedFunctionalGroupsSequence": "52009229",
    "PerFrameFunctionalGroupsSequence": "52009230",
}


def values(attributes: Attributes, keyword: str) -> list[Any]:
    """Return an attribute's values ([] where it is absent, empty or no DICOM JSON)."""
    element = attributes.get(TAGS[keyword])
    if element is None:  # as most of what is looked for, in each of a thousand slices
        return []
    found = element.get("Value") if isinstance(element, Mapping) else None
    return [one for one in found if one not in (None, "")] if isinstance(found, list) else []


def items(attributes: Attributes, keyword: str) -> list[Attributes]:
    """Return the items of a sequence ([] where it is absent, empty or something else)."""
    return [item for item in values(attributes, keyword) if isinstance(item, Mapping)]


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


def counts(attributes: Attributes, keyword: str) -> list[int]:
    """Return the values that are numbers from 1 to 999999999, the others left out."""
    found = [str(value) for value in values(attributes, keyword)]
    return [int(one) for one in found if re.fullmatch("0{0,9}[1-9][0-9]{0,8}", one)]


def person(attributes: Attributes, keyword: str) -> str:
    """Return a person's name in its alphabetic form (`FAMILY^Given`), else the next best."""
    for value in values(attributes, keyword):
        if isinstance(value, str):
            return value
        for group in ("Alphabetic", "Ideographic", "Phonetic"):
            if isinstance(value, Mapping) and value.get(group):
                return str(value[group])
    return ""


def day(raw: str) -> date | None:
    """Return a DICOM date (YYYYMMDD, or the old YYYY.MM.DD) as a date, None for nonsense."""
    digits = raw.replace(".", "")
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) if digits else None
    except ValueError:
        return None
