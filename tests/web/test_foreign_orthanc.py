"""Orthanc as a registered DICOMweb server: searched, opened and passed on as our own nodes are."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from zipfile import ZipFile

import httpx
import pytest
from django.test import Client
from pydicom import dcmread

from pacs_web import config
from pacs_web.nodes import registry
from pacs_web.nodes.models import Authentication, Kind, Node
from pacs_web.nodes.sealing import sealed
from tests.support.orthanc import orthanc_on_the_web
from tests.web.made_studies import CT_STUDY, RF_STUDY, ct_study, file_bytes, rf_study
from tests.web.test_dicomweb_storing import multipart, store

pytestmark = pytest.mark.slow

SERIES = f"studies/{CT_STUDY}/series/{CT_STUDY}.1"


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An Orthanc that wants a password and holds a CT without issuer; its DICOMweb address."""
    own = {"AuthenticationEnabled": True, "RegisteredUsers": {"portal": "s3cret"}}
    folder = tmp_path_factory.mktemp("orthanc")
    with orthanc_on_the_web(folder, **own) as running:
        root = f"http://127.0.0.1:{running.http_port}"
        for one in [*ct_study(3), *rf_study()]:
            del one.IssuerOfPatientID
            sent = httpx.post(
                f"{root}/instances", content=file_bytes(one), auth=("portal", "s3cret"), timeout=30
            )
            assert sent.status_code == 200, sent.text
        yield f"{root}/dicom-web"


@pytest.fixture
def registered(orthanc: str, db: None) -> Node:
    """The row of that Orthanc."""
    return Node.objects.create(
        name="CLINIC",
        kind=Kind.DICOMWEB,
        url=orthanc,
        issuer="CLINIC",
        authentication=Authentication.BASIC,
        user="portal",
        sealed_secret=sealed("s3cret"),
    )


def asked(node: Node):
    """Return a client of the row."""
    return registry.client_of(node, "clinician", 20)


def test_its_studies_bear_the_issuer_of_its_row(registered: Node) -> None:
    found = asked(registered).qido("studies", {"PatientID": "FRJ*"})
    assert {one["0020000D"]["Value"][0] for one in found} == {CT_STUDY, RF_STUDY}
    assert {one["00100021"]["Value"][0] for one in found} == {"CLINIC"}
    assert {one["00201208"]["Value"][0] for one in found} == {3, 1}


@pytest.mark.parametrize(
    ("params", "uids"),
    [
        ({"ModalitiesInStudy": "CT\\RF"}, {CT_STUDY, RF_STUDY}),
        ({"ModalitiesInStudy": ["CT,MR"]}, {CT_STUDY}),
        ({"includefield": "all", "limit": 1}, None),
        ({"IssuerOfPatientID": "CLINIC", "PatientID": "FRJ000001"}, {CT_STUDY}),
        ({"IssuerOfPatientID": "FREJUS", "PatientID": "FRJ000001"}, set()),
        ({"PatientID": "nobody"}, set()),
        ({"PatientName": "LEF*"}, {CT_STUDY}),
        ({"PatientName": "Lefèvre^H*"}, {CT_STUDY}),
        ({"StudyDescription": "*Scanner c*"}, {CT_STUDY}),
        ({"StudyDate": "20261121-20261130"}, {RF_STUDY}),
        ({"limit": 10, "offset": 2}, set()),
    ],
)
def test_it_is_asked_as_our_own_nodes_are(
    registered: Node, params: dict, uids: set[str] | None
) -> None:
    found = {one["0020000D"]["Value"][0] for one in asked(registered).qido("studies", params)}
    assert len(found) == 1 if uids is None else found == uids


def test_it_finds_series_and_instances_of_a_study(registered: Node) -> None:
    found = asked(registered).qido(f"studies/{CT_STUDY}/series", {"limit": 10})
    assert [one["0020000E"]["Value"] for one in found] == [[f"{CT_STUDY}.1"]]
    found = asked(registered).qido(f"{SERIES}/instances", {"limit": 2, "offset": 1})
    assert len(found) == 2
    assert {one["00280010"]["Value"][0] for one in found} == {64}


class TestThroughThePortal:
    @pytest.fixture(autouse=True)
    def _patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(config, "NODE_TIMEOUT_S", 20.0)

    def test_an_exam_opens_with_its_thumbnail(self, registered: Node, clinician: Client) -> None:
        page = clinician.get(f"/studies/{CT_STUDY}/").content.decode()
        assert "CLINIC" in page
        assert "3 images" in page
        picture = clinician.get(f"/studies/{CT_STUDY}/series/{CT_STUDY}.1/thumbnail")
        assert picture["Content-Type"] == "image/jpeg"
        assert b"".join(picture.streaming_content)[:2] == b"\xff\xd8"

    def test_its_metadata_hold_no_address_of_its_own(
        self, registered: Node, clinician: Client
    ) -> None:
        answer = clinician.get(f"/dicom-web/{SERIES}/metadata")
        content = b"".join(answer.streaming_content)
        assert answer.status_code == 200
        assert b"BulkDataURI" in content
        assert b"127.0.0.1" not in content
        assert f'"/dicom-web/studies/{CT_STUDY}'.encode() in content

    def test_frames_and_headers_come_through(self, registered: Node, clinician: Client) -> None:
        image = f"{SERIES}/instances/{CT_STUDY}.1.1"
        answer = clinician.get(
            f"/dicom-web/{image}/frames/1",
            headers={"Accept": 'multipart/related; type="application/octet-stream"'},
        )
        assert answer.status_code == 200
        assert len(b"".join(answer.streaming_content)) > 64 * 64 * 2
        page = clinician.get(f"/{image}/header/").content.decode()
        assert "Lefèvre^Hélène" in page

    def test_a_picture_says_whose_it_is(self, registered: Node, clinician: Client) -> None:
        image = f"/{SERIES}/instances/{CT_STUDY}.1.2"
        picture = clinician.get(f"{image}/rendered", {"window": "40,400", "viewport": "32,32"})
        assert picture["Content-Type"] == "image/jpeg"
        assert picture["X-Picture-Instance"] == f"{CT_STUDY}.1.2"
        assert picture["X-Picture-Frame"] == "1"
        assert picture["X-Picture-Window"] == "40,400,LINEAR"
        picture.close()
        loop = f"/studies/{RF_STUDY}/series/{RF_STUDY}.1/instances/{RF_STUDY}.1.1"
        picture = clinician.get(f"{loop}/frames/2/rendered")
        assert (picture["X-Picture-Instance"], picture["X-Picture-Frame"]) == (
            f"{RF_STUDY}.1.1",
            "2",
        )
        picture.close()

    def test_an_exam_is_downloaded_whole(self, registered: Node, clinician: Client) -> None:
        answer = clinician.get(f"/studies/{CT_STUDY}/download/")
        with ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as packed:
            kept = [dcmread(io.BytesIO(packed.read(name))) for name in packed.namelist()]
        assert {one.PixelData for one in kept} == {one.PixelData for one in ct_study(3)}

    def test_objects_are_stored_where_the_row_allows_it(
        self, registered: Node, browser: Callable[[str], Client]
    ) -> None:
        technologist, late = browser("technologist"), ct_study(4)[3]
        refused = store(technologist, multipart(late))
        assert (refused.status_code, refused.json()["title"]) == (403, "Refused")
        Node.objects.filter(name="CLINIC").update(stores=True)
        stored = store(technologist, multipart(late))
        assert stored.status_code == 200
        assert b"127.0.0.1" not in stored.content
        assert f"/dicom-web/studies/{CT_STUDY}" in str(stored.json()["00081190"])

    def test_nothing_of_it_is_deleted(
        self, registered: Node, browser: Callable[[str], Client]
    ) -> None:
        answer = browser("technologist").delete(f"/dicom-web/studies/{RF_STUDY}")
        assert answer.status_code == 403
        assert len(asked(registered).qido("studies", {"StudyInstanceUID": RF_STUDY})) == 1

    def test_a_wrong_password_is_named_and_hides_nothing(
        self, registered: Node, nodes: dict, clinician: Client
    ) -> None:
        Node.objects.filter(name="CLINIC").update(sealed_secret=sealed("wrong"))
        page = clinician.post("/", {"modality": "CT"}, follow=True).content.decode()
        assert "CLINIC" in page
        assert "Scanner cérébral" in page
