"""Eight-bit pictures of a frame for people: rendered, thumbnail, and the windows to choose from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from dicom_node.render import colours
from dicom_node.render.annotations import annotated
from dicom_node.render.attributes import functional_group, text
from dicom_node.render.codecs import Array
from dicom_node.render.encodings import encoded, is_lossy
from dicom_node.render.graphics import Canvas
from dicom_node.render.grayscale import (
    GrayScale,
    Modality,
    is_inverse,
    own_presentation,
    own_voi,
)
from dicom_node.render.image_format import FAULTS, ImageFormat, first_line
from dicom_node.render.overlays import drawn_overlays
from dicom_node.render.pixels import StoredFrame, stored_frame
from dicom_node.render.placement import MAX_SIDE, Placement, Region, aspect_of
from dicom_node.render.presentation import PresentationState
from dicom_node.render.shutters import shutter_of
from dicom_node.render.windows import (
    CT_PRESETS,
    Window,
    ends_of,
    spanning,
    windows_of,
    without_padding,
)
from pacs_common.errors import BadInput, CannotRender, NotAcceptable

THUMBNAIL_QUALITY = 80
_FORMATS = ("jpeg", "png", "gif")
Mask = tuple[Array, int]  # on the grid of the image; the shade that it has there


@dataclass(frozen=True)
class RenderOptions:
    """What a caller asks of a picture (PS3.18 8.3.5): all of it optional."""

    window: tuple[float, float, str | None] | None = None
    """(center, width, function) in modality units; function LINEAR, LINEAR_EXACT or SIGMOID."""
    viewport: tuple[int, int] | None = None
    """(width, height) in pixels to fit into: scaled down at need, never up."""
    quality: int = 90
    format: str = "jpeg"
    invert: bool = False
    region: Region | None = None
    """The part that is shown, in pixels of the image (or of what a state displays)."""
    annotation: tuple[str, ...] = ()
    """What is written onto the picture: "patient", "technique"."""
    span: tuple[float, float] | None = None
    """The modality values (lowest, highest) of the series, for images that name no window."""
    overlays: bool = True


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame as shades or RGB (uint8) and what was done to it."""

    shades: Array
    source: tuple[int, int]
    """Columns and rows of the image."""
    window: Window | None
    """The window that was applied, None for colours and look-up tables."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.shades.shape[1], self.shades.shape[0]

    def file(self, options: RenderOptions) -> bytes:
        """Return the picture in the format and quality that a caller asks for."""
        return encoded(self.shades, options.format, options.quality)

    def is_lossy_as(self, format_: str) -> bool:
        """Return whether that format changes the picture."""
        return is_lossy(format_, self.shades)


def rendered(ds: Dataset, index: int, options: RenderOptions | None = None) -> bytes:
    """Return frame `index` (from 0) as an eight-bit JPEG, PNG or GIF.

    Without a viewport it has one pixel for each stored pixel; with one, pixels are made square.
    Raises CannotRender without decodable pixels, BadInput for nonsense, NotAcceptable for another
    format.
    """
    options = options or RenderOptions()
    return picture(ds, index, options).file(options)


def thumbnail(
    ds: Dataset,
    size: tuple[int, int] = (128, 128),
    index: int | None = None,
    span: tuple[float, float] | None = None,
) -> bytes:
    """Return a small JPEG of frame `index` (the middle one unless given), fitted into `size`.

    `span` is that of the series (see RenderOptions). The frame is decimated before the window, so
    the cost is the decoding; overlays would not be readable and are left out.
    """
    index = ImageFormat.of(ds).frames // 2 if index is None else index
    options = RenderOptions(viewport=size, quality=THUMBNAIL_QUALITY, span=span, overlays=False)
    return rendered(ds, index, options)


def picture(
    ds: Dataset,
    index: int,
    options: RenderOptions,
    state: PresentationState | None = None,
    frame: StoredFrame | None = None,
) -> Picture:
    """Return frame `index` (from 0) as it is asked for, or as a presentation state shows it.

    `frame` is that frame where it is decoded already; then `ds` needs no pixels.
    """
    check(options)
    frame = frame or stored_frame(ds, index)
    try:
        return _picture(frame, ds, index, options, state)
    except FAULTS as fault:
        raise CannotRender(f"the picture cannot be made: {first_line(fault)}") from None


def check(options: RenderOptions) -> None:
    """Raise BadInput, or NotAcceptable for a format, where options make no sense."""
    if options.format not in _FORMATS:
        raise NotAcceptable(f"pictures are jpeg, png or gif, not {options.format}")
    if not 1 <= options.quality <= 100:
        raise BadInput("quality is from 1 to 100")
    if options.viewport is not None and min(options.viewport) < 1:
        raise BadInput("a viewport has at least one pixel")
    if options.window is not None:
        Window.asked(*options.window)


def default_window(ds: Dataset, index: int = 0) -> tuple[float, float] | None:
    """Return (center, width) of the window a grayscale frame is first shown in; None for colour.

    That is the first window of the frame, or the span of its values where it names none.
    """
    if colours.is_colour(ImageFormat.of(ds).photometric):
        return None
    found = _fallible_windows(ds, index)
    window = found[0] if found else spanning(*(span_of(ds, stored_frame(ds, index), index)))
    return window.center, window.width


def window_presets(ds: Dataset, index: int = 0) -> list[dict[str, Any]]:
    """Return the frame's own windows, then those usual for its modality: name, center, width."""
    if colours.is_colour(ImageFormat.of(ds).photometric):
        return []
    own = _fallible_windows(ds, index)
    found = [
        {"name": window.name or f"window {number}", "center": window.center, "width": window.width}
        for number, window in enumerate(own, start=1)
    ]
    if ds.get("Modality") == "CT":
        found += [{"name": name, "center": c, "width": w} for name, c, w in CT_PRESETS]
    return found


def span_of(ds: Dataset, frame: StoredFrame, index: int) -> tuple[float, float]:
    """Return the least and the greatest modality value of a frame, its padding left out."""
    modality = Modality.of(ds, index)
    samples = without_padding(frame.samples, ds)
    if modality.lut is not None:
        return ends_of(modality.lut.looked_up(samples)) or (0.0, 0.0)
    ends = ends_of(samples) or (0.0, 0.0)
    low, high = sorted(modality.slope * end + modality.intercept for end in ends)
    return low, high


def names_no_window(ds: Dataset, index: int) -> bool:
    """Return whether a grayscale frame leaves it to others in which window it is seen."""
    if colours.is_colour(text(ds, "PhotometricInterpretation") or "MONOCHROME2"):
        return False
    return own_voi(ds, index, Modality.of(ds, index)) is None


def _fallible_windows(ds: Dataset, index: int) -> tuple[Window, ...]:
    try:
        return windows_of(ds, index)
    except FAULTS as fault:
        raise CannotRender(f"the windows cannot be read: {first_line(fault)}") from None


def _picture(
    frame: StoredFrame,
    ds: Dataset,
    index: int,
    options: RenderOptions,
    state: PresentationState | None,
) -> Picture:
    form = frame.form
    placement = _placement(form, ds, options, state)
    gray = _gray_scale(frame, ds, index, options, state)
    masks = list(_masks(frame, ds, index, options, state))
    part = placement.cut(frame.samples)
    step = 1 if masks or placement.reaches_beyond else _step(part, placement.size)
    shades = _shades(part[step // 2 :: step, step // 2 :: step], frame, ds, gray)
    shades = 255 - shades if options.invert else shades
    if masks:
        shades = np.array(shades)
    for mask, shade in masks:
        shades[placement.cut(mask)] = shade
    shades = placement.finished(shades)
    if state is not None:
        canvas = Canvas(shades, placement)
        state.draw(canvas)
        shades = canvas.picture
    window = gray.voi if gray is not None and isinstance(gray.voi, Window) else None
    shades = annotated(shades, ds, index, options.annotation, window)
    return Picture(shades, (form.columns, form.rows), window)


def _placement(
    form: ImageFormat, ds: Dataset, options: RenderOptions, state: PresentationState | None
) -> Placement:
    """Return where the image goes: as it is, or into a viewport; a state has square pixels."""
    if state is None:
        placement, aspect, most = Placement.whole(form.columns, form.rows), aspect_of(ds), 1.0
    else:
        placement, aspect, most = state.placement(form, ds)
    if options.region is not None:
        placement = placement.cropped(options.region)
    if options.viewport is not None or state is not None:
        return placement.fitted(options.viewport or (MAX_SIDE, MAX_SIDE), aspect, most)
    return replace(placement, size=placement.area_size)


def _gray_scale(
    frame: StoredFrame,
    ds: Dataset,
    index: int,
    options: RenderOptions,
    state: PresentationState | None,
) -> GrayScale | None:
    """Return the gray scale of a frame, None where it has colours."""
    asked = None if options.window is None else Window.asked(*options.window)
    if state is not None:
        return state.gray_scale(frame.form, asked)
    if colours.is_colour(frame.photometric):
        return None
    modality = Modality.of(ds, index)
    voi = asked or own_voi(ds, index, modality)
    if voi is None:
        voi = spanning(*(options.span or span_of(ds, frame, index)))
    return GrayScale(modality, voi, own_presentation(ds), is_inverse(frame.photometric, ds))


def _masks(
    frame: StoredFrame,
    ds: Dataset,
    index: int,
    options: RenderOptions,
    state: PresentationState | None,
) -> Iterator[Mask]:
    """Yield what covers pixels: the shutter, then overlays (PS3.4 N.2)."""
    source = functional_group(ds, index, "FrameDisplayShutterSequence")
    shutter = shutter_of(source, frame) if state is None else state.shutter(frame)
    if shutter is not None:
        yield shutter.mask, shutter.shade
    if state is not None:
        yield from state.overlays(ds, frame)
    elif options.overlays:
        for plane in drawn_overlays(ds, index, frame):
            yield plane.drawn, 255


def _shades(samples: Array, frame: StoredFrame, ds: Dataset, gray: GrayScale | None) -> Array:
    if gray is None:
        return colours.rgb(samples, frame, ds)
    if samples.ndim != 2:
        raise CannotRender(f"{frame.photometric} pixels have one sample a pixel")
    return gray.shades(samples)


def _step(part: Array, size: tuple[int, int]) -> int:
    """Return how many pixels may be passed over before a picture is made half as small again."""
    return max(1, min(part.shape[1] // (2 * size[0]), part.shape[0] // (2 * size[1])))
