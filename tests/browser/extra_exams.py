"""What the sample day lacks: a second series, an exam of before, key images, a presentation state,
a report. All made from one of its CT images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import Dataset, FileMetaDataset, dcmread
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

KEY_OBJECT = "1.2.840.10008.5.1.4.1.1.88.59"
REPORT = "1.2.840.10008.5.1.4.1.1.88.22"
PATIENT = {
    "PatientName": "Exemple^Extra",
    "PatientID": "FR-EXTRA-1",
    "IssuerOfPatientID": "FREJUS",
    "PatientBirthDate": "19590101",
    "PatientSex": "F",
    "AccessionNumber": "EXTRA1",
}
STATE = "1.2.840.10008.5.1.4.1.1.11.1"


@dataclass
class Exam:
    """The exam's addresses, and the images of its first series."""

    study: str = field(default_factory=generate_uid)
    series: str = field(default_factory=generate_uid)
    thick: str = field(default_factory=generate_uid)
    prior: str = field(default_factory=generate_uid)
    images: list[str] = field(default_factory=list)
    documents: dict[str, tuple[str, str]] = field(default_factory=dict)

    def image(self, number: int) -> str:
        """Return the page of an image, by its number from 1."""
        return f"/studies/{self.study}/series/{self.series}/instances/{self.images[number - 1]}/"

    def document(self, modality: str) -> str:
        """Return the page of a report or state."""
        series, uid = self.documents[modality]
        return f"/studies/{self.study}/series/{series}/instances/{uid}/"


class Maker:
    """Writes the files of an exam from one CT image."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.source, self.folder, self.exam = source, folder, Exam()
        folder.mkdir()

    def make(self) -> Exam:
        """Write 20 thin and 4 thick slices, 10 slices of a year before, and the documents."""
        exam = self.exam
        said = {"StudyDescription": "Demonstration", "FrameOfReferenceUID": "1.2.3.4"}
        for n in range(1, 21):
            exam.images.append(self.slice(exam.study, exam.series, n, 5.0 * n, **said))
        for n in range(1, 5):
            self.slice(exam.study, exam.thick, n, 25.0 * n, SeriesNumber=2, **said)
        for n in range(1, 11):
            before = {"StudyDate": "20250101", "StudyDescription": "Demonstration anterieure"}
            space = {"FrameOfReferenceUID": "1.2.3.5"}
            self.slice(exam.prior, f"{exam.prior[:60]}.1", n, 1000 + 10.0 * n, **before, **space)
        self.key_object()
        self.report()
        self.state()
        return exam

    def slice(self, study: str, series: str, number: int, z: float, **given: Any) -> str:
        """Write a slice with a bar at the height of its number, and return its UID."""
        made = dcmread(self.source)
        uid = generate_uid()
        made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID = study, series, uid
        made.file_meta.MediaStorageSOPInstanceUID = uid
        pixels = made.pixel_array.copy()
        pixels[20 * number : 20 * number + 8] = 2500
        made.PixelData = pixels.tobytes()
        made.InstanceNumber, made.SliceLocation = number, z
        made.ImagePositionPatient, made.ImageOrientationPatient = [0, 0, z], [1, 0, 0, 0, 1, 0]
        made.SeriesNumber, made.SeriesDescription = 1, "Axial"
        made.WindowCenter, made.WindowWidth = 40, 400  # whatever part of the body the source shows
        for keyword, value in {**PATIENT, **given}.items():
            setattr(made, keyword, value)
        made.save_as(self.folder / f"{uid}.dcm")
        return uid

    def document(self, sop_class: str, modality: str, number: int) -> Dataset:
        """Return an empty document of the same patient and exam."""
        source = dcmread(self.source, stop_before_pixels=True)
        made = Dataset()
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made.SpecificCharacterSet = "ISO_IR 192"
        for keyword, value in PATIENT.items():
            setattr(made, keyword, value)
        made.StudyDate = source.StudyDate
        made.StudyTime, made.AccessionNumber = source.StudyTime, "EXTRA1"
        made.StudyInstanceUID, made.SOPClassUID = self.exam.study, sop_class
        made.SeriesInstanceUID, made.SOPInstanceUID = generate_uid(), generate_uid()
        made.Modality, made.SeriesNumber, made.InstanceNumber = modality, number, 1
        made.StudyDescription = "Demonstration"
        self.exam.documents[modality] = (made.SeriesInstanceUID, made.SOPInstanceUID)
        return made

    def key_object(self) -> None:
        """Write a key object that names the images 5 and 15."""
        made = self.document(KEY_OBJECT, "KO", 90)
        made.ValueType, made.ConceptNameCodeSequence = "CONTAINER", code("113000", "Of Interest")
        made.CurrentRequestedProcedureEvidenceSequence = self.evidence(5, 15)
        made.ContentSequence = Sequence([item("TEXT", "Description", TextValue="Nodule")])
        self.save(made)

    def report(self) -> None:
        """Write a report with a measurement on image 15."""
        made = self.document(REPORT, "SR", 91)
        made.ValueType, made.ConceptNameCodeSequence = "CONTAINER", code("1", "Compte rendu")
        made.CompletionFlag, made.VerificationFlag = "COMPLETE", "VERIFIED"
        made.CurrentRequestedProcedureEvidenceSequence = self.evidence(15)
        made.ContentSequence = Sequence(
            [
                item("TEXT", "Conclusion", TextValue="Nodule <b>stable</b>"),
                item("IMAGE", "Source", ReferencedSOPSequence=Sequence(self.images(15))),
            ]
        )
        self.save(made)

    def state(self) -> None:
        """Write a presentation state that turns the images 1 to 10 by a quarter."""
        made = self.document(STATE, "PR", 92)
        made.ContentLabel, made.ContentDescription = "QUARTER", "Quart de tour"
        held = Dataset()
        held.SeriesInstanceUID = self.exam.series
        held.ReferencedImageSequence = Sequence(self.images(*range(1, 11)))
        made.ReferencedSeriesSequence = Sequence([held])
        made.ImageRotation, made.ImageHorizontalFlip = 90, "N"
        made.PresentationLUTShape = "IDENTITY"
        source = dcmread(self.source, stop_before_pixels=True)
        made.RescaleSlope, made.RescaleIntercept = source.RescaleSlope, source.RescaleIntercept
        made.RescaleType = "HU"
        window, area = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = -600, 1500
        made.SoftcopyVOILUTSequence = Sequence([window])
        area.DisplayedAreaTopLeftHandCorner = [1, 1]
        area.DisplayedAreaBottomRightHandCorner = [source.Columns, source.Rows]
        area.PresentationSizeMode, area.PresentationPixelAspectRatio = "SCALE TO FIT", [1, 1]
        made.DisplayedAreaSelectionSequence = Sequence([area])
        self.save(made)

    def images(self, *numbers: int) -> list[Dataset]:
        """Return references to images by their numbers."""
        source = dcmread(self.source, stop_before_pixels=True)
        named = []
        for number in numbers:
            one = Dataset()
            one.ReferencedSOPClassUID = source.SOPClassUID
            one.ReferencedSOPInstanceUID = self.exam.images[number - 1]
            named.append(one)
        return named

    def evidence(self, *numbers: int) -> Sequence:
        """Return the evidence that places these images in their series."""
        study, series = Dataset(), Dataset()
        series.SeriesInstanceUID = self.exam.series
        series.ReferencedSOPSequence = Sequence(self.images(*numbers))
        study.StudyInstanceUID = self.exam.study
        study.ReferencedSeriesSequence = Sequence([series])
        return Sequence([study])

    def save(self, made: Dataset) -> None:
        """Write a document."""
        made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
        made.save_as(self.folder / f"{made.SOPInstanceUID}.dcm", enforce_file_format=True)


def code(value: str, meaning: str) -> Sequence:
    """Return a coded concept."""
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, "DCM", meaning
    return Sequence([made])


def item(kind: str, name: str, **given: Any) -> Dataset:
    """Return a content item."""
    made = Dataset()
    made.RelationshipType, made.ValueType = "CONTAINS", kind
    made.ConceptNameCodeSequence = code("121071", name)
    for keyword, value in given.items():
        setattr(made, keyword, value)
    return made
