"""The index's database away under load: nothing answered is lost, and nobody restarts a thing."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from tests.support import postgres, roles
from tests.support.node_under_fault import (
    SOAK,
    assert_kept,
    indexed,
    left_overs,
    serving,
    small_object,
    store,
    wait_until,
)
from tests.support.raw_association import Ended, RawAssociation

AWAY_S = 10.0 if SOAK else 3.0
SENDERS = 3
OUT_OF_RESOURCES = 0xA700
BACK_S = 30.0

pytestmark = pytest.mark.slow


class Sender(threading.Thread):
    """Sends objects of a study of its own, one after the other; a refused one is sent again."""

    def __init__(self, node: roles.Role, number: int) -> None:
        super().__init__(daemon=True)
        self.answered: dict[str, bytes] = {}
        self.statuses: set[int] = set()
        self._node = node
        self._study = f"1.2.826.0.1.3680043.10.1361.78.{number}"
        self._over = threading.Event()

    def run(self) -> None:
        """Send until `finish`, over a new association whenever the node ends one."""
        number = 0
        while not self._over.is_set():
            with contextlib.suppress(Ended, OSError):
                with RawAssociation(self._node.dicom_port, 60).associate() as association:
                    while not self._over.is_set():
                        number += self._send(association, number + 1)
                    association.release()
            time.sleep(0.1)

    def finish(self) -> None:
        """End, after the object that is under way."""
        self._over.set()
        self.join(90)
        assert not self.is_alive()

    def _send(self, association: RawAssociation, number: int) -> bool:
        uid, data_set = small_object(number, self._study)
        status = association.store(uid, data_set).status
        self.statuses.add(status)
        if status == 0:
            self.answered[uid] = data_set
        else:
            time.sleep(0.05)
        return status == 0


@contextlib.contextmanager
def load(node: roles.Role):
    senders = [Sender(node, number) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    try:
        yield senders
    finally:
        for sender in senders:
            sender.finish()


def answered(senders: list[Sender]) -> dict[str, bytes]:
    return {uid: sent for sender in senders for uid, sent in sender.answered.items()}


def wait_for_more(senders: list[Sender], node: roles.Role) -> None:
    """Wait until each sender was answered with success anew."""
    before = [len(sender.answered) for sender in senders]
    wait_until(
        lambda: all(len(s.answered) > n for s, n in zip(senders, before, strict=True)),
        lambda: f"{before} answered, then none: {node.log[-3000:]}",
        BACK_S,
    )


def test_a_crash_of_postgresql_under_load_loses_nothing_and_needs_no_restart(tmp_path):
    with postgres.cluster() as cluster:
        database = cluster.create("argens")
        with serving(tmp_path, PACS_DATABASE_URL=database) as node:
            first = node.process
            with load(node) as senders:
                wait_for_more(senders, node)
                cluster.stop("immediate")
                time.sleep(AWAY_S)
                cluster.start()
                wait_for_more(senders, node)
            sent = answered(senders)
            assert OUT_OF_RESOURCES in set.union(*(sender.statuses for sender in senders))
            assert set.union(*(sender.statuses for sender in senders)) <= {0, OUT_OF_RESOURCES}
            # The crash may have taken rows of the last moments: they come back from the files.
            wait_until(
                lambda: sent.keys() <= indexed(node).keys(),
                lambda: f"not found again: {sorted(sent.keys() - indexed(node).keys())}",
                BACK_S,
            )
            assert_kept(node, sent)
            assert not left_overs(node)
            assert node.process is first and first.poll() is None


def test_a_locked_index_delays_answers_and_loses_nothing(tmp_path):
    with serving(tmp_path) as node:
        with load(node) as senders:
            wait_for_more(senders, node)
            with locked(Path(node.env["PACS_DATA_DIR"]) / "index.sqlite3"):
                time.sleep(AWAY_S)
            wait_for_more(senders, node)
        assert_kept(node, answered(senders))
        assert not left_overs(node)
        uid, data_set = small_object(1)
        assert store(node, uid, data_set).status == 0


@contextlib.contextmanager
def locked(index: Path):
    """Hold the index against every other writer."""
    database = sqlite3.connect(index, timeout=30, isolation_level=None)
    with contextlib.closing(database):
        database.execute("BEGIN EXCLUSIVE")
        yield
        database.execute("ROLLBACK")
