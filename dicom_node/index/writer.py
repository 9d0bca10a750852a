"""Writes entries into the index: one thread a process, many entries a transaction.

Before the rows, it syncs the folders that hold the entries' files, once a batch: so directory
syncs and commits are shared by all associations that wait (custody rule 1).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.db import DatabaseError, IntegrityError, close_old_connections, connection, transaction
from django.db.models import F

from dicom_node.index.entry import Entry
from dicom_node.models import Instance, Quarantined, Series, Study
from dicom_node.store.blobs import sync_folder
from pacs_common.errors import ArgensError, IndexUnavailable

BATCH_ENTRIES = 256
LEVELS_ABOVE = 5  # day, month, year, kind, data folder


class AlreadyIndexed(Exception):
    """An instance of that UID has a row."""


class OtherPatient(Exception):
    """The study belongs to another patient key; str() tells which (never a name)."""


@dataclass(frozen=True)
class _Waiting:
    record: Callable[[], None]
    folder: Path
    done: Future[None]


class IndexWriter:
    """Groups records over instances and associations."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._entrance, self._is_closed = threading.Lock(), False
        self._thread = threading.Thread(target=self._work, name="index-writer", daemon=True)
        self._thread.start()

    def commit(self, record: Callable[[], None], folder: Path) -> None:
        """Sync `folder`, run `record` in a transaction, and return when both are durable.

        Raises what `record` raises, or IndexUnavailable where the database does not take it.
        """
        waiting = _Waiting(record, folder, Future())
        with self._entrance:  # nothing may follow the None that ends the thread
            if self._is_closed:
                raise IndexUnavailable("the node is stopping")
            self._queue.put(waiting)
        waiting.done.result()

    def close(self) -> None:
        """Write what waits, end the thread, and refuse what comes later."""
        with self._entrance:
            if not self._is_closed:
                self._is_closed = True
                self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            while len(batch) < BATCH_ENTRIES and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    self._queue.put(None)
                    break
                batch.append(following)
            _write(batch)
            close_old_connections()
        connection.close()


def _write(batch: list[_Waiting]) -> None:
    failed: dict[int, BaseException] = {}
    try:
        for folder in {waiting.folder for waiting in batch}:
            # Whoever made the hour's folder may not have synced its parents yet.
            for level in (folder, *folder.parents[:LEVELS_ABOVE]):
                sync_folder(level)
        with transaction.atomic():
            for number, waiting in enumerate(batch):
                if error := _failure(waiting.record):
                    failed[number] = error
            if transaction.get_rollback():  # a savepoint was lost, and with it the whole batch
                raise DatabaseError("the transaction was lost")
    except ArgensError as error:
        failed = dict.fromkeys(range(len(batch)), error)
    except DatabaseError as error:
        failed = dict.fromkeys(range(len(batch)), _unavailable(error))
    for number, waiting in enumerate(batch):
        if number in failed:
            waiting.done.set_exception(failed[number])
        else:
            waiting.done.set_result(None)


def _failure(record: Callable[[], None]) -> Exception | None:
    """Run one record; return what it raised, so that it alone fails and not its batch."""
    try:
        with transaction.atomic():
            record()
    except IntegrityError as error:  # another process was first
        return AlreadyIndexed(str(error))
    except DatabaseError as error:
        return _unavailable(error)
    except Exception as error:  # it belongs to the association that waits, not to this thread
        return error
    return None


def _unavailable(error: DatabaseError) -> IndexUnavailable:
    return IndexUnavailable(f"the index does not take it: {error}")


def add(entry: Entry) -> None:
    """Add one entry's rows, inside the caller's transaction.

    Raises AlreadyIndexed or OtherPatient; either leaves the index as it was.
    """
    study = _study(entry)
    series = _series(entry, study)
    if Instance.objects.filter(uid=entry.identity.instance).exists():
        raise AlreadyIndexed(entry.identity.instance)
    Instance.objects.create(series=series, **entry.instance)
    Series.objects.filter(id=series.id).update(instance_count=F("instance_count") + 1)
    Study.objects.filter(id=study.id).update(
        instance_count=F("instance_count") + 1,
        revision=F("revision") + 1,
        size_bytes=F("size_bytes") + entry.stored.size_bytes,
        online_bytes=F("online_bytes") + entry.stored.size_bytes,
        last_arrival_at=max(study.last_arrival_at, entry.stored.arrived_at),
    )


@contextmanager
def durable_transaction() -> Iterator[None]:
    """A transaction that a power cut cannot undo: for rows that the start does not look at again.

    Arrivals do without, since their hours are compared with the disk at start.
    """
    is_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        if is_sqlite:
            cursor.execute("PRAGMA synchronous=FULL")
        try:
            with transaction.atomic():
                if not is_sqlite:
                    cursor.execute("SET LOCAL synchronous_commit = on")
                yield
        finally:
            if is_sqlite:
                cursor.execute("PRAGMA synchronous=NORMAL")


def count_evicted(instance: Instance, step: int) -> None:
    """Count one instance as evicted (+1) or as back (-1), inside the caller's transaction."""
    size = step * instance.size_bytes
    Series.objects.filter(id=instance.series_id).update(evicted_count=F("evicted_count") + step)
    Study.objects.filter(id=instance.series.study_id).update(
        evicted_count=F("evicted_count") + step, online_bytes=F("online_bytes") - size
    )


def quarantine(entry: Entry, reason: str, detail: str) -> None:
    """Add the row of a quarantined object, once for each digest."""
    Quarantined.objects.get_or_create(
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


def patient_conflict(study: Study, patient: tuple[str, str]) -> str:
    """Return why an object of this patient key does not belong to the study, "" if it does."""
    if (study.issuer, study.patient_id) == patient:
        return ""
    return f"study belongs to {study.issuer}/{study.patient_id}, object to {'/'.join(patient)}"


def same_uid_detail(known: Instance, came_sha256: str) -> str:
    """Return which two contents meet under one SOP Instance UID."""
    return f"stored {known.received_sha256[:16]}, came {came_sha256[:16]}"


def _study(entry: Entry) -> Study:
    study, is_new = Study.objects.get_or_create(
        uid=entry.identity.study,
        defaults=_without_uid(entry.study) | {"last_arrival_at": entry.stored.arrived_at},
    )
    conflict = "" if is_new else patient_conflict(study, entry.patient)
    if conflict:
        raise OtherPatient(conflict)
    if not is_new:
        _fill_blanks(study, entry.study)
    return study


def _series(entry: Entry, study: Study) -> Series:
    series, is_new = Series.objects.get_or_create(
        study=study, uid=entry.identity.series, defaults=_without_uid(entry.series)
    )
    if is_new:
        known = set(filter(None, study.modalities.split("\\")))
        known |= set(filter(None, [series.modality]))
        Study.objects.filter(id=study.id).update(
            series_count=F("series_count") + 1, modalities="\\".join(sorted(known))
        )
    else:
        _fill_blanks(series, entry.series)
    return series


def _fill_blanks(row: Study | Series, columns: dict[str, object]) -> None:
    blank = {
        name: value
        for name, value in _without_uid(columns).items()
        if value not in ("", None) and getattr(row, name) in ("", None)
    }
    if blank:
        type(row).objects.filter(id=row.id).update(**blank)


def _without_uid(columns: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in columns.items() if name != "uid"}
