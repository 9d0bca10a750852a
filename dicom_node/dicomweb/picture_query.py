"""What a caller asks of a picture in the query of its address (PS3.18 8.3.5)."""

from __future__ import annotations

import re

from django.http import HttpRequest

from dicom_node.index.values import is_number
from dicom_node.render.annotations import KINDS
from dicom_node.render.placement import MAX_SIDE, Region
from dicom_node.render.rendition import RenderOptions
from dicom_node.render.windows import FUNCTIONS
from pacs_common.errors import BadInput, NotAcceptable

_OFFSET = re.compile(r"-?[0-9]{1,6}(?:\.[0-9]{0,9})?\Z")
_PROFILES = ("yes", "srgb", "adobergb", "rommrgb", "displayp3")


def render_options(request: HttpRequest, format_: str) -> RenderOptions:
    """Return what the query asks for; raises BadInput with one line."""
    refuse_profiles(request)
    viewport, region = viewport_of(request)
    return RenderOptions(
        window=window_of(request),
        viewport=viewport,
        quality=_quality(request),
        format=format_,
        region=region,
        annotation=_annotation(request),
    )


def window_of(request: HttpRequest) -> tuple[float, float, str] | None:
    """Return the window asked for: `window=center,width[,function]` (8.3.5.1.4)."""
    text = request.GET.get("window")
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    function = parts[2].upper().replace("-", "_") if len(parts) > 2 else "LINEAR"
    try:
        center, width = (float(part) for part in parts[:2])
    except ValueError:
        raise BadInput("window is center,width[,function]") from None
    is_sane = abs(center) < 1e9 and 0 < width < 1e9 and len(parts) <= 3
    if function == "LINEAR" and is_sane:
        is_sane = width >= 1
    if not is_sane or function not in FUNCTIONS:
        raise BadInput(f"window {text[:60]!r} cannot be used")
    return center, width, function


def viewport_of(request: HttpRequest) -> tuple[tuple[int, int] | None, Region | None]:
    """Return the viewport, and the region that is shown in it, if any (8.3.5.1.3).

    `viewport=vw,vh[,sx,sy,sw,sh]`; of the last four each may be empty, and a negative sw or sh
    flips the picture.
    """
    text = request.GET.get("viewport")
    if text is None:
        return None, None
    sides, region = (text.split(",") + [""] * 4)[:2], text.split(",")[2:]
    if len(sides) != 2 or not all(map(_is_side, sides)) or len(region) not in (0, 4):
        raise BadInput(
            f"viewport is width,height[,sx,sy,sw,sh], width and height from 1 to {MAX_SIDE}"
        )
    size = int(sides[0]), int(sides[1])
    return size, _region(region) if any(part.strip() for part in region) else None


def presentation_of(request: HttpRequest) -> str:
    """Return the SOP Instance UID of the presentation state asked for, "" for none."""
    return request.GET.get("presentation", "").strip()


def refuse_profiles(request: HttpRequest) -> None:
    """Raise NotAcceptable where a colour profile is asked for: they are not applied (8.3.5.1.5)."""
    asked = request.GET.get("iccprofile", "no").strip().lower()
    if asked in _PROFILES:
        raise NotAcceptable("pictures carry no ICC profile: iccprofile=no is what there is")
    if asked != "no":
        raise BadInput(f"iccprofile {asked[:60]!r} is not known")


def _region(parts: list[str]) -> Region:
    numbers = [_pixels(part.strip()) for part in parts]
    left, top, width, height = numbers
    if min(left or 0, top or 0) < 0:
        raise BadInput("a viewport's sx and sy are 0 or more")
    if width == 0 or height == 0:
        raise BadInput("a viewport's sw and sh are not 0")
    return Region(left, top, width, height)


def _pixels(text: str) -> int | None:
    if not text:
        return None
    if not _OFFSET.match(text):
        raise BadInput("a viewport's sx, sy, sw and sh are numbers of pixels")
    return round(float(text))


def _is_side(text: str) -> bool:
    return is_number(text) and len(text) < 6 and 0 < int(text) <= MAX_SIDE


def _quality(request: HttpRequest) -> int:
    text = request.GET.get("quality", "90")
    if not is_number(text) or len(text) > 3 or not 1 <= int(text) <= 100:
        raise BadInput("quality is a number from 1 to 100")
    return int(text)


def _annotation(request: HttpRequest) -> tuple[str, ...]:
    """Return what is burned into the picture, in our order, each once (8.3.5.1.1)."""
    text = request.GET.get("annotation")
    if text is None:
        return ()
    asked = {part.strip().lower() for part in text.split(",")}
    if not asked <= set(KINDS):
        raise BadInput(f"annotation is {' or '.join(KINDS)}, or both")
    return tuple(kind for kind in KINDS if kind in asked)
