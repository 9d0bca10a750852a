"""Why an object does not fit what the index knows: the texts that quarantine shows."""

from __future__ import annotations

from dicom_node.index import rows
from dicom_node.models import Instance, NonPatientObject, Study


def patient_conflict(study: Study, patient: tuple[str, str]) -> str:
    """Return why an object of this patient key does not belong to the study, "" if it does."""
    return rows.conflict_with(vars(study), patient)


def same_uid_detail(known: Instance | NonPatientObject, came_sha256: str) -> str:
    """Return which two contents meet under one SOP Instance UID."""
    return f"stored {known.received_sha256[:16]}, came {came_sha256[:16]}"
