"""Eviction plans as the archive makes them, and files as it sends them back."""

from __future__ import annotations

from dicom_node.models import Instance
from tests.node.objects import STUDY

URL = f"/api/custody/studies/{STUDY}"


def plan_for(study, plan_id="p1", **changes):
    """Return a plan that evicts a study on proof."""
    study.refresh_from_db()
    rows = Instance.objects.filter(series__study=study).order_by("uid")
    copies = [{"vault": "vault-1", "volume": "A00001", "verified_at": "2026-11-21T10:00:00Z"}]
    return {
        "plan_id": plan_id,
        "study_uid": study.uid,
        "revision": study.revision,
        "recalls": study.recalls,
        "instances": [
            {"sop_instance_uid": r.uid, "stored_sha256": r.stored_sha256, "copies": copies}
            for r in rows
        ],
    } | changes


def path_of(layout, uid, suffix=".dcm"):
    """Return where the node keeps an instance, or its stub."""
    return layout.object(Instance.objects.get(uid=uid).hour, uid, suffix)


def put(archive, uid, content):
    """Send an instance's file back."""
    return archive("custody.recall", study=STUDY).put(
        f"{URL}/instances/{uid}", content, content_type="application/dicom"
    )
