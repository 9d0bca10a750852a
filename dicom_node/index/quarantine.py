"""Quarantined objects: their rows, what was decided, and how that comes back from the journal.

The latest record of an object counts. An object is told by its UID and `received_sha256`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Max

from dicom_node.index import rejections, rows, withheld
from dicom_node.index.entry import Entry
from dicom_node.models import Instance, Quarantined, Series, Study
from dicom_node.store.journal import KEPT, REOPENED, TAKEN

Decision = Quarantined.Decision
UNDECIDED = {"decision": Decision.NONE, "decided_by": "", "decided_at": None, "comment": ""}
_Key = tuple[str, str]


def add(entry: Entry, reason: str, detail: str) -> bool:
    """Add the row of a quarantined object, once for each digest; False where it is there.

    It is a revision of its study, which the archive copies (custody rule 5).
    """
    with transaction.atomic(savepoint=False):
        is_new = _added(entry, reason, detail)
        if is_new:
            withheld.count(entry)
    return is_new


def put_back(entry: Entry, reason: str, detail: str, revision: int) -> None:
    """Add the row of an object that the archive gives back, inside the caller's transaction.

    That is no revision: a study of which nothing else is here has the one that is proven.
    """
    if _added(entry, reason, detail):
        withheld.keep(entry, revision)


def _added(entry: Entry, reason: str, detail: str) -> bool:
    # The study first, as whoever decides locks it.
    list(Study.objects.select_for_update().filter(uid=entry.identity.study).values("id"))
    _, is_new = Quarantined.objects.get_or_create(
        uid=entry.identity.instance,
        received_sha256=entry.stored.received_sha256,
        defaults={
            "study_uid": entry.identity.study,
            "reason": reason,
            "detail": detail,
            "hour": entry.stored.hour,
            "size_bytes": entry.stored.size_bytes,
            "arrived_at": entry.stored.arrived_at,
            "source_ae": entry.stored.source_ae,
        },
    )
    return is_new


def restore(records: Iterable[Mapping[str, Any]]) -> None:
    """Give the quarantined objects the decisions that the journal tells (custody rule 2)."""
    for (uid, sha256), columns in _latest(records).items():
        Quarantined.objects.filter(uid=uid, received_sha256=sha256).update(**columns)


def exchange(stored: Instance | None, entry: Entry, row: Quarantined) -> None:
    """Let a quarantined object's entry take the place of the stored instance, in a transaction.

    The stored one's row goes to quarantine. Raises OtherPatient, IntegrityError.
    """
    if stored is None:
        rows.add(entry)
    else:
        study = Study.objects.select_for_update().get(id=stored.series.study_id)
        _forget(stored, study)
        _quarantine(stored, study, row)
        rows.add(entry)
        changed = Study.objects.filter(uid=study.uid)
        here = Instance.every.filter(series__study__uid=study.uid)
        last = here.aggregate(at=Max("arrived_at"))["at"] or study.last_arrival_at
        kept = {"recalls": study.recalls, "holds": study.holds}
        if not changed.update(last_arrival_at=last, revision=study.revision + 1, **kept):
            withheld.begin(study)
        rejections.recount(changed.values_list("id", flat=True))
    Quarantined.objects.filter(id=row.id).delete()


def _forget(stored: Instance, study: Study) -> None:
    """Take an online instance's row out, and what is empty without it."""
    size = stored.size_bytes
    Instance.every.filter(id=stored.id).delete()
    Study.objects.filter(id=study.id).update(
        size_bytes=F("size_bytes") - size, online_bytes=F("online_bytes") - size
    )
    if not Instance.every.filter(series=stored.series_id).exists():
        Series.objects.filter(id=stored.series_id).delete()
    if not Instance.every.filter(series__study=study).exists():
        Study.objects.filter(id=study.id).delete()


def _quarantine(stored: Instance, study: Study, row: Quarantined) -> None:
    is_returning = row.decision == Decision.RETURNING  # then the other one waits as before
    decided = UNDECIDED if is_returning else _decided(Decision.REPLACED, row)
    Quarantined.objects.update_or_create(
        uid=stored.uid,
        received_sha256=stored.received_sha256,
        defaults={
            "study_uid": study.uid,
            "reason": Quarantined.Reason.SAME_UID,
            "detail": f"stored {row.received_sha256[:16]}, came {stored.received_sha256[:16]}",
            "hour": stored.hour,
            "size_bytes": stored.size_bytes,
            "arrived_at": stored.arrived_at,
            "source_ae": stored.source_ae,
            **decided,
        },
    )


def _decided(decision: str, row: Quarantined) -> dict[str, Any]:
    return {
        "decision": decision,
        "decided_by": row.decided_by,
        "decided_at": row.decided_at,
        "comment": row.comment,
    }


def _latest(records: Iterable[Mapping[str, Any]]) -> dict[_Key, dict[str, Any]]:
    found: dict[_Key, dict[str, Any]] = {}
    for record in records:
        kind = record.get("kind")
        if kind == KEPT:
            found[_key(record, "received_sha256")] = _columns(Decision.KEPT, record)
        elif kind == TAKEN:
            # Should it still lie in quarantine, its taking was interrupted: the chores finish it.
            is_undone = record.get("undoes") is True
            under_way = Decision.RETURNING if is_undone else Decision.TAKING
            found[_key(record, "received_sha256")] = _columns(under_way, record)
            left = UNDECIDED if is_undone else _columns(Decision.REPLACED, record)
            found[_key(record, "left_sha256")] = left | {"reason": Quarantined.Reason.SAME_UID}
        elif kind == REOPENED:
            found.pop(_key(record, "received_sha256"), None)
    return found


def _key(record: Mapping[str, Any], digest: str) -> _Key:
    return record["sop_instance_uid"], record[digest]


def _columns(decision: str, record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "decision": decision,
        "decided_by": record["by"],
        "decided_at": datetime.fromisoformat(record["decided_at"]),
        "comment": record["comment"],
    }
