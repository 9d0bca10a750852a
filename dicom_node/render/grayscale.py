"""Stored values to shades of gray: the pipeline of PS3.3 C.11 and PS3.4 N.2, in its order.

stored value -> modality LUT or rescale -> VOI LUT or window -> presentation LUT or shape -> 0..255
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from dicom_node.render import shades
from dicom_node.render.attributes import decimal, functional_group, text
from dicom_node.render.codecs import Array
from dicom_node.render.image_format import ImageFormat
from dicom_node.render.tables import Lut, for_every_value, lut_of
from dicom_node.render.windows import Window, windows_of


@dataclass(frozen=True)
class Modality:
    """How stored values become modality values (PS3.3 C.11.1)."""

    slope: float = 1.0
    intercept: float = 0.0
    lut: Lut | None = None

    @classmethod
    def of(cls, ds: Dataset, index: int) -> Modality:
        """Return what holds for frame `index`: its functional groups, the shared ones, or `ds`."""
        group = functional_group(ds, index, "PixelValueTransformationSequence")
        return cls.said_by(group, signed=ds.get("PixelRepresentation") == 1)

    @classmethod
    def said_by(cls, item: Dataset, *, signed: bool) -> Modality:
        """Return what an item, an image or a presentation state says; identity where nothing."""
        slope = decimal(item, "RescaleSlope", 1.0)
        lut = lut_of(item, "ModalityLUTSequence", signed=signed)
        return cls(slope or 1.0, decimal(item, "RescaleIntercept", 0.0), lut)

    def values(self, samples: Array) -> Array:
        """Return modality values as float32 (float64 for stored values beyond 24 bits)."""
        if self.lut is not None:
            return self.lut.looked_up(samples).astype(np.float32)
        wide = samples.dtype.itemsize > 2 and samples.dtype != np.float32
        kind = np.float64 if wide else np.float32
        if self.slope == 1.0 and self.intercept == 0.0:
            return samples.astype(kind)
        with np.errstate(over="ignore", invalid="ignore"):
            return samples.astype(kind) * kind(self.slope) + kind(self.intercept)

    def range_of(self, form: ImageFormat) -> tuple[float, float]:
        """Return the least and the greatest value that stored values of this format can give."""
        if self.lut is not None:
            return 0.0, self.lut.top
        low = -(1 << (form.bits_stored - 1)) if form.signed else 0
        stored = (low, low + (1 << form.bits_stored) - 1)
        first, last = sorted(self.slope * end + self.intercept for end in stored)
        return first, last


@dataclass(frozen=True)
class GrayScale:
    """The whole way of one frame's values: modality, VOI, presentation, inversion."""

    modality: Modality
    voi: Window | Lut
    presentation: Lut | None = None
    inverse: bool = False

    def shades(self, samples: Array) -> Array:
        """Return samples of any shape as shades, uint8."""
        shown = self._shades(samples)
        return 255 - shown if self.inverse else shown

    def _shades(self, samples: Array) -> Array:
        if self._is_one_line:
            slope, intercept = shades.line(self.voi)  # type: ignore[arg-type]
            return shades.affine(
                samples, slope * self.modality.slope, slope * self.modality.intercept + intercept
            )
        return for_every_value(samples, self._one_by_one)

    @property
    def _is_one_line(self) -> bool:
        if self.modality.lut is not None or self.presentation is not None:
            return False
        voi = self.voi
        is_linear = isinstance(voi, Window) and voi.function != "SIGMOID"
        return is_linear and not shades.is_threshold(voi)  # type: ignore[arg-type]

    def _one_by_one(self, samples: Array) -> Array:
        values = self.modality.values(samples)
        if isinstance(self.voi, Lut):
            fractions = self.voi.looked_up(np.nan_to_num(values)) / self.voi.top
        else:
            fractions = shades.fractions(values, self.voi)
        if self.presentation is not None:  # its entries are spread over the whole VOI output
            last = self.presentation.entries.size - 1
            entries = self.presentation.entries[np.rint(fractions * last).astype(np.intp)]
            fractions = entries / self.presentation.top
        return shades.eight_bits(fractions)


def own_voi(ds: Dataset, index: int, modality: Modality) -> Window | Lut | None:
    """Return what the image itself says for frame `index`: its VOI LUT, else its first window."""
    group = functional_group(ds, index, "FrameVOILUTSequence")
    signed = ds.get("PixelRepresentation") == 1 or modality.intercept < 0
    lut = lut_of(group, "VOILUTSequence", signed=signed)
    return lut or next(iter(windows_of(ds, index)), None)


def own_presentation(ds: Dataset) -> Lut | None:
    """Return the image's own Presentation LUT (PS3.3 C.11.4), which few have."""
    return lut_of(ds, "PresentationLUTSequence", signed=False)


def is_inverse(photometric: str, ds: Dataset) -> bool:
    """Return whether low values are white.

    MONOCHROME1 and Presentation LUT Shape INVERSE say the same thing, once (PS3.3 C.8.11.3.1.2,
    C.11.6.1.2): a DX image has both.
    """
    return photometric == "MONOCHROME1" or text(ds, "PresentationLUTShape") == "INVERSE"
