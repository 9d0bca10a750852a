"""Disk and index of some hours of arrival, compared: index what is not, flag what is gone.

Safe beside live ingest: a file whose writer lives is the writer's own affair, and whoever of the
two is first with a row, the other finds it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction

from dicom_node.index import archived, changes, corrections, quarantine, rejections, rows, writer
from dicom_node.index.conflicts import patient_conflict, same_uid_detail
from dicom_node.index.entry import Entry
from dicom_node.index.stored import Evictions, entry_of_file, read_entry, uids_in
from dicom_node.index.study_counts import count_evicted
from dicom_node.models import Instance, NonPatientObject, Quarantined, Study
from dicom_node.store import blobs
from dicom_node.store.journal import Journal
from dicom_node.store.layout import OBJECT, STUB, Layout
from pacs_common.availability import Availability
from pacs_common.errors import ArgensError

LOG = logging.getLogger(__name__)
BATCH_ENTRIES = 256
KINDS = (Instance, NonPatientObject)  # whose files lie below objects/
Found = tuple[Entry, dict[str, Any] | None]  # an entry, and the receipt of its eviction


@dataclass
class Report:
    """What a comparison of disk and index found, and did."""

    added: int = 0
    quarantined: int = 0
    missing: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    partial: int = 0
    duplicates: int = 0  # leftovers of attempts that were answered from another hour


def catch_up(layout: Layout, since: str, until: str = "") -> Report:
    """Compare disk and index from an hour of arrival on, to another one where it is given."""
    report = Report()
    evicted = Evictions(layout)
    is_whole = any(model._base_manager.exists() for model in KINDS)
    if not since or not is_whole:  # perhaps another index than the decisions were noted in
        journal = Journal(layout.journal)
        rejections.restore(journal.read())
        corrections.restore(journal.read())
    for hour in _hours(layout, layout.objects, since, until):
        folder = layout.objects / hour
        report.partial += blobs.sweep(folder)
        # Rows first: each of them had its file before.
        known = {
            uid
            for model in KINDS
            for uid in model._base_manager.filter(hour=hour).values_list("uid", flat=True)
        }
        present = uids_in(folder)
        add_files(layout, hour, sorted(present - known), evicted, report)
        _flag_missing(layout, hour, known - present, report)
    for hour in _hours(layout, layout.quarantine, since, until):
        report.partial += blobs.sweep(layout.quarantine / hour)
        add_quarantined(layout, hour, report)
    if report.quarantined:
        quarantine.restore(Journal(layout.journal).read())
    if not is_whole:
        restore_whole_studies(layout)
    return report


def restore_whole_studies(layout: Layout) -> None:
    """Give studies that were indexed anew what the journal tells of each as a whole."""
    archived.restore_holds(layout)
    archived.restore_revisions(layout)


def add_files(
    layout: Layout, hour: str, uids: Iterable[str], evicted: Evictions, report: Report
) -> None:
    """Index files and stubs of one hour in the order of their arrival."""
    found: list[Found] = []
    for uid in uids:
        try:
            if not _has_writer(layout, hour, uid):
                found.append(read_entry(layout, hour, uid, evicted))
        except FileNotFoundError:
            continue  # its writer took it back
        except (ArgensError, OSError) as error:
            LOG.error("not indexed: %s", error, extra={"sop_instance_uid": uid})
            report.unreadable.append(f"{hour}/{uid}: {error}")
    found.sort(key=lambda one: (one[0].stored.arrived_at, one[0].uid))
    if found:
        _make_durable(layout.folder(hour))
    for start in range(0, len(found), BATCH_ENTRIES):
        batch = found[start : start + BATCH_ENTRIES]
        for (entry, _), failure in zip(batch, _add_batch(batch, evicted), strict=True):
            if failure is None:
                report.added += 1
            else:
                _settle(layout, entry, failure, report)


def add_quarantined(layout: Layout, hour: str, report: Report) -> None:
    """Give rows to the quarantined files of one hour that have none."""
    known = {
        layout.quarantined(hour, row.uid, row.received_sha256).name
        for row in Quarantined.objects.filter(hour=hour)
    }
    unknown = list(_unknown_objects(layout.quarantine / hour, known))
    if unknown:
        _make_durable(layout.quarantine / hour)
    for path in unknown:
        try:
            entry = entry_of_file(path, hour)
        except (ArgensError, OSError) as error:
            report.unreadable.append(f"quarantine/{hour}/{path.name}: {error}")
            continue
        quarantine.add(entry, *_why_quarantined(entry))
        report.quarantined += 1


def _hours(layout: Layout, root: Path, since: str, until: str) -> Iterator[str]:
    return (hour for hour in layout.hours(root, since) if not until or hour <= until)


def _make_durable(folder: Path) -> None:
    """Sync the names that a killed process left: once they have rows, resends are duplicates."""
    for level in (folder, *folder.parents[: writer.LEVELS_ABOVE]):
        blobs.sync_folder(level)


def _has_writer(layout: Layout, hour: str, uid: str) -> bool:
    try:
        with blobs.held(layout.object(hour, uid), wait=False):
            return False
    except BlockingIOError:
        return True


def _add_batch(batch: list[Found], evicted: Evictions) -> list[Exception | None]:
    try:
        return _add_together(batch, evicted)
    except IntegrityError:  # a living writer was first with one of them
        return [_add_together([one], evicted)[0] for one in batch]


def _add_together(batch: list[Found], evicted: Evictions) -> list[Exception | None]:
    with transaction.atomic():
        failures = rows.add_all([entry for entry, _ in batch])
        for (entry, receipt), failure in zip(batch, failures, strict=True):
            if failure is None:
                _restore_state(entry, receipt, evicted)
    return failures


def _settle(layout: Layout, entry: Entry, failure: Exception, report: Report) -> None:
    """Decide about a file that the index did not take."""
    if isinstance(failure, rows.OtherPatient):
        _move_to_quarantine(layout, entry, Quarantined.Reason.OTHER_PATIENT, str(failure))
        report.quarantined += 1
        return
    known = rows.row_of(entry.uid)
    if known is None or known.hour == entry.stored.hour:
        return  # indexed meanwhile (or gone again)
    if not any(layout.object(known.hour, known.uid, end).exists() for end in (OBJECT, STUB)):
        report.unreadable.append(f"{entry.stored.hour}/{entry.uid}: a lost file holds this UID")
    elif known.received_sha256 == entry.stored.received_sha256:
        layout.object(entry.stored.hour, entry.uid).unlink(missing_ok=True)
        report.duplicates += 1
    else:
        detail = same_uid_detail(known, entry.stored.received_sha256)
        _move_to_quarantine(layout, entry, Quarantined.Reason.SAME_UID, detail)
        report.quarantined += 1


def _restore_state(entry: Entry, receipt: dict[str, Any] | None, evicted: Evictions) -> None:
    if receipt is not None:
        mark_evicted(entry.uid, receipt, evicted.place(entry.uid))
    recalls = evicted.recalls(entry.identity.study) if evicted.of(entry.uid) else 0
    if recalls:
        Study.objects.filter(uid=entry.identity.study).update(recalls=recalls)


def mark_evicted(uid: str, receipt: dict[str, Any], place: str) -> None:
    """Say of an instance that was indexed by its stub that it is away, in a transaction."""
    instance = Instance.every.select_related("series__study").get(uid=uid)
    instance.stored_sha256 = receipt["stored_sha256"]
    instance.pixel_sha256 = receipt["pixel_sha256"]
    instance.availability = place
    instance.save()
    count_evicted(instance, +1, is_offline=place == Availability.OFFLINE)


def _flag_missing(layout: Layout, hour: str, uids: set[str], report: Report) -> None:
    """A row without a file answers for bytes that are gone: never silent."""
    ends = (OBJECT, STUB)  # looked at again: an eviction may have changed them meanwhile
    uids = {uid for uid in uids if not any(layout.object(hour, uid, e).exists() for e in ends)}
    for uid in sorted(uids):
        LOG.critical("a stored object is gone from the disk", extra={"sop_instance_uid": uid})
        report.missing.append(f"{hour}/{uid}")
    for model in KINDS:
        model._base_manager.filter(uid__in=uids).update(damaged=True)
    gone = Instance.every.filter(uid__in=uids)
    changes.note(gone.values_list("series__study__uid", flat=True).distinct())


def _move_to_quarantine(layout: Layout, entry: Entry, reason: str, detail: str) -> None:
    source = layout.object(entry.stored.hour, entry.uid)
    target = layout.quarantined(entry.stored.hour, entry.uid, entry.stored.received_sha256)
    blobs.ensure_folder(target.parent)
    if target.exists() and target.samefile(source):
        source.unlink()  # a kill left both names: a rename of one to the other does nothing
    else:
        source.replace(target)
    blobs.sync_folder(target.parent)
    blobs.sync_folder(source.parent)
    quarantine.add(entry, reason, detail)


def _why_quarantined(entry: Entry) -> tuple[str, str]:
    """Return reason and detail as they were at arrival."""
    known = rows.row_of(entry.uid)
    if known is not None and known.arrived_at <= entry.stored.arrived_at:
        detail = same_uid_detail(known, entry.stored.received_sha256)
        return Quarantined.Reason.SAME_UID, detail
    study = Study.objects.filter(uid=entry.identity.study).first()
    conflict = patient_conflict(study, entry.patient) if study else ""
    return Quarantined.Reason.OTHER_PATIENT, conflict


def _unknown_objects(folder: Path, known: set[str]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.suffix == OBJECT and not path.name.startswith(".") and path.name not in known:
            yield path
