"""Data sets made in code, without Django: small, whole, and different where a test wants it."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, CTImageStorage

EXPLICIT = "1.2.840.10008.1.2.1"
STUDY, SERIES = "1.2.826.0.1.3680043.10.1361.1", "1.2.826.0.1.3680043.10.1361.1.1"


def ct(
    number: int = 1, *, study: str = STUDY, series: str = SERIES, **attributes: object
) -> Dataset:
    """Return a small CT slice; keyword arguments set or (None) remove attributes."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = f"{series}.{number}"
    ds.StudyInstanceUID = study
    ds.SeriesInstanceUID = series
    ds.StudyDate, ds.StudyTime = "20260105", "093000"
    ds.AccessionNumber, ds.StudyID = "A100", "7"
    ds.StudyDescription, ds.SeriesDescription = "TDM cérébrale", "Axiale"
    ds.Modality = "CT"
    ds.PatientName, ds.PatientID = "Lefèvre^Hélène", "FR-1"
    ds.PatientBirthDate, ds.PatientSex = "19500417", "F"
    ds.ReferringPhysicianName = "Martin^Paul"
    ds.SeriesNumber, ds.InstanceNumber = 1, number
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 5 * number], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [0.5, 0.5], 5
    ds.Rows = ds.Columns = 16
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleIntercept, ds.RescaleSlope = -1024, 1
    ds.WindowCenter, ds.WindowWidth = 40, 400
    ramp = np.arange(256, dtype="<u2").reshape(16, 16) + 1000 + number % 10_000
    ds.PixelData = ramp.tobytes()
    for keyword, value in attributes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def encoded(ds: Dataset, transfer_syntax: str = "1.2.840.10008.1.2.1") -> bytes:
    """Return the data set as a sender puts it on the wire (no group 0002)."""
    syntax = UID(transfer_syntax)
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = syntax.is_implicit_VR, syntax.is_little_endian
    write_dataset(stream, ds)
    return stream.getvalue()
