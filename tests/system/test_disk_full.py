"""A full disk: C-STORE says so, nothing half-written stays, and all else goes on."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacs_common.node_client import NodeClient
from pacs_common.tickets import TicketIssuer
from tests.support import roles
from tests.support.node_under_fault import (
    STUDY,
    assert_kept,
    left_overs,
    query,
    serving,
    small_object,
    store,
    wait_listening,
    wait_until,
)
from tests.support.raw_association import RawAssociation
from tests.support.services import require

OUT_OF_RESOURCES = 0xA700  # PS3.4 B.2.3
SIDE = 1024
INDEX_BYTES = 1 << 20  # it grows besides, and nobody reserves for it
OBJECT_BYTES = 2 * SIDE * SIDE
DISK_BYTES = 64 << 20
VERIFIED_AT = "2026-11-21T10:00:00Z"

pytestmark = pytest.mark.slow


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def image(number: int) -> tuple[str, bytes]:
    """Return a slice of 2 MB."""
    pixels = hashlib.shake_128(str(number).encode()).digest(OBJECT_BYTES)
    return small_object(number, Rows=SIDE, Columns=SIDE, PixelData=pixels)


def free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def fill(folder: Path, free: int) -> Path:
    """Leave `free` bytes and return the file that takes the others."""
    filler = folder / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free_bytes(folder) - free)
    return filler


def found(node: roles.Role) -> str:
    """Return what findscu prints for the study."""
    done = subprocess.run(
        [
            require("findscu"), "-S", "-aec", "ARGENS_CT", "127.0.0.1", str(node.dicom_port),
            "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}",
            "-k", "NumberOfStudyRelatedInstances",
        ],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_within_the_reserve_objects_are_refused_and_queries_go_on(small_disk):
    reserve = 16 << 20
    sent = {}
    with serving(small_disk, PACS_RESERVE_BYTES=str(reserve)) as node:
        for number in range(1, DISK_BYTES // OBJECT_BYTES):
            uid, data_set = image(number)
            answer = store(node, uid, data_set)
            if answer.status:
                break
            sent[uid] = data_set
        assert answer.status == OUT_OF_RESOURCES
        assert "MiB" in answer.comment
        assert free_bytes(small_disk) > reserve - OBJECT_BYTES - INDEX_BYTES
        assert_kept(node, sent)
        assert f"[{len(sent)}" in found(node)
        assert not left_overs(node)


def test_a_disk_that_fills_in_mid_transfer_keeps_nothing_half_and_goes_on_once_there_is_space(
    small_disk,
):
    (first, one), (second, two), (third, three) = (image(number) for number in (1, 2, 3))
    with serving(small_disk, PACS_RESERVE_BYTES="0") as node:
        assert store(node, first, one).status == 0
        filler = fill(small_disk, OBJECT_BYTES // 2)
        assert store(node, second, two).status == OUT_OF_RESOURCES
        assert not left_overs(node)
        assert "[1" in found(node)
        assert query(node, "SELECT count(*) FROM dicom_node_instance") == [(1,)]
        filler.unlink()
        assert store(node, second, two).status == 0
        assert store(node, third, three).status == 0
        assert_kept(node, {first: one, second: two, third: three})


def test_an_association_goes_on_after_an_object_that_did_not_fit(small_disk):
    big, too_big = image(1)
    small, fits = small_object(2)
    with serving(small_disk, PACS_RESERVE_BYTES="0") as node:
        fill(small_disk, OBJECT_BYTES // 2)
        with RawAssociation(node.dicom_port).associate() as association:
            assert association.store(big, too_big).status == OUT_OF_RESOURCES
            assert association.store(small, fits).status == 0
            association.release()
        assert_kept(node, {small: fits})


def test_within_the_reserve_the_archive_evicts_and_recalls(small_disk, tmp_path, request):
    node = roles.node(small_disk, PACS_RESERVE_BYTES=str(16 << 20))
    issuer = TicketIssuer.at("archive", tmp_path / "key", Path(node.env["PACS_TRUST_DIR"]))
    client = NodeClient("CT", node.url, issuer, subject="test")
    request.addfinalizer(client.http.close)
    uid, data_set = image(1)
    with roles.running(node):
        wait_listening(node)
        assert store(node, uid, data_set).status == 0
        wait_until(lambda: client.manifest(STUDY)["digests_ready"])
        filler = fill(small_disk, 12 << 20)  # a recall may take half of the reserve
        assert store(node, *image(2)).status == OUT_OF_RESOURCES

        kept = tmp_path / "copy"
        client.fetch(STUDY, uid, kept)
        facts = client.manifest(STUDY)
        before = free_bytes(small_disk)
        answer = client.evict(plan(facts))
        assert answer["evicted"] == [uid], answer
        assert free_bytes(small_disk) > before
        with kept.open("rb") as source:
            client.put_back(STUDY, uid, source, kept.stat().st_size)
        assert client.manifest(STUDY)["online"] == 1
        filler.unlink()
        assert store(node, *image(2)).status == 0
        assert_kept(node, {uid: data_set})


def plan(facts: dict) -> dict:
    """Return an eviction plan for a whole study, each instance with a verified copy."""
    copies = [{"vault": "v", "volume": "A00001", "member": "m", "verified_at": VERIFIED_AT}]
    return {
        "plan_id": "p1",
        "study_uid": facts["study_uid"],
        "revision": facts["revision"],
        "recalls": facts["recalls"],
        "instances": [
            {k: one[k] for k in ("sop_instance_uid", "stored_sha256")} | {"copies": copies}
            for one in facts["instances"]
        ],
    }
