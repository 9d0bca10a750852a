"""Who may do what: the rights, and the groups that hold them."""

from __future__ import annotations

from enum import StrEnum


class Right(StrEnum):
    """A permission of the accounts app, by its codename."""

    SEARCH = "search_studies"
    VIEW = "view_studies"
    DOWNLOAD = "download_studies"
    RECALL = "recall_studies"
    STORE = "store_results"
    UPLOAD = "upload_studies"
    REJECT = "reject_studies"
    CORRECT = "correct_studies"
    ARRIVALS = "see_arrivals"
    BREAK_GLASS = "break_glass"
    SERVERS = "see_servers"
    OPERATE_SERVERS = "operate_servers"
    MANAGE_NODES = "manage_nodes"
    ARCHIVE = "operate_archive"
    AUDIT = "see_audit"
    AUDIT_PATIENTS = "see_audit_patients"
    MANAGE_ACCOUNTS = "manage_accounts"


_LOOK = {Right.SEARCH, Right.VIEW}
_CARE = _LOOK | {Right.DOWNLOAD, Right.RECALL, Right.STORE, Right.BREAK_GLASS, Right.SERVERS}
_MODALITY = {Right.ARRIVALS, Right.UPLOAD, Right.REJECT, Right.CORRECT}

# Whoever keeps the system running sees no patient: no group holds rights of both kinds.
PATIENT_DATA = _CARE - {Right.SERVERS} | _MODALITY | {Right.AUDIT_PATIENTS}
MAINTENANCE = {Right.OPERATE_SERVERS, Right.MANAGE_NODES, Right.MANAGE_ACCOUNTS}

GROUPS: dict[str, set[Right]] = {
    "clinician": _CARE,
    "technologist": _CARE | _MODALITY,
    "researcher": _LOOK,
    "it": MAINTENANCE | {Right.SERVERS, Right.AUDIT},
    "archivist": {Right.ARCHIVE},
    "privacy": {Right.AUDIT, Right.AUDIT_PATIENTS},
}
