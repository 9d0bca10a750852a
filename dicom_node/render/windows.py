"""Which windows an image names, and which one shows all of its values (PS3.3 C.11.2)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from dicom_node.render.attributes import decimals, functional_group, text, values
from dicom_node.render.codecs import Array
from dicom_node.render.image_format import FAULTS
from pacs_common.errors import BadInput

FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
CT_PRESETS = (
    ("mediastinum", 40.0, 400.0),
    ("lung", -600.0, 1500.0),
    ("bone", 400.0, 1800.0),
    ("brain", 40.0, 80.0),
    ("abdomen", 60.0, 400.0),
)


@dataclass(frozen=True)
class Window:
    """A window in modality units (Hounsfield for CT) and its function (PS3.3 C.11.2.1.3)."""

    center: float
    width: float
    function: str = "LINEAR"
    name: str = ""

    @property
    def is_usable(self) -> bool:
        """True where the standard allows it: LINEAR from width 1, the others above 0."""
        if self.function not in FUNCTIONS or not math.isfinite(self.center + self.width):
            return False
        return self.width >= 1 if self.function == "LINEAR" else self.width > 0

    @classmethod
    def asked(cls, center: float, width: float, function: str | None) -> Window:
        """Return the window that a caller asks for, or raise BadInput."""
        name = (function or "LINEAR").replace("-", "_").upper()  # PS3.18 writes linear-exact
        try:
            window = cls(float(center), float(width), name)
        except (TypeError, ValueError):
            raise BadInput("a window's center and width are numbers") from None
        if not window.is_usable:
            raise BadInput(f"no window: center {center}, width {width}, {window.function}")
        return window


def windows_of(ds: Dataset, index: int) -> tuple[Window, ...]:
    """Return the usable windows of frame `index`, in their order."""
    return tuple(windows_in(functional_group(ds, index, "FrameVOILUTSequence")))


def windows_in(voi: Dataset) -> Iterator[Window]:
    """Yield the usable windows that an item (or a whole image) names."""
    centers, widths = decimals(voi, "WindowCenter"), decimals(voi, "WindowWidth")
    names = [str(name).strip() for name in values(voi, "WindowCenterWidthExplanation")]
    function = text(voi, "VOILUTFunction")
    if function not in FUNCTIONS:
        function = "LINEAR"
    for number, (center, width) in enumerate(zip(centers, widths, strict=False)):
        name = names[number] if number < len(names) else ""
        window = Window(center, width, function, name)
        if window.is_usable:
            yield window


def ends_of(values: Array) -> tuple[float, float] | None:
    """Return the least and the greatest of the finite `values`, None where there are none."""
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return (float(finite.min()), float(finite.max())) if finite.size else None


def spanning(low: float, high: float) -> Window:
    """Return the window in which `low` is black and `high` is white."""
    if 0 < high - low < 1:
        return Window((low + high) / 2, high - low, "LINEAR_EXACT")
    return Window((low + high + 1) / 2, high - low + 1)


def spanning_window(values: Array) -> Window:
    """Return the window that runs from the least to the greatest of the finite `values`."""
    ends = ends_of(values)
    return Window(0.0, 1.0) if ends is None else spanning(*ends)


def without_padding(samples: Array, ds: Dataset) -> Array:
    """Return the samples that are no padding (Pixel Padding Value and Range Limit, C.7.5.1.1.2)."""
    try:
        value = ds.get("PixelPaddingValue")
        if value is None:
            return samples
        limit = ds.get("PixelPaddingRangeLimit")
        ends = sorted((int(value), int(value if limit is None else limit)))
    except FAULTS:
        return samples
    if samples.dtype.kind == "i":  # the VR may have been read as unsigned
        ends = sorted(end - 65536 if end > 32767 else end for end in ends)
    image = samples[(samples < ends[0]) | (samples > ends[1])]
    return image if image.size else samples
