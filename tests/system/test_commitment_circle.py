"""Two copies: a node, a real archive and Orthanc, which is told only what the archive verified."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import roles
from tests.support.data_sets import ct
from tests.support.ports import free_port
from tests.system.test_forwarding_interop import file_of, orthanc, wait_until


@pytest.mark.slow
def test_a_commitment_of_two_copies_comes_only_once_the_archive_verified_its_own(tmp_path: Path):
    port = free_port()
    node = roles.node(
        tmp_path,
        PACS_MOVE_DESTINATIONS=f"ORTHANC=127.0.0.1:{port}",
        PACS_COMMIT_REQUIRES_COPIES="2",
    )
    archive = roles.archive(tmp_path, {"CT": node})
    with roles.running(node), orthanc(tmp_path, port, node.dicom_port) as found:
        uploaded = found.post("/instances", file_of(tmp_path, 1).read_bytes())["ID"]
        stored = found.post(
            "/modalities/argens/store",
            {"Resources": [uploaded], "StorageCommitment": True, "Synchronous": True},
        )
        transaction = f"/storage-commitment/{stored['StorageCommitmentTransactionUID']}"

        def listed() -> str:
            return node.command("commit", "list").stdout

        wait_until(lambda: "waits for the archive's copies" in listed(), listed)
        assert found.get(transaction)["Status"] == "Pending"
        with roles.running(archive):
            wait_until(
                lambda: found.get(transaction)["Status"] != "Pending",
                lambda: listed() + archive.log[-3000:],
            )
        assert found.get(transaction)["Status"] == "Success"
        [done] = found.get(transaction)["Success"]
        assert done["SOPInstanceUID"] == ct(1).SOPInstanceUID
        journal = "".join(
            path.read_text() for path in (tmp_path / "node-ct" / "journal").rglob("*.jsonl")
        )
        assert "verified_at" in journal
