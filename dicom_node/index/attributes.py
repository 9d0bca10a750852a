"""The attributes that the index knows, as one table: it drives index, C-FIND and QIDO-RS alike.

PS3.4 C.6.1.1 and C.6.2.1 (keys of the Query/Retrieve models), PS3.18 10.6.3.3 (QIDO-RS answers).
An attribute is named by its keyword, or by a path into the items of a sequence.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Set
from functools import lru_cache
from typing import Any

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from dicom_node.index.moments import offset_of
from dicom_node.index.names import fold_name, fold_text, name_keys
from dicom_node.index.sounds import sound_key
from dicom_node.index.values import MAX_INDEXED_CHARS, bounded, date_of, number_of, time_of
from dicom_node.index.vocabulary import Attribute, Level, Match

P, S, E, I = Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE  # noqa: E741
ATTRIBUTES = {
    attribute.path: attribute
    for attribute in [
        Attribute("PatientName", P, "patient_name", Match.NAME, True),
        Attribute("PatientID", P, "patient_id", Match.TEXT, True),
        Attribute("IssuerOfPatientID", P, "issuer", Match.TEXT, True),
        Attribute("PatientBirthDate", P, "birth_date", Match.DATE, True),
        Attribute("PatientBirthTime", P, "birth_time", Match.TIME),
        Attribute("PatientSex", P, "sex", Match.TEXT, True),
        Attribute("PatientBirthName", P, "birth_name", Match.NAME),
        Attribute("OtherPatientIDs", P, "other_ids", Match.LISTED),
        Attribute("OtherPatientNames", P, "other_names", Match.NAMES),
        Attribute("OtherPatientIDsSequence.PatientID", P, "other_id_values", Match.LISTED),
        Attribute("OtherPatientIDsSequence.IssuerOfPatientID", P, "other_id_issuers", Match.LISTED),
        Attribute("OtherPatientIDsSequence.TypeOfPatientID", P, "other_id_types", Match.LISTED),
        Attribute("EthnicGroup", P, "ethnic_group"),
        Attribute("PatientComments", P, "patient_comments", Match.FOLDED),
        Attribute("NumberOfPatientRelatedStudies", P, "patient_studies", Match.NONE),
        Attribute("NumberOfPatientRelatedSeries", P, "patient_series", Match.NONE),
        Attribute("NumberOfPatientRelatedInstances", P, "patient_instances", Match.NONE),
        Attribute("StudyInstanceUID", S, "uid", Match.UID, True),
        Attribute("StudyDate", S, "study_date", Match.DATE, True),
        Attribute("StudyTime", S, "study_time", Match.TIME, True),
        Attribute("TimezoneOffsetFromUTC", S, "timezone", Match.NONE),
        Attribute("AccessionNumber", S, "accession_number", Match.TEXT, True),
        Attribute("StudyID", S, "study_id", Match.TEXT, True),
        Attribute("StudyDescription", S, "description", Match.FOLDED, True),
        Attribute("ReferringPhysicianName", S, "referring_physician", Match.NAME, True),
        Attribute("PhysiciansOfRecord", S, "physicians_of_record", Match.NAMES),
        Attribute("NameOfPhysiciansReadingStudy", S, "reading_physicians", Match.NAMES),
        Attribute("AdmittingDiagnosesDescription", S, "diagnoses", Match.FOLDED),
        Attribute("PatientAge", S, "patient_age"),
        Attribute("PatientSize", S, "patient_size", Match.NONE),
        Attribute("PatientWeight", S, "patient_weight", Match.NONE),
        Attribute("InstitutionName", S, "institution"),
        Attribute("InstitutionalDepartmentName", S, "department"),
        Attribute("RequestingService", S, "requesting_service"),
        Attribute("ProcedureCodeSequence.CodeValue", S, "procedure_codes", Match.LISTED),
        Attribute(
            "ProcedureCodeSequence.CodingSchemeDesignator", S, "procedure_schemes", Match.LISTED
        ),
        Attribute("ProcedureCodeSequence.CodeMeaning", S, "procedure_meanings", Match.LISTED),
        Attribute("ModalitiesInStudy", S, "modalities", Match.MODALITIES, True),
        Attribute("SOPClassesInStudy", S, "sop_classes", Match.CLASSES),
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
        Attribute("Manufacturer", E, "manufacturer"),
        Attribute("ManufacturerModelName", E, "model"),
        Attribute("FrameOfReferenceUID", E, "frame_of_reference", Match.UID),
        Attribute("PerformingPhysicianName", E, "performing_physicians", Match.NAMES),
        Attribute("OperatorsName", E, "operators", Match.NAMES),
        Attribute("PerformedProcedureStepStartDate", E, "performed_date", Match.DATE),
        Attribute("PerformedProcedureStepStartTime", E, "performed_time", Match.TIME),
        Attribute("PerformedProcedureStepID", E, "performed_id"),
        Attribute("PerformedProcedureStepDescription", E, "performed_description", Match.FOLDED),
        Attribute(
            "RequestAttributesSequence.ScheduledProcedureStepID", E, "scheduled_ids", Match.LISTED
        ),
        Attribute(
            "RequestAttributesSequence.RequestedProcedureID", E, "requested_ids", Match.LISTED
        ),
        Attribute(
            "RequestAttributesSequence.AccessionNumber", E, "requested_accessions", Match.LISTED
        ),
        Attribute("NumberOfSeriesRelatedInstances", E, "instance_count", Match.NONE, True),
        Attribute("SOPInstanceUID", I, "uid", Match.UID, True),
        Attribute("SOPClassUID", I, "sop_class", Match.UID, True),
        Attribute("InstanceNumber", I, "number", Match.NUMBER, True),
        Attribute("NumberOfFrames", I, "frames", Match.NUMBER, True),
        Attribute("Rows", I, "rows", Match.NUMBER, True),
        Attribute("Columns", I, "columns", Match.NUMBER, True),
        Attribute("AvailableTransferSyntaxUID", I, "transfer_syntax", Match.NONE, True),
        *(
            Attribute(path, I, "shown", Match.NONE)
            for path in (
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
                "ContentLabel",
                "ContentDescription",
                "CompletionFlag",
                "VerificationFlag",
                "ConceptNameCodeSequence.CodeValue",
                "ConceptNameCodeSequence.CodingSchemeDesignator",
                "ConceptNameCodeSequence.CodeMeaning",
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
UNIQUE_KEY = {P: "PatientID", S: "StudyInstanceUID", E: "SeriesInstanceUID", I: "SOPInstanceUID"}
LEVELS = list(Level)
SHOWN = [a.path for a in ATTRIBUTES.values() if a.is_shown_only]


def text_of(ds: Dataset, path: str) -> str:
    """Return an element's value as text: decoded, stripped, several values by backslash.

    A path into a sequence gives one value for each item, "" for an item without it, so that the
    values of two paths into one sequence stand side by side; "" where no item has any.
    """
    sequence, _, keyword = path.rpartition(".")
    if not sequence:
        return _value_of(ds, keyword)
    items = _get(ds, sequence)
    if not isinstance(items, Sequence):
        return ""
    values = [_value_of(item, keyword).split("\\")[0].strip() for item in items]
    return "\\".join(values) if any(values) else ""


def _value_of(ds: Dataset, keyword: str) -> str:
    value = _get(ds, keyword)
    if value is None:
        return ""
    parts = value if isinstance(value, MultiValue | list) else [value]
    return "\\".join(str(part) for part in parts).replace("\0", "").strip()


def _get(ds: Dataset, keyword: str) -> Any:
    try:
        return ds.get(keyword)
    except UNREADABLE:
        return None


_CONVERT: dict[Match, Callable[[str], Any]] = {
    Match.DATE: date_of,
    Match.TIME: time_of,
    Match.NUMBER: number_of,
}
_IDENTIFIERS = {"patient_id", "issuer", "accession_number"}


def columns_of(text: Callable[[str], str], levels: Set[Level]) -> dict[str, Any]:
    """Return the index columns of these levels' attributes, `text` giving the text of a path."""
    found: dict[str, Any] = {}
    for attribute in _held(frozenset(levels)):
        value = text(attribute.path)
        if attribute.column in _IDENTIFIERS:
            value = bounded(value)
        if attribute.column == "timezone" and offset_of(value) is None:
            value = ""
        found[attribute.column] = _CONVERT.get(attribute.match, str)(value)
        found.update(_keys(attribute, value))
    return found


def columns_of_path(path: str) -> list[str]:
    """Return the columns of a patient's or study's attribute: its own and its keys."""
    attribute = ATTRIBUTES[path]
    return [attribute.column, *_keys(attribute, "")]


def shown_of(text: Callable[[str], str]) -> dict[str, str]:
    """Return what a list shows of an instance without reading its file: path -> text."""
    return {path: value for path in SHOWN if (value := text(path))}


@lru_cache
def _held(levels: frozenset[Level]) -> list[Attribute]:
    return [
        attribute
        for attribute in ATTRIBUTES.values()
        if attribute.level in levels and not attribute.is_shown_only and not attribute.is_derived
    ]


def _keys(attribute: Attribute, text: str) -> dict[str, str]:
    column = attribute.column
    if attribute.match is Match.FOLDED:
        return {f"{column}_key": fold_text(text)}
    if attribute.match is Match.NAMES:
        groups = [group for name in text.split("\\") for group in name.split("=")]
        return {f"{column}_key": listed([key for key in map(fold_name, groups) if key])}
    if attribute.match is Match.NAME:
        first, others = name_keys(text)
        keys = {f"{column}_key": first[:MAX_INDEXED_CHARS]}
        if column == "patient_name":
            keys["patient_name_other_keys"] = others
        return keys | {f"{column}_sound": sound_key(text)[:MAX_INDEXED_CHARS]}
    return {}


def listed(values: list[str]) -> str:
    r"""Return values so that one pattern can look for each of them: "\A\B\", "" for none."""
    return "\\".join(["", *values, ""]) if values else ""
