"""The index writer: one bad record harms nobody else, and nobody waits for ever."""

from __future__ import annotations

import errno
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import Error, OperationalError, connection

from dicom_node.index import rebuild, rows, writer
from dicom_node.index.writer import IndexWriter
from dicom_node.ingest.ingest import Arrival, Ingest, Outcome
from dicom_node.models import Instance, Study
from dicom_node.store import blobs
from pacs_common.errors import IndexUnavailable
from tests.node.objects import EXPLICIT, ct, encoded


@pytest.fixture
def index(layout, transactional_db):
    """A writer of its own, whose thread ends with the test."""
    index = IndexWriter()
    yield index
    index.close()


def commit(index, layout, record):
    """Commit in a daemon thread: a writer that hangs fails the test instead of stopping it."""
    done: Future[None] = Future()

    def work():
        try:
            done.set_result(index.commit(record, layout.objects))
        except Exception as error:
            done.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return done.result(timeout=5)


def fails_with(error):
    def record():
        Study.objects.create(uid="1.2.3", last_arrival_at="2026-01-01T00:00:00Z")
        raise error

    return record


def test_a_record_that_fails_in_a_way_nobody_foresaw_stops_no_later_one(index, layout):
    with pytest.raises(ValueError, match="a bug"):
        commit(index, layout, fails_with(ValueError("a bug")))
    commit(index, layout, lambda: None)
    assert not Study.objects.exists()


def test_a_record_that_the_database_refuses_harms_no_other_of_its_batch(index, layout):
    held, go_on = threading.Event(), threading.Event()

    def blocks():
        held.set()
        go_on.wait(5)

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(index.commit, blocks, layout.objects)
        held.wait(5)
        bad = pool.submit(index.commit, fails_with(OperationalError("too large")), layout.objects)
        good = pool.submit(index.commit, lambda: None, layout.objects)
        while index._queue.qsize() < 2:
            pass
        go_on.set()
        first.result(5)
        good.result(5)
        with pytest.raises(IndexUnavailable):
            bad.result(5)
    assert not Study.objects.exists()


def test_an_hour_that_somebody_else_has_just_made_is_synced_up_to_the_data_folder(
    index, layout, monkeypatch
):
    synced, hour = set(), layout.objects / "2026/11/21/11"
    hour.mkdir(parents=True)
    monkeypatch.setattr(writer, "sync_folder", lambda folder: synced.add(folder))
    index.commit(lambda: None, hour)
    assert synced >= {hour, *hour.parents[:4], layout.objects.parent}


def test_a_commit_after_the_end_is_refused_and_does_not_wait(layout, transactional_db):
    index = IndexWriter()
    index.close()
    with pytest.raises(IndexUnavailable):
        commit(index, layout, lambda: None)


class OvertakenIndex(IndexWriter):
    """A writer before whose commit somebody else does something."""

    def __init__(self, overtake):
        super().__init__()
        self._overtake = overtake

    def commit(self, record, folder):
        overtake, self._overtake = self._overtake, lambda: None
        overtake()
        super().commit(record, folder)


def overtaken(layout, overtake):
    index = OvertakenIndex(overtake)
    try:
        return Ingest(layout, index, 0).take(Arrival(encoded(ct()), EXPLICIT))
    finally:
        index.close()


def assert_kept(layout, outcome):
    assert outcome in (Outcome.STORED, Outcome.DUPLICATE)
    row = Instance.objects.get()
    assert layout.object(row.hour, row.uid).exists()


def test_a_file_that_fsck_indexed_first_is_not_taken_away(layout, transactional_db):
    result = overtaken(layout, lambda: rebuild.catch_up(layout, ""))
    assert_kept(layout, result.outcome)


def test_a_file_that_another_process_took_over_is_not_taken_away(ingest, layout):
    result = overtaken(layout, lambda: ingest.take(Arrival(encoded(ct()), EXPLICIT)))
    assert_kept(layout, result.outcome)


def test_a_connection_that_is_closed_already_is_told_as_djangos_errors_and_dropped(
    index, transactional_db
):
    rows.known_uids(["1.2.3"])
    connection.connection.close()
    with pytest.raises(Error):
        rows.known_uids(["1.2.3"])
    assert connection.errors_occurred
    connection.connection = None
    assert rows.known_uids(["1.2.3"]) == set()


def test_a_lock_that_fails_after_the_commit_costs_no_file(layout, transactional_db):
    class LosesItsLock(IndexWriter):
        @contextmanager
        def _turn(self):
            with super()._turn():
                yield
            raise OSError(errno.EIO, "the lock is gone")

    index = LosesItsLock()
    try:
        with pytest.raises(writer.CommitUnknown):
            Ingest(layout, index, 0).take(Arrival(encoded(ct()), EXPLICIT))
    finally:
        index.close()
    assert_kept(layout, Outcome.STORED)


def test_the_second_try_of_a_batch_forgets_the_failures_of_the_first(layout, transactional_db):
    class TriesTwice(IndexWriter):
        def _write_with_a_second_try(self, batch):
            self._write_all(batch)
            self._write_all(batch)

    def place():
        if next(tries) == 1:
            raise blobs.AlreadyThere
        return layout.objects

    tries, index = iter([1, 2]), TriesTwice()
    try:
        index._put(writer._Waiting(lambda: None, place))
    finally:
        index.close()
