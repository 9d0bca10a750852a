"""Rejection: hides instances by a note, undoes it, tells of it; no bytes go (custody rule 8).

Rows that say what is about to be hidden come first, then the note through the one way in, then
the journal, then the hiding. What a kill interrupts is taken up again: with its note on disk a
rejection is finished, without it is dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from dicom_node import audit
from dicom_node.config import CONFIG
from dicom_node.custody import reject_note
from dicom_node.index import rejections
from dicom_node.index.rejections import Intent
from dicom_node.models import Instance, RejectedItem, Rejection
from dicom_node.store import part10
from dicom_node.store.journal import REJECTED, UNDONE, Journal
from dicom_node.store.layout import Layout
from pacs_common.errors import ArgensError, BadInput, Conflict, NotFound

LOG = logging.getLogger(__name__)
NODE = "node"  # the source of a rejection that no peer sent
BEGUN_FOR = timedelta(minutes=2)  # after that nobody is at it any more
MAX_COMMENT_CHARS = 1024
State = Rejection.State
StoreNote = Callable[[bytes, str], None]  # the encoded note, in this transfer syntax


def reject(
    layout: Layout, found: Sequence[Instance], why: tuple[str, str], by: str, store: StoreNote
) -> Rejection:
    """Hide instances of one study by a note that `store` takes in; durable when this returns.

    `why` is (code, comment). Raises BadInput for another code, Conflict where another request
    rejects the same, and what `store` raises: then nothing is hidden.
    """
    code, comment = why
    if code not in reject_note.MEANINGS:
        raise BadInput(f"{code[:16]!r} is not one of {', '.join(reject_note.MEANINGS)}")
    if len(comment) > MAX_COMMENT_CHARS or not comment.isprintable():
        raise BadInput(f"the comment is not a line of at most {MAX_COMMENT_CHARS} characters")
    study, now, uid = found[0].series.study, timezone.now(), reject_note.new_uid()
    note = reject_note.write(uid, study, found, why, by, now)
    intent = Intent(uid, study.uid, code, comment, by, NODE, now)
    rejection = rejections.begin(intent, [instance.uid for instance in found])
    if not rejection.items.exclude(uid=uid).exists():
        rejections.drop(rejection)
        raise Conflict("another rejection of the same is under way")
    try:
        store(note, reject_note.SYNTAX)
    except BaseException:
        if not _has_note(rejection):
            rejections.drop(rejection)
        raise
    return _finish(layout, rejection)


def apply_note(layout: Layout, uid: str, peer: str, by: str) -> Rejection | None:
    """Hide what a stored key object rejects, for a sender who may; None where it rejects nothing.

    Harmless again: what was undone since stays undone.
    """
    row = Instance.every.filter(uid=uid).first()
    if row is None:
        return None
    note = reject_note.read(part10.read_object(layout.object(row.hour, uid)))
    if note is None:
        return None
    known = Rejection.objects.filter(note_uid=uid).first()
    if known is not None:
        return _finish(layout, known) if known.state == State.BEGUN else known
    comment = note.comment[:MAX_COMMENT_CHARS]
    intent = Intent(uid, note.study_uid, note.code, comment, by, peer, timezone.now())
    return _finish(layout, rejections.begin(intent, note.uids))


def undo(layout: Layout, rejection: Rejection, by: str) -> Rejection:
    """Bring back all that a rejection hides; raises Conflict where some of it was removed."""
    with rejections.held(rejection) as now:
        if now.removed:
            raise Conflict(f"{now.removed} of its instances were removed from this node")
        if now.state in (State.UNDONE, State.BEGUN):
            raise Conflict(f"it is {State(now.state).label}")
        record = {"study_uid": now.study_uid, "note_uid": now.note_uid, "by": by}
        Journal(layout.journal).append(UNDONE, [record])
        rejections.show(now)
    audit.note("rejection-undone", **record)
    return now


def settle_interrupted(layout: Layout) -> None:
    """Finish the rejections that a kill interrupted, or drop them where there is no note."""
    old = timezone.now() - BEGUN_FOR
    for rejection in Rejection.objects.filter(state=State.BEGUN, at__lt=old):
        try:
            if _has_note(rejection):
                _finish(layout, rejection)
            else:
                rejections.drop(rejection)
        except ArgensError as error:
            LOG.error("a rejection waits: %s", error, extra={"study_uid": rejection.study_uid})


def named(note_uid: str) -> Rejection:
    """Return a rejection by the UID of its note; raises NotFound."""
    found = Rejection.objects.filter(note_uid=note_uid).first()
    if found is None:
        raise NotFound(f"there is no rejection {note_uid[:64]}")
    return found


def known(*, is_due: bool = False, study_uid: str = "") -> QuerySet[Rejection]:
    """Return the rejections, newest first; those alone whose time is over, if asked."""
    wanted = Q(study_uid=study_uid) if study_uid else Q()
    if is_due:
        wanted &= Q(state=State.REJECTED, at__lte=timezone.now() - _kept_for())
    return Rejection.objects.filter(wanted).exclude(state=State.BEGUN).order_by("-at")


def due_at(rejection: Rejection) -> datetime:
    """Return from when on the files of a rejection may be removed."""
    return rejection.at + _kept_for()


def account(rejection: Rejection) -> dict[str, Any]:
    """Return what is told of a rejection."""
    hidden = RejectedItem.objects.filter(rejection=rejection).exclude(uid=rejection.note_uid)
    return {
        "id": rejection.note_uid,
        "study_uid": rejection.study_uid,
        "code": rejection.code,
        "meaning": reject_note.MEANINGS.get(rejection.code, ""),
        "comment": rejection.comment,
        "by": rejection.by,
        "source": rejection.source,
        "at": rejection.at.isoformat(),
        "due_at": due_at(rejection).isoformat(),
        "state": rejection.state,
        "instances": hidden.count(),
        "removed": rejection.removed,
        "approved_by": rejection.approved_by,
    }


def _finish(layout: Layout, rejection: Rejection) -> Rejection:
    """Journal a rejection whose note is stored, and hide what it names; once."""
    with rejections.held(rejection) as now:
        if now.state != State.BEGUN:
            return now
        told, uids = _told(now), list(now.items.order_by("id").values_list("uid", flat=True))
        Journal(layout.journal).append(REJECTED, [told | {"sop_instance_uids": uids}])
        rejections.hide(now)
    audit.note("rejected", **told, instances=len(uids) - 1)
    return now


def _told(rejection: Rejection) -> dict[str, Any]:
    return {
        "study_uid": rejection.study_uid,
        "note_uid": rejection.note_uid,
        "code": rejection.code,
        "comment": rejection.comment,
        "by": rejection.by,
        "source": rejection.source,
        "rejected_at": rejection.at.isoformat(),
    }


def _has_note(rejection: Rejection) -> bool:
    return Instance.every.filter(uid=rejection.note_uid).exists()


def _kept_for() -> timedelta:
    return timedelta(days=CONFIG.rejected_days)
