"""What is taken along as a medium or as pictures: read by other software, and complete."""

from __future__ import annotations

import io
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.fileset import FileSet

from pacs_common.errors import BadInput
from pacs_web.studies.download.directory import directory
from tests.support.services import require
from tests.web.made_studies import CT_STUDY, RF_STUDY, SR_STUDY, file_bytes
from tests.web.node_answers import metadata_of
from tests.web.node_stand_in import StandIn

pytestmark = pytest.mark.slow


def unpacked(response, folder: Path) -> Path:
    """Write a streamed ZIP's content into a folder."""
    with zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content))) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return folder


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def medium(nodes: dict[str, StandIn], clinician: Client, tmp_path: Path) -> Path:
    """The CT exam on a medium."""
    response = clinician.get(f"/studies/{CT_STUDY}/download/?form=medium")
    assert 'filename="dicom-20261120-CT.zip"' in response["Content-Disposition"]
    return unpacked(response, tmp_path / "medium")


def test_a_mediums_directory_names_every_file_with_its_patient_study_and_series(
    medium: Path, nodes: dict[str, StandIn]
) -> None:
    read = FileSet(medium / "DICOMDIR")
    try:
        found = {one.SOPInstanceUID: one for one in read}
        assert set(found) == {one.SOPInstanceUID for one in nodes["CT"].instances}
        for stored in nodes["CT"].instances:
            listed = found[stored.SOPInstanceUID]
            assert (listed.PatientID, str(listed.PatientName)) == ("FRJ000001", "Lefèvre^Hélène")
            assert (listed.StudyInstanceUID, listed.InstanceNumber) == (
                CT_STUDY,
                stored.InstanceNumber,
            )
            assert Path(listed.path).read_bytes() == file_bytes(stored)
    finally:
        read._stage["t"].cleanup()


def test_names_on_a_medium_keep_to_its_eight_characters_a_level(medium: Path) -> None:
    names = files_below(medium)
    assert len(names) == 7
    for name in set(names) - {"README.TXT"}:
        assert all(re.fullmatch(r"[A-Z0-9_]{1,8}", part) for part in name.split("/")), name


def test_dcmtk_reads_a_mediums_directory(medium: Path) -> None:
    told = subprocess.run(
        [require("dcmdump"), "+P", "0004,1430", "+P", "0004,1500", str(medium / "DICOMDIR")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    kinds = re.findall(r"CS \[(PATIENT|STUDY|SERIES|IMAGE)", told)
    assert kinds == ["PATIENT", "STUDY", "SERIES", *["IMAGE"] * 5]
    places = re.findall(r"\(0004,1500\) CS \[([^\]]+)\]", told)
    assert all((medium / place.strip().replace("\\", "/")).is_file() for place in places)


def test_the_directory_is_asked_for_once_a_series(
    nodes: dict[str, StandIn], clinician: Client, tmp_path: Path
) -> None:
    unpacked(clinician.get(f"/studies/{CT_STUDY}/download/?form=medium"), tmp_path)
    asked = [path for path in nodes["CT"].asked if path.endswith("/metadata")]
    assert len(asked) == 1


def test_a_film_lies_beside_the_file_set_as_it_is_stored(
    nodes: dict[str, StandIn], clinician: Client, tmp_path: Path
) -> None:
    film = nodes["CT"].instances[2]
    nodes["CT"].behaviour.films.add(film.SOPInstanceUID)
    folder = unpacked(clinician.get(f"/studies/{CT_STUDY}/download/?form=medium"), tmp_path)
    assert (folder / "OTHER/OB000000").read_bytes() == file_bytes(film)
    assert "OTHER/OB000000" in (folder / "README.TXT").read_text()
    assert len(files_below(folder / "PT000000")) == 4


def test_an_object_without_what_a_directory_must_say_is_listed_all_the_same(
    nodes: dict[str, StandIn], clinician: Client, tmp_path: Path
) -> None:
    for one in nodes["CT"].instances:
        one.PatientID = one.StudyDate = one.StudyTime = ""
        del one.SeriesNumber, one.InstanceNumber
    folder = unpacked(clinician.get(f"/studies/{CT_STUDY}/download/?form=medium"), tmp_path)
    assert len(files_below(folder / "PT000000")) == 5
    directory_told = dcmread(folder / "DICOMDIR").DirectoryRecordSequence
    assert [one.PatientID for one in directory_told if "PatientID" in one] == ["UNKNOWN"]
    sent = dcmread(folder / "PT000000/ST000000/SE000000/IM000000")
    assert sent.PatientID == ""  # the file itself is untouched


def test_a_report_has_a_record_of_its_own_kind(
    nodes: dict[str, StandIn], clinician: Client, tmp_path: Path
) -> None:
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = "18748-4", "LN", "Report"
    for one in nodes["RF"].instances:
        one.ConceptNameCodeSequence = [title]
    response = clinician.get(f"/studies/{SR_STUDY}/download/?form=medium")
    folder = unpacked(response, tmp_path)
    kinds = [
        one.DirectoryRecordType for one in dcmread(folder / "DICOMDIR").DirectoryRecordSequence
    ]
    assert kinds[-1] == "SR DOCUMENT"


def test_pictures_are_jpeg_of_each_image_with_its_caption(
    nodes: dict[str, StandIn], clinician: Client, tmp_path: Path
) -> None:
    folder = unpacked(clinician.get(f"/studies/{CT_STUDY}/download/?form=pictures"), tmp_path)
    pictures = [name for name in files_below(folder) if name.endswith(".jpg")]
    assert len(pictures) == 5
    assert all((folder / name).read_bytes().startswith(b"\xff\xd8") for name in pictures)
    rendered = [path for path in nodes["CT"].asked if "/rendered" in path]
    assert all("annotation=patient" in path for path in rendered)
    assert "not for diagnosis" in (folder / "README.TXT").read_text()


def test_what_has_no_picture_is_named(
    nodes: dict[str, StandIn], clinician: Client, tmp_path: Path
) -> None:
    folder = unpacked(clinician.get(f"/studies/{SR_STUDY}/download/?form=pictures"), tmp_path)
    assert files_below(folder) == ["README.TXT"]
    assert "Without a picture" in (folder / "README.TXT").read_text()


def test_a_loop_is_asked_for_as_a_loop(
    nodes: dict[str, StandIn], clinician: Client, tmp_path: Path
) -> None:
    unpacked(clinician.get(f"/studies/{RF_STUDY}/download/?form=pictures"), tmp_path)
    assert any("/rendered" in path for path in nodes["RF"].asked)


def test_a_form_that_does_not_exist_is_a_bad_request(clinician: Client, nodes: object) -> None:
    response = clinician.get(f"/studies/{CT_STUDY}/download/?form=tiff")
    assert response.status_code == 400
    assert "stored, medium, pictures" in response.content.decode()


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom says what it thinks of nonsense
@given(
    told=st.dictionaries(
        st.sampled_from(["00080016", "00080018", "00100010", "00200013", "00081115", "0040A043"]),
        st.dictionaries(
            st.sampled_from(["vr", "Value", "BulkDataURI"]),
            st.one_of(
                st.sampled_from(["PN", "IS", "SQ", "UI", "LO", ""]),
                st.lists(st.one_of(st.text(max_size=5), st.integers(), st.none()), max_size=2),
            ),
        ),
    )
)
def test_whatever_a_server_tells_of_an_object_it_is_listed_or_refused(told: dict) -> None:
    with directory() as listed:
        try:
            name = listed.add(told)
        except BadInput:
            assert listed.content() == b""
        else:
            assert name.startswith("PT000000/")
            assert listed.content()[128:132] == b"DICM"


def test_what_was_added_is_what_the_directory_tells(ct: StandIn) -> None:
    made: list[Dataset] = ct.instances
    with directory() as listed:
        names = [listed.add(metadata_of(one)) for one in made]
        told = dcmread(io.BytesIO(listed.content())).DirectoryRecordSequence
    assert ["/".join(one.ReferencedFileID) for one in told if one.get("ReferencedFileID")] == names
