"""The technologists' pages in a real browser: a dropped medium, and a decision on quarantine."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from playwright.sync_api import Page, expect
from pydicom import dcmread
from pydicom.uid import generate_uid

from tests.browser.conftest import Hospital


def foreign_slice(hospital: Hospital) -> bytes:
    source = next((hospital.day / "CT").rglob("*.dcm"))
    ds = dcmread(source)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.PatientName, ds.PatientID, ds.InstitutionName = "Foreign^Paul", "T-77", "CHU TOULON"
    if "IssuerOfPatientID" in ds:
        del ds.IssuerOfPatientID
    made = hospital.folder / "foreign.dcm"
    ds.save_as(made)
    return made.read_bytes()


def drop(page: Page, **files: bytes) -> None:
    """Drop files onto the page as a person does."""
    told = {name: base64.b64encode(content).decode() for name, content in files.items()}
    transfer = page.evaluate_handle(
        """(files) => {
          const transfer = new DataTransfer();
          for (const [name, text] of Object.entries(files)) {
            const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
            transfer.items.add(new File([bytes], name));
          }
          return transfer;
        }""",
        told,
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})


def test_a_dropped_medium_is_imported_under_its_own_issuer(hospital: Hospital, log_in) -> None:
    page = log_in("technologist")
    page.goto("/arrivals/import/")
    drop(page, IM1=foreign_slice(hospital), viewer=b"MZ no picture")
    expect(page.get_by_role("heading", name="FOREIGN Paul")).to_be_visible()
    expect(page.get_by_label("Who gave this patient ID")).to_have_value("CHU TOULON")
    expect(page.get_by_text("1 file is left out")).to_be_visible()
    page.get_by_label("I have compared the identities").check()
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="1 image is stored")).to_be_visible()
    expect(page.get_by_text("identity could not be set")).to_have_count(0)
    page.get_by_role("link", name="See the arrivals").click()
    expect(page.get_by_role("link", name="FOREIGN Paul")).to_be_visible()


def test_quarantine_is_decided_beside_what_is_stored(hospital: Hospital, log_in) -> None:
    source = next((hospital.day / "CT").rglob("*.dcm"))
    ds = dcmread(source)
    ds.SeriesDescription = "Other content"
    folder = Path(hospital.folder / "again")
    folder.mkdir()
    ds.save_as(folder / "again.dcm")
    node = hospital.nodes["CT"]
    sent = node.command("send", "127.0.0.1", str(node.dicom_port), str(folder))
    assert sent.returncode == 0, sent.stderr
    page = log_in("technologist")
    page.goto("/arrivals/quarantine/")
    page.get_by_role("link", name="Compare").first.click()
    for shown in ("The stored image", "The image in quarantine"):
        picture = page.get_by_alt_text(shown)
        expect(picture).to_be_visible()
        assert picture.evaluate("(one) => one.decode().then(() => one.naturalWidth)") > 0
    expect(page.get_by_role("row", name=re.compile("Series Description"))).to_be_visible()
    page.get_by_role("button", name="Keep the stored one").click()
    expect(page.get_by_text("Quarantine is empty")).to_be_visible()
