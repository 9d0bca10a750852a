"""Rejection notes: key object documents that say what is to be hidden, and why.

IHE RAD TF-1 Imaging Object Change Management; PS3.3 A.35.4, PS3.16 TID 2010 and CID 7011.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from dicom_node.index.corrected import said_by_objects
from dicom_node.models import Instance, Study
from pacs_common import VERSION

KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
SYNTAX = str(ExplicitVRLittleEndian)
MEANINGS = {
    "113001": "Rejected for Quality Reasons",
    "113037": "Rejected for Patient Safety Reasons",
    "113038": "Incorrect Modality Worklist Entry",
    "113039": "Data Retention Policy Expired",
}
MAX_NAME_CHARS = 64
_COPIED = {
    "PatientName": "patient_name",
    "PatientID": "patient_id",
    "IssuerOfPatientID": "issuer",
    "PatientBirthDate": "birth_date",
    "PatientSex": "sex",
    "StudyInstanceUID": "uid",
    "StudyDate": "study_date",
    "StudyTime": "study_time",
    "AccessionNumber": "accession_number",
    "StudyID": "study_id",
    "ReferringPhysicianName": "referring_physician",
}


@dataclass(frozen=True)
class Note:
    """What a rejection note says: the code of its title, what it names, its description."""

    uid: str
    study_uid: str
    code: str
    uids: tuple[str, ...]
    comment: str


def new_uid() -> str:
    """Return a UID for a note."""
    return str(generate_uid(prefix=None))


def write(
    uid: str,
    study: Study,
    found: Sequence[Instance],
    why: tuple[str, str],
    by: str,
    at: datetime,
) -> bytes:
    """Return the encoded note (Explicit VR Little Endian) that rejects instances of a study.

    `why` is (code, comment). Patient and study are told as the index holds them, so that the note
    belongs to the study whatever its instances say; a corrected study's as before the correction,
    which the note gets like all instances when it leaves.
    """
    code, comment = why
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    original = said_by_objects(study)
    for keyword, column in _COPIED.items():
        setattr(ds, keyword, original.get(column, getattr(study, column)))
    ds.SOPClassUID, ds.SOPInstanceUID = KEY_OBJECTS, uid
    ds.SeriesInstanceUID = new_uid()
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "KO", 9999, 1
    ds.Manufacturer, ds.SoftwareVersions = "Argens", VERSION
    ds.SeriesDescription = MEANINGS[code]
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.ContentDate, ds.ContentTime = f"{at:%Y%m%d}", f"{at:%H%M%S}"
    ds.TimezoneOffsetFromUTC = f"{at:%z}"
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = [_code(code, MEANINGS[code])]
    ds.ContentTemplateSequence = [_template()]
    ds.CurrentRequestedProcedureEvidenceSequence = [_evidence(study, found)]
    ds.ContentSequence = [*_context(by, comment), *map(_content, found)]
    return _encoded(ds)


def read(ds: Dataset) -> Note | None:
    """Return what a key object rejects, None where it is about something else."""
    titles = ds.get("ConceptNameCodeSequence") or []
    if ds.get("SOPClassUID") != KEY_OBJECTS or len(titles) != 1:
        return None
    code = str(titles[0].get("CodeValue", ""))
    if titles[0].get("CodingSchemeDesignator") != "DCM" or code not in MEANINGS:
        return None
    uid, study = str(ds.SOPInstanceUID), str(ds.StudyInstanceUID)
    return Note(uid, study, code, tuple(dict.fromkeys(_named(ds))), _description(ds))


def _named(ds: Dataset) -> Iterator[str]:
    """Yield what the evidence names of the note's own study: another one has a note of its own."""
    for evidence in ds.get("CurrentRequestedProcedureEvidenceSequence") or []:
        if evidence.get("StudyInstanceUID") != ds.StudyInstanceUID:
            continue
        for series in evidence.get("ReferencedSeriesSequence") or []:
            for item in series.get("ReferencedSOPSequence") or []:
                yield str(item.get("ReferencedSOPInstanceUID", ""))


def _description(ds: Dataset) -> str:
    for item in ds.get("ContentSequence") or []:
        concept = (item.get("ConceptNameCodeSequence") or [Dataset()])[0]
        if concept.get("CodeValue") == "113012":
            return str(item.get("TextValue", ""))
    return ""


def _evidence(study: Study, found: Iterable[Instance]) -> Dataset:
    by_series: dict[str, list[Dataset]] = {}
    for instance in found:
        by_series.setdefault(instance.series.uid, []).append(_reference(instance))
    evidence = Dataset()
    evidence.StudyInstanceUID = study.uid
    evidence.ReferencedSeriesSequence = []
    for uid, references in by_series.items():
        series = Dataset()
        series.SeriesInstanceUID, series.ReferencedSOPSequence = uid, references
        evidence.ReferencedSeriesSequence.append(series)
    return evidence


def _content(instance: Instance) -> Dataset:
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = "IMAGE" if instance.rows else "COMPOSITE"
    item.ReferencedSOPSequence = [_reference(instance)]
    return item


def _reference(instance: Instance) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = instance.sop_class
    item.ReferencedSOPInstanceUID = instance.uid
    return item


def _context(by: str, comment: str) -> Iterator[Dataset]:
    """Yield who rejects (TID 1002), and why in words."""
    kind = _item("HAS OBS CONTEXT", "CODE", _code("121005", "Observer Type"))
    kind.ConceptCodeSequence = [_code("121006", "Person")]
    yield kind
    person = _item("HAS OBS CONTEXT", "PNAME", _code("121008", "Person Observer Name"))
    person.PersonName = by.replace("\\", " ")[:MAX_NAME_CHARS]
    yield person
    if comment:
        words = _item("CONTAINS", "TEXT", _code("113012", "Key Object Description"))
        words.TextValue = comment
        yield words


def _item(relationship: str, value_type: str, concept: Dataset) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, value_type
    item.ConceptNameCodeSequence = [concept]
    return item


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def _template() -> Dataset:
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "2010"
    return template


def _encoded(ds: Dataset) -> bytes:
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = False, True
    write_dataset(file, ds)
    return file.getvalue()
