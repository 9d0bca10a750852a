"""Quarantined objects as the archive copies them: like all else (custody rule 5)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from dicom_node.config import CONFIG
from dicom_node.models import Quarantined
from dicom_node.store import part10
from dicom_node.store.layout import Layout

LOG = logging.getLogger(__name__)
LAYOUT = Layout(CONFIG.data_dir)


def told(study_uid: str) -> list[dict[str, Any]]:
    """Return the quarantined objects of a study, decided or not, the first ones first.

    One whose file is lost is told no more.
    """
    rows = Quarantined.objects.filter(study_uid=study_uid).order_by("arrived_at", "uid", "id")
    return [
        {
            "uid": row.uid,
            "received_sha256": row.received_sha256,
            "stored_sha256": row.stored_sha256,
            "size_bytes": row.size_bytes,
            "reason": row.reason,
            "detail": row.detail,
            "arrived_at": row.arrived_at.isoformat(),
            "decision": row.decision,
        }
        for row in rows
        if path_of(row).exists() and (row.stored_sha256 or _digested(row))
    ]


def named(uid: str, received_sha256: str) -> Quarantined | None:
    """Return the row of a quarantined object, with the digest of its file; None for no file."""
    row = Quarantined.objects.filter(uid=uid, received_sha256=received_sha256).first()
    if row is None or not path_of(row).exists():
        return None
    return row if row.stored_sha256 or _digested(row) else None


def path_of(row: Quarantined) -> Path:
    """Return where a quarantined object's file lies."""
    return LAYOUT.quarantined(row.hour, row.uid, row.received_sha256)


def _digested(row: Quarantined) -> bool:
    """Give a quarantined object the digest of its file; False where it cannot be read."""
    try:
        row.stored_sha256 = part10.file_sha256(path_of(row))
    except OSError as error:
        told = {"sop_instance_uid": row.uid}
        LOG.error("a quarantined file cannot be read: %s", error.strerror, extra=told)
        return False
    same = Quarantined.objects.filter(id=row.id, received_sha256=row.received_sha256)
    return same.update(stored_sha256=row.stored_sha256) == 1
