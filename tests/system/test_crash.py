"""SIGKILL in the middle of transfers: what was answered is there, whole, after the restart."""

from __future__ import annotations

import hashlib
import os
import random
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
from tests.support.node_under_fault import (
    SOAK,
    data_set_digest,
    indexed,
    kill,
    kill_node,
    left_overs,
    objects,
    scp_node,
    scp_processes,
    wait_serving,
    wait_until,
)

KILLS = 200 if SOAK else 10
SENDERS = 3
SIDE = 256


class Modality(threading.Thread):
    """Sends instances of a study of its own and remembers what was answered with success."""

    def __init__(self, port: int, study: str) -> None:
        super().__init__(daemon=True)
        self.study = study
        self.answered: dict[str, str] = {}
        self._port = port
        self._over = threading.Event()

    def run(self) -> None:
        """Send until the node is gone, or until `finish`."""
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

    def finish(self) -> None:
        """End after the object that is under way."""
        self._over.set()
        self.join(30)
        assert not self.is_alive()

    def _send(self, association: Association) -> None:
        for number in range(1, 10_000):
            if self._over.is_set() or not association.is_established:
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
    """A node's DICOM port alone, whose processes can be killed."""
    node = scp_node(tmp_path).start()
    try:
        wait_serving(node)
        yield node
    finally:
        kill_node(node)


def found_by_query(node: roles.Role, study: str) -> set[str]:
    ae = AE(ae_title="WS1")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    association = ae.associate("127.0.0.1", node.dicom_port)
    assert association.is_established
    asked = Dataset()
    asked.QueryRetrieveLevel = "IMAGE"
    asked.StudyInstanceUID = study
    asked.SeriesInstanceUID = f"{study}.1"
    asked.SOPInstanceUID = ""
    answers = association.send_c_find(asked, StudyRootQueryRetrieveInformationModelFind)
    found = {match.SOPInstanceUID for _, match in answers if match is not None}
    association.release()
    return found


def power_cut(node: roles.Role, chance: random.Random) -> None:
    """Kill every process of the node, and start it again."""
    kill_node(node)
    node.start()
    wait_serving(node)
    assert not left_overs(node)


def one_process_dies(node: roles.Role, chance: random.Random) -> None:
    """Kill one of the processes that serve associations; the node itself starts another."""
    assert node.process is not None
    kill(chance.choice(scp_processes(node)[1:]))  # the first one supervises
    wait_serving(node)


@pytest.mark.slow
@pytest.mark.timeout(60 + 20 * KILLS)
@pytest.mark.parametrize(("crash", "kills"), [(power_cut, KILLS), (one_process_dies, KILLS // 2)])
def test_sigkill_in_mid_transfer_loses_nothing_that_was_answered(node, crash, kills):
    seed = int(os.environ.get("PACS_TEST_SEED", random.randrange(2**32)))
    print(f"seed {seed} (repeat with PACS_TEST_SEED={seed})")
    chance = random.Random(seed)
    answered: dict[str, str] = {}
    for number in range(kills):
        studies = [f"1.2.826.0.1.99.{seed}.{number}.{sender}" for sender in range(SENDERS)]
        senders = [Modality(node.dicom_port, study) for study in studies]
        for sender in senders:
            sender.start()
        time.sleep(chance.uniform(0.2, 1.2))
        crash(node, chance)
        for sender in senders:
            sender.finish()
            answered |= sender.answered
        for sender in senders:
            assert set(sender.answered) <= found_by_query(node, sender.study)
        assert answered.keys() <= indexed(node).keys()
    assert len(answered) > kills, "the senders were hardly answered: the test shows nothing"

    # What the dead left without a row, or half-written, is found while the node runs.
    wait_until(lambda: objects(node).keys() == indexed(node).keys() and not left_overs(node))
    power_cut(node, chance)
    files = objects(node)
    assert files.keys() == indexed(node).keys()
    for uid, digest in indexed(node).items():
        assert data_set_digest(files[uid]) == digest
        assert answered.get(uid, digest) == digest
    print(f"{kills} kills, {len(answered)} answered, {len(files)} found")
