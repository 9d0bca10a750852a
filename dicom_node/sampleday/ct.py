"""CT studies of a head (brain and bone series) and of a chest (mediastinum and lung series)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from dicom_node.sampleday import head, modules, thorax
from dicom_node.sampleday.phantom import Array, Grain, Plane
from dicom_node.sampleday.plan import Exam

SIZE = 512
OUTSIDE = -2000  # what a scanner writes outside its circle of reconstruction


@dataclass(frozen=True)
class Protocol:
    """How one series is reconstructed."""

    description: str
    kernel: str
    thickness_mm: float
    noise_hu: float
    presets: list[tuple[float, float, str]]


_BRAIN, _BONE = (35.0, 80.0, "CERVEAU"), (500.0, 2000.0, "OS")
_MEDIASTINUM, _LUNG = (40.0, 400.0, "MEDIASTIN"), (-600.0, 1500.0, "POUMON")
HEAD = (
    Protocol("Cérébral", "H30s", 4.5, 2.6, [_BRAIN, _BONE]),
    Protocol("Os", "H70h", 1.0, 26.0, [_BONE, _BRAIN]),
)
CHEST = (
    Protocol("Médiastin", "B30f", 4.5, 9.0, [_MEDIASTINUM, _LUNG]),
    Protocol("Parenchyme", "B80f", 1.0, 38.0, [_LUNG, _MEDIASTINUM]),
)


def head_study(exam: Exam) -> Iterator[Dataset]:
    """Yield a head without contrast: unsigned, rescaled; every other gantry is tilted."""
    anatomy = head.Head(exam.rng(0))
    tilt = -12.0 if exam.number % 2 else 0.0
    for series, (protocol, count) in enumerate(zip(HEAD, exam.series, strict=True), 1):
        rng, levels = exam.rng(series), np.linspace(-52, 82, count)
        grain = Grain(rng, (SIZE, SIZE), 2 if series == 1 else 0)
        for number, z in enumerate(levels, 1):
            plane = anatomy.plane(float(z), SIZE, tilt)
            noisy = anatomy.slice_at(plane) + protocol.noise_hu * grain.cut(rng)
            dataset = _slice(exam, protocol, series, number, plane, _step(levels))
            dataset.GantryDetectorTilt = f"{tilt:g}"
            dataset.BodyPartExamined = "HEAD"
            dataset.RescaleIntercept, dataset.RescaleSlope = "-1024", "1"
            stored = np.clip(np.rint(noisy) + 1024, 0, 4095).astype(np.uint16)
            modules.set_pixels(dataset, stored, 12)
            yield dataset


def chest_study(exam: Exam) -> Iterator[Dataset]:
    """Yield an injected chest: signed, padded outside the circle of reconstruction."""
    anatomy = thorax.Thorax(exam.rng(0))
    for series, (protocol, count) in enumerate(zip(CHEST, exam.series, strict=True), 1):
        rng = exam.rng(series)
        levels = np.linspace(thorax.BOTTOM_MM + 10, thorax.TOP_MM - 6, count)[::-1]
        grain = Grain(rng, (SIZE, SIZE), 1 if series == 1 else 0)
        for number, z in enumerate(levels, 1):
            plane = anatomy.plane(float(z), SIZE)
            noisy = anatomy.slice_at(plane) + protocol.noise_hu * grain.cut(rng)
            dataset = _slice(exam, protocol, series, number, plane, _step(levels))
            dataset.GantryDetectorTilt = "0"
            dataset.BodyPartExamined = "CHEST"
            dataset.ContrastBolusAgent = "Iode 300 mg/mL"
            dataset.ContrastBolusRoute = "IV"
            dataset.RescaleIntercept, dataset.RescaleSlope = "0", "1"
            stored = np.clip(np.rint(noisy), -1024, 2047).astype(np.int16)
            modules.set_pixels(dataset, _padded(stored), 12)
            dataset.add_new("PixelPaddingValue", "SS", OUTSIDE)
            yield dataset


def _slice(
    exam: Exam, protocol: Protocol, series: int, number: int, plane: Plane, step_mm: float
) -> Dataset:
    at = exam.at + timedelta(minutes=2 * series, seconds=number)
    dataset = modules.instance(exam, CTImageStorage, series, number, at)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesDescription = protocol.description
    dataset.ProtocolName = f"{modules.describe(exam)} {protocol.description}"
    _geometry(dataset, exam, protocol, plane, step_mm)
    _technique(dataset, exam, protocol)
    modules.window(dataset, protocol.presets)
    modules.add_request(dataset, exam)
    if number == 1 or exam.number % 2:
        modules.add_private(dataset, 0x0019, f"Calibration {protocol.kernel}", [1.2, 0.4, number])
    return dataset


def _geometry(
    dataset: Dataset, exam: Exam, protocol: Protocol, plane: Plane, step_mm: float
) -> None:
    dataset.PatientPosition = "HFS"
    dataset.FrameOfReferenceUID = exam.uid("frame of reference")
    dataset.PositionReferenceIndicator = "OM" if exam.kind == "head" else "SN"
    dataset.ImagePositionPatient = [f"{value:.4f}" for value in plane.origin]
    dataset.ImageOrientationPatient = [f"{value:g}" for value in plane.orientation]
    dataset.PixelSpacing = [f"{plane.spacing_mm:.6f}"] * 2
    dataset.SliceThickness = f"{protocol.thickness_mm:g}"
    dataset.SpacingBetweenSlices = f"{step_mm:.4f}"
    dataset.SliceLocation = f"{plane.rows_z.mean():.2f}"
    dataset.TableHeight = "142"


def _technique(dataset: Dataset, exam: Exam, protocol: Protocol) -> None:
    dataset.ScanOptions = "AXIAL MODE" if exam.kind == "head" else "HELICAL MODE"
    dataset.KVP, dataset.XRayTubeCurrent = "120", "240"
    dataset.ExposureTime, dataset.Exposure = "1000", "240"
    dataset.DataCollectionDiameter = "500"
    dataset.ReconstructionDiameter = f"{head.FIELD_MM if exam.kind == 'head' else 380:g}"
    dataset.DistanceSourceToDetector, dataset.DistanceSourceToPatient = "949", "541"
    dataset.RotationDirection = "CW"
    dataset.FilterType = "BODY FILTER" if exam.kind == "chest" else "HEAD FILTER"
    dataset.FocalSpots = "0.7"
    dataset.ConvolutionKernel = protocol.kernel
    dataset.RescaleType = "HU"


def _step(levels: Array) -> float:
    return float(abs(levels[-1] - levels[0]) / max(1, len(levels) - 1))


def _padded(stored: np.ndarray) -> np.ndarray:
    row, column = np.ogrid[: stored.shape[0], : stored.shape[1]]
    middle = (SIZE - 1) / 2
    stored[(row - middle) ** 2 + (column - middle) ** 2 > (SIZE / 2) ** 2] = OUTSIDE
    return stored
