"""Who may do what: the rights, and the groups that hold them."""

from __future__ import annotations

from enum import StrEnum


class Right(StrEnum):
    """A permission of the accounts app, by its codename."""

    SEARCH = "search_studies"
    VIEW = "view_studies"
    DOWNLOAD = "download_studies"
    RECALL = "recall_studies"
    SERVERS = "see_servers"
    OPERATE_SERVERS = "operate_servers"
    ARCHIVE = "operate_archive"
    AUDIT = "see_audit"


_PATIENT_DATA = {Right.SEARCH, Right.VIEW, Right.DOWNLOAD, Right.RECALL}

GROUPS: dict[str, set[Right]] = {
    "clinician": _PATIENT_DATA | {Right.SERVERS},
    "technologist": _PATIENT_DATA | {Right.SERVERS},
    "it": {Right.SERVERS, Right.OPERATE_SERVERS, Right.AUDIT},
    "archivist": {Right.ARCHIVE},
}
