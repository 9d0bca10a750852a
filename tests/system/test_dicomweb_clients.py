"""Foreign clients, unmodified, against a running node: Python's dicomweb-client, and curl."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from requests.exceptions import HTTPError

from pacs_common.tickets import TicketIssuer
from tests.support import roles
from tests.support.data_sets import EXPLICIT, SERIES, STUDY, ct
from tests.support.services import require

OTHER = f"{STUDY}.9"
JPEG_LS = "1.2.840.10008.1.2.4.80"
PARTS = 'multipart/related; type="application/dicom"'


@dataclass
class Node:
    """A running node, a client of its DICOMweb, and what was sent to it."""

    role: roles.Role
    client: DICOMwebClient
    token: str
    sent: dict[str, Dataset]

    @property
    def url(self) -> str:
        return f"{self.role.url}/dicom-web"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("dicomweb")
    role = roles.node(folder, "CT")
    sent = {ds.SOPInstanceUID: ds for ds in (large_ct(1), large_ct(2), noise(3), another_study())}
    files = folder / "sent"
    files.mkdir()
    for uid, ds in sent.items():
        dcmwrite(files / f"{uid}.dcm", file_of(ds), enforce_file_format=True)
    with roles.running(role):
        done = role.command("send", "127.0.0.1", str(role.dicom_port), str(files))
        assert done.returncode == 0, done.stderr
        signer = TicketIssuer.at("portal", folder / "portal.key", folder / "trust")
        token = signer.issue("CT", ["dicomweb"], subject="tester", lifetime_s=600)
        session = create_session()
        session.headers["Authorization"] = f"Bearer {token}"
        yield Node(role, DICOMwebClient(f"{role.url}/dicom-web", session), token, sent)


def large_ct(number: int) -> Dataset:
    rows, columns = np.indices((512, 512), dtype="<u2")
    pixels = (rows + columns) % 4096
    return ct(number, Rows=512, Columns=512, PixelData=pixels.astype("<u2").tobytes())


def noise(number: int) -> Dataset:
    """A slice that no codec makes smaller, so that a compressed syntax cannot hold it."""
    pixels = np.random.default_rng(1).integers(0, 2**16, (512, 512), dtype="<u2")
    bits = {"BitsStored": 16, "HighBit": 15}
    return ct(number, Rows=512, Columns=512, PixelData=pixels.tobytes(), **bits)


def another_study() -> Dataset:
    return ct(1, study=OTHER, series=f"{OTHER}.1", StudyDate="20260301", PatientName="Dupont^Zoé")


def file_of(ds: Dataset) -> Dataset:
    ds.ensure_file_meta()
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    return ds


def test_a_client_searches_every_level(node):
    found = node.client.search_for_studies()
    assert [one["0020000D"]["Value"][0] for one in found] == [OTHER, STUDY]
    assert node.client.search_for_studies(search_filters={"PatientName": "nobody"}) == []
    (one,) = node.client.search_for_studies(
        search_filters={"PatientName": "dupont*"}, fields=["StudyDescription"], fuzzymatching=True
    )
    assert one["00100010"]["Value"] == [{"Alphabetic": "Dupont^Zoé"}]
    assert len(node.client.search_for_series()) == 2
    assert len(node.client.search_for_series(STUDY)) == 1
    assert len(node.client.search_for_instances(STUDY, SERIES)) == 3
    assert len(node.client.search_for_instances(limit=1, offset=2)) == 1
    everything = node.client.search_for_instances(limit=1, get_remaining=True)
    assert {one["00080018"]["Value"][0] for one in everything} == set(node.sent)


def test_a_client_retrieves_objects_as_they_were_sent(node):
    found = node.client.retrieve_study(STUDY)
    assert [ds.SOPInstanceUID for ds in found] == [f"{SERIES}.{n}" for n in (1, 2, 3)]
    found += node.client.iter_series(STUDY, SERIES)
    found.append(node.client.retrieve_instance(OTHER, f"{OTHER}.1", f"{OTHER}.1.1"))
    for ds in found:
        assert Dataset(ds) == Dataset(node.sent[ds.SOPInstanceUID])


@pytest.mark.parametrize("syntax", ["*", EXPLICIT, JPEG_LS, "1.2.840.10008.1.2.4.70"])
def test_a_client_retrieves_an_object_in_the_syntax_that_it_names(node, syntax):
    ds = node.client.retrieve_instance(
        STUDY, SERIES, f"{SERIES}.1", media_types=(("application/dicom", syntax),)
    )
    assert ds.file_meta.TransferSyntaxUID == (EXPLICIT if syntax == "*" else syntax)
    assert ds.pixel_array.tobytes() == node.sent[ds.SOPInstanceUID].PixelData


def test_a_client_retrieves_metadata_frames_and_pictures(node):
    uids = (STUDY, SERIES, f"{SERIES}.1")
    (metadata,) = [node.client.retrieve_instance_metadata(*uids)]
    assert metadata["00100010"]["Value"] == [{"Alphabetic": "Lefèvre^Hélène"}]
    assert len(node.client.retrieve_series_metadata(*uids[:2])) == 3
    assert len(node.client.retrieve_study_metadata(STUDY)) == 3
    (frame,) = node.client.retrieve_instance_frames(*uids, [1])
    assert frame == node.sent[uids[2]].PixelData
    jpeg = node.client.retrieve_instance_rendered(*uids, media_types=("image/jpeg",))
    assert jpeg.startswith(b"\xff\xd8")
    png = node.client.retrieve_instance_frames_rendered(*uids, [1], media_types=("image/png",))
    assert png.startswith(b"\x89PNG")


def test_a_client_is_told_why_it_gets_nothing(node):
    with pytest.raises(HTTPError, match="404"):
        node.client.retrieve_study("1.2.3")
    with pytest.raises(HTTPError, match="406"):
        node.client.retrieve_instance(
            STUDY, SERIES, f"{SERIES}.3", media_types=(("application/dicom", JPEG_LS),)
        )


def test_an_answer_that_cannot_be_finished_is_cut_off_and_never_looks_whole(node):
    accept = f"{PARTS}; transfer-syntax={JPEG_LS}"  # the third object does not fit it
    with (
        pytest.raises(httpx.RemoteProtocolError),
        httpx.stream(
            "GET", f"{node.url}/studies/{STUDY}", headers=node.headers | {"Accept": accept}
        ) as got,
    ):
        assert got.status_code == 200
        got.read()
    accept += f", {PARTS}; q=0.5"
    got = httpx.get(f"{node.url}/studies/{STUDY}", headers=node.headers | {"Accept": accept})
    assert got.content.count(f"transfer-syntax={JPEG_LS}".encode()) == 2
    assert got.content.count(f"transfer-syntax={EXPLICIT}".encode()) == 1


@pytest.mark.parametrize("path", ["studies", f"studies/{STUDY}", f"studies/{STUDY}/metadata"])
def test_head_sends_no_body_and_leaves_the_connection_usable(node, path):
    with httpx.Client(headers=node.headers) as client:
        for _ in range(2):
            head = client.head(f"{node.url}/{path}")
            assert (head.status_code, head.content) == (200, b"")


def test_a_stored_file_is_sent_whole_in_ranges_and_to_head_without_body(node):
    url = f"{node.url}/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1"
    headers = node.headers | {"Accept": "application/dicom; transfer-syntax=*"}
    with httpx.Client(headers=headers) as client:
        head = client.head(url)
        whole = client.get(url)
        assert head.headers["Content-Length"] == str(len(whole.content))
        assert (head.status_code, head.content) == (200, b"")
        piece = client.get(url, headers={"Range": "bytes=-16"})
        assert (piece.status_code, piece.content) == (206, whole.content[-16:])
        known = client.get(url, headers={"If-None-Match": whole.headers["ETag"]})
        assert known.status_code == 304
    assert Dataset(dcmread(io.BytesIO(whole.content))) == Dataset(node.sent[f"{SERIES}.1"])


def curl(node: Node, *arguments: str) -> bytes:
    command = [require("curl"), "-sS", "-H", f"Authorization: Bearer {node.token}", *arguments]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


def test_curl_searches_downloads_and_asks_what_there_is(node, tmp_path: Path):
    found = json.loads(curl(node, f"{node.url}/studies?PatientID=FR-1&limit=1"))
    assert len(found) == 1
    url = f"{node.url}/studies/{STUDY}"
    archive = tmp_path / "study.zip"
    curl(node, "-f", "-H", "Accept: application/zip", "-o", str(archive), url)
    with zipfile.ZipFile(archive) as zipped:
        assert zipped.testzip() is None
        assert len(zipped.namelist()) == 3
    assert b"<application" in curl(node, "-f", "-X", "OPTIONS", f"{node.url}/")
    refusal = json.loads(curl(node, "-X", "BREW", url))
    assert refusal["status"] == 405
    query = f"requestType=WADO&studyUID={STUDY}&seriesUID={SERIES}&objectUID={SERIES}.1"
    assert curl(node, f"{node.role.url}/wado?{query}").startswith(b"\xff\xd8")
    stored = curl(
        node, f"{node.role.url}/wado?{query}&contentType=application/dicom&transferSyntax=*"
    )
    assert stored[128:132] == b"DICM"
