"""A node's disk is lost; the archive, a real process too, fills an empty one from its tapes.

Needs the node's restore door (`PUT /api/custody/restore/...`); skipped where the node has none.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from pacs_common import errors
from pacs_common.http import HttpClient
from pacs_common.node_client import NodeClient
from pacs_common.tickets import TicketIssuer
from tests.support import roles
from tests.support.data_sets import STUDY, ct
from tests.support.stow import RELATED, STUDIES, as_file, body
from tests.system.test_forwarding_interop import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
OLD = f"{STUDY}.77"
ALONE = f"{STUDY}.78"
SLICES = 8
WHY = {
    "study_uid": STUDY, "id": "5" * 32, "kind": "moved", "why": "wrong entry",
    "values": {"PatientName": "Noël^Zoë", "PatientID": "FR-2", "PatientBirthDate": "19800229",
               "PatientSex": "M"},
}  # fmt: skip


class Hospital:
    """A node and an archive that copies what it has, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.node = roles.node(folder, PACS_PREPARE_AFTER_S="0")
        self.archive = roles.archive(folder, {"CT": self.node}, PACS_PRIORS="0")
        self.portal = TicketIssuer.at("portal", folder / "portal.key", folder / "trust")
        self._http = HttpClient(self.archive.url)

    def open(self) -> None:
        """Speak to the node as the archive does, with its own key."""
        key = Path(self.archive.env["PACS_DATA_DIR"]) / "archive.key.pem"
        signer = TicketIssuer.at("archive", key, self.folder / "trust")
        self.client = NodeClient("CT", self.node.url, signer, subject="test", read_s=60.0)

    def close(self) -> None:
        self._http.close()
        self.client.http.close()

    def correct(self) -> None:
        signer = NodeClient("CT", self.node.url, self.portal, subject="tester")
        with closing(signer.http):
            signer.correct(WHY)

    def store(self, study_uid: str, first: int, count: int = SLICES, **changes: object) -> None:
        sets = [ct(number, **changes) for number in range(first, first + count)]
        for ds in sets:
            ds.StudyInstanceUID = study_uid
            ds.SeriesInstanceUID = f"{study_uid}.1"
        ticket = self.portal.issue("CT", ["dicomweb.store"], subject="tester")
        headers = {"Authorization": f"Bearer {ticket}", "Content-Type": RELATED}
        sent = body(as_file(ds) for ds in sets)
        url = f"{self.node.url}{STUDIES}"
        answer = httpx.post(url, content=sent, headers=headers, timeout=60)
        assert answer.status_code in (200, 202), answer.text

    def decide(self, verb: str) -> None:
        """Decide about the last object that came to quarantine."""
        signer = NodeClient("CT", self.node.url, self.portal, subject="tester")
        with closing(signer.http):
            latest = signer.quarantine()["quarantined"][0]
            signer.decide(latest["id"], verb, "the other one is right")

    def ask(self, method: str, path: str, **request: Any) -> Any:
        scopes = ["archive.read", "archive.operate"]
        ticket = self.portal.issue("archive", scopes, subject="archivist")
        return self._http.json(method, path, token=ticket, **request)

    def proven(self, study_uid: str) -> bool:
        """Whether the newest revision of a study lies verified in the archive."""
        wanted = self.client.manifest(study_uid)["revision"]
        copies = self.ask("GET", f"/api/studies/{study_uid}")["copies"]
        return any(one["revision"] == wanted and one["verified_at"] for one in copies)

    def evict(self, study_uid: str) -> None:
        wanted = {"kind": "evict", "node": "CT", "study_uid": study_uid, "requested_by": "test"}
        job = self.ask("POST", "/api/jobs", body=wanted)["job"]

        def told() -> dict[str, Any]:
            return self.ask("GET", f"/api/jobs/{job['id']}")["job"]

        wait_until(lambda: told()["state"] in {"done", "failed"}, lambda: str(told()))
        assert told()["state"] == "done", told()

    def lose_the_disk(self) -> None:
        """Let the node begin anew with an empty folder."""
        self.node.stop(signal.SIGKILL)
        disk = Path(self.node.env["PACS_DATA_DIR"])
        lost = disk.rename(disk.with_name("lost"))  # its children die by and by
        shutil.rmtree(lost, ignore_errors=True)
        self.node.start().wait_ready()


@pytest.fixture
def hospital(tmp_path: Path):
    """Two studies, one corrected, one evicted, both on tape."""
    place = Hospital(tmp_path)
    with roles.running(place.node, place.archive):
        place.open()
        place.store(STUDY, 1)
        place.store(OLD, 101)
        place.correct()
        place.store(OLD, 101, 1, WindowCenter="81")
        place.decide("keep")
        place.store(OLD, 102, 1, WindowCenter="82")
        place.decide("take")
        place.store(ALONE, 103, 1, WindowCenter="83")  # of a study that has nothing else
        place.decide("keep")
        for uid in (STUDY, OLD, ALONE):
            wait_until(
                lambda uid=uid: _or_false(place.proven, uid), lambda: place.archive.log[-3000:]
            )
        place.evict(OLD)
        yield place
        place.close()


def _or_false(asked: Any, *about: Any) -> bool:
    try:
        return bool(asked(*about))
    except errors.NotFound:
        return False


def told(client: NodeClient, study_uid: str) -> tuple[Any, ...]:
    """Return what must be as before: each file, where it is, and what was decided of it."""
    manifest = client.manifest(study_uid)
    kept = ("sop_instance_uid", "stored_sha256", "received_sha256", "arrived_at", "availability",
            "size_bytes", "transfer_syntax_uid", "series_uid")  # fmt: skip
    found = sorted(tuple(one[name] for name in kept) for one in manifest["instances"])
    decided = [record for record in manifest["journal"] if record["kind"] == "corrected"]
    kept = (
        "uid",
        "stored_sha256",
        "received_sha256",
        "arrived_at",
        "reason",
        "decision",
        "size_bytes",
    )
    held_back = sorted(tuple(one[name] for name in kept) for one in manifest["quarantine"])
    return found, decided, manifest["patient_key"], manifest["description"], held_back


def held_back(client: NodeClient) -> list[tuple[str, str, str, str]]:
    return [
        (uid, one["uid"], one["received_sha256"], one["stored_sha256"])
        for uid in (OLD, ALONE)
        for one in client.manifest(uid)["quarantine"]
    ]


def restore(hospital: Hospital) -> str:
    ended = hospital.archive.command("restore-node", "CT")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_an_empty_node_is_filled_as_it_was(hospital: Hospital):
    client = hospital.client
    before = {uid: told(client, uid) for uid in (STUDY, OLD, ALONE)}
    assert before[STUDY][1] and {row[4] for row in before[OLD][0]} == {"NEARLINE"}
    decisions = {uid: sorted(one[5] for one in facts[4]) for uid, facts in before.items()}
    assert decisions == {STUDY: [], OLD: ["kept", "replaced"], ALONE: ["kept"]}
    hospital.lose_the_disk()
    out = restore(hospital)
    assert "3 studies restored of 3 in the vaults" in out
    assert f"{2 * SLICES} instances" in out and f"{SLICES} of them are kept as evicted" in out
    assert "3 objects lie in quarantine again" in out
    for uid in (STUDY, OLD, ALONE):
        wait_until(
            lambda uid=uid: told(client, uid) == before[uid],
            lambda uid=uid: f"{told(client, uid)} is not {before[uid]}",
        )
    for uid, sop_uid, received, stored in held_back(client):
        got = client.fetch_quarantined(uid, sop_uid, received, hospital.folder / "held-back.dcm")
        assert got.sha256 == stored
    assert "3 were whole already" in restore(hospital)


def test_a_restore_that_is_killed_goes_on(hospital: Hospital):
    client = hospital.client
    before = told(client, STUDY)
    hospital.lose_the_disk()
    role = hospital.archive
    doomed = subprocess.Popen(
        [sys.executable, str(roles.ROOT / "manage.py"), "archive", "restore-node", "CT"],
        env={**roles._clean_environment(), **role.env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _or_false(_began, client) or doomed.poll() is not None, lambda: "")
    finally:
        doomed.kill()
        doomed.wait()
    restore(hospital)
    wait_until(lambda: told(client, STUDY) == before, lambda: str(told(client, STUDY)))


def _began(client: NodeClient) -> bool:
    return bool(client.manifest(STUDY)["instances"])
