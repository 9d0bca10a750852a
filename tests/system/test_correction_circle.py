"""A correction by real processes: corrected, archived, evicted, reindexed, recalled, moved."""

from __future__ import annotations

import hashlib
import io
import subprocess
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from pacs_common.node_client import NodeClient
from pacs_common.tickets import TicketIssuer
from tests.support import roles
from tests.support.data_sets import STUDY, ct
from tests.support.node_under_fault import kill_node
from tests.support.ports import free_port
from tests.support.services import require
from tests.support.stow import RELATED, STUDIES, as_file, body

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
VALUES = {
    "PatientName": "Łukasz^Zoë", "PatientID": "FR-2", "PatientBirthDate": "19800229",
    "PatientSex": "M",
}  # fmt: skip
ASKED = {"study_uid": STUDY, "id": "5" * 32, "kind": "moved", "why": "wrong entry"}


def client(node: roles.Role, issuer: str) -> NodeClient:
    trust = Path(node.env["PACS_TRUST_DIR"])
    signer = TicketIssuer.at(issuer, node.folder / f"{issuer}.key", trust)
    return NodeClient("CT", node.url, signer, subject="tester")


def store(node: roles.Role) -> None:
    """Store two slices by STOW-RS."""
    trust = Path(node.env["PACS_TRUST_DIR"])
    signer = TicketIssuer.at("portal", node.folder / "portal.key", trust)
    ticket = signer.issue("CT", ["dicomweb.store"], subject="tester")
    headers = {"Authorization": f"Bearer {ticket}", "Content-Type": RELATED}
    sent = body(as_file(ct(number)) for number in (1, 2))
    answer = httpx.post(f"{node.url}{STUDIES}", content=sent, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text


def ready_manifest(archive: NodeClient) -> dict:
    deadline = time.monotonic() + 60
    while not (told := archive.manifest(STUDY))["digests_ready"]:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    return told


def evicted(archive: NodeClient, manifest: dict) -> dict:
    copies = [{"volume": "V1", "member": "m.tar", "verified_at": "2026-11-21T09:00:00+00:00"}]
    named = [
        {**{name: one[name] for name in ("sop_instance_uid", "stored_sha256")}, "copies": copies}
        for one in manifest["instances"]
    ]
    plan = {name: manifest[name] for name in ("study_uid", "revision", "recalls")}
    return archive.evict({**plan, "plan_id": "p1", "instances": named})


def moved(node: roles.Role, port: int, folder: Path) -> list:
    """C-MOVE the study to a storescp; returns what it has."""
    folder.mkdir()
    receiver = subprocess.Popen(
        [require("storescp"), "-od", str(folder), str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        roles.wait_for_port(port)
        done = subprocess.run(
            [
                *(require("movescu"), "-S", "-aec", "ARGENS_CT", "-aem", "WS1", "127.0.0.1"),
                *(str(node.dicom_port), "-k", "QueryRetrieveLevel=STUDY"),
                *("-k", f"StudyInstanceUID={STUDY}"),
            ],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    finally:
        receiver.terminate()
        receiver.wait(10)
    return [dcmread(file) for file in sorted(folder.iterdir())]


def test_a_corrected_study_stays_corrected_through_kill_archive_reindex_and_recall(tmp_path):
    port = free_port()
    node = roles.node(tmp_path, PACS_MOVE_DESTINATIONS=f"WS1=127.0.0.1:{port}", PACS_IN_USE_S="0")
    portal, archive = client(node, "portal"), client(node, "archive")
    with closing(portal.http), closing(archive.http):
        go_round(node, port, portal, archive, tmp_path)


def go_round(
    node: roles.Role, port: int, portal: NodeClient, archive: NodeClient, tmp_path: Path
) -> None:
    volume: dict[str, bytes] = {}
    with roles.running(node):
        store(node)
        assert {ds.PatientID for ds in moved(node, port, tmp_path / "before")} == {"FR-1"}
        told = portal.correct({**ASKED, "values": VALUES})
        assert [one["destination"] for one in told["received"]] == ["WS1"]
        assert told["received"][0]["can_resend"]
        kill_node(node)
    with roles.running(node):
        manifest = ready_manifest(archive)
        assert [one["kind"] for one in manifest["journal"]] == ["corrected"]
        for one in manifest["instances"]:
            uid, file = one["sop_instance_uid"], tmp_path / "member"
            archive.fetch(STUDY, uid, file)
            volume[uid] = file.read_bytes()
            assert hashlib.sha256(volume[uid]).hexdigest() == one["stored_sha256"]
            file.unlink()
        answer = evicted(archive, manifest)
        assert len(answer["evicted"]) == 2, answer
    reindexed = node.command("reindex")
    assert reindexed.returncode == 0, reindexed.stderr
    with roles.running(node):
        stub = portal.header(manifest["instances"][0]["sop_instance_uid"])
        assert "FR-2" in [one.get("value") for one in stub["elements"]]
        for uid, content in volume.items():
            archive.put_back(STUDY, uid, io.BytesIO(content), len(content))
        objects = moved(node, port, tmp_path / "after")
        assert [str(ds.PatientName) for ds in objects] == ["Łukasz^Zoë"] * 2
        for ds in objects:
            (item,) = ds.OriginalAttributesSequence
            assert item.ModifiedAttributesSequence[0].PatientName == "Lefèvre^Hélène"
            assert ds.PixelData == ct(int(ds.InstanceNumber)).PixelData
        (queued,) = portal.resend_corrected(ASKED["id"], ["WS1"]).values()
        assert queued == 2
        portal.undo_correction(ASKED["id"])
        assert {ds.PatientID for ds in moved(node, port, tmp_path / "undone")} == {"FR-1"}
