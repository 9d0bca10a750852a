"""Decisions about quarantined objects: the stored one stays, or gives way (custody rules 2, 5, 6).

Nothing is destroyed: an object that gives way goes to quarantine itself, and each decision can be
undone. First the row says what is under way, then the journal, then the files, then the index; the
chores finish what a kill interrupts.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from dicom_node import audit
from dicom_node.index import changes, journaled, quarantine, rows, withheld
from dicom_node.index.conflicts import patient_conflict
from dicom_node.index.durable import durable_transaction
from dicom_node.index.entry import Entry
from dicom_node.index.stored import entry_of_file
from dicom_node.models import Instance, Quarantined, Study
from dicom_node.store import blobs, part10
from dicom_node.store.journal import KEPT, REOPENED, TAKEN, Journal
from dicom_node.store.layout import Layout
from pacs_common.availability import Availability
from pacs_common.errors import ArgensError, BadInput, Conflict, NotFound

LOG = logging.getLogger(__name__)
MAX_COMMENT_CHARS = 1024
UNDER_WAY_FOR = timedelta(minutes=2)  # after that nobody is at it any more
Decision = Quarantined.Decision


def named(row_id: int) -> Quarantined:
    """Return a quarantined object; raises NotFound."""
    row = Quarantined.objects.filter(id=row_id).first()
    if row is None:
        raise NotFound(f"there is no quarantined object {row_id}")
    return row


def stored_beside(row: Quarantined) -> Instance | None:
    """Return the instance that is stored under a quarantined object's UID."""
    return Instance.every.select_related("series__study").filter(uid=row.uid).first()


def keep(layout: Layout, row: Quarantined, by: str, comment: str) -> Quarantined:
    """Leave an object in quarantine for good: what is stored is right."""
    return _settled(layout, KEPT, row, (Decision.NONE,), Decision.KEPT, by, comment)


def take(layout: Layout, row: Quarantined, by: str, comment: str) -> None:
    """Let an object into its study; a stored one of its UID goes to quarantine.

    Raises Conflict where it may not: see `why_not`.
    """
    _require_takeable(layout, row)
    now = _claimed(row, (Decision.NONE,), Decision.TAKING, by, comment)
    _exchange(layout, now)


def undo(layout: Layout, row: Quarantined, by: str, comment: str) -> None:
    """Let an object wait again; one that gave its place to another gets it back."""
    if row.decision == Decision.REPLACED:
        _require_takeable(layout, row)
        now = _claimed(row, (Decision.REPLACED,), Decision.RETURNING, by, comment)
        _exchange(layout, now)
        return
    _settled(layout, REOPENED, row, (Decision.KEPT,), Decision.NONE, by, comment)


def why_not(layout: Layout, row: Quarantined) -> str:
    """Return why an object may not take the place of the stored one, "" where it may."""
    stored = stored_beside(row)
    if stored is not None and stored.rejected:
        return "the stored one is rejected: undo that first"
    if stored is not None and stored.availability != Availability.ONLINE:
        return "the stored one is in the archive: bring its exam back first"
    path = layout.quarantined(row.hour, row.uid, row.received_sha256)
    try:
        entry = entry_of_file(path, row.hour)
    except (ArgensError, OSError) as error:
        return f"its file cannot be read: {error}"
    if entry.stored.received_sha256 != row.received_sha256:
        return "its file is damaged"
    study = Study.objects.filter(uid=entry.identity.study).first()
    conflict = patient_conflict(study, entry.patient) if study else ""
    return f"{conflict}: correct the identity of the exam first" if conflict else ""


def settle_interrupted(layout: Layout) -> None:
    """Finish the exchanges that a kill interrupted."""
    old = timezone.now() - UNDER_WAY_FOR
    under_way = (Decision.TAKING, Decision.RETURNING)
    for row in Quarantined.objects.filter(decision__in=under_way, decided_at__lt=old):
        try:
            _exchange(layout, row, is_noted=_is_noted(layout, row))
        except ArgensError as error:
            LOG.error("an exchange waits: %s", error, extra={"sop_instance_uid": row.uid})


def known(*, is_waiting: bool) -> QuerySet[Quarantined]:
    """Return the objects that wait for a decision, or those about which one was made."""
    if is_waiting:
        return Quarantined.waiting.order_by("-arrived_at", "-id")
    settled = (Decision.KEPT, Decision.REPLACED)
    return Quarantined.objects.filter(decision__in=settled).order_by("-decided_at", "-id")


def _require_takeable(layout: Layout, row: Quarantined) -> None:
    why = why_not(layout, row)
    if why:
        raise Conflict(why)


def _settled(
    layout: Layout,
    kind: str,
    row: Quarantined,
    before: tuple[str, ...],
    decision: str,
    by: str,
    comment: str,
) -> Quarantined:
    """Make a decision that moves no file: a record, and with it a revision of the study."""

    def note(now: Quarantined) -> None:
        _note(layout, kind, now)
        withheld.revise(now.study_uid)

    return _claimed(row, before, decision, by, comment, note)


def _claimed(
    row: Quarantined,
    before: tuple[str, ...],
    decision: str,
    by: str,
    comment: str,
    then: Callable[[Quarantined], None] = lambda now: None,
) -> Quarantined:
    """Write a decision into the row, durably; raises Conflict where another one was first."""
    if len(comment) > MAX_COMMENT_CHARS or not comment.isprintable():
        raise BadInput(f"the comment is not a line of at most {MAX_COMMENT_CHARS} characters")
    told = {"decision": decision, "decided_by": by, "comment": comment}
    told["decided_at"] = timezone.now()
    if decision == Decision.NONE:
        told = {"decision": decision, "decided_by": "", "comment": "", "decided_at": None}
    with durable_transaction():
        same = Quarantined.objects.filter(id=row.id, decision__in=before)
        if same.update(**told) != 1:
            raise Conflict("somebody else has just decided about it")
        changes.note([row.study_uid])
        row.refresh_from_db()
        row.decided_by, row.comment = by, comment
        then(row)
    return row


def _exchange(layout: Layout, row: Quarantined, *, is_noted: bool = False) -> None:
    stored = stored_beside(row)
    incoming = layout.quarantined(row.hour, row.uid, row.received_sha256)
    if stored is not None and _is_in_place(layout, row, stored):
        _drop_leftover(incoming, row)
        return
    entry = entry_of_file(incoming, row.hour)
    if not is_noted:
        undoes = {"undoes": True} if row.decision == Decision.RETURNING else {}
        _note(layout, TAKEN, row, left_sha256=stored.received_sha256 if stored else "", **undoes)
    final, former = layout.object(row.hour, row.uid), None
    if stored is not None:
        former = layout.object(stored.hour, stored.uid)
        if stored.received_sha256 != row.received_sha256:  # else it is lost or damaged
            _link(former, layout.quarantined(stored.hour, stored.uid, stored.received_sha256))
    _place(incoming, final, former)
    _write_rows(stored, entry, row)
    for leftover in {incoming, former} - {final, None}:
        leftover.unlink(missing_ok=True)
        blobs.sync_folder(leftover.parent)


def _is_in_place(layout: Layout, row: Quarantined, stored: Instance) -> bool:
    """Return whether an object is stored already, its file whole: a kill left the rest."""
    path = layout.object(stored.hour, stored.uid)
    try:
        is_whole = part10.data_set_sha256(path) == stored.received_sha256
    except (ArgensError, OSError):
        return False
    return is_whole and stored.received_sha256 == row.received_sha256


def _place(incoming: Path, final: Path, former: Path | None) -> None:
    """Give the incoming file its final name beside its own; it replaces the former at once."""
    blobs.ensure_folder(final.parent)
    with blobs.disk_errors():
        if final == former:
            ready = final.with_name(f".{final.name}.taken.part")
            ready.unlink(missing_ok=True)
            os.link(incoming, ready)
            ready.replace(final)
        elif not final.exists():
            os.link(incoming, final)
    blobs.sync_folder(final.parent)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name in quarantine; one that is lost has none to give."""
    if not source.exists() or target.exists():
        return
    blobs.ensure_folder(target.parent)
    with blobs.disk_errors():
        os.link(source, target)
    blobs.sync_folder(target.parent)


def _write_rows(stored: Instance | None, entry: Entry, row: Quarantined) -> None:
    try:
        with durable_transaction():
            quarantine.exchange(stored, entry, row)
    except rows.OtherPatient as conflict:
        raise Conflict(str(conflict)) from None


def _drop_leftover(incoming: Path, row: Quarantined) -> None:
    """Its content is stored: a kill left its name in quarantine too."""
    incoming.unlink(missing_ok=True)
    Quarantined.objects.filter(id=row.id).delete()


def _note(layout: Layout, kind: str, row: Quarantined, **more: Any) -> None:
    record = {
        "study_uid": row.study_uid,
        "sop_instance_uid": row.uid,
        "received_sha256": row.received_sha256,
        "by": row.decided_by,
        "comment": row.comment,
        "decided_at": (row.decided_at or timezone.now()).isoformat(),
        **more,
    }
    Journal(layout.journal).append(kind, [record])
    audit.note(kind, **record)


def _is_noted(layout: Layout, row: Quarantined) -> bool:
    """Return whether the journal tells of this very exchange."""
    at = row.decided_at.isoformat() if row.decided_at else ""
    return any(
        record.get("kind") == TAKEN
        and record.get("received_sha256") == row.received_sha256
        and record.get("decided_at") == at
        for record in journaled.of_study(Journal(layout.journal), row.study_uid)
    )
