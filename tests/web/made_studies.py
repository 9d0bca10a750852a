"""Small studies made in code: a CT with geometry, a two-frame RF, a report without pixels."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from pydicom import Dataset, FileMetaDataset, dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
RF_CLASS = "1.2.840.10008.5.1.4.1.1.12.2"
SR_CLASS = "1.2.840.10008.5.1.4.1.1.88.11"
ROOT = "1.2.826.0.1.3680043.10.1999"
CT_STUDY, RF_STUDY, SR_STUDY = f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.3"


def instance(study: str, series: int, number: int, modality: str, **given: Any) -> Dataset:
    """Return a dataset of a study, without pixels."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID = {"CT": CT_CLASS, "RF": RF_CLASS}.get(modality, SR_CLASS)
    made.StudyInstanceUID = study
    made.SeriesInstanceUID = f"{study}.{series}"
    made.SOPInstanceUID = f"{study}.{series}.{number}"
    made.Modality = modality
    made.SeriesNumber, made.InstanceNumber = series, number
    made.PatientName, made.PatientID = "Lefèvre^Hélène", "FRJ000001"
    made.IssuerOfPatientID = "FREJUS"
    made.PatientBirthDate, made.PatientSex = "19541103", "F"
    made.StudyDate, made.StudyTime = "20261120", "081500"
    made.AccessionNumber = "A1999"
    made.StudyDescription, made.SeriesDescription = "Scanner cérébral", "Axial 5 mm"
    for keyword, value in given.items():
        setattr(made, keyword, value)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def with_pixels(made: Dataset, frames: int = 1, side: int = 64) -> Dataset:
    """Give a dataset a round phantom that differs from frame to frame."""
    y, x = np.mgrid[:side, :side] - side / 2
    radius = np.hypot(x, y) / side
    shift = int(made.InstanceNumber)
    stack = np.stack(
        [np.where(radius < 0.4, 1040 + 10 * shift + 40 * f, 24) for f in range(frames)]
    ).astype(np.uint16)
    made.Rows = made.Columns = side
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.PixelRepresentation, made.SamplesPerPixel = 0, 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.RescaleSlope, made.RescaleIntercept = 1, -1024
    if frames > 1:
        made.NumberOfFrames = frames
    made.PixelData = stack.tobytes()
    return made


def ct_study(slices: int = 5) -> list[Dataset]:
    """Return a CT stack with windows, private elements and a nested sequence."""
    made = [
        with_pixels(
            instance(
                CT_STUDY,
                1,
                number,
                "CT",
                WindowCenter=[40, -600],
                WindowWidth=[80, 1500],
                WindowCenterWidthExplanation=["BRAIN", "LUNG"],
                ImagePositionPatient=[0, 0, 5 * number],
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
                SliceThickness=5,
            )
        )
        for number in range(1, slices + 1)
    ]
    for one in made:
        one.add_new(0x00090010, "LO", "ARGENS TEST")
        one.add_new(0x00091001, "LO", "hidden kernel B30")
        step = Dataset()
        step.ScheduledProcedureStepDescription = "Crâne sans injection"
        one.RequestAttributesSequence = Sequence([step])
    return made


def rf_study() -> list[Dataset]:
    """Return one two-frame loop of another patient."""
    given = {
        "PatientName": "Dupont^Marie",
        "PatientID": "FRJ000002",
        "PatientBirthDate": "19800229",
        "StudyDate": "20261121",
        "StudyDescription": "Transit baryté",
        "SeriesDescription": "Scopie",
        "AccessionNumber": "A2000",
        "WindowCenter": 20,
        "WindowWidth": 400,
        "FrameTime": 125,
    }
    return [with_pixels(instance(RF_STUDY, 1, 1, "RF", **given), frames=2)]


def report() -> list[Dataset]:
    """Return a structured report: nothing to look at."""
    return [instance(SR_STUDY, 1, 1, "SR", StudyDescription="Compte rendu", StudyDate="20261001")]


def file_bytes(one: Dataset) -> bytes:
    """Return the dataset as the file that a node stores."""
    kept = io.BytesIO()
    dcmwrite(kept, one, enforce_file_format=True)
    return kept.getvalue()


def header_of(one: Dataset) -> dict[str, Any]:
    """Return the header as `GET /api/instances/<uid>/header` tells it."""
    return {
        "study_uid": one.StudyInstanceUID,
        "series_uid": one.SeriesInstanceUID,
        "sop_instance_uid": one.SOPInstanceUID,
        "transfer_syntax": "Explicit VR Little Endian",
        "elements": _elements(one.file_meta) + _elements(one),
    }


def _elements(dataset: Dataset) -> list[dict[str, Any]]:
    return [_element(element) for element in dataset]


def _element(element: Any) -> dict[str, Any]:
    told = {
        "tag": f"({element.tag.group:04X},{element.tag.element:04X})",
        "vr": element.VR,
        "name": element.name.strip("[]"),
        "keyword": element.keyword,
        "private": element.tag.is_private,
        "length": None,
    }
    if element.VR == "SQ":
        items = [_elements(item) for item in element.value]
        return {**told, "value": f"{len(items)} item", "items": items}
    if isinstance(element.value, bytes):
        return {**told, "length": len(element.value), "value": f"{len(element.value)} bytes"}
    return {**told, "length": len(str(element.value)), "value": str(element.value)}
