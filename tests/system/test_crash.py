"""SIGKILL in the middle of transfers: what was answered is there, whole, after the restart."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelFind

from tests.support import roles
from tests.support.data_sets import ct, encoded

KILLS = 200 if os.environ.get("PACS_TEST_SOAK") else 10
SENDERS = 3
SIDE = 256


class Modality(threading.Thread):
    """Sends instances of a study of its own and remembers what was answered with success."""

    def __init__(self, port: int, study: str) -> None:
        super().__init__(daemon=True)
        self.study = study
        self.answered: dict[str, str] = {}
        self._port = port

    def run(self) -> None:
        """Send until the node is gone."""
        ae = AE(ae_title="CT1")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 5
        ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
        association = ae.associate("127.0.0.1", self._port)
        try:
            self._send(association)
        except (RuntimeError, ValueError):
            pass  # the node was killed
        finally:
            close(association)

    def _send(self, association: Association) -> None:
        for number in range(1, 10_000):
            if not association.is_established:
                return
            ds = self._slice(number)
            answer = association.send_c_store(ds)
            if answer.get("Status") == 0x0000:
                self.answered[ds.SOPInstanceUID] = hashlib.sha256(encoded(ds)).hexdigest()

    def _slice(self, number: int) -> Dataset:
        noise = random.Random(f"{self.study}/{number}")
        ds = ct(number, study=self.study, series=f"{self.study}.1", Rows=SIDE, Columns=SIDE)
        ds.PixelData = noise.randbytes(2 * SIDE * SIDE)
        ds.file_meta = Dataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        return ds


def close(association: Association) -> None:
    """Close what pynetdicom leaves open when its peer vanishes."""
    if association.is_established:
        association.abort()
    connection = association.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.close()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[roles.Role]:
    """A node's DICOM port alone, as a process that can be killed."""
    node = roles.node(tmp_path, command="scp")
    migrated = node.command("migrate")
    assert migrated.returncode == 0, migrated.stderr
    yield node
    node.stop(signal.SIGKILL)


def wait_listening(node: roles.Role) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", node.dicom_port), timeout=1).close()
            return
        except OSError:
            assert node.process is not None and node.process.poll() is None, node.log[-3000:]
            time.sleep(0.05)
    raise AssertionError(node.log[-3000:])


def found_by_query(node: roles.Role, study: str) -> set[str]:
    ae = AE(ae_title="WS1")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    association = ae.associate("127.0.0.1", node.dicom_port)
    assert association.is_established
    asked = Dataset()
    asked.QueryRetrieveLevel = "IMAGE"
    asked.StudyInstanceUID = study
    asked.SOPInstanceUID = ""
    answers = association.send_c_find(asked, StudyRootQueryRetrieveInformationModelFind)
    found = {match.SOPInstanceUID for _, match in answers if match is not None}
    association.release()
    return found


def indexed(node: roles.Role) -> dict[str, tuple[str, str]]:
    """Return each indexed instance's (hour, received digest), read from the index itself."""
    database = sqlite3.connect(Path(node.env["PACS_DATA_DIR"]) / "index.sqlite3")
    rows = database.execute("SELECT uid, hour, received_sha256 FROM dicom_node_instance")
    found = {uid: (hour, digest) for uid, hour, digest in rows}
    database.close()
    return found


def data_set_digest(path: Path) -> str:
    """Return the digest of a file's data set, found by the length of its group 0002."""
    content = path.read_bytes()
    length = int.from_bytes(content[140:144], "little")
    return hashlib.sha256(content[144 + length :]).hexdigest()


@pytest.mark.slow
@pytest.mark.timeout(60 + 20 * KILLS)
def test_sigkill_in_mid_transfer_loses_nothing_that_was_answered(node):
    seed = int(os.environ.get("PACS_TEST_SEED", random.randrange(2**32)))
    print(f"seed {seed} (repeat with PACS_TEST_SEED={seed})")
    chance = random.Random(seed)
    objects = Path(node.env["PACS_DATA_DIR"]) / "objects"
    answered: dict[str, str] = {}
    node.start()
    wait_listening(node)
    for kill in range(KILLS):
        studies = [f"1.2.826.0.1.99.{seed}.{kill}.{number}" for number in range(SENDERS)]
        senders = [Modality(node.dicom_port, study) for study in studies]
        for sender in senders:
            sender.start()
        time.sleep(chance.uniform(0.2, 1.2))
        node.stop(signal.SIGKILL)
        for sender in senders:
            sender.join(30)
            answered |= sender.answered

        node.start()
        wait_listening(node)
        for sender in senders:
            assert set(sender.answered) <= found_by_query(node, sender.study)
        assert answered.keys() <= indexed(node).keys()
        assert not list(objects.rglob("*.part"))
    assert len(answered) > KILLS, "the senders were hardly answered: the test shows nothing"
    for uid, (hour, digest) in indexed(node).items():
        assert data_set_digest(objects / hour / f"{uid}.dcm") == digest
        assert answered.get(uid, digest) == digest
    print(f"{KILLS} kills, {len(answered)} answered, {len(indexed(node))} found")
