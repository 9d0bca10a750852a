"""Writes entries into the index: one thread a process, many entries a transaction.

Before the rows, it names the entries' files and syncs the folders that hold them, once a batch:
so directory syncs and commits are shared by all associations that wait (custody rule 1).
A file lock queues the processes that share one SQLite database: its own waiting is a sleep.
"""

from __future__ import annotations

import fcntl
import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import Error, IntegrityError, close_old_connections, connection, transaction

from dicom_node.config import CONFIG
from dicom_node.index import rows
from dicom_node.index.away import reconnect_if_lost
from dicom_node.index.entry import Entry
from dicom_node.index.rows import AlreadyIndexed
from dicom_node.store.blobs import disk_errors, sync_folder
from dicom_node.store.layout import Layout
from pacs_common.errors import IndexUnavailable

BATCH_ENTRIES = 256
LEVELS_ABOVE = 5  # day, month, year, kind, data folder
TRIES = 3  # of a batch that other processes overtake, before each entry goes alone


class CommitUnknown(IndexUnavailable):
    """The database went away while it committed: the rows may be there."""


class _Waiting:
    """One entry, or one record of another kind, whose sender waits."""

    def __init__(self, work: Entry | Callable[[], None], place: Callable[[], Path]) -> None:
        self.work = work
        self.place = place
        self.folder: Path | None = None
        self.failure: BaseException | None = None
        self._is_done = threading.Lock()
        self._is_done.acquire()

    def settle(self) -> None:
        self._is_done.release()

    def wait(self) -> None:
        self._is_done.acquire()
        if self.failure is not None:
            raise self.failure


class IndexWriter:
    """Groups entries over instances and associations; made in the process that uses it."""

    def __init__(self) -> None:
        self._lock = Layout(CONFIG.data_dir).index_lock
        self._turns = -1  # the open lock, the writing thread's alone
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._entrance, self._is_closed = threading.Lock(), False
        self._rooted: set[Path] = set()  # folders whose parents' names are durable
        self._thread = threading.Thread(target=self._work, name="index-writer", daemon=True)
        self._thread.start()

    def add(self, entry: Entry, place: Callable[[], Path]) -> None:
        """Add one entry's rows and return when file and rows are durable.

        `place` gives the file its final name and returns its folder; it is called only where the
        index knows no such instance, and what it raises is raised here. Raises AlreadyIndexed,
        OtherPatient, CommitUnknown, IndexUnavailable.
        """
        self._put(_Waiting(entry, place))

    def commit(self, record: Callable[[], None], folder: Path) -> None:
        """Sync `folder`, run `record` in a transaction, and return when both are durable.

        Raises what `record` raises, CommitUnknown, or IndexUnavailable.
        """
        self._put(_Waiting(record, lambda: folder))

    def close(self) -> None:
        """Write what waits, end the thread, and refuse what comes later."""
        with self._entrance:
            if not self._is_closed:
                self._is_closed = True
                self._queue.put(None)
        self._thread.join()

    def _put(self, waiting: _Waiting) -> None:
        with self._entrance:  # nothing may follow the None that ends the thread
            if self._is_closed:
                raise IndexUnavailable("the node is stopping")
            self._queue.put(waiting)
        waiting.wait()

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            while len(batch) < BATCH_ENTRIES and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    self._queue.put(None)
                    break
                batch.append(following)
            self._write(batch)
        connection.close()
        if self._turns >= 0:
            os.close(self._turns)

    def _write(self, batch: list[_Waiting]) -> None:
        try:
            self._write_with_a_second_try(batch)
        except Exception as error:  # it belongs to the associations that wait, not to this thread
            for waiting in batch:
                waiting.failure = waiting.failure or _explained(error)
        for waiting in batch:
            waiting.settle()
        close_old_connections()

    def _write_with_a_second_try(self, batch: list[_Waiting]) -> None:
        """Write a batch, again where the connection was lost since the batch before."""
        try:
            self._write_all(batch)
        except (Error, IndexUnavailable) as error:
            if isinstance(error, CommitUnknown) or not reconnect_if_lost():
                raise
            self._write_all(batch)

    def _write_all(self, batch: list[_Waiting]) -> None:
        known = rows.known_uids(one.work.uid for one in batch if isinstance(one.work, Entry))
        for waiting in batch:
            if waiting.folder is not None:
                continue  # it has its place since the first try
            waiting.failure = None  # of the first try
            if isinstance(waiting.work, Entry) and waiting.work.uid in known:
                waiting.failure = AlreadyIndexed(waiting.work.uid)
            else:
                _place(waiting)
        placed = [waiting for waiting in batch if waiting.failure is None]
        if placed:
            self._sync({waiting.folder for waiting in placed if waiting.folder})
            self._commit(placed)

    def _sync(self, folders: set[Path]) -> None:
        for folder in folders:
            sync_folder(folder)
            if folder not in self._rooted:
                # Whoever made the hour's folder may not have synced its parents yet.
                for level in folder.parents[:LEVELS_ABOVE]:
                    sync_folder(level)
                self._rooted.add(folder)

    def _commit(self, placed: list[_Waiting]) -> None:
        for number in range(TRIES):
            try:
                self._transact(placed, are_new=number == 0)
                return
            except IntegrityError:
                continue  # another process was first: what it wrote is known now
        for waiting in placed:
            try:
                self._transact([waiting])
            except IntegrityError as error:
                waiting.failure = AlreadyIndexed(str(error))

    def _transact(self, placed: list[_Waiting], *, are_new: bool = False) -> None:
        for waiting in placed:
            waiting.failure = None
        is_committing = False
        try:
            with self._turn(), transaction.atomic():
                self._write_rows(placed, are_new)
                is_committing = True
        except IntegrityError:
            raise
        except (Error, OSError) as error:  # OSError: of the lock
            kind = CommitUnknown if is_committing else IndexUnavailable
            raise kind(f"the index does not take it: {error}") from error

    def _write_rows(self, placed: list[_Waiting], are_new: bool) -> None:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:  # arrivals are compared with the disk at start
                cursor.execute("SET LOCAL synchronous_commit = off")
        entries = [waiting for waiting in placed if isinstance(waiting.work, Entry)]
        failures = rows.add_all([waiting.work for waiting in entries], are_new=are_new)
        for waiting, failure in zip(entries, failures, strict=True):
            waiting.failure = failure
        for waiting in placed:
            if not isinstance(waiting.work, Entry):
                waiting.failure = _failure(waiting.work)
        if transaction.get_rollback():  # a savepoint was lost, and with it the whole batch
            raise Error("the transaction was lost")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for this process's turn to write; the kernel frees that of one that dies."""
        if connection.vendor != "sqlite":
            yield
            return
        if self._turns < 0:
            with disk_errors():
                self._turns = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        fcntl.flock(self._turns, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._turns, fcntl.LOCK_UN)


def _place(waiting: _Waiting) -> None:
    try:
        waiting.folder = waiting.place()
    except Exception as error:  # its sender alone is told
        waiting.failure = error


def _failure(record: Callable[[], None]) -> Exception | None:
    """Run one record; return what it raised, so that it alone fails and not its batch."""
    try:
        with transaction.atomic():
            record()
    except IntegrityError as error:  # another process was first
        return AlreadyIndexed(str(error))
    except Error as error:
        return _explained(error)
    except Exception as error:  # its sender alone is told
        return error
    return None


def _explained(error: Exception) -> Exception:
    if isinstance(error, Error):
        return IndexUnavailable(f"the index does not take it: {error}")
    return error
