"""CT images by the hundred: whole files whose UIDs are new each time, made by patching bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from tests.support.data_sets import ct

SIDE = 512
ROOT = "1.2.826.0.1.3680043.10.1361.8"
TEMPLATES = 16  # different pixels
FIRST = 10**8  # numbers are 9 digits long, so that each UID has the same length
INSTANCE_NUMBER = "000111"


@dataclass(frozen=True)
class Batch:
    """Files in one folder for each association; `instances` in all, of `file_bytes` each.

    Where they differ, `file_bytes` is their mean, and `name` says what they are.
    """

    folders: list[Path]
    instances: int
    file_bytes: int
    name: str = ""

    @property
    def workload(self) -> str:
        """What is sent and over how many associations, in words."""
        count = len(self.folders)
        what = self.name or f"{self.instances} CT of 512 KB"
        return f"{what}, {count} association{'s' * (count > 1)}"


class Scanner:
    """Writes batches; no UID is used twice by one scanner, nor by another of another `start`."""

    def __init__(self, start: int = FIRST + 10) -> None:
        self._next = start
        self._templates = [_template(number) for number in range(TEMPLATES)]

    def write(self, folder: Path, instances: int, associations: int) -> Batch:
        """Write a study for each association, `instances` images in all."""
        counts = [instances // associations] * associations
        for number in range(instances % associations):
            counts[number] += 1
        folders = [self._study(folder / f"{n:02d}", count) for n, count in enumerate(counts)]
        return Batch(folders, instances, len(self._templates[0]))

    def _study(self, folder: Path, instances: int) -> Path:
        folder.mkdir(parents=True)
        study, series = self._uid(), self._uid()
        patient = series.rpartition(".")[2]
        for number in range(instances):
            image = self._templates[number % TEMPLATES]
            for old, new in (
                (INSTANCE_NUMBER, f"{number + 1:06d}"),  # first: a fresh UID may hold its digits
                (_placeholder(1), study),
                (_placeholder(2), series),
                (_placeholder(3), self._uid()),
                (_placeholder(4).rpartition(".")[2], patient),
            ):
                image = _patched(image, old.encode(), new.encode())
            (folder / f"{number:04d}.dcm").write_bytes(image)
        return folder

    def _uid(self) -> str:
        self._next += 1
        return f"{ROOT}.{self._next}"


def _placeholder(number: int) -> str:
    return f"{ROOT}.{FIRST + number}"


def _patched(image: bytes, old: bytes, new: bytes) -> bytes:
    """Replace in the header alone, which is short: half a megabyte of pixels is not searched."""
    end = len(image) - 2 * SIDE * SIDE
    return image[:end].replace(old, new) + image[end:]


def _template(number: int) -> bytes:
    """Return a file of a 512 x 512 slice: 12 bits in 16, soft shapes under noise."""
    noise = np.random.default_rng(number)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    body = 1000 * (x**2 / 0.6 + y**2 / 0.4 < 1) + 40 * (x**2 + (y - 0.1) ** 2 < 0.05)
    pixels = np.clip(body + noise.normal(24, 12, (SIDE, SIDE)), 0, 4095).astype("<u2")
    ds = ct(
        1,
        study=_placeholder(1),
        series=_placeholder(2),
        SOPInstanceUID=_placeholder(3),
        PatientID=_placeholder(4).rpartition(".")[2],
        Rows=SIDE,
        Columns=SIDE,
        PixelData=pixels.tobytes(),
        **_acquisition(),
    )
    ds.add_new(0x00200013, "IS", INSTANCE_NUMBER)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = f"{ROOT}.1"
    buffer = io.BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def _acquisition() -> dict[str, object]:
    """What a scanner writes besides: as many elements as a real slice has."""
    reference = Dataset()
    reference.ReferencedSOPClassUID = CTImageStorage
    reference.ReferencedSOPInstanceUID = f"{ROOT}.2"
    return {
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "ContentDate": "20260105",
        "ContentTime": "093100.000000",
        "AcquisitionDate": "20260105",
        "AcquisitionTime": "093059.250000",
        "AcquisitionNumber": 1,
        "Manufacturer": "Argens",
        "ManufacturerModelName": "Invented 64",
        "InstitutionName": "CHI Fréjus - Saint-Raphaël",
        "StationName": "CT1",
        "DeviceSerialNumber": "361",
        "SoftwareVersions": ["1.0", "2.3"],
        "ProtocolName": "Crâne sans injection",
        "BodyPartExamined": "HEAD",
        "PatientPosition": "HFS",
        "PatientAge": "076Y",
        "KVP": 120,
        "XRayTubeCurrent": 250,
        "ExposureTime": 1000,
        "Exposure": 250,
        "DataCollectionDiameter": 500,
        "ReconstructionDiameter": 250,
        "GantryDetectorTilt": 0,
        "TableHeight": 142.5,
        "RotationDirection": "CW",
        "ConvolutionKernel": "H31s",
        "FrameOfReferenceUID": f"{ROOT}.3",
        "SliceLocation": 35,
        "RescaleType": "HU",
        "ReferencedImageSequence": [reference],
    }
