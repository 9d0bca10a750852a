"""The DICOM port over several processes: they share the work, and none's death is the port's."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import CTImageStorage, Verification

from tests.support import process_tree, roles
from tests.support.data_sets import ct
from tests.support.rejections import rejected

pytestmark = pytest.mark.slow
PROCESSES = 2


@pytest.fixture
def node(tmp_path: Path) -> Iterator[roles.Role]:
    """A whole node with two SCP processes."""
    node = roles.node(tmp_path, PACS_SCP_PROCESSES=str(PROCESSES))
    with roles.running(node):
        yield node


@pytest.fixture
def associate(node: roles.Role) -> Iterator[Callable[[], Association]]:
    """Open one more association with the node; all are released in the end."""
    opened: list[Association] = []

    def associate() -> Association:
        ae = AE("WS1")
        ae.add_requested_context(Verification)
        ae.add_requested_context(CTImageStorage, ImplicitVRLittleEndian)
        association = ae.associate("127.0.0.1", node.dicom_port)
        assert association.is_established
        opened.append(association)
        return association

    yield associate
    for association in opened:
        if association.is_established:
            association.release()


def scp_processes(node: roles.Role) -> list[int]:
    """The forked processes, without their supervisor."""
    supervisor = process_tree.named(node.process.pid, "manage.py node scp")[0]
    return [pid for pid in process_tree.tree(supervisor)[1:] if process_tree.command_line(pid)]


def connections_of(pid: int) -> int:
    """How many sockets a process holds."""
    count = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")
        except FileNotFoundError:
            pass  # it was closed meanwhile
    return count


def image(number: int) -> Dataset:
    """A CT image that pynetdicom sends."""
    ds = ct(number)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return ds


def until(happens: Callable[[], bool], within_s: float = 15) -> None:
    """Wait for something, and fail where it does not happen."""
    deadline = time.monotonic() + within_s
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_associations_are_spread_over_the_processes(
    node: roles.Role, associate: Callable[[], Association]
) -> None:
    pids = scp_processes(node)
    assert len(pids) == PROCESSES
    before = [connections_of(pid) for pid in pids]
    for _ in range(6):
        associate()
    held = [connections_of(pid) - base for pid, base in zip(pids, before, strict=True)]
    assert sum(held) == 6
    assert min(held) >= 2


def test_a_killed_process_is_replaced_and_the_others_associations_go_on(
    node: roles.Role, associate: Callable[[], Association]
) -> None:
    pids = scp_processes(node)
    before = {pid: connections_of(pid) for pid in pids}
    associations = [associate() for _ in range(4)]
    victim = max(pids, key=lambda pid: connections_of(pid) - before[pid])
    os.kill(victim, signal.SIGKILL)
    until(lambda: sum(not association.is_established for association in associations) == 2)
    survivors = [association for association in associations if association.is_established]
    assert [association.send_c_echo().Status for association in survivors] == [0, 0]
    until(lambda: len(scp_processes(node)) == PROCESSES)
    for number in range(4):
        association = associate()
        assert association.send_c_store(image(number + 1)).Status == 0x0000
    assert "an SCP process died" in node.log


def test_the_places_of_a_killed_process_are_free_again(tmp_path: Path) -> None:
    node = roles.node(
        tmp_path,
        PACS_SCP_PROCESSES=str(PROCESSES),
        PACS_MAX_ASSOCIATIONS="2",
        PACS_MAX_ASSOCIATIONS_PER_PEER="2",
    )
    ae = AE("WS1")
    ae.add_requested_context(Verification)

    def is_admitted() -> bool:
        association = ae.associate("127.0.0.1", node.dicom_port)
        if association.is_established:
            association.release()
            return True
        return False

    with roles.running(node):
        held = [ae.associate("127.0.0.1", node.dicom_port) for _ in range(2)]
        assert all(association.is_established for association in held)
        answer = rejected(lambda: ae.associate("127.0.0.1", node.dicom_port)).acceptor.primitive
        assert answer.result == 0x02  # for now
        assert answer.diagnostic == 0x02  # local limit exceeded
        for pid in scp_processes(node):
            os.kill(pid, signal.SIGKILL)
        until(is_admitted)


def test_a_stop_ends_open_associations_and_leaves_no_process(
    node: roles.Role, associate: Callable[[], Association]
) -> None:
    pids = process_tree.tree(node.process.pid)
    held = [associate() for _ in range(3)]
    node.stop()
    assert node.process.returncode == 0
    until(lambda: not any(process_tree.command_line(pid) for pid in pids))
    until(lambda: not any(association.is_established for association in held))


def test_a_killed_supervisor_takes_its_processes_with_it(node: roles.Role) -> None:
    pids = process_tree.tree(node.process.pid)
    node.process.kill()
    until(lambda: not any(process_tree.command_line(pid) for pid in pids))
