"""Studies of which nothing is stored: all that came of them lies in quarantine.

An object of a known UID may come in a study that is not here, and a study may lose its last stored
instance to a decision. The archive is told of it all the same (custody rule 5), and its revision
goes on in the study's row, should it get one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Case, F, When
from django.utils import timezone

from dicom_node.index.entry import Entry
from dicom_node.models import Quarantined, Study, WithheldStudy

_COLUMNS = ("issuer", "patient_id", "birth_date", "study_date", "description", "department")


def revise(study_uid: str) -> bool:
    """Count one more revision of a study, in a transaction; False where nothing is known of it.

    Its pictures stay prepared: what is stored of it has not changed.
    """
    now = timezone.now()
    row = Study.objects.filter(uid=study_uid)
    is_prepared = When(prepared_revision=F("revision"), then=F("revision") + 1)
    prepared = Case(is_prepared, default=F("prepared_revision"))
    more = {"revision": F("revision") + 1, "changed_at": now}
    if row.update(prepared_revision=prepared, **more):
        return True
    return WithheldStudy.objects.filter(uid=study_uid).update(**more) == 1


def count(entry: Entry) -> None:
    """Count the revision that an object in quarantine is to its study, in a transaction."""
    uid = entry.identity.study
    if uid and not revise(uid):
        WithheldStudy.objects.create(uid=uid, revision=1, **_told(entry))


def keep(entry: Entry, revision: int) -> None:
    """Let a study to which an object in quarantine belongs be known, at a revision at least."""
    uid = entry.identity.study
    if uid and not Study.objects.filter(uid=uid).exists():
        about = _told(entry) | {"revision": revision}
        WithheldStudy.objects.get_or_create(uid=uid, defaults=about)


def _told(entry: Entry) -> dict[str, Any]:
    told = {name: entry.study.get(name) or "" for name in _COLUMNS}
    return told | {
        "department": entry.study.get("requesting_service") or told["department"],
        "modalities": entry.series.get("modality") or "",
        "last_arrival_at": entry.stored.arrived_at,
    }


def begin(study: Study) -> None:
    """Remember a study whose row is gone, where something of it lies in quarantine."""
    if not Quarantined.objects.filter(study_uid=study.uid).exists():
        return
    told = {name: getattr(study, name) for name in (*_COLUMNS, "modalities", "last_arrival_at")}
    told["department"] = study.requesting_service or study.department
    told |= {"revision": study.revision + 1, "changed_at": timezone.now()}
    WithheldStudy.objects.update_or_create(uid=study.uid, defaults=told)


def revisions(study_uids: Iterable[str]) -> dict[str, int]:
    """Return the revisions of those of these studies that were withheld, which ends with it.

    In the transaction that makes their rows.
    """
    rows = WithheldStudy.objects.filter(uid__in=list(study_uids))
    found = dict(rows.values_list("uid", "revision"))
    if found:
        rows.delete()
    return found
