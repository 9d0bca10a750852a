"""Entries from what lies on the node's disk: files, stubs, and what the journal says of them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dicom_node.index.entry import WANTED, Entry, Stored, entry_of, identity_of
from dicom_node.store import part10
from dicom_node.store.journal import EVICTED, RECALLED, SHELVED, Journal
from dicom_node.store.layout import OBJECT, STUB, Layout
from pacs_common.availability import Availability
from pacs_common.errors import ArgensError


class Evictions:
    """The last journal record of each evicted or recalled instance, read when first needed."""

    def __init__(self, layout: Layout) -> None:
        self._journal = Journal(layout.journal)
        self._last: dict[str, dict[str, Any]] | None = None
        self._recalls: Counter[str] = Counter()
        self._places: dict[str, str] = {}

    def of(self, uid: str) -> dict[str, Any] | None:
        """Return the last record of an instance, None where it never left."""
        if self._last is None:
            self._last = {}
            for record in self._journal.read():
                self._take(self._last, record)
        return self._last.get(uid)

    def place(self, uid: str) -> str:
        """Return where an evicted instance lies (after a call of `of`): NEARLINE, or OFFLINE."""
        return self._places.get(uid, Availability.NEARLINE)

    def _take(self, last: dict[str, dict[str, Any]], record: dict[str, Any]) -> None:
        kind = record.get("kind")
        if kind in (EVICTED, RECALLED):
            last[record["sop_instance_uid"]] = record
            self._places.pop(record["sop_instance_uid"], None)
        if kind == RECALLED:
            self._recalls[record["study_uid"]] += 1
        if kind == SHELVED:
            for uid in record["sop_instance_uids"]:
                self._places[uid] = record["availability"]

    def recalls(self, study_uid: str) -> int:
        """Return how often instances of a study came back (after a call of `of`)."""
        return self._recalls[study_uid]


def uids_in(folder: Path) -> set[str]:
    """Return the SOP Instance UIDs that a folder's files and stubs are named after."""
    return {
        path.name.removesuffix(path.suffix)
        for path in folder.iterdir()
        if path.suffix in (OBJECT, STUB) and not path.name.startswith(".")
    }


def read_entry(
    layout: Layout, hour: str, uid: str, evicted: Evictions
) -> tuple[Entry, dict[str, Any] | None]:
    """Return the entry of a file or stub, and for a stub the receipt of its eviction.

    Raises ArgensError where it is not what its name says, OSError where it cannot be read.
    """
    path = layout.object(hour, uid)
    if path.exists():
        entry = entry_of_file(path, hour)
        if entry.uid != uid:
            raise ArgensError(f"the file holds {entry.uid}")
        return entry, None
    receipt = evicted.of(uid)
    stub = layout.object(hour, uid, STUB)
    if not stub.exists():
        raise FileNotFoundError(path)
    if receipt is None or receipt["kind"] != EVICTED:
        raise ArgensError("a stub without its eviction record")
    return entry_of_stub(stub, hour, receipt), receipt


def entry_of_stub(stub: Path, hour: str, receipt: dict[str, Any]) -> Entry:
    """Return the entry of an evicted object, from its stub and its eviction's record."""
    meta, scanned, _ = part10.scan_file(stub, WANTED)
    charset = part10.provenance(meta, datetime.now(UTC)).fallback_charset
    return entry_of(scanned, identity_of(scanned), _stored_of_receipt(receipt, hour), charset)


def entry_of_file(path: Path, hour: str) -> Entry:
    """Return the entry of a stored file, as it was at its arrival; raises NotDicom."""
    written = path.stat()
    meta, scanned, sha256 = part10.scan_file(path, WANTED)
    origin = part10.provenance(meta, datetime.fromtimestamp(written.st_mtime, UTC))
    stored = Stored(
        hour=hour,
        arrived_at=origin.arrived_at,
        size_bytes=written.st_size,
        received_sha256=sha256,
        transfer_syntax=str(meta.TransferSyntaxUID),
        source_ae=origin.source_ae,
    )
    return entry_of(scanned, identity_of(scanned), stored, origin.fallback_charset)


def _stored_of_receipt(receipt: dict[str, Any], hour: str) -> Stored:
    return Stored(
        hour=hour,
        arrived_at=datetime.fromisoformat(receipt["arrived_at"]),
        size_bytes=receipt["size_bytes"],
        received_sha256=receipt["received_sha256"],
        transfer_syntax=receipt["transfer_syntax_uid"],
        source_ae=receipt["source_ae"],
    )
