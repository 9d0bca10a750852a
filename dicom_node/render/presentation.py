"""Grayscale softcopy presentation states: how somebody wanted an image to be seen (PS3.3 A.33.1).

What the state says replaces what the image says, as PS3.4 N.2 orders it; what the state does not
say is not done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset

from dicom_node.render.attributes import decimal, decimals, items, text
from dicom_node.render.codecs import Array
from dicom_node.render.graphics import Canvas
from dicom_node.render.grayscale import GrayScale, Modality
from dicom_node.render.image_format import ImageFormat
from dicom_node.render.overlays import groups_of, layer_of, overlay
from dicom_node.render.pixels import StoredFrame
from dicom_node.render.placement import MAX_SIDE, Placement, aspect_of, ratio
from dicom_node.render.shutters import Shutter, shade_of, shutter_of
from dicom_node.render.tables import Lut, lut_of
from dicom_node.render.windows import Window, spanning, windows_in
from pacs_common.errors import BadInput, CannotRender, NotAcceptable

GRAYSCALE_STATE = "1.2.840.10008.5.1.4.1.1.11.1"
_STATES = "1.2.840.10008.5.1.4.1.1.11."
_MAX_MAGNIFICATION = 16.0


def is_state(sop_class_uid: str) -> bool:
    """Return whether a SOP Class is one of the presentation states, of whatever kind."""
    return sop_class_uid.startswith(_STATES)


@dataclass(frozen=True)
class Reference:
    """An image that a state is for, and the numbers of the frames (from 1; none means all)."""

    series_uid: str
    sop_uid: str
    frames: tuple[int, ...]


def references(ds: Dataset) -> list[Reference]:
    """Return the images of a presentation state in its order; NotAcceptable for other kinds."""
    if str(ds.get("SOPClassUID") or "") != GRAYSCALE_STATE:
        raise NotAcceptable(
            "of presentation states the grayscale softcopy ones are shown, not colour or blending"
        )
    return [
        Reference(
            str(series.get("SeriesInstanceUID") or ""),
            str(image.get("ReferencedSOPInstanceUID") or ""),
            _frame_numbers(image),
        )
        for series in items(ds, "ReferencedSeriesSequence")
        for image in items(series, "ReferencedImageSequence")
    ]


@dataclass(frozen=True, eq=False)
class PresentationState:
    """What a state says of one frame of one image."""

    ds: Dataset
    image_uid: str
    frame_number: int

    @classmethod
    def of(cls, ds: Dataset, image_uid: str, index: int) -> PresentationState:
        """Return the state for frame `index` (from 0); BadInput where it is for another image."""
        number = index + 1
        for reference in references(ds):
            if reference.sop_uid == image_uid and number in (reference.frames or (number,)):
                return cls(ds, image_uid, number)
        raise BadInput("the presentation state is not for this image or frame")

    @property
    def uid(self) -> str:
        """The state's SOP Instance UID."""
        return str(self.ds.get("SOPInstanceUID") or "")

    def gray_scale(self, form: ImageFormat, asked: Window | None) -> GrayScale:
        """Return the gray scale; a window that a caller asks for stands in the state's place."""
        if form.samples > 1 or not form.photometric.startswith("MONOCHROME"):
            raise CannotRender("a grayscale presentation state does not fit colour pixels")
        modality = Modality.said_by(self.ds, signed=form.signed)
        voi = asked or self._voi(modality, form.signed) or spanning(*modality.range_of(form))
        lut = lut_of(self.ds, "PresentationLUTSequence", signed=False)
        # the image's own MONOCHROME1 does not count beside a state (PS3.4 N.2.1)
        return GrayScale(modality, voi, lut, text(self.ds, "PresentationLUTShape") == "INVERSE")

    def placement(self, form: ImageFormat, image: Dataset) -> tuple[Placement, float, float]:
        """Return where the image goes, the pixels' aspect, and how far it may be enlarged."""
        turns = int(decimal(self.ds, "ImageRotation", 0)) // 90 % 4
        mirrored = text(self.ds, "ImageHorizontalFlip") == "Y"
        turned = (form.rows, form.columns) if turns % 2 else (form.columns, form.rows)
        whole = Placement(form.columns, form.rows, (0, 0, *turned), turned, turns, mirrored)
        for item in self._mine("DisplayedAreaSelectionSequence"):
            aspect = ratio(decimals(item, "PresentationPixelSpacing"))
            aspect = aspect or ratio(decimals(item, "PresentationPixelAspectRatio"))
            magnified = text(item, "PresentationSizeMode") == "MAGNIFY"
            most = decimal(item, "PresentationPixelMagnificationRatio", 1.0) if magnified else 1.0
            most = min(max(most, 1.0), _MAX_MAGNIFICATION)
            return _displayed(whole, item), aspect or aspect_of(image), most
        return whole, aspect_of(image), 1.0

    def shutter(self, frame: StoredFrame) -> Shutter | None:
        """Return what the state covers."""
        return shutter_of(self.ds, frame)

    def overlays(self, image: Dataset, frame: StoredFrame) -> Iterator[tuple[Array, int]]:
        """Yield mask and shade of each overlay that a layer shows, in the layers' order."""
        layers = self._layers()
        shown = [(layer_of(self.ds, group), group) for group in _activated(self.ds)]
        for name, group in sorted(shown, key=lambda one: layers.get(one[0], (0, 255))[0]):
            source = self.ds if group in groups_of(self.ds) else image
            plane = overlay(source, group, self.frame_number - 1, frame)
            if name in layers and plane is not None:
                yield plane.drawn, layers[name][1]

    def draw(self, canvas: Canvas) -> None:
        """Draw the graphic annotations of this frame, layer by layer."""
        layers = self._layers()
        annotations = [
            (layers.get(str(item.get("GraphicLayer") or "").strip(), (0, 255)), item)
            for item in self._mine("GraphicAnnotationSequence")
        ]
        for (_order, shade), item in sorted(annotations, key=lambda one: one[0][0]):
            for graphic in items(item, "GraphicObjectSequence"):
                canvas.graphic(graphic, shade)
            for words in items(item, "TextObjectSequence"):
                canvas.text_object(words, shade)

    def _voi(self, modality: Modality, signed: bool) -> Window | Lut | None:
        for item in self._mine("SoftcopyVOILUTSequence"):
            below_zero = signed or modality.intercept < 0
            lut = lut_of(item, "VOILUTSequence", signed=below_zero and modality.lut is None)
            return lut or next(windows_in(item), None)
        return None

    def _layers(self) -> dict[str, tuple[int, int]]:
        """Return order and shade of each graphic layer."""
        return {
            str(item.get("GraphicLayer") or "").strip(): (
                int(decimal(item, "GraphicLayerOrder", 0)),
                _layer_shade(item),
            )
            for item in items(self.ds, "GraphicLayerSequence")
        }

    def _mine(self, keyword: str) -> Iterator[Dataset]:
        """Yield the items of a sequence that are for this frame."""
        for item in items(self.ds, keyword):
            images = items(item, "ReferencedImageSequence")
            if not images or any(self._is_mine(image) for image in images):
                yield item

    def _is_mine(self, image: Dataset) -> bool:
        numbers = _frame_numbers(image)
        is_image = str(image.get("ReferencedSOPInstanceUID") or "") == self.image_uid
        return is_image and (not numbers or self.frame_number in numbers)


def _frame_numbers(image: Dataset) -> tuple[int, ...]:
    return tuple(int(number) for number in decimals(image, "ReferencedFrameNumber"))


def _layer_shade(item: Dataset) -> int:
    lab = decimals(item, "GraphicLayerRecommendedDisplayCIELabValue")
    lightness = round(min(max(lab[0], 0), 65535) / 257) if lab else 255
    return shade_of(item, "GraphicLayerRecommendedDisplayGrayscaleValue", lightness)


def _activated(ds: Dataset) -> list[int]:
    groups = {tag.group for tag in ds.keys() if tag.group >> 8 == 0x60 and tag.element == 0x1001}
    return sorted(groups)


def _displayed(whole: Placement, item: Dataset) -> Placement:
    """Return the placement of a displayed area: corners in image pixels from 1 (C.10.4)."""
    corners = [
        decimals(item, keyword)
        for keyword in ("DisplayedAreaTopLeftHandCorner", "DisplayedAreaBottomRightHandCorner")
    ]
    if any(len(corner) != 2 for corner in corners):
        return whole
    (x1, y1), (x2, y2) = corners
    left, right = sorted((x1, x2))
    top, bottom = sorted((y1, y2))
    ends = [whole.point(left - 1, top - 1), whole.point(right, bottom)]
    xs, ys = zip(*ends, strict=True)
    area = int(min(xs)), int(min(ys)), int(max(xs)), int(max(ys))
    size = area[2] - area[0], area[3] - area[1]
    if min(size) < 1 or max(size) > 2 * MAX_SIDE or max(map(abs, area)) > 1 << 20:
        raise CannotRender("the displayed area of the presentation state makes no picture")
    return Placement(
        whole.columns, whole.rows, area, size, turns=whole.turns, mirrored=whole.mirrored
    )
