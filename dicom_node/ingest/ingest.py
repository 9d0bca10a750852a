"""The one way in: C-STORE and STOW-RS begin here (custody rules 1, 4, 5, 6)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import Error, close_old_connections

from dicom_node.index import quarantine, rebuild, rows, writer
from dicom_node.index.away import reconnect_if_lost
from dicom_node.index.conflicts import same_uid_detail
from dicom_node.index.entry import Entry
from dicom_node.ingest.arrival import Arrival, Origin
from dicom_node.ingest.incoming import Incoming, Outcome, Result
from dicom_node.ingest.same import is_lost, is_same_image
from dicom_node.models import Instance, NonPatientObject, Quarantined
from dicom_node.store import blobs, part10
from dicom_node.store.layout import Layout
from pacs_common.errors import IndexUnavailable, Unavailable

__all__ = ["Arrival", "Incoming", "Ingest", "Origin", "Outcome", "Result"]
CHUNK_BYTES = 1 << 20


class Ingest:
    """Takes objects into one node's store and index; safe to call from many threads."""

    def __init__(self, layout: Layout, index: writer.IndexWriter, reserve_bytes: int) -> None:
        self._layout = layout
        self._index = index
        self._reserve_bytes = reserve_bytes
        self._coming: set[str] = set()  # UIDs that a thread of this process is settling
        self._changed = threading.Condition()

    def begin(self, origin: Origin) -> Incoming:
        """Open a file for an object to come; raises ClassNotSupported, DiskFull, Unavailable.

        When its `finish` returns, the file is synced under its final name and its row is
        committed.
        """
        return Incoming(self._layout, origin, self._reserve_bytes, self._settle)

    def take(self, arrival: Arrival) -> Result:
        """Take an object that has come whole, or raise an ArgensError."""
        incoming = self.begin(arrival.origin)
        try:
            content = memoryview(arrival.data_set)
            for start in range(0, len(content), CHUNK_BYTES):
                incoming.write(content[start : start + CHUNK_BYTES])
            return incoming.finish()
        finally:
            incoming.abandon()

    def _settle(self, incoming: Incoming, entry: Entry) -> Result:
        try:
            with self._alone(entry.uid):
                return self._decide(incoming, entry)
        except Error as error:
            close_old_connections()  # the association's next object gets a fresh one
            raise IndexUnavailable(f"the index does not answer: {error}") from error

    @contextmanager
    def _alone(self, uid: str) -> Iterator[None]:
        """Keep other threads of this process from settling the same UID."""
        with self._changed:
            self._changed.wait_for(lambda: uid not in self._coming)
            self._coming.add(uid)
        try:
            yield
        finally:
            with self._changed:
                self._coming.discard(uid)
                self._changed.notify_all()

    def _decide(self, incoming: Incoming, entry: Entry) -> Result:
        final = self._layout.object(entry.stored.hour, entry.uid)
        try:
            return self._store(incoming, entry, final)
        except blobs.AlreadyThere:
            reconnect_if_lost()
        # Another process is storing this UID now, or one that was killed left its file.
        with blobs.held(final, wait=True) as is_there:
            known = rows.row_of(entry.uid)
            if known is not None:
                return self._again(incoming, entry, known)
            if is_there:
                return self._take_over(entry, final)
        try:
            return self._store(incoming, entry, final)
        except blobs.AlreadyThere:
            raise Unavailable("other transfers of this object are under way") from None

    def _store(self, incoming: Incoming, entry: Entry, final: Path) -> Result:
        def place() -> Path:
            incoming.file.name(final)
            return final.parent

        try:
            self._index.add(entry, place)
        except rows.OtherPatient as conflict:
            reconnect_if_lost()
            other = Quarantined.Reason.OTHER_PATIENT
            return self._quarantine(incoming, entry, other, str(conflict))
        except rows.AlreadyIndexed:
            reconnect_if_lost()
            known = rows.row_of(entry.uid)
            if known is None:
                raise Unavailable("the row of this object went away") from None
            return self._again(incoming, entry, known)
        except (blobs.AlreadyThere, writer.CommitUnknown):
            raise  # not named yet, or its row may be there
        except BaseException:
            incoming.file.remove()
            raise
        return Result(Outcome.STORED, entry.identity)

    def _take_over(self, entry: Entry, final: Path) -> Result:
        """Index the file that an attempt without an answer left; the caller holds it."""
        if part10.data_set_sha256(final) != entry.stored.received_sha256:
            raise Unavailable("other content of this UID waits for its place in the index")
        left = rebuild.entry_of_file(final, entry.stored.hour)
        try:
            self._index.add(left, lambda: final.parent)
        except rows.OtherPatient as conflict:
            raise Unavailable(f"a file of this UID waits for quarantine: {conflict}") from None
        except rows.AlreadyIndexed:  # from another hour: whether with these bytes, a retry sees
            raise Unavailable("another transfer of this object has just ended") from None
        return Result(Outcome.STORED, entry.identity)

    def _again(
        self, incoming: Incoming, entry: Entry, known: Instance | NonPatientObject
    ) -> Result:
        if incoming.file.path == self._layout.object(known.hour, known.uid):
            return Result(Outcome.STORED, entry.identity)  # fsck indexed this very file
        detail = same_uid_detail(known, entry.stored.received_sha256)
        if is_lost(self._layout, known):
            detail += "; the stored file is lost or damaged"
        elif known.received_sha256 == entry.stored.received_sha256 or is_same_image(
            self._layout, known, incoming.file.path, entry
        ):
            incoming.file.remove()
            return Result(Outcome.DUPLICATE, entry.identity)
        return self._quarantine(incoming, entry, Quarantined.Reason.SAME_UID, detail)

    def _quarantine(self, incoming: Incoming, entry: Entry, reason: str, detail: str) -> Result:
        result = Result(Outcome.QUARANTINED, entry.identity, reason, detail)
        digest = entry.stored.received_sha256
        row = Quarantined.objects.filter(uid=entry.uid, received_sha256=digest).first()
        hour = row.hour if row is not None else entry.stored.hour
        final = self._layout.quarantined(hour, entry.uid, digest)
        if row is not None and final.exists():
            incoming.file.remove()
            return result
        blobs.ensure_folder(final.parent)
        try:
            incoming.file.name(final)
        except blobs.AlreadyThere:  # an attempt without an answer left it, named by its digest
            incoming.file.remove()
        self._index.commit(lambda: quarantine.add(entry, reason, detail), final.parent)
        return result
