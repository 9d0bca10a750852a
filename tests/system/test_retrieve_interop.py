"""A whole node beside Orthanc: finding and retrieving, each of the two asking the other."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from pacs_common.node_client import NodeClient
from pacs_common.tickets import TicketIssuer
from tests.support import roles
from tests.support.data_sets import STUDY, ct, encoded
from tests.support.ports import free_port
from tests.support.services import require
from tests.system.test_forwarding_interop import Orthanc, file_of, orthanc, store

NUMBERS = (1, 2, 3)
UID, PATIENT_ID = {"StudyInstanceUID": STUDY}, {"PatientID": str(ct(1).PatientID)}


@pytest.fixture
def neighbours(tmp_path: Path) -> Iterator[tuple[roles.Role, Orthanc]]:
    """A node and an Orthanc that know each other."""
    port = free_port()
    node = roles.node(tmp_path, PACS_MOVE_DESTINATIONS=f"ORTHANC=127.0.0.1:{port}")
    with roles.running(node), orthanc(tmp_path, port, node.dicom_port) as found:
        yield node, found


def client_of(node: roles.Role) -> NodeClient:
    issuer = TicketIssuer.at("portal", node.folder / "portal.key", node.folder / "trust")
    return NodeClient("CT", node.url, issuer, subject="it")


def held(found: Orthanc) -> set[bytes]:
    """Return the data sets that Orthanc has."""
    files = [
        httpx.get(f"{found.url}/instances/{one}/file", timeout=30).content
        for one in found.get("/instances") or []
    ]
    return {encoded(dcmread(DicomBytesIO(file))) for file in files}


@pytest.mark.slow
def test_orthanc_finds_by_both_roots_and_moves_from_the_node(neighbours, tmp_path):
    node, found = neighbours
    store(node, *(file_of(tmp_path, number) for number in NUMBERS))
    asked = found.post("/modalities/argens/query", {"Level": "Patient", "Query": PATIENT_ID})
    assert found.get(f"/queries/{asked['ID']}/answers") == ["0"]  # by the Patient Root
    asked = found.post("/modalities/argens/query", {"Level": "Study", "Query": UID})
    assert found.get(f"/queries/{asked['ID']}/answers") == ["0"]
    wish = {"TargetAet": "ORTHANC", "Synchronous": True}
    found.post(f"/queries/{asked['ID']}/retrieve", wish)
    assert held(found) == {encoded(ct(number)) for number in NUMBERS}


@pytest.mark.slow
def test_a_patient_is_moved_to_orthanc_by_the_patient_root(neighbours, tmp_path):
    node, found = neighbours
    store(node, *(file_of(tmp_path, number) for number in NUMBERS))
    done = subprocess.run(
        [
            *(require("movescu"), "-P", "-aec", "ARGENS_CT", "-aem", "ORTHANC"),
            *("127.0.0.1", str(node.dicom_port), "-k", "QueryRetrieveLevel=PATIENT"),
            *("-k", f"PatientID={ct(1).PatientID}"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert held(found) == {encoded(ct(number)) for number in NUMBERS}


@pytest.mark.slow
@pytest.mark.parametrize("retrieve", ["scu_move", "scu_get"])
@pytest.mark.parametrize(("level", "named"), [("STUDY", UID), ("PATIENT", PATIENT_ID)])
def test_the_node_finds_and_takes_from_orthanc_by_both_roots(
    neighbours, tmp_path, level, named, retrieve
):
    node, found = neighbours
    for number in NUMBERS:
        found.post("/instances", file_of(tmp_path, number).read_bytes())
    keyword, value = next(iter(named.items()))
    listed = node.command(
        "find", "--to", "ORTHANC", "--level", level, f"{keyword}={value}", "PatientName="
    )
    assert value in listed.stdout and "1 found" in listed.stdout, listed.stderr
    client = client_of(node)
    told = list(getattr(client, retrieve)("ORTHANC", level, named))
    assert (told[-1]["status"], told[-1]["failed"]) == ("0x0000", 0)
    back = client.qido("instances", {"includefield": "SOPInstanceUID"})
    client.http.close()
    assert {one["00080018"]["Value"][0] for one in back} == {
        ct(number).SOPInstanceUID for number in NUMBERS
    }
