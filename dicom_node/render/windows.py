"""Which windows and look-up tables an image names (PS3.3 C.11.1, C.11.2, C.7.6.16.2.9-10)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

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


@dataclass(frozen=True)
class Lut:
    """A look-up table of PS3.3 C.11.1.1 or C.11.2.1.1: entries from `first`, of `bits` bits."""

    first: int
    bits: int
    entries: Array

    def looked_up(self, values: Array) -> Array:
        """Return the entry of each value; those outside the table take its first or last one."""
        last = self.entries.size - 1
        indexes = np.clip(np.rint(values).astype(np.int64) - self.first, 0, last)
        return self.entries[indexes]


@dataclass(frozen=True)
class Grays:
    """How one frame's stored values become modality values and then a picture."""

    slope: float
    intercept: float
    modality_lut: Lut | None
    windows: tuple[Window, ...]
    voi_lut: Lut | None

    @classmethod
    def of(cls, ds: Dataset, index: int) -> Grays:
        """Return what applies to frame `index`: its functional groups, the shared ones, or `ds`."""
        scale = _group(ds, index, "PixelValueTransformationSequence")
        voi = _group(ds, index, "FrameVOILUTSequence")
        slope = _decimal(scale, "RescaleSlope", 1.0)
        signed = ds.get("PixelRepresentation") == 1
        modality_lut = _lut(scale, "ModalityLUTSequence", signed=signed)
        rescaled_signed = signed or _decimal(scale, "RescaleIntercept", 0.0) < 0
        return cls(
            slope=slope if slope != 0 else 1.0,
            intercept=_decimal(scale, "RescaleIntercept", 0.0),
            modality_lut=modality_lut,
            windows=tuple(_windows(voi)),
            voi_lut=_lut(voi, "VOILUTSequence", signed=rescaled_signed),
        )

    def modality_values(self, samples: Array) -> Array:
        """Return the output of the modality LUT as float32 (float64 for values beyond 24 bits)."""
        if self.modality_lut is not None:
            return self.modality_lut.looked_up(samples).astype(np.float32)
        wide = samples.dtype.itemsize > 2 and samples.dtype != np.float32
        kind = np.float64 if wide else np.float32
        if self.slope == 1.0 and self.intercept == 0.0:
            return samples.astype(kind)
        return samples.astype(kind) * kind(self.slope) + kind(self.intercept)


def spanning_window(values: Array) -> Window:
    """Return the window that runs from the least to the greatest of the finite `values`."""
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if finite.size == 0:
        return Window(0.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    if 0 < high - low < 1:
        return Window((low + high) / 2, high - low, "LINEAR_EXACT")
    return Window((low + high + 1) / 2, high - low + 1)


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
    image = samples[(samples < ends[0]) | (samples > ends[1])]
    return image if image.size else samples


def _group(ds: Dataset, index: int, keyword: str) -> Dataset:
    """Return the functional group's item that holds for the frame, or `ds` where there is none."""
    for sequence, item in (
        ("PerFrameFunctionalGroupsSequence", index),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        try:
            return ds[sequence].value[item][keyword].value[0]
        except FAULTS:
            continue
    return ds


def _windows(voi: Dataset) -> Iterator[Window]:
    centers, widths = _decimals(voi, "WindowCenter"), _decimals(voi, "WindowWidth")
    names = [str(name).strip() for name in _values(voi, "WindowCenterWidthExplanation")]
    function = str(voi.get("VOILUTFunction") or "LINEAR").strip().upper()
    if function not in FUNCTIONS:
        function = "LINEAR"
    for number, (center, width) in enumerate(zip(centers, widths, strict=False)):
        name = names[number] if number < len(names) else ""
        window = Window(center, width, function, name)
        if window.is_usable:
            yield window


def _lut(ds: Dataset, keyword: str, *, signed: bool) -> Lut | None:
    try:
        item = ds[keyword].value[0]
        count, first, bits = (int(number) for number in item["LUTDescriptor"].value)
        entries = item["LUTData"].value
    except FAULTS:
        return None
    if isinstance(entries, bytes):
        narrow = len(entries) == (count or 65536)
        entries = np.frombuffer(entries, np.uint8 if narrow else "<u2")
    table = np.asarray(entries).astype(np.uint16)[: count or 65536]
    if table.size == 0 or not 1 <= bits <= 16:
        return None
    first = first - 65536 if signed and first > 32767 else first
    return Lut(first, bits, table)


def _values(ds: Dataset, keyword: str) -> list[object]:
    try:
        value = ds.get(keyword)
    except FAULTS:
        return []
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str | int | float) else list(value)


def _decimals(ds: Dataset, keyword: str) -> list[float]:
    try:
        return [float(value) for value in _values(ds, keyword)]  # type: ignore[arg-type]
    except FAULTS:
        return []


def _decimal(ds: Dataset, keyword: str, default: float) -> float:
    found = _decimals(ds, keyword)
    return found[0] if found and math.isfinite(found[0]) else default
