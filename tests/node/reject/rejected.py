"""A study to reject, what is found of it, and what a removal waits for."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from pydicom.dataset import Dataset

from dicom_node.custody import reject_note
from dicom_node.index import rejections
from dicom_node.index.cursors import rows
from dicom_node.index.query import Level, Query
from dicom_node.models import Instance, Rejection, Study
from dicom_node.store import part10
from dicom_node.store.journal import COPIED, Journal
from dicom_node.store.layout import Layout
from tests.node.objects import STUDY

ADDRESS = f"/dicom-web/studies/{STUDY}"
OTHER = f"{STUDY}.2"


def found(level: Level, **keys: str) -> list[str]:
    """Return the UIDs that a query finds, as C-FIND and QIDO-RS ask."""
    path = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
    return sorted(row[0] for row in rows(Query(level, keys, asked=[path[level.name]])))


def everything() -> tuple[list[str], list[str], list[str]]:
    """Return the UIDs of the studies, series and instances that are found."""
    return found(Level.STUDY), found(Level.SERIES), found(Level.IMAGE)


def counts() -> tuple[int, int, str, int]:
    """Return what the study counts: series, instances, modalities, rejected ones."""
    row = Study.objects.get(uid=STUDY)
    return row.series_count, row.instance_count, row.modalities, row.rejected_count


def interrupted(study: list[str], at) -> rejections.Intent:
    """Return the intent of a rejection that a kill interrupts."""
    return rejections.Intent(f"{STUDY}.77", STUDY, "113001", "", "somebody", "node", at)


def note_of(uid: str, found_: list[Instance]) -> Dataset:
    """Return a note that rejects instances."""
    why = ("113038", "not this patient")
    study_row = found_[0].series.study
    content = reject_note.write(uid, study_row, found_, why, "CT1", timezone.now())
    return part10.parse_data_set(content, reject_note.SYNTAX)


def prove(layout: Layout, *uids: str) -> None:
    """Journal the archive's receipts, as `POST /api/custody/receipts` does."""
    for uid in uids:
        row = Instance.every.get(uid=uid)
        row.stored_sha256 = part10.file_sha256(layout.object(row.hour, uid))
        row.save()
        copy = {"vault": "v", "volume": "A1", "member": "m", "verified_at": "2026-11-21"}
        record = {"study_uid": STUDY, "sop_instance_uid": uid, "copies": [copy]}
        Journal(layout.journal).append(COPIED, [record | {"stored_sha256": row.stored_sha256}])


def make_due(told: dict) -> None:
    """Let a rejection be old enough for a removal."""
    Rejection.objects.filter(note_uid=told["id"]).update(at=timezone.now() - timedelta(days=31))
