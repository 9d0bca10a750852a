"""The attributes that the index knows, as one table: it drives index, C-FIND and QIDO-RS alike.

PS3.4 C.6.1.1 and C.6.2.1 (keys of the Query/Retrieve models), PS3.18 10.6.3.3 (QIDO-RS answers).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue

from dicom_node.index.names import fold_text, name_keys


class Level(StrEnum):
    """The levels of the Query/Retrieve information models (PS3.4 C.6)."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"


class Match(StrEnum):
    """How a key is compared (PS3.4 C.2.2.2)."""

    UID = "uid"
    TEXT = "text"  # single value and wild card, as it is written
    FOLDED = "folded"  # the same, without case and accents
    NAME = "name"
    DATE = "date"
    TIME = "time"
    NUMBER = "number"
    MODALITIES = "modalities"
    NONE = "none"  # returned only


@dataclass(frozen=True)
class Attribute:
    """One attribute: its keyword, level, column of the index, and how it matches."""

    keyword: str
    level: Level
    column: str
    match: Match = Match.TEXT
    required: bool = False  # returned by QIDO-RS unasked

    @property
    def is_shown_only(self) -> bool:
        """True where the value lies in Instance.shown."""
        return self.column == "shown"


P, S, E, I = Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE  # noqa: E741

ATTRIBUTES = {
    attribute.keyword: attribute
    for attribute in [
        Attribute("PatientName", P, "patient_name", Match.NAME, True),
        Attribute("PatientID", P, "patient_id", Match.TEXT, True),
        Attribute("IssuerOfPatientID", P, "issuer", Match.TEXT, True),
        Attribute("PatientBirthDate", P, "birth_date", Match.DATE, True),
        Attribute("PatientSex", P, "sex", Match.TEXT, True),
        Attribute("StudyInstanceUID", S, "uid", Match.UID, True),
        Attribute("StudyDate", S, "study_date", Match.DATE, True),
        Attribute("StudyTime", S, "study_time", Match.TIME, True),
        Attribute("AccessionNumber", S, "accession_number", Match.TEXT, True),
        Attribute("StudyID", S, "study_id", Match.TEXT, True),
        Attribute("StudyDescription", S, "description", Match.FOLDED, True),
        Attribute("ReferringPhysicianName", S, "referring_physician", Match.NAME, True),
        Attribute("InstitutionName", S, "institution"),
        Attribute("InstitutionalDepartmentName", S, "department"),
        Attribute("RequestingService", S, "requesting_service"),
        Attribute("ModalitiesInStudy", S, "modalities", Match.MODALITIES, True),
        Attribute("NumberOfStudyRelatedSeries", S, "series_count", Match.NONE, True),
        Attribute("NumberOfStudyRelatedInstances", S, "instance_count", Match.NONE, True),
        Attribute("SeriesInstanceUID", E, "uid", Match.UID, True),
        Attribute("Modality", E, "modality", Match.TEXT, True),
        Attribute("SeriesNumber", E, "number", Match.NUMBER, True),
        Attribute("SeriesDescription", E, "description", Match.FOLDED, True),
        Attribute("BodyPartExamined", E, "body_part", Match.TEXT, True),
        Attribute("Laterality", E, "laterality", Match.TEXT, True),
        Attribute("SeriesDate", E, "series_date", Match.DATE, True),
        Attribute("SeriesTime", E, "series_time", Match.TIME, True),
        Attribute("ProtocolName", E, "protocol"),
        Attribute("StationName", E, "station"),
        Attribute("NumberOfSeriesRelatedInstances", E, "instance_count", Match.NONE, True),
        Attribute("SOPInstanceUID", I, "uid", Match.UID, True),
        Attribute("SOPClassUID", I, "sop_class", Match.UID, True),
        Attribute("InstanceNumber", I, "number", Match.NUMBER, True),
        Attribute("NumberOfFrames", I, "frames", Match.NUMBER, True),
        Attribute("Rows", I, "rows", Match.NUMBER, True),
        Attribute("Columns", I, "columns", Match.NUMBER, True),
        Attribute("AvailableTransferSyntaxUID", I, "transfer_syntax", Match.NONE, True),
        *(
            Attribute(keyword, I, "shown", Match.NONE, True)
            for keyword in (
                "BitsAllocated",
                "BitsStored",
                "PhotometricInterpretation",
                "WindowCenter",
                "WindowWidth",
                "ImageType",
                "ImagePositionPatient",
                "ImageOrientationPatient",
                "SliceLocation",
                "ImageLaterality",
                "PatientOrientation",
                "AcquisitionNumber",
                "ContentDate",
                "ContentTime",
            )
        ),
    ]
}

# What pydicom raises where an element's bytes do not fit its VR: such a value counts as absent.
UNREADABLE = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    EOFError,
    struct.error,
    BytesLengthException,
)
COUNTED = {"series_count", "instance_count"}
UNIQUE_KEY = {P: "PatientID", S: "StudyInstanceUID", E: "SeriesInstanceUID", I: "SOPInstanceUID"}
LEVELS = list(Level)


def text_of(ds: Dataset, keyword: str) -> str:
    """Return an element's value as text: decoded, stripped, several values by backslash."""
    try:
        value = ds.get(keyword)
    except UNREADABLE:
        return ""
    if value is None:
        return ""
    parts = value if isinstance(value, MultiValue | list) else [value]
    return "\\".join(str(part) for part in parts).replace("\0", "").strip()


def is_number(text: str) -> bool:
    """True for ASCII digits only: `str.isdigit` takes "²", which `int` refuses."""
    return text.isascii() and text.isdigit()


def date_of(text: str) -> str:
    """Return YYYYMMDD of a DA value (also of ACR-NEMA's YYYY.MM.DD), "" where it is none."""
    digits = text.replace(".", "").replace("-", "").strip()
    return digits if len(digits) == 8 and is_number(digits) else ""


def time_of(text: str) -> str:
    """Return a TM value as HHMMSS.FFFFFF without its padding (also of HH:MM:SS), "" for none."""
    plain = text.replace(":", "").strip()
    whole, _, fraction = plain.partition(".")
    if not is_number(whole) or len(whole) not in (2, 4, 6):
        return ""
    if fraction and not is_number(fraction):
        return ""
    return f"{whole:0<6}.{fraction[:6]:0<6}"


def number_of(text: str) -> int | None:
    """Return an IS or US value as a number; None where it is absent or no number."""
    try:
        value = int(float(text.split("\\")[0]))
    except (ValueError, OverflowError):
        return None
    return value if -(2**31) <= value < 2**31 else None


_CONVERT: dict[Match, Callable[[str], Any]] = {
    Match.DATE: date_of,
    Match.TIME: time_of,
    Match.NUMBER: number_of,
}


def columns_of(ds: Dataset, levels: set[Level]) -> dict[str, Any]:
    """Return the index columns of the attributes of these levels, from one data set."""
    found: dict[str, Any] = {}
    for attribute in ATTRIBUTES.values():
        if attribute.level not in levels or attribute.match is Match.MODALITIES:
            continue
        if attribute.is_shown_only or attribute.column in COUNTED:
            continue
        if attribute.column == "transfer_syntax":
            continue
        text = text_of(ds, attribute.keyword)
        found[attribute.column] = _CONVERT.get(attribute.match, str)(text)
        found.update(_keys(attribute, text))
    return found


def shown_of(ds: Dataset) -> dict[str, Any]:
    """Return what a list shows of an instance without reading its file: keyword -> text."""
    texts = {a.keyword: text_of(ds, a.keyword) for a in ATTRIBUTES.values() if a.is_shown_only}
    return {keyword: text for keyword, text in texts.items() if text}


def _keys(attribute: Attribute, text: str) -> dict[str, str]:
    column = attribute.column
    if attribute.match is Match.FOLDED:
        return {f"{column}_key": fold_text(text)}
    if attribute.match is Match.NAME:
        first, others = name_keys(text)
        keys = {f"{column}_key": first}
        if column == "patient_name":
            keys["patient_name_other_keys"] = others
        return keys
    return {}
