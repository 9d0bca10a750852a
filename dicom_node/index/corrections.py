"""Corrections as rows: what is in force of each study, and how all come back from the journal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import IntegrityError
from django.db.models import F
from django.utils import timezone

from dicom_node.index.corrected import Original, corrected_row
from dicom_node.index.durable import durable_transaction
from dicom_node.index.in_force import overlay_of
from dicom_node.models import Correction, Study
from dicom_node.store.journal import CORRECTED, CORRECTION_UNDONE
from pacs_common.errors import Conflict

State = Correction.State
_TOLD = ("correction_id", "study_uid", "why", "by", "values", "old", "before", "after")


def begin(fresh: Correction) -> Correction:
    """Note durably what is about to be corrected; raises Conflict where its id is taken."""
    try:
        with durable_transaction():
            fresh.save(force_insert=True)
    except IntegrityError:
        raise Conflict("a correction of this id is under way") from None
    return fresh


@contextmanager
def held(correction: Correction) -> Iterator[Correction]:
    """Hold a correction and its study, as they are now, in a durable transaction."""
    with durable_transaction():
        list(Study.objects.select_for_update().filter(uid=correction.study_uid).values_list("id"))
        now = Correction.objects.select_for_update().filter(id=correction.id).first()
        if now is None:
            raise Conflict("it took too long and was given up")
        yield now


def settle(correction: Correction, state: str) -> None:
    """Put a correction into a state, and show its study accordingly; the caller holds both."""
    correction.state = state
    correction.save()
    show(correction.study_uid)


def show(study_uid: str) -> None:
    """Write a study's row as the corrections in force show it, inside the caller's transaction."""
    row = Study.objects.filter(uid=study_uid).values().first()
    if row is None:
        return
    fresh = corrected_row(Original.of(row), overlay_of(study_uid))
    counted = {"revision": F("revision") + 1, "changed_at": timezone.now()}
    Study.objects.filter(id=row["id"]).update(**fresh, **counted)


def restore(records: Iterable[Mapping[str, Any]]) -> None:
    """Give the journal's corrections their rows, before the studies have theirs (rule 2)."""
    known = set(Correction.objects.values_list("correction_id", flat=True))
    studies: set[str] = set()
    for record in records:
        if record.get("kind") == CORRECTED and record["correction_id"] not in known:
            known.add(record["correction_id"])
            studies.add(record["study_uid"])
            _restored(record).save(force_insert=True)
        elif record.get("kind") == CORRECTION_UNDONE:
            undone = {"undone_by": record["by"], "undone_at": _moment(record["at"])}
            named = Correction.objects.filter(correction_id=record["correction_id"])
            if named.exclude(state=State.UNDONE).update(state=State.UNDONE, **undone):
                studies.add(record["study_uid"])
    for study_uid in Study.objects.filter(uid__in=studies).values_list("uid", flat=True):
        with durable_transaction():  # of an index that forgot its corrections alone
            show(study_uid)


def told(correction: Correction) -> dict[str, Any]:
    """Return what the journal keeps of a correction."""
    return {name: getattr(correction, name) for name in _TOLD} | {
        "what": correction.kind,
        "corrected_at": correction.at.isoformat(),
    }


def _restored(record: Mapping[str, Any]) -> Correction:
    return Correction(
        **{name: record[name] for name in _TOLD},
        kind=record["what"],
        at=_moment(record["corrected_at"]),
        state=State.APPLIED,
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
