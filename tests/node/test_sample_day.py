"""The sample day: whole studies that a strict reader accepts, the same bytes for a seed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pydicom
import pytest
from django.core.management import CommandError, call_command
from pydicom.dataset import Dataset

from dicom_node.sampleday.day import make_day
from dicom_node.sampleday.plan import exams
from tests.support.services import require

pytestmark = pytest.mark.slow

DAY = date(2026, 11, 21)
ROOT = Path(__file__).resolve().parents[2]


TOLD: list[tuple[int, int]] = []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("day")
    make_day(out, 0.002, 7, DAY, lambda written, total: TOLD.append((written, total)))
    return out


@pytest.fixture(scope="module")
def day(folder: Path) -> list[Dataset]:
    return [pydicom.dcmread(path) for path in sorted(folder.rglob("*.dcm"))]


def of(day: list[Dataset], modality: str) -> list[Dataset]:
    return [dataset for dataset in day if dataset.Modality == modality]


def series(day: list[Dataset]) -> dict[str, list[Dataset]]:
    found = defaultdict(list)
    for dataset in day:
        found[dataset.SeriesInstanceUID].append(dataset)
    return found


def test_the_full_day_has_the_images_of_the_paper():
    counted = Counter()
    for exam in exams(1.0, 1, DAY):
        counted[exam.source] += sum(exam.series)
    assert counted == {"CT": 480, "RF": 70, "CR": 215}


@pytest.mark.parametrize("scale", [0.001, 0.01, 0.05, 0.1, 0.3])
def test_a_small_day_has_whole_studies_of_every_kind(scale):
    kinds = {exam.kind for exam in exams(scale, 1, DAY)}
    assert {"head", "chest", "swallow", "swallow-multiframe", "chest-film"} <= kinds
    assert sum(exam.images for exam in exams(scale, 1, DAY) if exam.source == "CR") >= 2


def test_a_larger_scale_makes_more_images():
    sizes = [sum(e.images for e in exams(s, 1, DAY)) for s in (0.05, 0.25, 0.5, 1, 2)]
    assert sizes == sorted(set(sizes))


def test_files_lie_by_source_and_study(folder, day):
    studies = {path.parent.relative_to(folder).as_posix() for path in folder.rglob("*.dcm")}
    assert studies == {f"{dataset.Modality}/{dataset.AccessionNumber}" for dataset in day}
    assert len({dataset.StudyInstanceUID for dataset in day}) == len(studies)


def test_the_same_seed_makes_the_same_bytes(tmp_path, folder):
    make_day(tmp_path, 0.002, 7, DAY)

    def digests(root: Path) -> dict[str, str]:
        return {
            path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in root.rglob("*.dcm")
        }

    assert digests(tmp_path) == digests(folder)


def test_another_seed_or_date_shares_no_uid():
    def uids(seed: int, day: date) -> set[str]:
        return {exam.study_uid for exam in exams(0.05, seed, day)}

    assert not uids(1, DAY) & uids(2, DAY)
    assert not uids(1, DAY) & uids(1, date(2026, 11, 22))


def test_uids_are_valid_and_instances_are_unique(day):
    for dataset in day:
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            assert dataset[name].value.is_valid, name
    assert len({dataset.SOPInstanceUID for dataset in day}) == len(day)


TYPE_1 = """SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality ImageType
    SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit
    PixelRepresentation PixelData SpecificCharacterSet""".split()
TYPE_2 = """PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime StudyID
    ReferringPhysicianName AccessionNumber SeriesNumber InstanceNumber Manufacturer""".split()
TYPE_1_OF = {
    "CT": """ImagePositionPatient ImageOrientationPatient PixelSpacing FrameOfReferenceUID
        RescaleIntercept RescaleSlope RescaleType PatientPosition""".split(),
    "RF": ["PixelIntensityRelationship", "RadiationSetting"],
    "CR": ["ImagerPixelSpacing"],
}
TYPE_2_OF = {
    "CT": ["KVP", "AcquisitionNumber", "SliceThickness", "PositionReferenceIndicator"],
    "RF": ["KVP", "ContrastBolusAgent", "PatientOrientation"],
    "CR": ["BodyPartExamined", "ViewPosition", "PatientOrientation"],
}


def test_required_attributes_are_there(day):
    for dataset in day:
        for keyword in TYPE_1 + TYPE_1_OF[dataset.Modality]:
            assert dataset.get(keyword) not in (None, ""), (dataset.Modality, keyword)
        for keyword in TYPE_2 + TYPE_2_OF[dataset.Modality]:
            assert keyword in dataset, (dataset.Modality, keyword)
        assert "IssuerOfPatientID" not in dataset


def test_every_value_fits_its_vr(folder):
    with pydicom.config.disable_value_validation():
        datasets = [pydicom.dcmread(path) for path in folder.rglob("*.dcm")]
    for dataset in datasets:
        for element in dataset.iterall():
            values = element.value if element.VM > 1 else [element.value]
            for value in values if element.VR not in {"OW", "OB", "SQ"} else []:
                pydicom.valuerep.validate_value(
                    element.VR, value if element.VR in {"US", "SS", "AT"} else str(value), 2
                )


def test_dcmtk_reads_every_file_without_a_warning(folder):
    dcmdump = require("dcmdump")
    files = [str(path) for path in folder.rglob("*.dcm")]
    done = subprocess.run([dcmdump, "-q", *files], capture_output=True, text=True, errors="replace")
    assert (done.returncode, done.stderr) == (0, "")
    loud = subprocess.run(
        [dcmdump, "+sd", *files], capture_output=True, text=True, errors="replace"
    )
    assert "W:" not in loud.stderr and "E:" not in loud.stderr


def test_ct_slices_are_evenly_spaced_along_their_normal(day):
    for slices in series(of(day, "CT")).values():
        slices.sort(key=lambda dataset: int(dataset.InstanceNumber))
        orientation = np.array(slices[0].ImageOrientationPatient, float)
        assert abs(np.linalg.norm(orientation[:3]) - 1) < 1e-4
        assert abs(np.linalg.norm(orientation[3:]) - 1) < 1e-4
        positions = np.array([dataset.ImagePositionPatient for dataset in slices], float)
        steps = np.diff(positions, axis=0)
        assert np.allclose(steps, steps[0], atol=1e-3)
        assert np.allclose(np.linalg.norm(steps[0]), slices[0].SpacingBetweenSlices, atol=1e-3)
        assert len({dataset.FrameOfReferenceUID for dataset in slices}) == 1


def test_both_series_of_a_ct_share_one_frame_of_reference(day):
    for study in {dataset.StudyInstanceUID for dataset in of(day, "CT")}:
        mine = [dataset for dataset in of(day, "CT") if dataset.StudyInstanceUID == study]
        assert len({dataset.SeriesInstanceUID for dataset in mine}) == 2
        assert len({dataset.FrameOfReferenceUID for dataset in mine}) == 1


def test_a_tilted_gantry_turns_the_columns(day):
    tilted = [dataset for dataset in of(day, "CT") if float(dataset.GantryDetectorTilt)]
    assert tilted
    for dataset in tilted:
        assert dataset.ImageOrientationPatient[5] == pytest.approx(
            np.sin(np.radians(float(dataset.GantryDetectorTilt))), abs=1e-4
        )


def hounsfield(dataset: Dataset) -> np.ndarray:
    return dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)


def test_ct_holds_air_tissue_and_bone(day):
    for slices in series(of(day, "CT")).values():
        hu = np.concatenate([hounsfield(dataset).ravel() for dataset in slices])
        hu = hu[hu > -1900]
        assert np.mean(hu < -800) > 0.2
        assert np.mean((hu > -20) & (hu < 100)) > 0.1
        assert np.mean(hu > 400) > 0.005


def test_ct_is_signed_and_padded_in_one_study_and_unsigned_in_the_other(day):
    signs = {dataset.BodyPartExamined: dataset.PixelRepresentation for dataset in of(day, "CT")}
    assert signs == {"HEAD": 0, "CHEST": 1}
    chest = next(dataset for dataset in of(day, "CT") if dataset.BodyPartExamined == "CHEST")
    assert chest.pixel_array[0, 0] == chest.PixelPaddingValue == -2000
    assert chest.BitsStored == 12


def test_window_presets_are_explained(day):
    head = next(dataset for dataset in day if dataset.BodyPartExamined == "HEAD")
    assert list(head.WindowCenterWidthExplanation) == ["CERVEAU", "OS"]
    chest = next(dataset for dataset in of(day, "CT") if dataset.BodyPartExamined == "CHEST")
    assert list(chest.WindowCenterWidthExplanation) == ["MEDIASTIN", "POUMON"]


def test_fluoroscopy_is_a_loop_of_single_frames_and_one_multiframe(day):
    rf = of(day, "RF")
    assert {(dataset.Rows, dataset.Columns, dataset.BitsStored) for dataset in rf} == {
        (1024, 1024, 8)
    }
    many = [dataset for dataset in rf if "NumberOfFrames" in dataset]
    assert len(many) == 1 and len(rf) > 3
    assert many[0].pixel_array.shape[0] == many[0].NumberOfFrames > 3
    frames = many[0].pixel_array.astype(float)
    assert all(np.abs(a - b).max() > 100 for a, b in pairwise(frames))


def test_plates_have_ten_bits_and_a_side(day):
    cr = of(day, "CR")
    assert {(dataset.Rows, dataset.Columns, dataset.BitsStored) for dataset in cr} == {
        (2370, 1760, 10)
    }
    for dataset in cr:
        assert dataset.pixel_array.max() <= 1023
        if dataset.BodyPartExamined == "HAND":
            assert dataset.get("Laterality") or dataset.get("ImageLaterality")
    assert "MONOCHROME1" in {dataset.PhotometricInterpretation for dataset in cr}


def test_a_monochrome1_plate_is_dark_where_a_monochrome2_one_is_bright():
    from dicom_node.sampleday.cr import Plates

    films = [exam for exam in exams(0.05, 7, DAY) if exam.kind == "chest-film"]
    plates = Plates(7)
    made = [next(iter(plates.chest_study(exam))) for exam in films[:2]]
    below_diaphragm = {
        dataset.PhotometricInterpretation: dataset.pixel_array[2100, 700:900].mean()
        for dataset in made
    }
    assert below_diaphragm["MONOCHROME1"] < 512 < below_diaphragm["MONOCHROME2"]


def test_names_keep_their_accents_in_both_character_sets():
    planned = exams(1.0, 1, DAY)
    assert {exam.charset for exam in planned} == {"ISO_IR 100", "ISO_IR 192"}
    names = {exam.patient.name for exam in planned}
    assert {"Lefèvre^Hélène", "D'Angély^Noël", "Garçon-Müller^Zoé", "Le Goff^Gaëlle"} <= names


def test_names_are_readable_from_the_files(day):
    assert "Lefèvre^Hélène" in {str(dataset.PatientName) for dataset in day}
    for dataset in day:
        assert dataset.InstitutionName == "CHI Fréjus - Saint-Raphaël"


def test_a_ct_patient_has_an_older_radiograph(day):
    dates = defaultdict(dict)
    for dataset in day:
        dates[dataset.PatientID][dataset.Modality] = dataset.StudyDate
    assert any("CT" in kinds and kinds.get("CR", "9") < kinds["CT"] for kinds in dates.values())


def test_accession_numbers_are_unique_and_short():
    numbers = [exam.accession_number for exam in exams(1.0, 1, DAY)]
    assert len(set(numbers)) == len(numbers)
    assert max(map(len, numbers)) <= 16


def test_some_files_have_private_blocks_nested_sequences_and_implicit_vr(day):
    assert any(dataset.private_creators(0x0019) for dataset in day)
    assert all(
        dataset.RequestAttributesSequence[0].ScheduledProtocolCodeSequence[0].CodeValue
        for dataset in day
    )
    syntaxes = Counter(dataset.file_meta.TransferSyntaxUID.name for dataset in day)
    assert set(syntaxes) == {"Explicit VR Little Endian", "Implicit VR Little Endian"}
    assert syntaxes["Explicit VR Little Endian"] > syntaxes["Implicit VR Little Endian"]


def test_progress_is_told_after_each_file(day):
    assert TOLD == [(number, len(day)) for number in range(1, len(day) + 1)]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "node", "sample-day", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_the_command_writes_the_day_and_says_how_much(tmp_path):
    done = run("--out", str(tmp_path), "--scale", "0.001", "--date", "20260102")
    assert done.returncode == 0, done.stderr
    written = list(tmp_path.rglob("*.dcm"))
    assert done.stdout == f"{len(written)} files in {tmp_path}\n"
    assert pydicom.dcmread(written[0], stop_before_pixels=True).StudyDate <= "20260102"


@pytest.mark.parametrize("scale", ["0", "-1", "nan", "inf", "much", "1000"])
def test_a_nonsense_scale_is_refused(tmp_path, scale):
    with pytest.raises(CommandError, match="--scale"):
        call_command("sample-day", "--out", str(tmp_path), f"--scale={scale}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("option", "value"), [("--seed", "-3"), ("--date", "2026-11-21")])
def test_other_nonsense_is_refused(tmp_path, option, value):
    with pytest.raises(CommandError, match=option):
        call_command("sample-day", "--out", str(tmp_path), f"{option}={value}")


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CommandError, match=r"cannot write to .*file.*: Not a directory"):
        call_command("sample-day", "--out", str(tmp_path / "file"), "--scale=0.001")
