"""The one way in: C-STORE and STOW-RS call `Ingest.take` (custody rules 1, 4, 5, 6)."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from django.db import DatabaseError, close_old_connections

from dicom_node.index import writer
from dicom_node.index.entry import Entry, Identity, Stored, entry_of
from dicom_node.ingest.arrival import Arrival
from dicom_node.ingest.checks import check_identity, check_whole
from dicom_node.ingest.same import is_same_image
from dicom_node.models import Instance, Quarantined, Study
from dicom_node.store import blobs, part10
from dicom_node.store.layout import Layout, hour_of
from pacs_common.errors import IndexUnavailable, Unavailable

LOCKS = 64


class Outcome(StrEnum):
    """What became of an object; each is answered with success."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


@dataclass(frozen=True)
class Result:
    """The outcome for one object, and where quarantined, why."""

    outcome: Outcome
    identity: Identity
    reason: str = ""
    detail: str = ""


class Ingest:
    """Takes objects into one node's store and index; safe to call from many threads."""

    def __init__(self, layout: Layout, index: writer.IndexWriter, reserve_bytes: int) -> None:
        self._layout = layout
        self._index = index
        self._reserve_bytes = reserve_bytes
        self._locks = [threading.Lock() for _ in range(LOCKS)]

    def take(self, arrival: Arrival) -> Result:
        """Keep an object durably and make it findable, or raise an ArgensError.

        When this returns, the file is synced under its final name and its row is committed.
        """
        header = part10.parse_header(arrival.data_set, arrival.transfer_syntax)
        check_identity(header, arrival.affected_class, arrival.affected_uid)
        check_whole(header)
        digest = hashlib.sha256(arrival.data_set).hexdigest()
        blobs.ensure_folder(self._layout.objects)
        blobs.require_space(self._layout.objects, len(arrival.data_set), self._reserve_bytes)
        entry = entry_of(
            header.data_set,
            Stored(
                hour=hour_of(arrival.arrived_at),
                arrived_at=arrival.arrived_at,
                size_bytes=len(arrival.data_set),
                received_sha256=digest,
                transfer_syntax=arrival.transfer_syntax,
                source_ae=arrival.source_ae,
            ),
        )
        try:
            with self._locks[hash(entry.uid) % LOCKS]:
                return self._decide(arrival, header, entry)
        except DatabaseError as error:
            close_old_connections()  # the association's next object gets a fresh one
            raise IndexUnavailable(f"the index does not answer: {error}") from error

    def _decide(self, arrival: Arrival, header: part10.Header, entry: Entry) -> Result:
        known = Instance.objects.filter(uid=entry.uid).first()
        if known is not None:
            return self._again(arrival, header, entry, known)
        study = Study.objects.filter(uid=entry.identity.study).first()
        conflict = "" if study is None else writer.patient_conflict(study, entry.patient)
        if conflict:
            return self._quarantine(arrival, entry, Quarantined.Reason.OTHER_PATIENT, conflict)
        try:
            return self._store(arrival, entry)
        except writer.OtherPatient as error:  # the study was made by another association
            return self._quarantine(arrival, entry, Quarantined.Reason.OTHER_PATIENT, str(error))
        except writer.AlreadyIndexed:  # another process was first
            return self._again(arrival, header, entry, Instance.objects.get(uid=entry.uid))

    def _again(
        self, arrival: Arrival, header: part10.Header, entry: Entry, known: Instance
    ) -> Result:
        same_bytes = known.received_sha256 == entry.stored.received_sha256
        if same_bytes or is_same_image(self._layout, known, arrival, header):
            return Result(Outcome.DUPLICATE, entry.identity)
        detail = writer.same_uid_detail(known, entry.stored.received_sha256)
        return self._quarantine(arrival, entry, Quarantined.Reason.SAME_UID, detail)

    def _store(self, arrival: Arrival, entry: Entry) -> Result:
        final = self._layout.object(entry.stored.hour, entry.uid)
        size = self._write(final, arrival, entry)
        entry = entry.sized(size)
        try:
            self._index.commit(lambda: writer.add(entry), final.parent)
        except (writer.OtherPatient, writer.AlreadyIndexed):
            # Another process may have indexed this very file, and answered for it.
            if not Instance.objects.filter(uid=entry.uid, hour=entry.stored.hour).exists():
                final.unlink(missing_ok=True)
            raise
        return Result(Outcome.STORED, entry.identity)

    def _write(self, final: Path, arrival: Arrival, entry: Entry) -> int:
        """Write the file and return its size; one left by a failed attempt is taken if equal."""
        blobs.ensure_folder(final.parent)
        origin = part10.Provenance(arrival.arrived_at, arrival.source_ae, arrival.called_ae)
        meta = part10.meta_group(
            entry.identity.sop_class, entry.uid, arrival.transfer_syntax, origin
        )
        try:
            return blobs.write(final, [meta, arrival.data_set])
        except blobs.AlreadyThere:
            if part10.data_set_sha256(final) != entry.stored.received_sha256:
                raise Unavailable("another transfer of this object is under way") from None
            return final.stat().st_size

    def _quarantine(self, arrival: Arrival, entry: Entry, reason: str, detail: str) -> Result:
        result = Result(Outcome.QUARANTINED, entry.identity, reason, detail)
        digest = entry.stored.received_sha256
        if Quarantined.objects.filter(uid=entry.uid, received_sha256=digest).exists():
            return result
        final = self._layout.quarantined(entry.stored.hour, entry.uid, digest)
        sized = entry.sized(self._write(final, arrival, entry))
        self._index.commit(lambda: writer.quarantine(sized, reason, detail), final.parent)
        return result
