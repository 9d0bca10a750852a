"""The way back into quarantine, for a node that lost its disk: the exact file, and its decision.

It is no arrival and no revision: the study's is the one that the archive has proven. Nothing that
is here is overwritten; what is interrupted is asked for again and goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from django.db import Error

from dicom_node import audit
from dicom_node.custody.given import Given, Source, arrival_hour
from dicom_node.custody.recall import checked
from dicom_node.index import archived, journaled, quarantine, rows
from dicom_node.index.durable import durable_transaction
from dicom_node.index.entry import Entry
from dicom_node.models import Quarantined
from dicom_node.store import blobs, part10
from dicom_node.store.journal import Journal
from dicom_node.store.layout import Layout
from pacs_common.errors import Conflict, IndexUnavailable


@dataclass(frozen=True)
class Why:
    """Why an object was quarantined as it arrived: `reason` is one of Quarantined.Reason."""

    reason: str
    detail: str


def restore(layout: Layout, given: Given, why: Why, body: BinaryIO, *, reserve_bytes: int) -> bool:
    """Put an object into quarantine, durably and findable; False where it lies there already.

    It has the decision that the journal tells. Raises DigestMismatch, BadInput, DiskFull, or
    Conflict where that very object is stored here, or another file lies in its place.
    """
    if _is_there(layout, given):
        return False
    blobs.require_space(layout.objects, given.size_bytes, reserve_bytes)
    source = Source(body)
    hour = arrival_hour(source.first)
    folder = layout.quarantine / hour
    blobs.ensure_folder(folder)
    partial = blobs.Partial(folder)
    try:
        for chunk in checked(source, given.size_bytes, given.stored_sha256):
            partial.write(chunk)
        partial.sync()
        entry = given.entry_of(partial.path, hour)
        _require_not_stored(entry)
        is_new = _place(layout, given, partial, entry)
    finally:
        partial.close()
    _index(layout, given, entry, why)
    return is_new


def _is_there(layout: Layout, given: Given) -> bool:
    same = Quarantined.objects.filter(uid=given.sop_uid, stored_sha256=given.stored_sha256)
    paths = (layout.quarantined(row.hour, row.uid, row.received_sha256) for row in same)
    return any(path.exists() for path in paths)


def _require_not_stored(entry: Entry) -> None:
    known = rows.row_of(entry.uid)
    if known is not None and known.received_sha256 == entry.stored.received_sha256:
        raise Conflict("this object is stored here: it is not to lie in quarantine too")


def _place(layout: Layout, given: Given, partial: blobs.Partial, entry: Entry) -> bool:
    final = layout.quarantined(entry.stored.hour, entry.uid, entry.stored.received_sha256)
    is_new = True
    try:
        partial.name(final)
    except blobs.AlreadyThere:  # of a restore that was killed, or it has come again
        is_new = False
        if part10.file_sha256(final) != given.stored_sha256:
            raise Conflict("the same object lies in quarantine in another file") from None
    blobs.sync_folder(final.parent)
    return is_new


def _index(layout: Layout, given: Given, entry: Entry, why: Why) -> None:
    """Add the row of a restored object, with what was decided of it; raises IndexUnavailable."""
    records = journaled.of_study(Journal(layout.journal), given.study_uid)
    try:
        with durable_transaction():
            quarantine.put_back(entry, why.reason, why.detail, archived.offered(records) or 0)
            same = {"uid": entry.uid, "received_sha256": entry.stored.received_sha256}
            Quarantined.objects.filter(**same).update(stored_sha256=given.stored_sha256)
            quarantine.restore(records)
    except Error as error:
        raise IndexUnavailable(f"the index does not take it: {error}") from None
    told = {"study_uid": given.study_uid, "sop_instance_uid": given.sop_uid, "by": given.by}
    audit.note("quarantine-restored", **told)
