"""The portal's DICOMweb before a real node process: what a foreign client gets through it."""

from __future__ import annotations

import email
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree import ElementTree

import httpx
import pytest
from pydicom import dcmread

from pacs_web.arrivals.attaching.encapsulated import IDENTITY, Document, file_of, made
from tests.support import roles
from tests.web.made_studies import CT_STUDY, ct_study, file_bytes, instance
from tests.web.test_attaching import pdf_of
from tests.web.test_dicomweb_storing import BOUNDARY, KIND, multipart

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
SERIES = f"studies/{CT_STUDY}/series/{CT_STUDY}.1"
IMAGE = f"{SERIES}/instances/{CT_STUDY}.1.1"
SLICES = 3


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A portal and two nodes; a technologist's program; the CT was uploaded by it, in chunks."""
    folder = tmp_path_factory.mktemp("network")
    nodes = {name: roles.node(folder, name) for name in ("CT", "RF")}
    portal = roles.portal(folder, nodes, "", PACS_STOW_NODE="RF")
    portal.env.pop("PACS_ARCHIVE_URL")
    with roles.running(*nodes.values(), portal):
        token = roles.accounts(folder)["technologist"]["token"]
        with httpx.Client(
            base_url=f"{portal.url}/dicom-web/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        ) as client:
            made = ct_study(SLICES)
            made[0].add_new(0x00091010, "OB", bytes(range(256)) * 64)
            body = multipart(*made)
            pieces = (body[at : at + 5000] for at in range(0, len(body), 5000))
            stored = client.post("studies", content=pieces, headers={"Content-Type": KIND})
            assert stored.status_code == 200, stored.text
            urls = [one["00081190"]["Value"][0] for one in stored.json()["00081199"]["Value"]]
            assert urls[0] == f"{portal.url}/dicom-web/{IMAGE}"
            client.portal_url = portal.url
            client.portal = portal
            client.roles = [*nodes.values(), portal]
            yield client


def test_a_new_exam_lies_on_the_node_that_the_setting_names(network: httpx.Client) -> None:
    found = network.get("studies").json()
    assert [one["0020000D"]["Value"] for one in found] == [[CT_STUDY]]
    assert "RF" in str(network.get(f"{SERIES}/instances").json()[0]["00080054"]["Value"])


def test_the_bytes_come_back_as_they_went(network: httpx.Client) -> None:
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    answer = network.get(IMAGE, headers={"Accept": accept})
    start = answer.content.index(b"\r\n\r\n") + 4
    end = answer.content.rindex(b"\r\n--")
    kept = dcmread(io.BytesIO(answer.content[start:end]))
    assert kept.PixelData == ct_study(SLICES)[0].PixelData


def test_bulk_data_is_read_where_the_metadata_say(network: httpx.Client) -> None:
    told = network.get(f"{IMAGE}/metadata").json()[0]
    metadata_url = f"{network.portal_url}/dicom-web/{IMAGE}/metadata"
    address = httpx.URL(metadata_url).join(told["00091010"]["BulkDataURI"])
    assert str(address).startswith(network.portal_url)
    answer = network.get(address, headers={"Accept": "application/octet-stream"})
    assert answer.content == bytes(range(256)) * 64
    part = network.get(
        address, headers={"Accept": "application/octet-stream", "Range": "bytes=256-511"}
    )
    assert part.status_code == 206
    assert part.content == bytes(range(256))


def test_metadata_that_are_known_are_not_sent_again(network: httpx.Client) -> None:
    first = network.get(f"{SERIES}/metadata")
    again = network.get(f"{SERIES}/metadata", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert again.content == b""


def test_the_accept_of_a_query_string_reaches_the_node(network: httpx.Client) -> None:
    answer = network.get(f"{IMAGE}/rendered?accept=image/png", headers={"Accept": "text/html"})
    assert answer.headers["Content-Type"] == "image/png"
    assert network.get(f"{IMAGE}/rendered", headers={"Accept": "text/css"}).status_code == 406


def test_search_results_come_as_xml_in_parts_too(network: httpx.Client) -> None:
    xml = {"Accept": 'multipart/related; type="application/dicom+xml"'}
    answer = network.get("studies", headers=xml)
    assert answer.status_code == 200
    kind = answer.headers["Content-Type"]
    assert kind.startswith('multipart/related; type="application/dicom+xml"; boundary=')
    parts = email.message_from_bytes(f"Content-Type: {kind}\n\n".encode() + answer.content)
    (part,) = parts.get_payload()
    assert part.get_content_type() == "application/dicom+xml"
    model = ElementTree.fromstring(part.get_payload(decode=True))
    told = {one.get("keyword"): "".join(one.itertext()) for one in model}
    assert told["StudyInstanceUID"] == CT_STUDY
    assert told["RetrieveURL"] == f"{network.portal_url}/dicom-web/studies/{CT_STUDY}"


def test_no_match_is_an_empty_list_in_json_and_nothing_in_xml(network: httpx.Client) -> None:
    assert network.get("studies?PatientID=nobody").json() == []
    xml = {"Accept": 'multipart/related; type="application/dicom+xml"'}
    assert network.get("studies?PatientID=nobody", headers=xml).status_code == 204


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/json"),
        ("application/*", "application/dicom+json"),
        ("multipart/related; type=application/dicom+xml", "multipart/related"),
        (
            "application/json;q=0.1, multipart/related; type=application/dicom+xml",
            "multipart/related",
        ),
    ],
)
def test_the_caller_chooses_the_form_of_results(
    network: httpx.Client, accept: str, kind: str
) -> None:
    answer = network.get("studies", headers={"Accept": accept})
    assert answer.headers["Content-Type"].split(";")[0] == kind
    assert network.get("studies", params={"accept": accept}, headers={"Accept": "text/css"})


def test_results_have_no_form_that_is_not_theirs(network: httpx.Client) -> None:
    answer = network.get("studies", headers={"Accept": "text/csv"})
    assert answer.status_code == 406
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_every_metadata_resource_is_told_in_xml_too(network: httpx.Client) -> None:
    for resource in (f"studies/{CT_STUDY}", SERIES, IMAGE):
        answer = network.get(
            f"{resource}/metadata",
            headers={"Accept": 'multipart/related; type="application/dicom+xml"'},
        )
        assert answer.status_code == 200, resource
        assert b"<NativeDicomModel" in answer.content


def test_the_head_of_a_search_is_its_answer_without_results(network: httpx.Client) -> None:
    answer = network.head("studies")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["X-Total-Count"] == "1"


def test_wado_uri_is_answered(network: httpx.Client) -> None:
    asked = f"requestType=WADO&studyUID={CT_STUDY}&seriesUID={CT_STUDY}.1&objectUID={CT_STUDY}.1.1"
    answer = network.get(f"wado?{asked}&contentType=application/dicom")
    assert answer.status_code == 200
    assert dcmread(io.BytesIO(answer.content)).SOPInstanceUID == f"{CT_STUDY}.1.1"


def test_capabilities_name_the_portal(network: httpx.Client) -> None:
    answer = network.request("OPTIONS", "studies", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    base = answer.json()["application"]["resources"]["base"]
    assert base == f"{network.portal_url}/dicom-web/"


def test_what_a_node_refuses_comes_back_with_its_reasons(network: httpx.Client) -> None:
    other = file_bytes(instance("1.2.3.4", 1, 1, "CT"))
    body = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + other
    body += f"\r\n--{BOUNDARY}--\r\n".encode()
    answer = network.post(f"studies/{CT_STUDY}", content=body, headers={"Content-Type": KIND})
    assert answer.status_code == 409
    assert answer.json()["00081198"]["Value"][0]["00081155"]["Value"] == ["1.2.3.4.1.1"]


def test_a_rejected_image_is_hidden_from_the_whole_network(network: httpx.Client) -> None:
    last = f"{SERIES}/instances/{CT_STUDY}.1.{SLICES}"
    assert network.delete(f"{last}?reason=113001").status_code == 200
    assert len(network.get(f"{SERIES}/instances").json()) == SLICES - 1
    assert network.get(f"{last}/metadata").status_code == 404


def test_what_a_real_node_noted_is_collected_once(network: httpx.Client) -> None:
    first = network.portal.command("audit", "collect")
    assert first.returncode == 0, first.stderr
    again = network.portal.command("audit", "collect").stdout
    assert "RF: 0 new rows" in again
    assert "rows are as they were written" in network.portal.command("audit", "verify").stdout


def test_no_line_of_any_log_names_a_patient_or_what_was_asked(network: httpx.Client) -> None:
    marked = instance(CT_STUDY, 1, 9, "CT")
    marked.PatientName, marked.PatientID = "Zzyzx^Quirin", "ZZYZX-ID"
    marked.AccessionNumber = "ZZYZX-ACC"
    network.post("studies", content=multipart(marked), headers={"Content-Type": KIND})
    network.post("studies", content=multipart(marked)[:-400], headers={"Content-Type": KIND})
    for asked in ("studies", "series", "studies/1.2.3/series", "nowhere", "studies/1.2.3/metadata"):
        for name in ("PatientName", "PatientID", "00100020", "limit", "window", "Zzyzx"):
            network.get(asked, params={name: "Zzyzx*"})
    for address in (f"{IMAGE}/rendered", f"{IMAGE}/metadata", f"{IMAGE}/frames/9", f"{IMAGE}/x"):
        network.get(address, params={"window": "zzyzx", "PatientName": "Zzyzx"})
    network.get("studies", headers={"Accept": "zzyzx/zzyzx", "Range": "zzyzx"})
    network.delete(f"studies/{CT_STUDY}/series/1.2.3?comment=zzyzx")
    page = httpx.Client(base_url=network.portal_url, headers=network.headers)
    for path in ("/?search=zzyzx", "/nope?name=zzyzx", "/login/?next=/zzyzx"):
        page.get(path)
    page.post("/login/", data={"username": "zzyzx", "password": "zzyzx"})
    page.close()
    for role in network.roles:
        assert role.log
        told = [line for line in role.log.lower().splitlines() if "zzyzx" in line]
        assert not told


def test_an_attached_pdf_leaves_a_node_as_it_went_in(network: httpx.Client) -> None:
    study = network.get("studies", params={"StudyInstanceUID": CT_STUDY}).json()[0]
    document = Document(pdf_of("Compte rendu."), "Report", "18748-4", "WSD", names_patient=True)
    new = made(study, document, 9, datetime.now(tz=UTC))
    kind = {"Content-Type": "application/dicom", "Accept": "application/dicom+json"}
    stored = network.post(f"studies/{CT_STUDY}", content=file_of(new), headers=kind)
    assert stored.status_code == 200, stored.text
    address = f"studies/{CT_STUDY}/series/{new.SeriesInstanceUID}/instances/{new.SOPInstanceUID}"
    answer = network.get(f"{address}/rendered", headers={"Accept": "application/pdf"})
    assert answer.content == document.pdf
    found = network.get(
        "studies", params={"StudyInstanceUID": CT_STUDY, "includefield": ",".join(IDENTITY)}
    )
    assert found.json()[0]["00080061"]["Value"] == ["CT", "DOC"]
