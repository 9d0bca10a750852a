"""The journal of a study, given back to a node that lost it: appended once, then shown.

A record that lacks what its kind tells would stop every later reindex, so none such is taken.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dicom_node import audit
from dicom_node.index import archived, corrections, journaled, quarantine, rejections
from dicom_node.index.durable import durable_transaction
from dicom_node.models import Study, WithheldStudy
from dicom_node.store import blobs, journal
from dicom_node.store.journal import OFFERED, Journal
from dicom_node.store.layout import Layout
from pacs_common.errors import BadInput

MOST_REVISIONS = 1 << 31  # what its column holds, and no less
Record = Mapping[str, Any]
_OBJECT = {"sop_instance_uid": str}
_DECISION = _OBJECT | dict.fromkeys(("received_sha256", "by", "comment", "decided_at"), str)
_NOTE = {"note_uid": str}
_HOLDS = {"holds": list, "by": str}
_TOLD: dict[str, dict[str, type]] = {  # what is read of each kind of record, and what it is
    journal.EVICTED: _OBJECT
    | dict.fromkeys(("transfer_syntax_uid", "arrived_at", "source_ae", "received_sha256"), str)
    | {"stored_sha256": str, "pixel_sha256": str, "size_bytes": int, "copies": list},
    journal.RECALLED: _OBJECT,
    journal.COPIED: _OBJECT | {"stored_sha256": str, "copies": list},
    journal.REJECTED: _NOTE
    | dict.fromkeys(("code", "comment", "by", "source", "rejected_at"), str)
    | {"sop_instance_uids": list},
    journal.UNDONE: _NOTE | {"by": str},
    journal.APPROVED: _NOTE | {"by": str},
    journal.REMOVED: _NOTE | _OBJECT,
    journal.CORRECTED: dict.fromkeys(("correction_id", "what", "corrected_at", "why", "by"), str)
    | {"values": dict, "old": dict, "before": list, "after": list},
    journal.CORRECTION_UNDONE: {"correction_id": str, "by": str},
    journal.HELD: _HOLDS,
    journal.RELEASED: _HOLDS,
    journal.SHELVED: {"availability": str, "sop_instance_uids": list},
    journal.KEPT: _DECISION,
    journal.TAKEN: _DECISION | {"left_sha256": str},
    journal.REOPENED: _DECISION,
}
_MOMENTS = ("at", "arrived_at", "rejected_at", "corrected_at", "decided_at")


def checked(told: Any, study_uid: str) -> list[dict[str, Any]]:
    """Return the records of a study as they are to be kept; raises BadInput for any other."""
    if not isinstance(told, list):
        raise BadInput("records is not a list")
    for number, record in enumerate(told):
        why = _fault(record, study_uid)
        if why:
            raise BadInput(f"record {number}: {why}")
    return told


def restore_records(
    layout: Layout, study_uid: str, records: Sequence[Record], revision: int, by: str
) -> int:
    """Append the records of a study that are not here yet, show them, and return their number.

    `revision` is what the archive has proven: the study's is not to be lower. All of a study's
    records come at once, and before its files, so that its first row shows them.
    """
    if not 0 <= revision < MOST_REVISIONS:
        raise BadInput("revision is not a number that a study may have")
    blobs.ensure_folder(layout.journal)
    kept = Journal(layout.journal)
    with blobs.locked(layout.journal, exclusive=True):  # of two who ask at once, one is first
        known = journaled.of_study(kept, study_uid)
        seen = {_same(record) for record in known}
        fresh = [one for one in records if _same(one) not in seen]
        kept.restore(fresh)
        own = _own_revisions(study_uid, known, revision)
        if revision > (archived.offered(known) or 0):
            kept.append(OFFERED, [{"study_uid": study_uid, "revision": revision}])
        _show(study_uid, journaled.of_study(kept, study_uid), own)
    if fresh:
        audit.note("journal-restored", study_uid=study_uid, by=by, records=len(fresh))
    return len(fresh)


def _show(study_uid: str, records: Sequence[Record], own: int) -> None:
    """Apply a study's records to its rows, as a reindex does."""
    rejections.restore(records)
    corrections.restore(records)
    with durable_transaction():
        archived.show(study_uid, records)
        quarantine.restore(records)
        least = (archived.offered(records) or 0) + own
        for model in (Study, WithheldStudy):
            model.objects.filter(uid=study_uid, revision__lt=least).update(revision=least)


def _own_revisions(study_uid: str, known: Sequence[Record], given: int) -> int:
    """Return how many revisions of a study are this node's own, beside those it was given.

    They make it another one than the archive has proven.
    """
    row = Study.objects.filter(uid=study_uid).values("revision", "last_arrival_at").first()
    if row is None:
        return 0
    offers = [record for record in known if record["kind"] == OFFERED]
    offered = archived.offered(known) or 0
    if not offers or row["revision"] < offered:
        return row["revision"]
    if given <= offered:
        return 0  # told before
    began_at = datetime.fromisoformat(offers[0]["at"])
    return max(row["revision"] - offered, int(row["last_arrival_at"] > began_at))


def _fault(record: Any, study_uid: str) -> str:
    """Return why a record is not taken, "" where it is."""
    if not isinstance(record, dict) or record.get("study_uid") != study_uid:
        return f"not a record of study {study_uid}"
    kind = record.get("kind")
    if not isinstance(kind, str) or kind not in _TOLD:
        return f"{str(kind)[:32]!r} is no kind of record that is restored"
    for name, expected in ({"at": str} | _TOLD[kind]).items():
        if not isinstance(record.get(name), expected):
            return f"{name} is missing, or not what a record of {kind!r} has"
    return _moment_fault(record) or _list_fault(record)


def _moment_fault(record: Record) -> str:
    for name in _MOMENTS:
        try:
            moment = datetime.fromisoformat(record.get(name, "2026-01-01T00:00+00:00"))
        except (TypeError, ValueError):
            return f"{name} is no moment (ISO 8601)"
        if moment.tzinfo is None:
            return f"{name} names no time zone"
    return ""


def _list_fault(record: Record) -> str:
    uids, holds = record.get("sop_instance_uids", []), record.get("holds", [])
    if not all(isinstance(uid, str) for uid in uids):
        return "sop_instance_uids are not all texts"
    if not all(isinstance(one, dict) and _is_hold(one) for one in holds):
        return "holds are not all holds"
    keys = (record.get("before", ["", ""]), record.get("after", ["", ""]))
    if not all(len(key) == 2 and all(isinstance(part, str) for part in key) for key in keys):
        return "before and after are not patient keys"
    if not all(isinstance(copy, dict) for copy in record.get("copies", [])):
        return "copies are not all copies"
    return ""


def _is_hold(told: Record) -> bool:
    return all(isinstance(told.get(name), str) for name in ("kind", "reason", "by"))


def _same(record: Record) -> str:
    return json.dumps(record, sort_keys=True)
