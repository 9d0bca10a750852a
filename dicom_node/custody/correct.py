"""Corrections: another identity is shown of a study, undoably; no stored byte changes (rule 10).

A row that says what is about to be shown comes first, then the journal, then the study's own row.
What a kill interrupts is taken up again: with its journal record a correction, or its undoing, is
finished, without it dropped.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from dicom_node import audit
from dicom_node.custody.correct_values import Asked, after, corrected_values, current
from dicom_node.index import corrections, journaled
from dicom_node.index.corrected import Original
from dicom_node.index.in_force import IN_FORCE
from dicom_node.models import Correction, Study
from dicom_node.overlay.attributes import CORRECTABLE
from dicom_node.store.journal import CORRECTED, CORRECTION_UNDONE, Journal
from dicom_node.store.layout import Layout
from pacs_common.errors import ArgensError, Conflict, NotFound

LOG = logging.getLogger(__name__)
BEGUN_FOR = timedelta(minutes=2)  # after that nobody is at it any more
State = Correction.State


def preview(study_uid: str, asked: Asked, latest: str | None) -> Correction:
    """Return what a correction would be; nothing is done.

    `latest` is the last correction in force that the caller has seen, None where it does not
    matter. Raises BadInput, NotFound, or Conflict where another one came first.
    """
    asked = asked.checked()
    study = _study(study_uid)
    if latest is not None and latest != latest_of(study_uid):
        raise Conflict("this study was corrected meanwhile: look at it again")
    values, before = corrected_values(study, asked), current(study)
    return Correction(
        correction_id=asked.id,
        study_uid=study_uid,
        kind=asked.kind,
        why=asked.why,
        at=timezone.now(),
        values=values,
        old={path: before[path] for path in CORRECTABLE if path in values},
        before=[study.issuer, study.patient_id],
        after=list(after(study, values)),
    )


def correct(
    layout: Layout, study_uid: str, asked: Asked, latest: str | None, by: str
) -> Correction:
    """Show other values from now on; durable when this returns. Asked again, it is the same one.

    Raises what `preview` raises.
    """
    known = Correction.objects.filter(correction_id=asked.id).first()
    if known is not None:
        if known.study_uid != study_uid or known.state == State.UNDONE:
            raise Conflict("the id of another correction, or of one that was undone")
        return _finish(layout, known)
    fresh = preview(study_uid, asked, latest)
    fresh.by = by
    return _finish(layout, corrections.begin(fresh))


def undo(layout: Layout, correction: Correction, by: str) -> Correction:
    """Show again what was shown before a correction; asked again, nothing changes.

    Raises Conflict where it is not the last one in force, or objects came that bear its identity.
    """
    with corrections.held(correction) as now:
        if now.state == State.UNDONE:
            return now
        _require_undoable(now)
        now.state, now.undone_by, now.undone_at = State.UNDOING, by, timezone.now()
        now.save()
    return _undone(layout, now)


def settle_interrupted(layout: Layout) -> None:
    """Finish what a kill interrupted where the journal tells of it, and drop the rest."""
    interrupted = list(Correction.objects.filter(state__in=(State.BEGUN, State.UNDOING)))
    if not interrupted:
        return
    studies = {one.study_uid for one in interrupted}
    told = {
        (record["kind"], record["correction_id"])
        for record in journaled.of_studies(Journal(layout.journal), studies)
        if record.get("kind") in (CORRECTED, CORRECTION_UNDONE)
    }
    for one in interrupted:
        try:
            _settle(one, told)
        except ArgensError as error:
            LOG.error("a correction waits: %s", error, extra={"study_uid": one.study_uid})


def named(correction_id: str) -> Correction:
    """Return a correction by its id; raises NotFound."""
    found = Correction.objects.filter(correction_id=correction_id).first()
    if found is None:
        raise NotFound(f"there is no correction {correction_id[:64]}")
    return found


def of_study(study_uid: str) -> QuerySet[Correction]:
    """Return the corrections of a study, newest first, those that were undone too."""
    found = Correction.objects.filter(study_uid=study_uid).exclude(state=State.BEGUN)
    return found.order_by("-id")


def latest_of(study_uid: str) -> str:
    """Return the id of a study's last correction in force, "" for none."""
    found = of_study(study_uid).filter(state__in=IN_FORCE).first()
    return found.correction_id if found else ""


def account(one: Correction) -> dict[str, Any]:
    """Return what is told of a correction: old and new side by side, in the order of a form."""
    return {
        "id": one.correction_id,
        "study_uid": one.study_uid,
        "kind": one.kind,
        "why": one.why,
        "by": one.by,
        "at": one.at.isoformat(),
        "state": "undone" if one.state == State.UNDONE else "applied",
        "changes": [
            {"keyword": path, "old": one.old.get(path, ""), "new": one.values[path] or ""}
            for path in CORRECTABLE
            if path in one.values and one.old.get(path, "") != (one.values[path] or "")
        ],
        "left_out": sorted(path for path, text in one.values.items() if text is None),
        "patient_before": {"issuer": one.before[0], "id": one.before[1]},
        "patient_after": {"issuer": one.after[0], "id": one.after[1]},
        "undone_by": one.undone_by,
        "undone_at": one.undone_at.isoformat() if one.undone_at else None,
    }


def _study(study_uid: str) -> Study:
    study = Study.objects.filter(uid=study_uid, instance_count__gt=0).first()
    if study is None:
        raise NotFound(f"study {study_uid} is not here")
    return study


def _finish(layout: Layout, correction: Correction) -> Correction:
    """Journal a correction, and show what it says; once."""
    with corrections.held(correction) as now:
        if now.state != State.BEGUN:
            return now
        _require_unchanged(now)
        Journal(layout.journal).append(CORRECTED, [corrections.told(now)])
        corrections.settle(now, State.APPLIED)
    audit.note("corrected", **_noted(now), by=now.by, what=now.kind, why=now.why)
    return now


def _undone(layout: Layout, correction: Correction) -> Correction:
    with corrections.held(correction) as now:
        if now.state != State.UNDOING:
            return now
        record = _noted(now) | {"by": now.undone_by}
        Journal(layout.journal).append(CORRECTION_UNDONE, [record])
        corrections.settle(now, State.UNDONE)
    audit.note("correction-undone", **record)
    return now


def _require_unchanged(now: Correction) -> None:
    """Raise Conflict where what a correction replaces is shown no more; it is dropped later."""
    before = current(_study(now.study_uid))
    if any(before[path] != text for path, text in now.old.items()):
        raise Conflict("this study was corrected meanwhile: look at it again")


def _require_undoable(now: Correction) -> None:
    if now.state == State.BEGUN:
        raise Conflict("it is under way")
    if now.correction_id != latest_of(now.study_uid):
        raise Conflict("a later correction of this study is in force: undo that one first")
    row = Study.objects.filter(uid=now.study_uid).values().first()
    if row is not None and tuple(now.after) in Original.of(row).bears:
        raise Conflict("objects came since that bear the corrected identity: correct it anew")


def _settle(interrupted: Correction, told: set[tuple[str, str]]) -> None:
    with corrections.held(interrupted) as now:
        is_undoing = now.state == State.UNDOING
        if now.state != interrupted.state:
            return  # somebody was at it
        kind = CORRECTION_UNDONE if is_undoing else CORRECTED
        since = now.undone_at if is_undoing else now.at
        if (kind, now.correction_id) in told:
            corrections.settle(now, State.UNDONE if is_undoing else State.APPLIED)
        elif since is not None and timezone.now() - since > BEGUN_FOR:
            if is_undoing:
                now.state, now.undone_by, now.undone_at = State.APPLIED, "", None
                now.save()
            else:
                now.delete()


def _noted(one: Correction) -> dict[str, Any]:
    return {"study_uid": one.study_uid, "correction_id": one.correction_id}
