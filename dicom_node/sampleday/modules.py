"""The DICOM modules that every image of the day shares (PS3.3 C.7, C.12.1)."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.sampleday.plan import Exam

INSTITUTION = "CHI Fréjus - Saint-Raphaël"
MADE = "Image de synthèse, patient fictif"
PRIVATE_CREATOR = "ARGENS SAMPLE 1"
_STATIONS = {"CT": "SCANNER1", "RF": "TABLE-TELE", "CR": "ERLM1"}
_DEVICES = {"CT": "Sample CT 16", "RF": "Sample RF 1024", "CR": "Sample CR 10"}
_PROCEDURES = {
    "head": ("TDMCER", "TDM cérébrale sans injection"),
    "chest": ("TDMTHO", "TDM thoracique"),
    "swallow": ("TOGD", "Transit œsogastroduodénal"),
    "swallow-multiframe": ("TOGD", "Transit œsogastroduodénal"),
    "chest-film": ("RXTHO", "Radiographie du thorax de face"),
    "right-hand": ("RXMAIND", "Main droite"),
    "both-hands": ("RXMAINS", "Mains de face, comparatif"),
}


def instance(exam: Exam, sop_class: str, series: int, number: int, at: datetime) -> Dataset:
    """Return a data set with the patient, study, series, equipment and SOP common modules."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    transfer_syntax = ImplicitVRLittleEndian if exam.implicit else ExplicitVRLittleEndian
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    dataset.SpecificCharacterSet = exam.charset
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = exam.uid("series", series, "instance", number)
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = _day(at), _time(at)
    _patient(dataset, exam)
    _study(dataset, exam)
    _series(dataset, exam, series, at)
    _equipment(dataset, exam)
    dataset.InstanceNumber = str(number)
    dataset.AcquisitionNumber = "1"
    dataset.AcquisitionDate = dataset.ContentDate = _day(at)
    dataset.AcquisitionTime = dataset.ContentTime = _time(at)
    dataset.ImageComments = MADE
    return dataset


def describe(exam: Exam) -> str:
    """Return the Study Description; ISO_IR 100 has no letter œ."""
    text = _PROCEDURES[exam.kind][1]
    return text if exam.charset == "ISO_IR 192" else text.replace("œ", "oe")


def set_pixels(dataset: Dataset, pixels: np.ndarray, bits_stored: int) -> None:
    """Fill the image pixel module (C.7.6.3) from an array of rows and columns, or frames."""
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = dataset.get("PhotometricInterpretation", "MONOCHROME2")
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored = bits_stored
    dataset.HighBit = bits_stored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    explicit = not dataset.file_meta.TransferSyntaxUID.is_implicit_VR
    dataset["PixelData"].VR = "OB" if explicit and pixels.dtype.itemsize == 1 else "OW"


def window(dataset: Dataset, presets: list[tuple[float, float, str]]) -> None:
    """Set window presets (C.11.2): centre, width, explanation."""
    dataset.WindowCenter = [f"{centre:g}" for centre, _, _ in presets]
    dataset.WindowWidth = [f"{width:g}" for _, width, _ in presets]
    dataset.WindowCenterWidthExplanation = [name for _, _, name in presets]


def code(value: str, meaning: str, scheme: str = "99ARGENS") -> Dataset:
    """Return one item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def add_request(dataset: Dataset, exam: Exam) -> None:
    """Add the request (0040,0275), with its protocol codes nested in it."""
    item = Dataset()
    item.RequestedProcedureID = f"RP{exam.number:05d}"
    item.RequestedProcedureDescription = describe(exam)
    item.ScheduledProcedureStepID = f"SPS{exam.number:05d}"
    item.ScheduledProcedureStepDescription = describe(exam)
    value = _PROCEDURES[exam.kind][0]
    item.ScheduledProtocolCodeSequence = Sequence([code(value, describe(exam))])
    dataset.RequestAttributesSequence = Sequence([item])


def add_private(dataset: Dataset, group: int, note: str, readings: list[float]) -> None:
    """Add a private block with a text, numbers and a nested sequence."""
    block = dataset.private_block(group, PRIVATE_CREATOR, create=True)
    block.add_new(0x01, "LO", note)
    block.add_new(0x02, "DS", [f"{reading:.4g}" for reading in readings])
    inner = Dataset()
    inner.CodeMeaning = "Étalonnage du matin"
    inner.DateOfLastCalibration = dataset.StudyDate
    block.add_new(0x10, "SQ", Sequence([inner]))


def _patient(dataset: Dataset, exam: Exam) -> None:
    dataset.PatientName = exam.patient.name
    dataset.PatientID = exam.patient.patient_id
    dataset.PatientBirthDate = f"{exam.patient.birth_date:%Y%m%d}"
    dataset.PatientSex = exam.patient.sex
    dataset.PatientAge = exam.patient.age_at(exam.at.date())
    dataset.PatientSize = f"{exam.patient.size_m:.2f}"
    dataset.PatientWeight = f"{exam.patient.weight_kg:.1f}"


def _study(dataset: Dataset, exam: Exam) -> None:
    dataset.StudyInstanceUID = exam.study_uid
    dataset.StudyDate, dataset.StudyTime = _day(exam.at), _time(exam.at)
    dataset.StudyID = f"{exam.source}{exam.number:04d}"
    dataset.AccessionNumber = exam.accession_number
    dataset.StudyDescription = describe(exam)
    dataset.ReferringPhysicianName = exam.referrer
    dataset.RequestingService = exam.service
    value, _ = _PROCEDURES[exam.kind]
    dataset.ProcedureCodeSequence = Sequence([code(value, describe(exam))])


def _series(dataset: Dataset, exam: Exam, series: int, at: datetime) -> None:
    dataset.Modality = exam.source
    dataset.SeriesInstanceUID = exam.uid("series", series)
    dataset.SeriesNumber = str(series)
    start = exam.at + timedelta(minutes=2 * series)
    dataset.SeriesDate, dataset.SeriesTime = _day(start), _time(start)
    dataset.PerformingPhysicianName = "Auzière^Édith^^Dr"
    dataset.OperatorsName = "Manip^Loïc"


def _equipment(dataset: Dataset, exam: Exam) -> None:
    dataset.Manufacturer = "Argens"
    dataset.ManufacturerModelName = _DEVICES[exam.source]
    dataset.StationName = _STATIONS[exam.source]
    dataset.DeviceSerialNumber = f"{exam.source}-0001"
    dataset.SoftwareVersions = "sample-day 1"
    dataset.InstitutionName = INSTITUTION
    dataset.InstitutionalDepartmentName = "Imagerie médicale"


def _day(at: datetime) -> str:
    return f"{at:%Y%m%d}"


def _time(at: datetime) -> str:
    return f"{at:%H%M%S}.{at.microsecond:06d}"
