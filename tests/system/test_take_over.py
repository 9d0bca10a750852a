"""A node dies with its disk; a spare PC takes its place by one command, and the archive refills it.

Real processes: node, archive with tapes, storescu, and the spare.
"""

from __future__ import annotations

import dataclasses
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pacs_common import errors
from pacs_common.node_client import NodeClient
from tests.support import roles
from tests.support.data_sets import STUDY, ct
from tests.support.services import require
from tests.support.stow import as_file
from tests.system.test_forwarding_interop import wait_until
from tests.system.test_restore_node import OLD, SLICES, Hospital, _or_false, told

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
HOLD = {"node": "CT", "study_uid": STUDY, "kind": "legal", "reason": "court order"}
FRESH = f"{STUDY}.99"
RESENT = f"{STUDY}.1.1"
LATE = 9  # the number of a slice that reaches the spare before the others are back


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    """Two studies, one corrected and held, one evicted, both proven on tape; the node is alive."""
    place = Hospital(tmp_path)
    with roles.running(place.node, place.archive):
        place.open()
        place.store(STUDY, 1)
        place.store(OLD, 101)
        place.correct()
        place.ask("POST", "/api/holds", body=HOLD)
        wait_until(lambda: place.client.manifest(STUDY)["holds"], lambda: "not held")
        for uid in (STUDY, OLD):
            wait_until(
                lambda uid=uid: _or_false(place.proven, uid), lambda: place.archive.log[-3000:]
            )
        place.evict(OLD)
        yield place
        place.close()


@pytest.fixture
def envelope(hospital: Hospital) -> Path:
    """What IT keeps of a node for the day on which it dies."""
    folder = hospital.folder / "envelope"
    shutil.copytree(hospital.folder / "trust", folder)
    return folder


def spare_of(hospital: Hospital, envelope: Path, *options: str) -> roles.Role:
    """Return a PC with the dead node's settings, an empty disk, and nobody to trust yet."""
    dead = hospital.node
    own = {
        "PACS_DATA_DIR": str(hospital.folder / "spare"),
        "PACS_TRUST_DIR": str(hospital.folder / "spare-trust"),
    }
    argv = ["node", "take-over", "CT", "--from", str(envelope), *options]
    return dataclasses.replace(dead, name="spare", argv=argv, env=dead.env | own, process=None)


def storescu(node: roles.Role, folder: Path) -> None:
    sent = subprocess.run(
        [require("storescu"), "-aec", node.env["PACS_AE_TITLE"], "127.0.0.1",
         str(node.dicom_port), "+sd", str(folder)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert sent.returncode == 0, sent.stderr


def written(folder: Path, *slices: tuple[str, int]) -> Path:
    """Write slices of studies as files."""
    folder.mkdir()
    for study_uid, number in slices:
        ds = ct(number)
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid, f"{study_uid}.1"
        (folder / f"{study_uid}-{number}.dcm").write_bytes(as_file(ds))
    return folder


def files_of(client: NodeClient, study_uid: str, folder: Path) -> dict[str, bytes]:
    """Return the stored files of a study, byte for byte."""
    folder.mkdir()
    found = {}
    for entry in client.manifest(study_uid)["instances"]:
        target = folder / entry["sop_instance_uid"]
        client.fetch(study_uid, entry["sop_instance_uid"], target)
        found[entry["sop_instance_uid"]] = target.read_bytes()
    return found


def test_a_spare_takes_the_place_of_a_dead_node(hospital: Hospital, envelope: Path):
    client, folder = hospital.client, hospital.folder
    before = {uid: told(client, uid) for uid in (STUDY, OLD)}
    bytes_before = files_of(client, STUDY, folder / "before")
    spare = spare_of(hospital, envelope)

    refused = spare.command("take-over", "CT", "--from", str(envelope))
    assert refused.returncode == 1
    assert "something answers at 127.0.0.1" in refused.stderr
    assert "Traceback" not in refused.stderr

    hospital.node.stop(signal.SIGKILL)
    disk = Path(hospital.node.env["PACS_DATA_DIR"])
    shutil.rmtree(disk.rename(folder / "lost"), ignore_errors=True)  # its children die by and by
    hospital.archive.stop()  # nothing comes back before what arrives now
    with roles.running(spare):
        _arrivals_are_taken_at_once(hospital, spare)
        hospital.archive.start().wait_ready()
        _all_is_as_it_was(client, before)
        found = files_of(client, STUDY, folder / "after")
        again = {uid: found.get(uid) for uid in bytes_before}
        del again[RESENT], bytes_before[RESENT]  # the same object, in a file of its new arrival
        assert again == bytes_before
        manifest = client.manifest(STUDY)
        assert [hold["kind"] for hold in manifest["holds"]] == ["legal"]
        assert (manifest["quarantine"], len(found)) == ([], SLICES + 1)
        assert client.status()["counts"]["quarantined"] == 0
        _it_is_told(hospital, spare)


def _arrivals_are_taken_at_once(hospital: Hospital, spare: roles.Role) -> None:
    """A new study, a slice of an old one that is new, and one that the archive has already."""
    storescu(spare, written(hospital.folder / "new", (FRESH, 201)))
    storescu(spare, written(hospital.folder / "late", (STUDY, LATE), (STUDY, 1)))
    ticket = hospital.portal.issue("CT", ["dicomweb"], subject="x")
    answer = httpx.get(
        f"{spare.url}/dicom-web/studies?StudyInstanceUID={FRESH}",
        headers={"Authorization": f"Bearer {ticket}"},
    )
    assert len(answer.json()) == 1
    assert "not back yet" in answer.headers["Warning"]
    assert hospital.client.status()["take_over"] is not None


def _all_is_as_it_was(client: NodeClient, before: dict[str, tuple[Any, ...]]) -> None:
    """Each file of before is here, where it was, with what was decided of its study."""

    def is_back(uid: str) -> bool:
        try:
            files, *decided = told(client, uid)
        except errors.NotFound:
            return False
        same = {row[:1] for row in before[uid][0]} <= {row[:1] for row in files}
        return same and decided == list(before[uid][1:])

    for uid in before:
        wait_until(lambda uid=uid: is_back(uid), lambda uid=uid: f"{before[uid]}")
    wait_until(lambda: client.status()["take_over"] is None, lambda: str(client.status()))
    assert told(client, OLD) == before[OLD]


def _it_is_told(hospital: Hospital, spare: roles.Role) -> None:
    (job,) = hospital.ask("GET", "/api/jobs?kind=restore")["jobs"]
    assert (job["state"], job["node"]) == ("done", "CT")
    assert "studies are back" in job["error"]
    assert job["progress"]["bytes_total"] > 0
    again = spare.command("take-over", "CT")
    assert (again.returncode, "something answers" in again.stderr) == (1, True)
