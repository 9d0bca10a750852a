"""What a file of a medium is: a DICOM object with an identity, or why it is left out."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from pacs_common.errors import BadInput
from pacs_common.uids import Uid

MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
_FACTS = {
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "issuer": "IssuerOfPatientID",
    "birth_date": "PatientBirthDate",
    "sex": "PatientSex",
    "study_date": "StudyDate",
    "study_description": "StudyDescription",
    "modality": "Modality",
    "institution": "InstitutionName",
}
_UIDS = {
    "study_uid": "StudyInstanceUID",
    "series_uid": "SeriesInstanceUID",
    "sop_instance_uid": "SOPInstanceUID",
}
_WANTED = [*_FACTS.values(), *_UIDS.values(), "SOPClassUID", "SpecificCharacterSet"]
_UNREADABLE = (
    *(InvalidDicomError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError),
    *(BytesLengthException, struct.error, zlib.error, NotImplementedError, LookupError),
    *(RecursionError, ArithmeticError),
)
MAX_CHARS = 128


class LeftOut(Exception):
    """This file is not imported; str() says why, in one line for people."""


def identity_of(path: Path) -> dict[str, Any]:
    """Return whose a DICOM file is and which exam it is of; raises LeftOut."""
    with path.open("rb") as file:
        head = file.read(132)
    if head[:4] == b"PK\x03\x04":
        raise LeftOut(_("a ZIP inside a ZIP is not opened"))
    if head[128:] != b"DICM":
        raise LeftOut(_("no DICOM file"))
    try:
        ds = dcmread(path, stop_before_pixels=True, specific_tags=_WANTED)
        if str(ds.file_meta.get("MediaStorageSOPClassUID", "")) == MEDIA_DIRECTORY:
            raise LeftOut(_("the medium's own index"))
        facts = {name: _text(ds, keyword) for name, keyword in _FACTS.items()}
        uids = {name: str(Uid.parse(_text(ds, word), word)) for name, word in _UIDS.items()}
    except BadInput as error:
        raise LeftOut(str(error)) from None
    except _UNREADABLE:
        raise LeftOut(_("a DICOM file that cannot be read")) from None
    return facts | uids


def _text(ds: Dataset, keyword: str) -> str:
    value = ds.get(keyword, "")
    text = "" if value is None else str(value)
    return "".join(one for one in text if one.isprintable())[:MAX_CHARS].strip()
