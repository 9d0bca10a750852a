"""Computed radiography: chests and hands on 1760 x 2370 plates, 10 bits in 16."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage

from dicom_node.sampleday import modules
from dicom_node.sampleday.chest_film import chest_film
from dicom_node.sampleday.hand import hand_film
from dicom_node.sampleday.phantom import Grain
from dicom_node.sampleday.plan import Exam
from dicom_node.sampleday.projection import Array, enlarged

ROWS, COLUMNS = 2370, 1760
FULL = 1023
MARKER_PIXELS = 110


class Plates:
    """Exposes plates; the grain of the phosphor is made once for the whole day."""

    def __init__(self, seed: int) -> None:
        self._grain = Grain(np.random.default_rng([seed, 2]), (ROWS, COLUMNS), 1)

    def chest_study(self, exam: Exam) -> Iterator[Dataset]:
        """Yield one chest, postero-anterior; every other plate is MONOCHROME1."""
        rng = exam.rng(0)
        shadow = chest_film(rng, exam.patient.sex == "F")
        dataset = _image(exam, 1, "Thorax PA", "CHEST", "PA")
        dataset.PatientOrientation = ["L", "F"]
        dataset.KVP, dataset.Exposure = "125", "2"
        dataset.ImagerPixelSpacing = ["0.2", "0.2"]
        picture = self._exposed(rng, shadow, 0.05, 0.9)
        _finish(dataset, picture, "D", inverted=exam.number % 4 != 3)
        yield dataset

    def hand_study(self, exam: Exam) -> Iterator[Dataset]:
        """Yield a right hand in two views, or both hands (then each image has its side)."""
        both = exam.kind == "both-hands"
        views = [("R", False), ("L", False)] if both else [("R", False), ("R", True)]
        rng = exam.rng(0)
        for number, (side, oblique) in enumerate(views[: exam.series[0]], 1):
            shadow = hand_film(rng if both else exam.rng(0), side, oblique)
            word = "gauche" if side == "L" else "droite"
            view = "Oblique" if oblique else "Face"
            dataset = _image(exam, number, f"Main {word} {view}", "HAND", _view(oblique))
            dataset.SeriesDescription = "Mains" if both else "Main droite"
            dataset.PatientOrientation = ["L", "H"]
            if both:
                dataset.ImageLaterality = side
            else:
                dataset.Laterality = side
            dataset.KVP, dataset.Exposure = "50", "3"
            dataset.ImagerPixelSpacing = ["0.1", "0.1"]
            picture = self._exposed(rng, shadow, 0.0, 1.05)
            picture = _collimated(picture, 70 if side == "R" else 55)
            _finish(dataset, picture, "D" if side == "R" else "G", inverted=not both)
            yield dataset

    def _exposed(self, rng: np.random.Generator, shadow: Array, low: float, high: float) -> Array:
        """Return the plate's 10 bits, bright where the beam was stopped."""
        level = np.clip((shadow - low) / (high - low), 0, 1.2)
        curve = level**0.85
        grain = (7.0 - 4.0 * np.minimum(curve, 1)) * self._coarse(rng)
        picture = enlarged((40 + 900 * curve + grain).astype(np.float32), 2)
        return picture + 5.0 * self._grain.cut(rng)

    def _coarse(self, rng: np.random.Generator) -> Array:
        return self._grain.cut(rng)[: ROWS // 2, : COLUMNS // 2]


def _view(oblique: bool) -> str:
    return "LLO" if oblique else "PA"


def _image(exam: Exam, number: int, protocol: str, part: str, view: str) -> Dataset:
    at = exam.at + timedelta(minutes=2, seconds=50 * number)
    dataset = modules.instance(exam, ComputedRadiographyImageStorage, 1, number, at)
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.SeriesDescription = dataset.ProtocolName = protocol
    dataset.BodyPartExamined = part
    dataset.ViewPosition = view
    dataset.PlateType = "ERLM"
    dataset.PlateID = f"P{exam.number % 40:03d}"
    dataset.CassetteOrientation = "PORTRAIT"
    dataset.CassetteSize = "35CMX43CM" if part == "CHEST" else "18CMX24CM"
    dataset.Sensitivity = "200"
    dataset.DistanceSourceToDetector = "1800" if part == "CHEST" else "1100"
    modules.add_request(dataset, exam)
    if exam.number % 3 == 0:
        modules.add_private(dataset, 0x0021, "Lecteur ERLM salle 2", [1.87, 200])
    return dataset


def _finish(dataset: Dataset, picture: Array, marker: str, *, inverted: bool) -> None:
    """Put the lead marker on, choose the photometric interpretation, set the pixels."""
    stored = np.clip(np.rint(picture), 0, FULL)
    stored[_marker_mask(marker)] = FULL
    if inverted:
        dataset.PhotometricInterpretation = "MONOCHROME1"
        stored = FULL - stored
    modules.window(dataset, [(FULL / 2, FULL + 1, "NORMAL"), (FULL / 2, 640, "CONTRASTE")])
    modules.set_pixels(dataset, stored.astype(np.uint16), 10)


def _collimated(picture: Array, margin: int) -> Array:
    """Return the plate with its unexposed border (bright, like all that no beam reached)."""
    border = np.full_like(picture, 930)
    inside = np.s_[margin:-margin, margin:-margin]
    border[inside] = picture[inside]
    return border


def _marker_mask(letter: str) -> np.ndarray:
    """Return where the lead letter lies: D(roite) or G(auche), near the upper edge."""
    film = Image.new("L", (COLUMNS, ROWS))
    spot = (150, 190) if letter == "D" else (COLUMNS - 230, 190)
    ImageDraw.Draw(film).text(spot, letter, fill=255, font=ImageFont.load_default(MARKER_PIXELS))
    return np.asarray(film) > 127
