"""A PDF as an Encapsulated PDF object of an exam (PS3.3 A.45.1, C.24.2)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydicom import Dataset, FileMetaDataset, dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian, generate_uid

from pacs_web.federation.dicom_json import Attributes

# What the exam is known by: the new object bears it as the node shows it.
IDENTITY = (
    "PatientName PatientID IssuerOfPatientID PatientBirthDate PatientSex StudyInstanceUID "
    "StudyDate StudyTime StudyID StudyDescription AccessionNumber ReferringPhysicianName"
).split()
TYPE_2 = (
    "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime StudyID "
    "AccessionNumber ReferringPhysicianName Manufacturer AcquisitionDateTime"
).split()
MEANINGS = {  # of LOINC codes, as PS3.16 names document titles
    "18748-4": "Diagnostic imaging study",
    "57133-1": "Referral note",
    "18842-5": "Discharge summary",
    "59284-0": "Consent Document",
    "34109-9": "Note",
}


@dataclass(frozen=True)
class Document:
    """A PDF and what the person said of it."""

    pdf: bytes
    title: str
    code: str
    conversion: str
    names_patient: bool


def made(study: Attributes, document: Document, series_number: int, at: datetime) -> Dataset:
    """Return the object that holds `document`, of the study that a node's answer describes."""
    new = Dataset()
    new.SpecificCharacterSet = "ISO_IR 192"
    for keyword in TYPE_2:
        setattr(new, keyword, None)
    shown = Dataset.from_json(dict(study))
    for keyword in IDENTITY:
        if keyword in shown:
            new[keyword] = shown[keyword]
    _identify(new, series_number, document.title)
    _date(new, at)
    _enclose(new, document)
    new.file_meta = FileMetaDataset()
    new.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return new


def file_of(new: Dataset) -> bytes:
    """Return an object as a PS3.10 file."""
    written = io.BytesIO()
    dcmwrite(written, new, enforce_file_format=True)
    return written.getvalue()


def _identify(new: Dataset, series_number: int, title: str) -> None:
    new.SOPClassUID = EncapsulatedPDFStorage
    new.SOPInstanceUID = generate_uid(prefix=None)
    new.SeriesInstanceUID = generate_uid(prefix=None)
    new.Modality = "DOC"
    new.SeriesNumber, new.InstanceNumber = series_number, 1
    new.SeriesDescription = title
    new.ManufacturerModelName = "Argens"


def _date(new: Dataset, at: datetime) -> None:
    day, moment = at.strftime("%Y%m%d"), at.strftime("%H%M%S")
    new.InstanceCreationDate = new.ContentDate = new.SeriesDate = day
    new.InstanceCreationTime = new.ContentTime = new.SeriesTime = moment


def _enclose(new: Dataset, document: Document) -> None:
    new.ConversionType = document.conversion
    new.BurnedInAnnotation = "YES" if document.names_patient else "NO"
    new.DocumentTitle = document.title
    new.ConceptNameCodeSequence = Sequence([_coded(document.code)])
    new.VerificationFlag = "UNVERIFIED"
    new.MIMETypeOfEncapsulatedDocument = "application/pdf"
    new.EncapsulatedDocument = document.pdf + b"\0" * (len(document.pdf) % 2)
    new.EncapsulatedDocumentLength = len(document.pdf)


def _coded(code: str) -> Dataset:
    item = Dataset()
    values: Mapping[str, Any] = {
        "CodeValue": code,
        "CodingSchemeDesignator": "LN",
        "CodeMeaning": MEANINGS[code],
    }
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item
