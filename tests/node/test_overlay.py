"""Corrections applied to encoded objects: what changes is told, all else stays (rule 10)."""

from __future__ import annotations

import io
import subprocess
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_node.overlay.apply import corrected
from dicom_node.overlay.chain import Change, packed
from dicom_node.overlay.pieces import Pieces
from dicom_node.store import part10
from tests.node.objects import EXPLICIT, ct, encoded
from tests.support.services import require

IMPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
DEFLATED = str(DeflatedExplicitVRLittleEndian)
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
KEY = ("FREJUS", "FR-1")


def overlay(*every: dict[str, str | None]) -> str:
    """Return corrections as a study's row holds them."""
    return packed(
        Change(f"c{number}", NOW.isoformat(), values, KEY, KEY)
        for number, values in enumerate(every)
    )


def stored(ds: Dataset, syntax: str = EXPLICIT) -> bytes:
    """Return a whole file as the node stores it."""
    content = encoded(ds, EXPLICIT if syntax == DEFLATED else syntax)
    if syntax == DEFLATED:
        import zlib

        engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        content = engine.compress(content) + engine.flush()
    origin = part10.Provenance(NOW, "CT1")
    return part10.meta_group(ds.SOPClassUID, ds.SOPInstanceUID, syntax, origin) + content


def read(content: bytes, *every: dict[str, str | None]) -> Dataset:
    """Return a stored file as it is shown."""
    return dcmread(io.BytesIO(corrected(io.BytesIO(content), overlay(*every)).read()))


def without(ds: Dataset, *keywords: str) -> Dataset:
    """Return a data set without these elements."""
    return Dataset({e.tag: e for e in ds if e.keyword not in keywords and e.tag.group > 2})


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
def test_the_corrected_values_stand_with_the_original_ones_beside_them(syntax):
    ds = ct(1)
    shown = read(stored(ds, syntax), {"PatientName": "Durand^Paul", "PatientID": "FR-2"})
    assert (shown.PatientName, shown.PatientID) == ("Durand^Paul", "FR-2")
    (item,) = shown.OriginalAttributesSequence
    (old,) = item.ModifiedAttributesSequence
    assert (old.PatientName, old.PatientID) == ("Lefèvre^Hélène", "FR-1")
    assert len(old) == 2
    assert item.ReasonForTheAttributeModification == "CORRECT"
    assert item.ModifyingSystem == "ARGENS"
    assert item.SourceOfPreviousValues == "CT1"
    assert item.AttributeModificationDateTime == "20261121093000.000000+0000"
    changed = ("PatientName", "PatientID", "OriginalAttributesSequence")
    original = dcmread(io.BytesIO(stored(ds, syntax)))
    assert without(shown, *changed) == without(original, *changed)


@pytest.mark.parametrize(
    ("charset", "name", "becomes"),
    [
        ("ISO_IR 100", "Günther^Zoë", "ISO_IR 100"),
        ("ISO_IR 100", "Łukasz^Jan", "ISO_IR 192"),
        ("ISO_IR 192", "山田^太郎", "ISO_IR 192"),
        (["", "ISO 2022 IR 87"], "Dupont^Jean", ["", "ISO 2022 IR 87"]),
        (["", "ISO 2022 IR 87"], "Lefèvre^Hélène", "ISO_IR 192"),
        ("ISO_IR 13", "Yamada^Tarou=山田^太郎", "ISO_IR 192"),
        ("GB18030", "王^小东", "GB18030"),
    ],
)
def test_a_name_that_the_set_cannot_say_makes_all_texts_utf8(charset, name, becomes):
    first = {"ISO_IR 100": "Hélène", "GB18030": "李^四"}.get(str(charset), "Yamada^Tarou")
    if isinstance(charset, list):
        first = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    item = Dataset()
    item.CodeMeaning = "tête" if charset in ("ISO_IR 100", "ISO_IR 192") else "head"
    ds = ct(
        1, SpecificCharacterSet=charset, PatientName=first, StudyDescription="CT",
        SeriesDescription="head", ProcedureCodeSequence=Sequence([item]),
    )  # fmt: skip
    shown = read(stored(ds), {"PatientName": name})
    assert shown.get("SpecificCharacterSet") == becomes
    assert shown.PatientName == name
    assert shown.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].PatientName == first
    assert shown.ProcedureCodeSequence[0].CodeMeaning == item.CodeMeaning


def test_an_undeclared_set_is_decoded_by_the_fallback_and_leaves_as_utf8():
    content = stored(ct(1)).replace(b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100", b"", 1)
    assert dcmread(io.BytesIO(content)).get("SpecificCharacterSet") is None
    shown = read(content, {"PatientName": "Günther^Zoë"})
    assert shown.SpecificCharacterSet == "ISO_IR 192"
    assert shown.StudyDescription == "TDM cérébrale"
    old = shown.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert old.PatientName == "Lefèvre^Hélène"
    plain = read(content, {"PatientName": "Gunther^Zoe"})
    assert "SpecificCharacterSet" not in plain


def test_an_item_with_a_set_of_its_own_is_utf8_too():
    inner = Dataset()
    inner.SpecificCharacterSet, inner.CodeMeaning = "ISO_IR 144", "голова"
    ds = ct(1, ProcedureCodeSequence=Sequence([inner]))
    shown = read(stored(ds), {"PatientName": "Łukasz^Jan"})
    assert shown.ProcedureCodeSequence[0].CodeMeaning == "голова"


def test_corrections_stack_and_what_came_with_the_object_stays():
    earlier, old = Dataset(), Dataset()
    old.PatientName = "AAA"
    earlier.ModifiedAttributesSequence = [old]
    earlier.SourceOfPreviousValues, earlier.ModifyingSystem = "", "OTHER"
    earlier.AttributeModificationDateTime = "2020"
    earlier.ReasonForTheAttributeModification = "COERCE"
    content = stored(ct(1, OriginalAttributesSequence=[earlier]))
    shown = read(content, {"PatientName": "B"}, {"PatientName": "C", "PatientSex": "M"})
    names = [i.ModifiedAttributesSequence[0].PatientName for i in shown.OriginalAttributesSequence]
    assert names == ["AAA", "Lefèvre^Hélène", "B"]
    assert shown.PatientName == "C"
    assert shown.OriginalAttributesSequence[2].SourceOfPreviousValues == "ARGENS"
    assert shown.OriginalAttributesSequence[2].ModifiedAttributesSequence[0].PatientSex == "F"


def test_what_shows_it_already_leaves_byte_for_byte():
    content = stored(ct(1))
    same = io.BytesIO(content)
    values = {"PatientName": "Lefèvre^Hélène", "PatientID": "FR-1", "PatientComments": None}
    assert corrected(same, overlay(values)) is same
    assert corrected(same, "") is same


def test_what_tells_of_the_person_is_left_out_and_told_of():
    ds = ct(1, PatientComments="allergic", PatientWeight="70", OtherPatientIDs=["X", "Y"])
    shown = read(stored(ds), {"PatientComments": None, "OtherPatientIDs": "Z"})
    assert "PatientComments" not in shown
    assert shown.PatientWeight == 70
    assert shown.OtherPatientIDs == "Z"
    assert shown.OtherPatientIDsSequence[0].PatientID == "Z"
    old = shown.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert (old.PatientComments, old.OtherPatientIDs) == ("allergic", ["X", "Y"])


def test_an_issuer_comes_with_its_qualifiers():
    path = "IssuerOfPatientIDQualifiersSequence"
    values = {f"{path}.UniversalEntityID": "1.2.3", f"{path}.UniversalEntityIDType": "ISO"}
    shown = read(stored(ct(1)), values | {"IssuerOfPatientID": "TOULON"})
    assert shown.IssuerOfPatientID == "TOULON"
    assert shown.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityIDType == "ISO"


def test_the_pixels_are_read_from_the_file_and_never_held():
    content = stored(ct(1, PixelData=bytes(512)))
    shown = corrected(io.BytesIO(content), overlay({"PatientName": "B"}))
    assert isinstance(shown, Pieces)
    last = shown._pieces[-1]
    assert isinstance(last, tuple) and last[1] >= 512


def test_dcmtk_reads_what_leaves(tmp_path):
    file = tmp_path / "corrected.dcm"
    for syntax in (EXPLICIT, IMPLICIT, BIG, DEFLATED):
        shown = corrected(io.BytesIO(stored(ct(1), syntax)), overlay({"PatientName": "Łukasz^Jan"}))
        file.write_bytes(shown.read())
        told = subprocess.run(
            [require("dcmdump"), "+U8", "-q", str(file)],
            capture_output=True,
            check=True,
            timeout=20,
        ).stdout.decode()
        assert "[Łukasz^Jan]" in told and "[Lefèvre^Hélène]" in told and "[TDM cérébrale]" in told


TEXTS = st.text(st.characters(codec="latin_1", exclude_categories=["Cc"]), max_size=20).map(
    lambda text: text.replace("\\", "/").strip()
)
NAMES = st.sampled_from(["B^C", "Günther", "Łukasz^Jan", "山田^太郎", ""])


@st.composite
def data_sets(draw, depth: int = 2) -> Dataset:
    """Draw a data set of texts, numbers, private elements and nested sequences."""
    ds = Dataset()
    for keyword in draw(st.sets(st.sampled_from(
        ["StudyDescription", "PatientComments", "ImageComments", "InstitutionName",
         "ReferringPhysicianName", "AccessionNumber", "CodeMeaning", "TextValue"]
    ))):  # fmt: skip
        setattr(ds, keyword, draw(TEXTS))
    if draw(st.booleans()):
        block = ds.private_block(0x0009, "ARGENS TEST", create=True)
        block.add_new(1, "LO", draw(TEXTS))
        block.add_new(2, "OB", draw(st.binary(max_size=8)) + b"")
    if depth and draw(st.booleans()):
        items = draw(st.lists(data_sets(depth=depth - 1), max_size=2))
        ds.ProcedureCodeSequence = Sequence(items)
        ds["ProcedureCodeSequence"].is_undefined_length = draw(st.booleans())
        for item in items:
            item.is_undefined_length_sequence_item = draw(st.booleans())
    return ds


def plain(ds: Dataset) -> dict[str, object]:
    """Return the elements of a data set as texts, nested ones too; sets and origins left out."""
    return {
        str(e.tag): [plain(item) for item in e.value] if e.VR == "SQ"
        else bytes(e.value).rstrip(b"\0") if isinstance(e.value, bytes) else str(e.value)
        for e in ds
        if e.keyword not in ("SpecificCharacterSet", "OriginalAttributesSequence")
        and e.tag.group > 2
    }  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(drawn=data_sets(), name=NAMES, syntax=st.sampled_from([EXPLICIT, BIG, DEFLATED]))
def test_any_object_keeps_all_else_and_tells_what_it_was(drawn, name, syntax):
    ds = ct(1)
    for element in drawn:
        ds.add(element)
    content = stored(ds, syntax)
    before, shown = dcmread(io.BytesIO(content)), read(content, {"PatientName": name})
    assert str(shown.PatientName) == name
    old = shown.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert str(old.PatientName) == "Lefèvre^Hélène"
    expected = plain(before) | {"(0010,0010)": name}
    assert plain(shown) == expected
    assert shown.PixelData == before.PixelData


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=9) | st.tuples(st.integers(0, 50), st.integers(0, 50))),
       st.integers(1, 7))  # fmt: skip
def test_pieces_read_as_one_file(pieces, step):
    content = bytes(range(100))
    whole = b"".join(p if isinstance(p, bytes) else content[p[0] : p[0] + p[1]] for p in pieces)
    file = Pieces(io.BytesIO(content), pieces)
    assert file.size_bytes == len(whole)
    assert b"".join(iter(lambda: file.read(step), b"")) == whole
    file.seek(len(whole) // 2)
    assert file.read() == whole[len(whole) // 2 :]
