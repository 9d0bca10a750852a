"""Identifiers of answers: what the node writes is what pydicom reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dicom_node.dimse.scp.answer import Encoder
from tests.node.asked import read

PATIENT_NAME, PATIENT_ID, STUDY_UID, ROWS = 0x00100010, 0x00100020, 0x0020000D, 0x00280010
REQUESTS, STEP = 0x00400275, 0x00400009
# letters of each set; no delimiters, and nothing that pydicom would strip
LETTERS = {
    "ISO_IR 100": "aZéèçÀÿ ñ",
    "ISO_IR 144": "aжЯюЖ",
    "ISO_IR 126": "aλΩψ",
    "ISO_IR 192": "aé山λж한",
    "GB18030": "aé张东",
    "GBK": "a张东",
    "\\ISO 2022 IR 87": "a山田太",
    "\\ISO 2022 IR 149": "a홍길동",
    "": "abc",
}


def answered(charset: str, *elements: tuple, is_implicit: bool = False) -> Dataset:
    encoded = Encoder(is_implicit=is_implicit, charset=charset).encode(list(elements))
    return read(encoded, is_implicit=is_implicit)


@given(st.data(), st.sampled_from(sorted(LETTERS)), st.booleans())
def test_any_text_of_a_set_is_answered_in_that_set(data, charset, is_implicit):
    part = st.text(LETTERS[charset], min_size=1, max_size=12).map(str.strip).filter(bool)
    name = "=".join("^".join(data.draw(st.lists(part, min_size=1, max_size=3))) for _ in "123")
    ds = answered(charset, (PATIENT_NAME, "PN", name), is_implicit=is_implicit)
    assert str(ds.PatientName) == name
    said = ds.get("SpecificCharacterSet", "")
    assert ("\\".join(said) if not isinstance(said, str) else said) == charset


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40))
def test_what_a_set_lacks_is_answered_in_utf_8(text):
    text = text.replace("\\", "").strip()
    ds = answered("ISO_IR 144", (PATIENT_ID, "LO", text))
    assert ds.PatientID in (text, text or None)
    assert ds.SpecificCharacterSet in ("ISO_IR 144", "ISO_IR 192")


def test_latin_letters_never_pass_as_the_default_set():
    ds = answered("\\ISO 2022 IR 87", (PATIENT_NAME, "PN", "Lefèvre"))
    assert (ds.SpecificCharacterSet, str(ds.PatientName)) == ("ISO_IR 192", "Lefèvre")


def test_an_unknown_set_is_not_named():
    ds = answered("ISO_IR 999", (PATIENT_NAME, "PN", "Lefèvre"))
    assert (ds.SpecificCharacterSet, str(ds.PatientName)) == ("ISO_IR 192", "Lefèvre")
    assert "SpecificCharacterSet" not in answered("ISO_IR 999", (PATIENT_NAME, "PN", "Martin"))


@pytest.mark.parametrize("is_implicit", [True, False])
def test_numbers_uids_items_and_absent_values_are_read_back(is_implicit):
    step = [(STEP, "SH", "S1")]
    ds = answered(
        "",
        (STUDY_UID, "UI", "1.2.3"),
        (ROWS, "US", 512),
        (REQUESTS, "SQ", [step, [(STEP, "SH", None)]]),
        (PATIENT_ID, "LO", None),
        is_implicit=is_implicit,
    )
    assert (ds.StudyInstanceUID, ds.Rows) == ("1.2.3", 512)
    assert [item.get("ScheduledProcedureStepID") or "" for item in ds[REQUESTS]] == ["S1", ""]
    assert not ds.PatientID
    assert [int(element.tag) for element in ds] == sorted(int(element.tag) for element in ds)


@pytest.mark.parametrize("is_implicit", [True, False])
def test_a_value_too_long_for_its_vr_is_still_read(is_implicit):
    ds = answered("", (PATIENT_ID, "LO", "x" * 70_001), is_implicit=is_implicit)
    assert len(bytes(str(ds.PatientID), "ascii").strip()) >= 70_000
