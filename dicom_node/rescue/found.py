"""What the query engine found, made ready for a page: values by keyword, dates as people read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.utils.formats import date_format
from pydicom.datadict import keyword_for_tag

from dicom_node.index.answers import find
from dicom_node.index.attributes import Level
from dicom_node.index.query import Query
from dicom_node.index.semantics import Semantics
from pacs_common.errors import NotFound
from pacs_common.uids import Uid

MOST_STUDIES = 100
Row = dict[str, Any]


def studies(keys: Mapping[str, str]) -> tuple[list[Row], bool]:
    """Return the first studies that match, the newest first, and whether there are more."""
    found = _rows(Level.STUDY, keys, limit=MOST_STUDIES + 1)
    return [_study(row) for row in found[:MOST_STUDIES]], len(found) > MOST_STUDIES


def study(study_uid: str) -> Row:
    """Return a study; raises NotFound where it is not shown here."""
    found = _rows(Level.STUDY, {"StudyInstanceUID": Uid.parse(study_uid, "StudyInstanceUID")})
    if not found:
        raise NotFound("this exam is not here")
    return _study(found[0])


def series(study_uid: str, series_uid: str = "") -> list[Row]:
    """Return the series of a study (one alone, where it is named), in their order."""
    keys = {"StudyInstanceUID": study_uid}
    if series_uid:
        keys["SeriesInstanceUID"] = Uid.parse(series_uid, "SeriesInstanceUID")
    found = _rows(Level.SERIES, keys)
    if series_uid and not found:
        raise NotFound("this series is not here")
    return [_series(row) for row in found]


def patient(row: Row) -> dict[str, str]:
    """Return whose exam it is, for the audit."""
    return {"patient_id": row["patient_id"], "patient_issuer": row["issuer"]}


def day(text: str) -> str:
    """Return a DICOM date as people read it; as it is, where it is none."""
    try:
        return date_format(date(int(text[:4]), int(text[4:6]), int(text[6:8])), "d/m/Y")
    except ValueError:
        return text


def _rows(level: Level, keys: Mapping[str, str], limit: int | None = None) -> list[Row]:
    query = Query(level, dict(keys), Semantics(relational=True, combined=True), limit=limit)
    return [{keyword_for_tag(tag): value for tag, _, value in row} for row in find(query)]


def _study(row: Row) -> Row:
    return {
        "uid": row["StudyInstanceUID"],
        "name": _name(row.get("PatientName")),
        "patient_id": row.get("PatientID") or "",
        "issuer": row.get("IssuerOfPatientID") or "",
        "born": day(row.get("PatientBirthDate") or ""),
        "sex": row.get("PatientSex") or "",
        "day": day(row.get("StudyDate") or ""),
        "time": _time(row.get("StudyTime") or ""),
        "description": row.get("StudyDescription") or "",
        "modalities": (row.get("ModalitiesInStudy") or "").split("\\"),
        "accession": row.get("AccessionNumber") or "",
        "images": row.get("NumberOfStudyRelatedInstances") or 0,
        "availability": row.get("InstanceAvailability") or "ONLINE",
    }


def _series(row: Row) -> Row:
    return {
        "uid": row["SeriesInstanceUID"],
        "number": row.get("SeriesNumber"),
        "modality": row.get("Modality") or "",
        "description": row.get("SeriesDescription") or "",
        "body_part": row.get("BodyPartExamined") or "",
        "images": row.get("NumberOfSeriesRelatedInstances") or 0,
        "availability": row.get("InstanceAvailability") or "ONLINE",
    }


def _name(text: Any) -> str:
    """Return a person's name as it is spoken: family name first, without the signs between."""
    shown = str(text or "").split("=")[0]
    return " ".join(part for part in shown.split("^") if part)


def _time(text: str) -> str:
    return f"{text[:2]}:{text[2:4]}" if text[:4].isdigit() and len(text) >= 4 else ""
