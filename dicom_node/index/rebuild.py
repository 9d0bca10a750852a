"""The index from the node's disk: a few hours of it at start-up, all of it by `reindex`.

Files are taken in the order of their arrival, so that a rebuilt index equals the one before.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import transaction

from dicom_node.index import checkpoint, writer
from dicom_node.index.entry import Entry, Stored, entry_of
from dicom_node.models import EvictionPlan, Instance, Quarantined, Series, Study
from dicom_node.store import blobs, part10
from dicom_node.store.journal import EVICTED, RECALLED, Journal
from dicom_node.store.layout import OBJECT, STUB, Layout
from pacs_common.availability import Availability
from pacs_common.errors import ArgensError

LOG = logging.getLogger(__name__)


@dataclass
class Report:
    """What a comparison of disk and index found, and did."""

    added: int = 0
    quarantined: int = 0
    missing: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    partial: int = 0


def catch_up(layout: Layout, since: str) -> Report:
    """Compare disk and index from an hour of arrival on: index what is not, sweep, flag losses."""
    report = Report()
    evicted = _Evictions(layout)
    for hour in layout.hours(layout.objects, since):
        folder = layout.objects / hour
        report.partial += blobs.sweep(folder)
        known = set(Instance.objects.filter(hour=hour).values_list("uid", flat=True))
        present = _uids_in(folder)
        _add_files(layout, hour, sorted(present - known), evicted, report)
        _flag_missing(hour, known - present, report)
    for hour in layout.hours(layout.quarantine, since):
        report.partial += blobs.sweep(layout.quarantine / hour)
        _add_quarantined(layout, hour, report)
    return report


def rebuild(layout: Layout, progress: Callable[[str], None] = lambda hour: None) -> Report:
    """Forget the index and make it again from the disk alone.

    Should it be killed half-way, the next start finishes it: the checkpoint is forgotten first.
    """
    checkpoint.forget(layout)
    with transaction.atomic():
        for model in (Instance, Series, Study, Quarantined, EvictionPlan):
            model.objects.all().delete()
    report = Report()
    evicted = _Evictions(layout)
    for hour in layout.hours(layout.objects):
        progress(hour)
        _add_files(layout, hour, sorted(_uids_in(layout.objects / hour)), evicted, report)
    for hour in layout.hours(layout.quarantine):
        _add_quarantined(layout, hour, report)
    return report


class _Evictions:
    """The last journal record of each evicted or recalled instance, read when first needed."""

    def __init__(self, layout: Layout) -> None:
        self._journal = Journal(layout.journal)
        self._last: dict[str, dict[str, Any]] | None = None
        self._recalls: Counter[str] = Counter()

    def of(self, uid: str) -> dict[str, Any] | None:
        if self._last is None:
            self._last = {}
            for record in self._journal.read():
                if record.get("kind") in (EVICTED, RECALLED):
                    self._last[record["sop_instance_uid"]] = record
                if record.get("kind") == RECALLED:
                    self._recalls[record["study_uid"]] += 1
        return self._last.get(uid)

    def recalls(self, study_uid: str) -> int:
        return self._recalls[study_uid]


def _uids_in(folder: Path) -> set[str]:
    return {
        path.name.removesuffix(path.suffix)
        for path in folder.iterdir()
        if path.suffix in (OBJECT, STUB) and not path.name.startswith(".")
    }


def _add_files(
    layout: Layout, hour: str, uids: Iterable[str], evicted: _Evictions, report: Report
) -> None:
    entries = [e for uid in uids if (e := _read(layout, hour, uid, evicted, report))]
    entries.sort(key=lambda found: (found[0].stored.arrived_at, found[0].uid))
    for entry, receipt in entries:
        try:
            with transaction.atomic():
                writer.add(entry)
                _restore_state(entry, receipt, evicted)
            report.added += 1
        except writer.AlreadyIndexed:
            report.unreadable.append(f"{hour}/{entry.uid}: another file holds this UID")
        except writer.OtherPatient as conflict:
            _move_to_quarantine(layout, entry, str(conflict))
            report.quarantined += 1


def _read(
    layout: Layout, hour: str, uid: str, evicted: _Evictions, report: Report
) -> tuple[Entry, dict[str, Any] | None] | None:
    try:
        path = layout.object(hour, uid)
        if path.exists():
            entry = _entry_of_file(path, hour)
            if entry.uid != uid:
                raise ArgensError(f"the file holds {entry.uid}")
            return entry, None
        receipt = evicted.of(uid)
        if receipt is None or receipt["kind"] != EVICTED:
            raise ArgensError("a stub without its eviction record")
        stub = part10.read_header(layout.object(hour, uid, STUB))
        return entry_of(stub, _stored_of_receipt(receipt, hour)), receipt
    except (ArgensError, OSError) as error:
        LOG.error("not indexed: %s", error, extra={"sop_instance_uid": uid})
        report.unreadable.append(f"{hour}/{uid}: {error}")
        return None


def _entry_of_file(path: Path, hour: str) -> Entry:
    header = part10.read_header(path)
    if not header.file_meta.get("TransferSyntaxUID"):
        raise ArgensError("the file names no transfer syntax")
    written = path.stat()
    origin = part10.provenance(header.file_meta, datetime.fromtimestamp(written.st_mtime, UTC))
    stored = Stored(
        hour=hour,
        arrived_at=origin.arrived_at,
        size_bytes=written.st_size,
        received_sha256=part10.data_set_sha256(path),
        transfer_syntax=str(header.file_meta.TransferSyntaxUID),
        source_ae=origin.source_ae,
    )
    return entry_of(header, stored)


def _stored_of_receipt(receipt: dict[str, Any], hour: str) -> Stored:
    return Stored(
        hour=hour,
        arrived_at=datetime.fromisoformat(receipt["arrived_at"]),
        size_bytes=receipt["size_bytes"],
        received_sha256=receipt["received_sha256"],
        transfer_syntax=receipt["transfer_syntax_uid"],
        source_ae=receipt["source_ae"],
    )


def _restore_state(entry: Entry, receipt: dict[str, Any] | None, evicted: _Evictions) -> None:
    if receipt is not None:
        instance = Instance.objects.select_related("series__study").get(uid=entry.uid)
        instance.stored_sha256 = receipt["stored_sha256"]
        instance.pixel_sha256 = receipt["pixel_sha256"]
        instance.availability = Availability.NEARLINE
        instance.save()
        writer.count_evicted(instance, +1)
    recalls = evicted.recalls(entry.identity.study) if evicted.of(entry.uid) else 0
    if recalls:
        Study.objects.filter(uid=entry.identity.study).update(recalls=recalls)


def _flag_missing(hour: str, uids: set[str], report: Report) -> None:
    """A row without a file answers for bytes that are gone: never silent."""
    for uid in sorted(uids):
        LOG.critical("a stored object is gone from the disk", extra={"sop_instance_uid": uid})
        report.missing.append(f"{hour}/{uid}")
    Instance.objects.filter(uid__in=uids).update(damaged=True)


def _move_to_quarantine(layout: Layout, entry: Entry, why: str) -> None:
    source = layout.object(entry.stored.hour, entry.uid)
    target = layout.quarantined(entry.stored.hour, entry.uid, entry.stored.received_sha256)
    blobs.ensure_folder(target.parent)
    source.replace(target)
    blobs.sync_folder(target.parent)
    blobs.sync_folder(source.parent)
    writer.quarantine(entry, Quarantined.Reason.OTHER_PATIENT, why)


def _add_quarantined(layout: Layout, hour: str, report: Report) -> None:
    known = {
        layout.quarantined(hour, row.uid, row.received_sha256).name
        for row in Quarantined.objects.filter(hour=hour)
    }
    for path in _unknown_objects(layout.quarantine / hour, known):
        try:
            entry = _entry_of_file(path, hour)
        except (ArgensError, OSError) as error:
            report.unreadable.append(f"quarantine/{hour}/{path.name}: {error}")
            continue
        writer.quarantine(entry, *_why_quarantined(entry))
        report.quarantined += 1


def _why_quarantined(entry: Entry) -> tuple[str, str]:
    """Return reason and detail as they were at arrival."""
    known = Instance.objects.filter(uid=entry.uid, arrived_at__lte=entry.stored.arrived_at).first()
    if known is not None:
        detail = writer.same_uid_detail(known, entry.stored.received_sha256)
        return Quarantined.Reason.SAME_UID, detail
    study = Study.objects.filter(uid=entry.identity.study).first()
    conflict = writer.patient_conflict(study, entry.patient) if study else ""
    return Quarantined.Reason.OTHER_PATIENT, conflict


def _unknown_objects(folder: Path, known: set[str]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.suffix == OBJECT and not path.name.startswith(".") and path.name not in known:
            yield path
