"""A node whose disk is lost, and what the archive gives back to another in its place."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from typing import Any

from dicom_node.custody import facts
from dicom_node.index import rebuild
from dicom_node.models import Instance, JournalMark, JournalRun, Study
from dicom_node.store.blobs import ensure_folder
from dicom_node.store.journal import Journal
from dicom_node.store.layout import Layout
from tests.node.test_rebuild import snapshot

COPIES = [{"vault": "v", "volume": "A1", "member": "m", "verified_at": "2026-11-21T10:00:00Z"}]


@dataclass
class Lost:
    """What the archive holds of a node: files, and each study's records and revision."""

    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)
    index: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, layout: Layout) -> Lost:
        """Read what a node holds, as copies and receipts have it."""
        lost = cls()
        Instance.every.update(routed=True)
        for study in Study.objects.all():
            told = facts.manifest(study, Journal(layout.journal))
            lost.records[study.uid] = told["journal"]
            lost.revisions[study.uid] = study.revision
            Study.objects.filter(id=study.id).update(prepared_revision=study.revision)
        for row in Instance.every.select_related("series__study"):
            path = layout.object(row.hour, row.uid)
            if path.exists():
                lost.files[row.series.study.uid, row.uid] = path.read_bytes()
        lost.index = snapshot()
        return lost


def lose_all(layout: Layout) -> None:
    """Let the node's disk and index be empty."""
    for folder in (layout.objects, layout.quarantine, layout.journal, layout.audit):
        shutil.rmtree(folder, ignore_errors=True)
    for model in (*rebuild._ALL, JournalRun, JournalMark):
        model._base_manager.all().delete()
    ensure_folder(layout.objects)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def give(archive, key, content, *, copies=None, sha256=None):
    """PUT a file at the restore door."""
    study_uid, uid = key
    headers = {"X-Stored-SHA256": sha256 or digest(content)}
    if copies is not None:
        headers["X-Evicted-To"] = json.dumps(copies)
    return archive("custody.restore", study=study_uid).put(
        f"/api/custody/restore/{study_uid}/{uid}",
        content,
        content_type="application/dicom",
        headers=headers,
    )


def give_journal(archive, study_uid, records, revision=0):
    """POST a study's records at the restore door."""
    return archive("custody.restore", study=study_uid).post(
        f"/api/custody/restore/{study_uid}/journal",
        json.dumps({"records": records, "revision": revision}),
        content_type="application/json",
    )


def give_all(archive, lost, *, journal_first=True):
    """Give back everything; raises AssertionError where something is not taken."""
    for study_uid, records in lost.records.items():
        keys = [key for key in lost.files if key[0] == study_uid]
        steps = [lambda k=key: give(archive, k, lost.files[k]) for key in keys]
        told = lambda u=study_uid, r=records: give_journal(archive, u, r, lost.revisions[u])  # noqa: E731
        for step in [told, *steps] if journal_first else [*steps, told]:
            answer = step()
            assert answer.status_code in (200, 201), answer.content
