"""A PDF is checked, made an Encapsulated PDF of the exam, and stands among its series."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from pacs_common.errors import BadInput
from pacs_web.arrivals.attaching import forms, pdf
from pacs_web.arrivals.attaching.encapsulated import MEANINGS
from pacs_web.audit.models import AuditEvent
from pacs_web.nodes.servers.own import OwnServer
from tests.web.audited import without_trace
from tests.web.made_studies import CT_STUDY, file_bytes
from tests.web.node_stand_in import StandIn

PAGE = f"/studies/{CT_STUDY}/attach/"


def pdf_of(text: str = "Compte rendu", trailer: str = "") -> bytes:
    """Return a PDF of one page, as ISO 32000-1 H.2 makes the smallest."""
    drawn = f"BT /F1 24 Tf 72 720 Td ({text}) Tj ET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        " /Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    made, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(made))
        made += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    start = len(made)
    made += f"xref\n0 6\n0000000000 65535 f \n{table}".encode()
    made += f"trailer\n<< /Size 6 /Root 1 0 R{trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()
    return made


WHOLE = pdf_of()


def said(content: bytes = WHOLE, **more: object) -> dict[str, object]:
    file = SimpleUploadedFile("cr.pdf", content, "application/pdf")
    told = {"title": "Compte rendu é", "kind": "18748-4", "origin": "SD", "names_patient": "on"}
    return {"file": file, **told, **more}


@pytest.fixture
def technologist(browser: Callable[..., Client]) -> Client:
    return browser("technologist")


def attached(node: StandIn) -> Dataset:
    (found,) = [one for one in node.instances if one.SOPClassUID == EncapsulatedPDFStorage]
    return found


def test_the_object_bears_the_exams_identity_and_the_pdf(ct: StandIn, technologist) -> None:
    for one in ct.instances:
        one.ReferringPhysicianName = "Martin^Luc"
    answer = technologist.post(PAGE, said(), follow=True)
    assert "Attached: “Compte rendu é”." in answer.content.decode()
    new, image = attached(ct), ct.instances[0]
    for keyword in (
        "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
        "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyDescription",
    ):  # fmt: skip
        assert new.get(keyword) == image.get(keyword), keyword
    assert new.EncapsulatedDocument[: new.EncapsulatedDocumentLength] == WHOLE
    assert new.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert (new.Modality, new.ConversionType, new.BurnedInAnnotation) == ("DOC", "SD", "YES")
    assert new.DocumentTitle == new.SeriesDescription == "Compte rendu é"
    (code,) = new.ConceptNameCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("18748-4", "LN")
    assert new.SeriesInstanceUID != image.SeriesInstanceUID
    assert new.SeriesNumber == 2


def test_another_toolkit_reads_it(ct: StandIn, technologist, tmp_path: Path) -> None:
    technologist.post(PAGE, said(pdf_of("Compte rendu.")))
    path = tmp_path / "attached.dcm"
    path.write_bytes(file_bytes(attached(ct)))
    read = subprocess.run(["dcmdump", "-q", str(path)], capture_output=True, check=True, timeout=20)
    assert b"EncapsulatedPDFStorage" in read.stdout
    assert b"(0042,0015)" in read.stdout


def test_it_stands_among_the_series_and_opens_in_the_quick_view(ct: StandIn, technologist) -> None:
    technologist.post(PAGE, said())
    new = attached(ct)
    assert "Compte rendu é" in technologist.get(f"/studies/{CT_STUDY}/").content.decode()
    series = f"/studies/{CT_STUDY}/series/{new.SeriesInstanceUID}/"
    assert technologist.get(series, follow=True).status_code == 200
    told = technologist.get(f"{series}pictures/").json()
    assert told["common"]["kind"] == "pdf"


def test_it_is_audited_with_its_title_and_node(ct: StandIn, technologist) -> None:
    technologist.post(PAGE, said())
    event = AuditEvent.objects.get(action="store")
    assert (event.study_uid, event.patient_id, event.result) == (CT_STUDY, "FRJ000001", "success")
    assert without_trace(event.detail) == {
        "attached": "Compte rendu é",
        "bytes": len(WHOLE),
        "node": "CT",
    }


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"content": b"hello"}, "not a PDF"),
        ({"content": WHOLE[:-200]}, "cut off"),
        ({"content": WHOLE.replace(b"%PDF-1.4", b"%PDF-1.4" + b" " * 99)}, "cut off"),
        ({"content": pdf_of(trailer=" /Encrypt 9 0 R")}, "encrypted"),
        ({"file": ""}, "Choose a file."),
        ({"title": ""}, "required"),
        ({"title": "a\\b"}, "no backslash"),
        ({"title": "x" * 65}, "at most 64"),
        ({"kind": "1"}, "valid choice"),
        ({"origin": "DV"}, "valid choice"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_stored(
    ct: StandIn, technologist, wrong: dict[str, object], why: str
) -> None:
    response = technologist.post(PAGE, said(**wrong))
    assert response.status_code == 422
    assert why in response.content.decode()
    assert not [asked for asked in ct.asked if asked.startswith("POST")]


def test_a_pdf_that_is_too_large_is_refused(
    ct: StandIn, technologist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf, "MOST_BYTES", len(WHOLE) - 1)
    assert technologist.post(PAGE, said()).status_code == 422


def test_what_the_server_refuses_is_told_and_audited(
    ct: StandIn, technologist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OwnServer, "abilities", replace(OwnServer.abilities, store=False))
    page = technologist.post(PAGE, said(), follow=True).content.decode()
    assert "CT takes no documents from here" in page
    assert AuditEvent.objects.get(action="store").result == "failed"


@given(st.integers(0, len(WHOLE) - 3))
def test_no_beginning_of_a_pdf_passes_for_a_whole_one(length: int) -> None:
    with pytest.raises(BadInput):
        pdf.check(WHOLE[:length])


def test_padding_behind_the_end_does_not_matter() -> None:
    pdf.check(WHOLE + b"\0")
    pdf.check(WHOLE.rstrip(b"\n"))


def test_every_kind_that_is_offered_has_its_meaning() -> None:
    assert {code for code, _ in forms.KINDS} == set(MEANINGS)


def test_the_exams_page_leads_there_for_those_who_may(nodes, technologist, browser) -> None:
    assert PAGE in technologist.get(f"/studies/{CT_STUDY}/").content.decode()
    assert PAGE not in browser("clinician").get(f"/studies/{CT_STUDY}/").content.decode()
    assert browser("clinician").post(PAGE, said()).status_code == 403
