"""Removal of what was rejected, approved by a person: the node's own files, never the last copy.

Only what a receipt proves to be in the archive goes (custody rules 7 and 8); the rest stays hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from django.utils import timezone

from dicom_node import audit
from dicom_node.custody import reject
from dicom_node.index import holds, rejections
from dicom_node.models import Instance, Quarantined, Rejection
from dicom_node.store import blobs, part10
from dicom_node.store.journal import APPROVED, REMOVED, Journal
from dicom_node.store.layout import OBJECT, STUB, THUMBNAIL, Layout
from pacs_common.availability import Availability
from pacs_common.errors import Conflict

State = Rejection.State
Proven = Callable[[Layout, Collection[str]], set[tuple[str, str]]]  # (UID, stored digest)


def approve(layout: Layout, rejection: Rejection, by: str, proven: Proven) -> dict[str, Any]:
    """Remove what the archive holds of a rejection whose time is over.

    Returns how many instances went, and why others stay. Raises Conflict where it is not due or
    was undone.
    """
    _note_approval(layout, rejection, by)
    found = list(rejections.hidden_by(rejection))
    receipts = proven(layout, {instance.uid for instance in found})
    kept, going = [], []
    for instance in found:
        why = _refusal(layout, instance, receipts)
        if why:
            kept.append({"sop_instance_uid": instance.uid, "reason": why})
        else:
            going.append(instance)
    removed = _remove(layout, rejection, going)
    audit.note(
        "removed",
        study_uid=rejection.study_uid,
        note_uid=rejection.note_uid,
        by=by,
        instances=removed,
        kept=len(kept),
    )
    rejection.refresh_from_db()
    return {"removed": removed, "kept": kept}


def plan(
    layout: Layout, rejection: Rejection, receipts: Collection[tuple[str, str]]
) -> list[tuple[Instance, str]]:
    """Return what a removal would be about: each hidden instance, and why it would stay ("": goes).

    Nothing is changed.
    """
    known = set(receipts)
    found = rejections.hidden_by(rejection)
    return [(instance, _refusal(layout, instance, known)) for instance in found]


def _note_approval(layout: Layout, rejection: Rejection, by: str) -> None:
    with rejections.held(rejection) as now:
        if now.state not in (State.REJECTED, State.APPROVED):
            raise Conflict(f"it is {State(now.state).label}")
        if timezone.now() < reject.due_at(now):
            raise Conflict(f"it may not be removed before {reject.due_at(now).isoformat()}")
        if now.state == State.REJECTED:
            record = {"study_uid": now.study_uid, "note_uid": now.note_uid, "by": by}
            Journal(layout.journal).append(APPROVED, [record])
            now.state, now.approved_by = State.APPROVED, by
            now.save(update_fields=["state", "approved_by"])


def _refusal(layout: Layout, instance: Instance, receipts: set[tuple[str, str]]) -> str:
    if instance.series.study.holds:
        return holds.refusal(instance.series.study.holds)
    if (instance.uid, instance.stored_sha256) not in receipts:
        return "no verified copy of it is in the archive"
    if Quarantined.waiting.filter(uid=instance.uid).exists():
        return "waits for a quarantine decision"
    if instance.availability != Availability.ONLINE:
        return ""
    path = layout.object(instance.hour, instance.uid)
    if not path.exists() or part10.file_sha256(path) != instance.stored_sha256:
        return "the file on disk is not what the archive holds"
    return ""


def _remove(layout: Layout, rejection: Rejection, going: Sequence[Instance]) -> int:
    """Remove the files of instances, hour by hour; return how many went.

    Raises Conflict where the rejection was undone meanwhile.
    """
    by_hour: dict[str, list[Instance]] = {}
    for instance in going:
        by_hour.setdefault(instance.hour, []).append(instance)
    return sum(_remove_hour(layout, rejection, *one) for one in by_hour.items())


def _remove_hour(
    layout: Layout, rejection: Rejection, hour: str, instances: Sequence[Instance]
) -> int:
    """Journal first, then the rows, then the files: a file that a kill leaves is found by fsck."""
    folder = layout.folder(hour)
    with blobs.locked(folder, exclusive=True):  # no recall puts one back meanwhile
        with rejections.held(rejection) as now:
            if now.state != State.APPROVED:
                raise Conflict(f"it is {State(now.state).label}")
            hidden = rejections.still_hidden(instances)
            going = [one for one in hidden if not one.series.study.holds]
            Journal(layout.journal).append(REMOVED, [_record(now, one) for one in going])
            rejections.forget(now, going)
        for instance in going:
            for suffix in (OBJECT, STUB, THUMBNAIL):
                layout.object(hour, instance.uid, suffix).unlink(missing_ok=True)
        blobs.sync_folder(folder)
    return len(going)


def _record(rejection: Rejection, instance: Instance) -> dict[str, str]:
    return {
        "study_uid": instance.series.study.uid,
        "note_uid": rejection.note_uid,
        "sop_instance_uid": instance.uid,
        "stored_sha256": instance.stored_sha256,
    }
