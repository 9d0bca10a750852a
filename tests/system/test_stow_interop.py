"""STOW-RS with what others write: dicomweb-client, curl, Orthanc; and Orthanc as a peer."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from dicomweb_client import DICOMwebClient
from pydicom import dcmread

from pacs_common.tickets import TicketIssuer
from tests.support import roles
from tests.support.data_sets import ct
from tests.support.node_under_fault import indexed
from tests.support.ports import free_port
from tests.support.services import require
from tests.support.stow import RELATED, STUDIES, as_file, body

pytestmark = pytest.mark.slow
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
SCOPES = ["dicomweb", "dicomweb.store", "dicomweb.delete"]
STUDY = "1.2.826.0.1.3680043.10.1361.601"


@pytest.fixture(scope="module")
def node(tmp_path_factory) -> Iterator[roles.Role]:
    """A whole node."""
    node = roles.node(tmp_path_factory.mktemp("node"))
    with roles.running(node):
        yield node


@pytest.fixture(scope="module")
def ticket(node) -> str:
    """A ticket that lets a client do everything for an hour."""
    trust = Path(node.env["PACS_TRUST_DIR"])
    signer = TicketIssuer.at("portal", node.folder / "portal.key", trust)
    return signer.issue("CT", SCOPES, subject="tester", lifetime_s=3600)


def files(folder: Path, *numbers: int) -> list[Path]:
    """Write CT slices as files."""
    made = []
    for number in numbers:
        ds = ct(number, study=STUDY, series=f"{STUDY}.1")
        made.append(folder / f"{number}.dcm")
        made[-1].write_bytes(as_file(ds))
    return made


def uids(paths: list[Path]) -> set[str]:
    return {
        str(dcmread(path, specific_tags=[]).file_meta.MediaStorageSOPInstanceUID) for path in paths
    }


def test_dicomweb_client_stores_finds_deletes(node, ticket, tmp_path):
    client = DICOMwebClient(f"{node.url}/dicom-web", headers={"Authorization": f"Bearer {ticket}"})
    sent = files(tmp_path, 1, 2, 3)
    answer = client.store_instances([dcmread(path) for path in sent])
    assert len(answer.ReferencedSOPSequence) == 3
    assert uids(sent) <= set(indexed(node))
    assert len(client.search_for_instances(STUDY)) == 3
    client.delete_instance(STUDY, f"{STUDY}.1", f"{STUDY}.1.3")
    assert len(client.search_for_instances(STUDY)) == 2
    client.delete_study(STUDY)
    assert client.search_for_studies(search_filters={"StudyInstanceUID": STUDY}) == []


def test_curl_stores_one_file_and_many(node, ticket, tmp_path):
    sent = files(tmp_path, 11, 12, 13)
    many = tmp_path / "body"
    many.write_bytes(body([path.read_bytes() for path in sent[1:]]))
    related = 'multipart/related; type="application/dicom"; boundary=a-boundary-of-tests'
    for kind, path, chunked in (
        ("application/dicom", sent[0], []),
        (related, many, ["-H", "Transfer-Encoding: chunked"]),
    ):
        done = subprocess.run(
            [
                *(require("curl"), "-sS", "-f", "--data-binary", f"@{path}"),
                *("-H", f"Authorization: Bearer {ticket}", "-H", f"Content-Type: {kind}"),
                *(*chunked, f"{node.url}/dicom-web/studies/{STUDY}"),
            ],
            capture_output=True,
            check=True,
        )
        assert "00081199" in json.loads(done.stdout)
    assert uids(sent) <= set(indexed(node))


@contextlib.contextmanager
def orthanc(folder: Path, node: roles.Role, ticket: str) -> Iterator[str]:
    """Orthanc with its DICOMweb plug-in, which knows the node; yields its address."""
    if not PLUGIN.exists():
        pytest.skip("needs Orthanc's DICOMweb plug-in: apt-get install orthanc-dicomweb")
    port = free_port()
    server = {
        "Url": f"{node.url}/dicom-web/",
        "HttpHeaders": {"Authorization": f"Bearer {ticket}"},
        "HasDelete": True,
    }
    settings = {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Servers": {"node": server}},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(
            [require("Orthanc"), str(folder / "orthanc.json")], stdout=log, stderr=log
        )
        try:
            roles.wait_for_port(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def test_orthanc_sends_by_stow_rs_in_one_body(node, ticket, tmp_path):
    sent = files(tmp_path, *range(21, 41))
    with orthanc(tmp_path, node, ticket) as address:
        ids = [
            httpx.post(f"{address}/instances", content=path.read_bytes()).json()["ID"]
            for path in sent
        ]
        answer = httpx.post(
            f"{address}/dicom-web/servers/node/stow",
            json={"Resources": ids, "Synchronous": True},
            timeout=60,
        )
        assert answer.status_code == 200, (answer.text, (tmp_path / "orthanc.log").read_text())
    assert uids(sent) <= set(indexed(node))


def test_orthanc_searches_and_retrieves_by_dicomweb(node, ticket, tmp_path):
    study = f"{STUDY}.7"
    sent = [tmp_path / f"{number}.dcm" for number in (1, 2, 3)]
    for number, path in enumerate(sent, 1):
        path.write_bytes(as_file(ct(number, study=study, series=f"{study}.1")))
    headers = {"Authorization": f"Bearer {ticket}", "Content-Type": RELATED}
    content = body([path.read_bytes() for path in sent])
    assert httpx.post(f"{node.url}{STUDIES}", content=content, headers=headers).status_code == 200
    with orthanc(tmp_path, node, ticket) as address:
        server = f"{address}/dicom-web/servers/node"
        question = {"Uri": "/studies", "Arguments": {"00100020": "FR-*", "0020000D": study}}
        (found,) = httpx.post(f"{server}/qido", json=question, timeout=60).json()
        assert found["0020000D"]["Value"] == study
        assert found["00100010"]["Value"] == "Lefèvre^Hélène"
        resources = {"Resources": [{"Study": study}], "Synchronous": True}
        answer = httpx.post(f"{server}/retrieve", json=resources, timeout=60)
        assert answer.status_code == 200, (answer.text, (tmp_path / "orthanc.log").read_text())
        for one in httpx.get(f"{address}/instances").json():
            kept = httpx.get(f"{address}/instances/{one}/file").content
            ds = dcmread(io.BytesIO(kept))
            assert ds == dcmread(tmp_path / f"{ds.InstanceNumber}.dcm")
        assert len(httpx.get(f"{address}/instances").json()) == len(sent)


def test_what_a_node_sends_is_stored_by_orthanc(node, ticket, tmp_path):
    sent = files(tmp_path, 51, 52)
    headers = {"Authorization": f"Bearer {ticket}"}
    content = body([path.read_bytes() for path in sent])
    stow = {"Content-Type": RELATED, "Accept": "application/dicom+json"}
    httpx.post(f"{node.url}{STUDIES}", content=content, headers=headers | stow)
    accept = headers | {"Accept": "application/dicom; transfer-syntax=*"}
    got = [
        httpx.get(
            f"{node.url}{STUDIES}/{STUDY}/series/{STUDY}.1/instances/{uid}", headers=accept
        ).content
        for uid in uids(sent)
    ]
    with orthanc(tmp_path, node, ticket) as address:
        # parts of plain application/dicom: Orthanc takes none that name their transfer syntax
        stored = httpx.post(f"{address}{STUDIES}", content=body(got), headers=stow)
        assert len(stored.json()["00081199"]["Value"]) == len(sent), stored.text
        assert len(httpx.get(f"{address}/instances").json()) == len(sent)
