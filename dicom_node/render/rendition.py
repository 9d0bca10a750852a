"""Eight-bit pictures of a frame for people: rendered, thumbnail, and the windows to choose from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset

from dicom_node.render import colours, shades
from dicom_node.render.codecs import Array
from dicom_node.render.image_format import FAULTS, ImageFormat, first_line
from dicom_node.render.pixels import StoredFrame, stored_frame
from dicom_node.render.windows import (
    CT_PRESETS,
    Grays,
    Window,
    spanning_window,
    without_padding,
)
from pacs_common.errors import BadInput, CannotRender, NotAcceptable

_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_MAX_ASPECT = 20.0  # beyond it the spacing is a mistake, not a shape
THUMBNAIL_QUALITY = 80


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


def rendered(ds: Dataset, index: int, options: RenderOptions | None = None) -> bytes:
    """Return frame `index` (from 0) as an eight-bit JPEG or PNG.

    Without a viewport it has one pixel for each stored pixel; with one, pixels are made square.
    Raises CannotRender without decodable pixels, BadInput for nonsense, NotAcceptable for another
    format.
    """
    options = options or RenderOptions()
    _check(options)
    frame = stored_frame(ds, index)
    size = None if options.viewport is None else _fit(frame.form, ds, options.viewport)
    picture = _picture(frame.samples, frame, ds, index, options)
    if options.invert:
        picture = 255 - picture
    return _encoded(_scaled(picture, size), options.format, options.quality)


def thumbnail(ds: Dataset, size: tuple[int, int] = (128, 128), index: int | None = None) -> bytes:
    """Return a small JPEG of frame `index` (the middle one unless given), fitted into `size`.

    The frame is decimated before the window, so the cost is the decoding.
    """
    form = ImageFormat.of(ds)
    index = form.frames // 2 if index is None else index
    options = RenderOptions(viewport=size, quality=THUMBNAIL_QUALITY)
    _check(options)
    frame = stored_frame(ds, index)
    target = _fit(form, ds, size)
    step = max(1, min(form.columns // (2 * target[0]), form.rows // (2 * target[1])))
    samples = frame.samples[step // 2 :: step, step // 2 :: step]
    picture = _picture(samples, frame, ds, index, options)
    return _encoded(_scaled(picture, target), "jpeg", THUMBNAIL_QUALITY)


def default_window(ds: Dataset, index: int = 0) -> tuple[float, float] | None:
    """Return (center, width) of the window a grayscale frame is first shown in; None for colour.

    That is the first window of the frame, or the span of its values where it names none.
    """
    if colours.is_colour(ImageFormat.of(ds).photometric):
        return None
    grays = _grays(ds, index)
    if grays.windows:
        return grays.windows[0].center, grays.windows[0].width
    window = _span(stored_frame(ds, index).samples, ds, grays)
    return window.center, window.width


def window_presets(ds: Dataset, index: int = 0) -> list[dict[str, Any]]:
    """Return the frame's own windows, then those usual for its modality: name, center, width."""
    if colours.is_colour(ImageFormat.of(ds).photometric):
        return []
    own = _grays(ds, index).windows
    found = [
        {"name": window.name or f"window {number}", "center": window.center, "width": window.width}
        for number, window in enumerate(own, start=1)
    ]
    if ds.get("Modality") == "CT":
        found += [{"name": name, "center": c, "width": w} for name, c, w in CT_PRESETS]
    return found


def _check(options: RenderOptions) -> None:
    if options.format not in ("jpeg", "png"):
        raise NotAcceptable(f"pictures are jpeg or png, not {options.format}")
    if not 1 <= options.quality <= 100:
        raise BadInput("quality is from 1 to 100")
    if options.viewport is not None and min(options.viewport) < 1:
        raise BadInput("a viewport has at least one pixel")
    if options.window is not None:
        Window.asked(*options.window)


def _grays(ds: Dataset, index: int) -> Grays:
    try:
        return Grays.of(ds, index)
    except FAULTS as fault:
        raise CannotRender(f"the gray scale cannot be read: {first_line(fault)}") from None


def _picture(
    samples: Array, frame: StoredFrame, ds: Dataset, index: int, options: RenderOptions
) -> Array:
    if colours.is_colour(frame.photometric):
        return colours.rgb(samples, frame, ds)
    if samples.ndim != 2:
        raise CannotRender(f"{frame.photometric} pixels have one sample a pixel")
    picture = _gray_picture(samples, ds, _grays(ds, index), options)
    return 255 - picture if _is_inverse(frame.photometric, ds) else picture


def _gray_picture(samples: Array, ds: Dataset, grays: Grays, options: RenderOptions) -> Array:
    values = grays.modality_values(samples)
    if options.window is not None:
        return shades.windowed(values, Window.asked(*options.window))
    if grays.voi_lut is not None:
        return shades.looked_up(values, grays.voi_lut)
    window = grays.windows[0] if grays.windows else _span(samples, ds, grays)
    return shades.windowed(np.nan_to_num(values) if values.dtype.kind == "f" else values, window)


def _span(samples: Array, ds: Dataset, grays: Grays) -> Window:
    return spanning_window(grays.modality_values(without_padding(samples, ds)))


def _is_inverse(photometric: str, ds: Dataset) -> bool:
    """MONOCHROME1 and Presentation LUT Shape INVERSE say the same thing, once (C.11.6.1.2)."""
    return photometric == "MONOCHROME1" or ds.get("PresentationLUTShape") == "INVERSE"


def _fit(form: ImageFormat, ds: Dataset, viewport: tuple[int, int]) -> tuple[int, int]:
    """Return (width, height) of square pixels that fits into the viewport without enlarging."""
    aspect = _aspect(ds)
    if aspect > 1:
        width, height = float(form.columns), form.rows * aspect
    else:
        width, height = form.columns / aspect, float(form.rows)
    scale = min(1.0, viewport[0] / width, viewport[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _aspect(ds: Dataset) -> float:
    """Return a pixel's height divided by its width (PS3.3 C.7.6.3.1.7), 1.0 where unsaid."""
    for keyword in (*_SPACINGS, "PixelAspectRatio"):
        try:
            down, across = (float(value) for value in ds[keyword].value)
            aspect = down / across
        except FAULTS:
            continue
        if 1 / _MAX_ASPECT <= aspect <= _MAX_ASPECT:
            return aspect
    return 1.0


def _scaled(picture: Array, size: tuple[int, int] | None) -> Array:
    if size is None or size == (picture.shape[1], picture.shape[0]):
        return picture
    how = Image.Resampling.BOX if _shrinks(picture, size) else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize(size, how))


def _shrinks(picture: Array, size: tuple[int, int]) -> bool:
    return size[0] * 2 <= picture.shape[1] and size[1] * 2 <= picture.shape[0]


def _encoded(picture: Array, format_: str, quality: int) -> bytes:
    picture = np.ascontiguousarray(picture)
    try:
        if format_ == "png":
            return bytes(imagecodecs.png_encode(picture, level=1))
        return bytes(imagecodecs.jpeg8_encode(picture, level=quality))
    except FAULTS as fault:
        raise CannotRender(f"the picture cannot be encoded: {first_line(fault)}") from None
