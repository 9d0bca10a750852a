"""A whole node beside Orthanc and storescp: commitment both ways, forwarding, and a kill in it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage

from tests.support import roles
from tests.support.data_sets import STUDY, ct, encoded
from tests.support.ports import free_port
from tests.support.services import require

WAIT_S = 40.0
INSTANCES = 60


@dataclasses.dataclass
class Orthanc:
    """A running Orthanc: its REST address."""

    url: str

    def post(self, path: str, body: object) -> dict:
        """POST JSON (or bytes) and return the JSON answer."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = httpx.post(f"{self.url}{path}", content=content, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str) -> object:
        """GET JSON; None where there is nothing."""
        answer = httpx.get(f"{self.url}{path}", timeout=30)
        return answer.json() if answer.status_code == 200 else None


@contextlib.contextmanager
def orthanc(folder: Path, port: int, node_port: int) -> Iterator[Orthanc]:
    """Run Orthanc as ORTHANC, which knows the node and may commit."""
    http_port = free_port()
    configuration = {
        "Name": "ORTHANC",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomAet": "ORTHANC",
        "DicomPort": port,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [],
        "DicomModalities": {
            "argens": {
                "AET": "ARGENS_CT",
                "Host": "127.0.0.1",
                "Port": node_port,
                "AllowStorageCommitment": True,
            }
        },
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(
            [require("Orthanc"), str(folder / "orthanc.json")], stdout=log, stderr=log
        )
    found = Orthanc(f"http://127.0.0.1:{http_port}")
    try:
        wait_until(lambda: answers(found), lambda: (folder / "orthanc.log").read_text()[-2000:])
        yield found
    finally:
        process.terminate()
        process.wait(20)


def answers(found: Orthanc) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return found.get("/system") is not None
    return False


def wait_until(holds: Callable[[], object], why: Callable[[], str] = lambda: "") -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, why()
        time.sleep(0.1)


def file_of(folder: Path, number: int, **attributes: object) -> Path:
    """Write a CT slice as a file and return its path."""
    ds = ct(number, **attributes)
    ds.file_meta = meta_of(ds)
    path = folder / f"{number}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


def meta_of(ds: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        ds.SOPClassUID,
        ds.SOPInstanceUID,
    )
    return meta


def rules(node: roles.Role, *entries: dict) -> None:
    """Put forwarding rules in force at a node."""
    folder = Path(node.env["PACS_DATA_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "forwarding.json").write_text(json.dumps({"rules": list(entries)}))


def store(node: roles.Role, *files: Path) -> None:
    command = [require("storescu"), "-aec", "ARGENS_CT", "127.0.0.1", str(node.dicom_port)]
    done = subprocess.run(
        [*command, *map(str, files)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def committing(tmp_path: Path) -> Iterator[tuple[roles.Role, Orthanc]]:
    """A node and an Orthanc that know each other."""
    port = free_port()
    node = roles.node(tmp_path, PACS_MOVE_DESTINATIONS=f"ORTHANC=127.0.0.1:{port}")
    with roles.running(node), orthanc(tmp_path, port, node.dicom_port) as found:
        yield node, found


@pytest.mark.slow
def test_orthanc_is_told_what_the_node_commits(committing, tmp_path):
    _, found = committing
    uploaded = found.post("/instances", file_of(tmp_path, 1).read_bytes())["ID"]
    stored = found.post(
        "/modalities/argens/store",
        {"Resources": [uploaded], "StorageCommitment": True, "Synchronous": True},
    )
    transaction = f"/storage-commitment/{stored['StorageCommitmentTransactionUID']}"
    wait_until(lambda: (found.get(transaction) or {}).get("Status") == "Success")
    [done] = found.get(transaction)["Success"]
    assert done["SOPInstanceUID"] == ct(1).SOPInstanceUID

    absent = {"DicomInstances": [{"SOPClassUID": ct(1).SOPClassUID, "SOPInstanceUID": "1.2.3"}]}
    asked = found.post("/modalities/argens/storage-commitment", absent)
    transaction = f"/storage-commitment/{asked['ID']}"
    wait_until(lambda: (found.get(transaction) or {}).get("Status") == "Failure")
    [failed] = found.get(transaction)["Failures"]
    assert failed["SOPInstanceUID"] == "1.2.3" and failed["FailureReason"] == 0x0112


@pytest.mark.slow
def test_orthanc_commits_what_a_rule_forwarded_to_it(committing, tmp_path):
    node, found = committing
    rules(node, {"name": "all", "destination": "ORTHANC", "quiet_s": 1, "commit": True})
    store(node, *(file_of(tmp_path, number) for number in (1, 2, 3)))
    wait_until(lambda: len(found.get("/instances") or []) == 3, lambda: node.log[-3000:])

    def listed() -> str:
        return node.command("commit", "list").stdout

    wait_until(lambda: "done: 3 committed, 0 open, 0 failed" in listed(), listed)
    shown = node.command("forward", "list", "--study", STUDY).stdout
    assert "3 sent" in shown


@pytest.mark.slow
def test_chores_that_are_killed_in_mid_send_lose_nothing(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    with slow_storage() as (slow, sent), storescp(kept) as fast:
        known = f"SLOW=127.0.0.1:{slow},FAST=127.0.0.1:{fast}"
        node = roles.node(tmp_path, command="scp", PACS_MOVE_DESTINATIONS=known)
        chores = dataclasses.replace(node, name="chores", argv=["node", "chores"])
        rules(node, {"name": "a", "destination": "SLOW"}, {"name": "b", "destination": "FAST"})
        assert node.command("migrate").returncode == 0
        try:
            node.start()
            wait_until(lambda: listens(node.dicom_port), lambda: node.log[-3000:])
            store(node, *(file_of(tmp_path, number) for number in range(1, INSTANCES + 1)))
            for kill in (1, 2):
                chores.start()
                enough = kill * INSTANCES // 4
                wait_until(lambda enough=enough: len(sent) >= enough, lambda: chores.log[-3000:])
                chores.stop(signal.SIGKILL)
                assert len(set(sent)) < INSTANCES, "the kill came too late to show anything"
            chores.start()
            wait_until(lambda: len(set(sent)) == INSTANCES, lambda: chores.log[-3000:])
            wait_until(lambda: len(list(kept.iterdir())) == INSTANCES)
            listed = chores.command("forward", "list")
            wait_until(
                lambda: chores.command("forward", "list").stdout.count(f"{INSTANCES} sent") == 2,
                lambda: listed.stdout,
            )
        finally:
            chores.stop()
            node.stop()
    every = {encoded(ct(number)) for number in range(1, INSTANCES + 1)}
    assert {encoded(dcmread(path)) for path in kept.iterdir()} == every
    assert len(sent) <= INSTANCES + 2 * 2  # what was in flight at a kill, and its answer's row


@contextlib.contextmanager
def slow_storage() -> Iterator[tuple[int, list[str]]]:
    """A storage SCP that takes its time; yields its port and the UIDs that it was sent."""
    sent: list[str] = []

    def keep(event: evt.Event) -> int:
        time.sleep(0.03)
        sent.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    ae = AE(ae_title="SLOW")
    ae.add_supported_context(CTImageStorage)
    scp = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    try:
        yield scp.socket.getsockname()[1], sent
    finally:
        scp.shutdown()


@contextlib.contextmanager
def storescp(folder: Path) -> Iterator[int]:
    """DCMTK's receiver, which keeps files in a folder; yields its port."""
    port = free_port()
    with (folder.parent / "storescp.log").open("wb") as log:
        process = subprocess.Popen(
            [require("storescp"), "-od", str(folder), str(port)], stdout=log, stderr=log
        )
    try:
        wait_until(lambda: listens(port))
        yield port
    finally:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False
