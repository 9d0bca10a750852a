"""What proves the archive's copies: receipts in the node's journal (custody rules 2 and 7)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from dicom_node.index import journaled
from dicom_node.models import Instance
from dicom_node.store.journal import COPIED, EVICTED, Journal
from dicom_node.store.layout import Layout
from pacs_common.errors import BadInput, NotFound

UIDS_AT_ONCE = 500  # within what one statement of SQLite may name


def proven(layout: Layout, uids: Collection[str]) -> set[tuple[str, str]]:
    """Return (UID, stored digest) of the instances of which a verified copy is on record."""
    return set(copies_of(layout, uids))


def copies_of(layout: Layout, uids: Collection[str]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the verified copies on record of instances, by UID and stored digest."""
    wanted = set(uids)
    records = journaled.of_studies(Journal(layout.journal), _studies_of(wanted))
    return {
        (record["sop_instance_uid"], record["stored_sha256"]): list(record["copies"])
        for record in records
        if record.get("kind") in (COPIED, EVICTED)
        and record.get("sop_instance_uid") in wanted
        and _is_verified(record)
    }


def _studies_of(uids: set[str]) -> set[str]:
    """Return the studies of instances: each instance has one, for as long as it is here."""
    found, asked = set(), sorted(uids)
    for start in range(0, len(asked), UIDS_AT_ONCE):
        some = Instance.every.filter(uid__in=asked[start : start + UIDS_AT_ONCE])
        found |= set(some.values_list("series__study__uid", flat=True).distinct())
    return found


def note_copies(layout: Layout, told: Mapping[str, Any]) -> dict[str, Any]:
    """Journal the archive's verified copies of a study; return which were taken and which not.

    `told` is {"study_uid", "instances": [{"sop_instance_uid", "stored_sha256", "copies"}]}.
    Raises BadInput, or NotFound for a study that is not here.
    """
    study_uid, named = _checked(told)
    rows = Instance.every.filter(series__study__uid=study_uid)
    digests = dict(rows.values_list("uid", "stored_sha256"))
    if not digests:
        raise NotFound(f"study {study_uid} is not here")
    known = {uid for uid, _ in proven(layout, {receipt["sop_instance_uid"] for receipt in named})}
    records, refused = [], []
    for receipt in named:
        uid = receipt["sop_instance_uid"]
        why = _refusal(receipt, digests.get(uid))
        if why:
            refused.append({"sop_instance_uid": uid, "reason": why})
        elif uid not in known:
            records.append({"study_uid": study_uid, **receipt})
    Journal(layout.journal).append(COPIED, records)
    refused_uids = {entry["sop_instance_uid"] for entry in refused}
    taken = [r["sop_instance_uid"] for r in named if r["sop_instance_uid"] not in refused_uids]
    return {"study_uid": study_uid, "taken": taken, "refused": refused}


def _refusal(receipt: Mapping[str, Any], digest: str | None) -> str:
    if digest is None:
        return "not in this study"
    if not digest or receipt["stored_sha256"] != digest:
        return "its digest is not the node's"
    return "" if _is_verified(receipt) else "no verified copy is named"


def _is_verified(record: Mapping[str, Any]) -> bool:
    return any(copy.get("verified_at") for copy in record.get("copies", ()))


def _checked(told: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    try:
        named = [
            {
                "sop_instance_uid": str(receipt["sop_instance_uid"]),
                "stored_sha256": str(receipt["stored_sha256"]),
                "copies": [dict(copy) for copy in receipt["copies"]],
            }
            for receipt in told["instances"]
        ]
        return str(told["study_uid"]), named
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"the receipts lack {error}") from None
