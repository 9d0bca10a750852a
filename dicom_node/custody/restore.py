"""The way back after a disaster: instances that a node no longer knows, from the archive's copies.

It is no arrival: nothing is forwarded or prepared, and no revision grows. A file lies in the hour
of its arrival, which its meta group tells (custody rule 2), and is indexed as by a reindex.
Nothing that is here is overwritten; what is interrupted is asked for again and goes on.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, BinaryIO

from django.db import Error, IntegrityError

from dicom_node import audit
from dicom_node.custody.given import Given, Source, arrival_hour
from dicom_node.custody.recall import checked, put_back
from dicom_node.custody.stub import write_stub
from dicom_node.index import archived, journaled, rows
from dicom_node.index.compare import mark_evicted
from dicom_node.index.durable import durable_transaction
from dicom_node.index.entry import Entry
from dicom_node.index.stored import entry_of_stub
from dicom_node.models import Instance, Study
from dicom_node.render.pixels import pixel_sha256
from dicom_node.store import blobs, part10
from dicom_node.store.journal import EVICTED, OFFERED, Journal
from dicom_node.store.layout import STUB, THUMBNAIL, Layout
from pacs_common.availability import Availability
from pacs_common.errors import (
    ArgensError,
    Conflict,
    IndexUnavailable,
    Unavailable,
)

LOG = logging.getLogger(__name__)


def restore(layout: Layout, given: Given, body: BinaryIO, *, reserve_bytes: int) -> bool:
    """Store an instance that is not here, durably and findable; False where it is here already.

    One that is evicted, lost or damaged is put back as by a recall, unless its stub is to stay.
    Raises DigestMismatch, BadInput, DiskFull, or Conflict where something else is here: another
    object of its UID, or another patient's study.
    """
    known = Instance.every.filter(uid=given.sop_uid).select_related("series__study").first()
    if known is not None and known.series.study.uid != given.study_uid:
        raise Conflict("this UID is here in another study")
    if known is not None and known.stored_sha256 == given.stored_sha256:
        if given.copies is not None and known.availability != Availability.ONLINE:
            return False
        return put_back(layout, known, body, given.size_bytes, reserve_bytes=reserve_bytes)
    blobs.require_space(layout.objects, given.size_bytes, reserve_bytes)
    source = Source(body)
    hour = arrival_hour(source.first)
    folder = layout.folder(hour)
    blobs.ensure_folder(folder)
    partial = blobs.Partial(folder)
    try:
        for chunk in checked(source, given.size_bytes, given.stored_sha256):
            partial.write(chunk)
        partial.sync()
        entry = given.entry_of(partial.path, hour)
        if known is not None:
            _require_same(known, entry)
            return False
        if given.copies is None:
            _place(layout, given, partial, entry)
        else:
            _place_stub(layout, given, partial.path, entry)
    finally:
        partial.close()
    return True


def _require_same(known: Instance, entry: Entry) -> None:
    """Raise Conflict unless the object itself is here, though in a file of another arrival."""
    if known.received_sha256 != entry.stored.received_sha256:
        raise Conflict("another object of this UID has arrived here: it is not overwritten")
    if known.damaged or known.availability != Availability.ONLINE:
        raise Conflict("this object has arrived here anew: only its own file can be put back")


def _place(layout: Layout, given: Given, partial: blobs.Partial, entry: Entry) -> None:
    """Give the file its final name, then its rows; without them its name goes again."""
    final = layout.object(entry.stored.hour, entry.uid)
    digests = _digests(given, partial.path)
    is_ours = True
    try:
        partial.name(final)
    except blobs.AlreadyThere:  # of a restore that was killed, or of an arrival under way
        is_ours = False
        if part10.file_sha256(final) != given.stored_sha256:
            raise Conflict("a file of this UID with other content lies in its place") from None
    blobs.sync_folder(final.parent)
    try:
        _index(layout, given, entry, digests)
    except BaseException:
        if is_ours:
            partial.remove()
        raise
    for leftover in (STUB, THUMBNAIL):  # of a restore as a stub that was killed
        layout.object(entry.stored.hour, entry.uid, leftover).unlink(missing_ok=True)


def _place_stub(layout: Layout, given: Given, path: Path, entry: Entry) -> None:
    """Keep of a file what stays after an eviction: stub, thumbnail, and a record that proves it."""
    hour, stub = entry.stored.hour, layout.object(entry.stored.hour, entry.uid, STUB)
    receipt = _receipt(given, entry, _digests(given, path))
    was_begun = stub.exists()
    write_stub(layout, hour, entry.uid, path)
    journal = Journal(layout.journal)
    if not (was_begun and _is_evicted(journal, given)):
        journal.append(EVICTED, [receipt])
    _index(layout, given, entry_of_stub(stub, hour, receipt), receipt, is_away=True)
    final = layout.object(hour, entry.uid)
    if final.exists() and part10.file_sha256(final) == given.stored_sha256:
        final.unlink()  # of a restore as a whole file that was killed


def _is_evicted(journal: Journal, given: Given) -> bool:
    """Return whether the last thing that the journal tells of the instance is this eviction."""
    records = journaled.of_study(journal, given.study_uid)
    of_it = [one for one in records if one.get("sop_instance_uid") == given.sop_uid]
    evicted = [one for one in of_it if one["kind"] == EVICTED]
    return bool(evicted) and evicted[-1]["stored_sha256"] == given.stored_sha256


def _digests(given: Given, path: Path) -> dict[str, str]:
    """Return the digests of a file that was proven; of pixels that resist, the chores decide."""
    try:
        pixels = pixel_sha256(part10.read_object(path))
    except (ArgensError, ArithmeticError, *part10.UNREADABLE) as error:
        LOG.error("no digest: %s", error, extra={"sop_instance_uid": given.sop_uid})
        return {"stored_sha256": "", "pixel_sha256": ""}
    return {"stored_sha256": given.stored_sha256, "pixel_sha256": pixels}


def _receipt(given: Given, entry: Entry, digests: dict[str, str]) -> dict[str, Any]:
    stored = entry.stored
    return {
        "study_uid": given.study_uid,
        "sop_instance_uid": given.sop_uid,
        "plan_id": "",
        "copies": list(given.copies or ()),
        "size_bytes": stored.size_bytes,
        "transfer_syntax_uid": stored.transfer_syntax,
        "arrived_at": stored.arrived_at.isoformat(),
        "source_ae": stored.source_ae,
        "received_sha256": stored.received_sha256,
        **digests,
        "stored_sha256": given.stored_sha256,
    }


def _index(
    layout: Layout,
    given: Given,
    entry: Entry,
    digests: dict[str, Any],
    *,
    is_away: bool = False,
) -> None:
    """Add the rows of a restored object, durably; raises Conflict, Unavailable."""
    try:
        with durable_transaction():
            before = Study.objects.select_for_update().filter(uid=given.study_uid).first()
            rows.add(entry)
            told = {name: digests[name] for name in ("stored_sha256", "pixel_sha256")}
            Instance.every.filter(uid=entry.uid).update(routed=True, **told)
            if is_away:
                mark_evicted(entry.uid, digests, Availability.NEARLINE)
            if before is None:
                _begin_study(layout, given.study_uid)
            else:
                kept = {"revision": before.revision, "prepared_revision": before.prepared_revision}
                Study.objects.filter(id=before.id).update(**kept)
    except rows.OtherPatient as conflict:
        raise Conflict(str(conflict)) from None
    except (rows.AlreadyIndexed, IntegrityError):
        raise Unavailable("this object has just come in another way: ask again") from None
    except Error as error:
        raise IndexUnavailable(f"the index does not take it: {error}") from None
    if before is None:
        audit.note("restored", study_uid=given.study_uid, by=given.by)


def _begin_study(layout: Layout, study_uid: str) -> None:
    """Give a study's new row what its journal tells; its files stay as the archive has them."""
    journal = Journal(layout.journal)
    records = journaled.of_study(journal, study_uid)
    archived.show(study_uid, records)
    offer = archived.offered(records)
    if offer is None:
        journal.append(OFFERED, [{"study_uid": study_uid, "revision": 0}])
    study = Study.objects.get(uid=study_uid)
    study.revision = study.prepared_revision = offer or study.revision
    study.save(update_fields=["revision", "prepared_revision"])
