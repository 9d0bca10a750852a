"""A disk that turns read-only or fails in mid-transfer: never a success, never a left-over."""

from __future__ import annotations

import random

import pytest

from tests.support.node_under_fault import (
    assert_kept,
    indexed,
    left_overs,
    objects,
    scp_processes,
    serving,
    small_object,
    store,
)
from tests.support.raw_association import PDV_BYTES, Answer, RawAssociation, data_pdus
from tests.support.traced import calls, strace

OUT_OF_RESOURCES = 0xA700
SIDE = 512
NAMING = "link,linkat,rename,renameat,renameat2"
FAULTS = {
    "the file system is read-only when bytes are written": "write,writev,pwritev:error=EROFS",
    "the file system is read-only when the file is named": f"{NAMING}:error=EROFS",
    "the disk fails when the file is synced": "fdatasync:error=EIO",
    "the disk fails when the folder is synced": "fsync:error=EIO",
}

pytestmark = pytest.mark.slow


def image(number: int) -> tuple[str, bytes]:
    pixels = random.Random(number).randbytes(2 * SIDE * SIDE)
    return small_object(number, Rows=SIDE, Columns=SIDE, PixelData=pixels)


def store_with_fault_in_the_middle(node, uid, data_set, fault, log) -> Answer:
    """Send half of an object, let the disk fail, send the rest, and return the answer."""
    with RawAssociation(node.dicom_port).associate() as association:
        association.begin_store(uid)
        pdus = list(data_pdus(1, [data_set]))
        for one in pdus[: len(pdus) // 2]:
            association.send(one)
        with strace(scp_processes(node), log, "-e", f"inject={fault}"):
            for one in pdus[len(pdus) // 2 :]:
                association.send(one)
            answer = association.answer()
        association.release()
    return answer


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_no_success_is_answered_for_what_the_disk_did_not_take(fault, tmp_path):
    (known, old), (uid, data_set) = image(1), image(2)
    assert len(data_set) > 10 * PDV_BYTES
    log = tmp_path / "trace"
    with serving(tmp_path) as node:
        assert store(node, known, old).status == 0
        answer = store_with_fault_in_the_middle(node, uid, data_set, fault, log)
        assert any("INJECTED" in call.text for call in calls(log)), "the fault never happened"
        assert answer.status == OUT_OF_RESOURCES, answer.comment
        assert not left_overs(node)
        assert uid not in indexed(node)
        assert store(node, uid, data_set).status == 0
        assert_kept(node, {known: old, uid: data_set})
        assert objects(node).keys() == {known, uid}
