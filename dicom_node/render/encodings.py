"""Pictures as files for a browser: JPEG, PNG, GIF."""

from __future__ import annotations

import io
from collections.abc import Sequence

import imagecodecs
import numpy as np
from PIL import Image

from dicom_node.render.codecs import Array
from dicom_node.render.image_format import FAULTS, first_line
from pacs_common.errors import CannotRender, NotAcceptable

MEDIA_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif"}


def encoded(picture: Array, format_: str, quality: int) -> bytes:
    """Return shades (rows, columns) or RGB (rows, columns, 3), uint8, as a file.

    PNG is without loss, and so is a GIF of shades; a GIF of colours has 256 of them.
    """
    picture = np.ascontiguousarray(picture)
    if 1 in picture.shape:  # strides of one row or column may be anything, which encoders refuse
        picture = picture.copy(order="C")
    try:
        if format_ == "png":
            return bytes(imagecodecs.png_encode(picture, level=1))
        if format_ == "jpeg":
            return bytes(imagecodecs.jpeg8_encode(picture, level=quality))
    except FAULTS as fault:
        raise CannotRender(f"the picture cannot be encoded: {first_line(fault)}") from None
    if format_ == "gif":
        return gif([picture], 0.0)
    raise NotAcceptable(f"pictures are jpeg, png or gif, not {format_}")


def gif(pictures: Sequence[Array], frame_s: float) -> bytes:
    """Return pictures as one GIF, each shown for `frame_s` seconds, for ever."""
    first, *rest = (_indexed(picture) for picture in pictures)
    file = io.BytesIO()
    options: dict[str, object] = {}
    if rest:
        duration_ms = max(20, round(frame_s * 1000))  # browsers slow down what is quicker
        options = {"save_all": True, "append_images": rest, "loop": 0, "duration": duration_ms}
    first.save(file, "GIF", optimize=False, **options)
    return file.getvalue()


def is_lossy(format_: str, picture: Array) -> bool:
    """Return whether this encoding changes the picture."""
    return format_ == "jpeg" or (format_ == "gif" and picture.ndim == 3)


def _indexed(picture: Array) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(picture))
    return image if picture.ndim == 2 else image.quantize(256, dither=Image.Dither.NONE)
