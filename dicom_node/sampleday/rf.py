"""Fluoroscopy studies: loops of single images, or one multi-frame object (X-Ray RF)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import XRayRadiofluoroscopicImageStorage

from dicom_node.sampleday import modules
from dicom_node.sampleday.plan import Exam
from dicom_node.sampleday.swallow import VIEWS, Swallow

FRAME_MS = 500
_NAMES = {"face": "Œsophage de face", "oblique": "Œsophage OAG", "stomach": "Estomac en procubitus"}


def loop_study(exam: Exam) -> Iterator[Dataset]:
    """Yield each view's loop as single images, half a second apart."""
    swallow = Swallow(exam.rng(0))
    for series, (view, count) in enumerate(zip(VIEWS, exam.series, strict=False), 1):
        for number, picture in enumerate(swallow.frames(view, count), 1):
            yield _image(exam, view, series, number, picture)


def multiframe_study(exam: Exam) -> Iterator[Dataset]:
    """Yield one object that holds the whole loop as frames."""
    frames = np.stack(list(Swallow(exam.rng(0)).frames("oblique", exam.series[0])))
    dataset = _image(exam, "oblique", 1, 1, frames)
    dataset.NumberOfFrames = str(len(frames))
    dataset.FrameIncrementPointer = Tag("FrameTime")
    dataset.FrameTime = str(FRAME_MS)
    dataset.RecommendedDisplayFrameRate = "2"
    dataset.StartTrim, dataset.StopTrim = "1", str(len(frames))
    yield dataset


def _image(exam: Exam, view: str, series: int, number: int, pixels: np.ndarray) -> Dataset:
    at = exam.at + timedelta(minutes=2 * series, milliseconds=FRAME_MS * number)
    dataset = modules.instance(exam, XRayRadiofluoroscopicImageStorage, series, number, at)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]
    name = _NAMES[view]
    dataset.SeriesDescription = name if exam.charset == "ISO_IR 192" else name.replace("Œ", "Oe")
    dataset.ProtocolName = "TOGD"
    dataset.BodyPartExamined = "STOMACH" if view == "stomach" else "ESOPHAGUS"
    dataset.PatientOrientation = ["L", "F"] if view == "face" else ["LA", "F"]
    dataset.ContrastBolusAgent = "Sulfate de baryum"
    dataset.ContrastBolusRoute = "Per os"
    dataset.PixelIntensityRelationship = "LIN"
    _technique(dataset)
    modules.window(dataset, [(128, 256, "NORMAL"), (150, 140, "BARYTE")])
    modules.add_request(dataset, exam)
    modules.set_pixels(dataset, pixels, 8)
    if number == 1:
        modules.add_private(dataset, 0x0019, "Champ amplificateur 25 cm", [25.0, 0.5])
    return dataset


def _technique(dataset: Dataset) -> None:
    dataset.KVP, dataset.XRayTubeCurrent = "95", "60"
    dataset.ExposureTime, dataset.Exposure = "12", "1"
    dataset.RadiationSetting = "GR"
    dataset.ImagerPixelSpacing = ["0.25", "0.25"]
    dataset.FieldOfViewShape = "ROUND"
    dataset.FieldOfViewDimensions = "250"
    dataset.DistanceSourceToDetector = "1150"
    dataset.TableMotion = "STATIC"
