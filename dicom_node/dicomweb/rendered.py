"""Pictures for a browser: rendered frames and thumbnails (PS3.18 8.3.5, 10.4.1.1.3)."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_GET

from dicom_node.api.guard import allowed
from dicom_node.config import CONFIG
from dicom_node.dicomweb.accept import Accepted, accepted
from dicom_node.dicomweb.frames import frame_indexes, frame_numbers
from dicom_node.dicomweb.selection import LAYOUT, read_object, require_online, selected
from dicom_node.index.attributes import is_number
from dicom_node.models import Instance
from dicom_node.render.cache import RenditionCache
from dicom_node.render.rendition import RenderOptions, rendered, thumbnail
from dicom_node.store.layout import THUMBNAIL
from pacs_common.availability import Availability
from pacs_common.errors import BadInput, CannotRender, NotAcceptable

CACHE = RenditionCache(LAYOUT.renditions, CONFIG.rendition_cache_bytes)
CACHED_S = 3600
MAX_SIDE = 8192
THUMBNAIL_SIDE = 128
_FUNCTIONS = {"LINEAR", "LINEAR_EXACT", "SIGMOID"}
_FORMATS = {"image/jpeg": "jpeg", "image/png": "png"}


@require_GET
@allowed("dicomweb")
def picture(
    request: HttpRequest,
    study_uid: str,
    series_uid: str = "",
    sop_uid: str = "",
    numbers: str = "",
) -> HttpResponse:
    """Render a frame (the first unless named) as JPEG or PNG."""
    options, frame = _options(request), _frame(numbers)
    instance = _representative(selected(study_uid, series_uid, sop_uid))
    require_online([instance], request)

    def make() -> bytes:
        ds = read_object(instance)
        return rendered(ds, frame_indexes([frame or 1], ds)[0], options)

    return _image(_cached(instance, f"rendered/{frame or 1}/{options}", make), options.format)


@require_GET
@allowed("dicomweb")
def small_picture(
    request: HttpRequest,
    study_uid: str,
    series_uid: str = "",
    sop_uid: str = "",
    numbers: str = "",
) -> HttpResponse:
    """Render a thumbnail; an evicted instance still has one."""
    if not any(_takes(range_, "image/jpeg") for range_ in accepted(request)):
        raise NotAcceptable("thumbnails are served as image/jpeg")
    size, frame = _viewport(request) or (THUMBNAIL_SIDE, THUMBNAIL_SIDE), _frame(numbers)
    instance = _representative(selected(study_uid, series_uid, sop_uid))
    if instance.availability != Availability.ONLINE:
        kept = LAYOUT.object(instance.hour, instance.uid, THUMBNAIL)
        if not kept.exists():
            raise CannotRender("this object has no picture")
        return _image(kept.read_bytes(), "jpeg")

    def make() -> bytes:
        ds = read_object(instance)
        return thumbnail(ds, size, frame_indexes([frame], ds)[0] if frame else None)

    return _image(_cached(instance, f"thumbnail/{frame}/{size}", make), "jpeg")


def _frame(numbers: str) -> int | None:
    """Return the number (from 1) of the one frame that an address names, None for none."""
    if not numbers:
        return None
    found = frame_numbers(numbers)
    if len(found) > 1:
        raise BadInput("one frame makes one picture")
    return found[0]


def _representative(found: list[Instance]) -> Instance:
    """Return the middle image of the first series that has images."""
    pictured = [instance for instance in found if instance.rows] or found
    first = [instance for instance in pictured if instance.series_id == pictured[0].series_id]
    return first[len(first) // 2]


def _cached(instance: Instance, what: str, make: Callable[[], bytes]) -> bytes:
    return CACHE.get_or_make(f"{instance.received_sha256}/{what}", make)


def _image(content: bytes, image_format: str) -> HttpResponse:
    answer = HttpResponse(content, content_type=f"image/{image_format}")
    patch_cache_control(answer, private=True, max_age=CACHED_S)
    return answer


def _options(request: HttpRequest) -> RenderOptions:
    for range_ in accepted(request):
        for media_type, name in _FORMATS.items():
            if _takes(range_, media_type):
                return RenderOptions(
                    window=_window(request),
                    viewport=_viewport(request),
                    quality=_quality(request),
                    format=name,
                )
    raise NotAcceptable("pictures are served as image/jpeg or image/png")


def _takes(range_: Accepted, media_type: str) -> bool:
    return range_.takes(media_type) and not range_.multipart


def _window(request: HttpRequest) -> tuple[float, float, str] | None:
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
    if not is_sane or function not in _FUNCTIONS:
        raise BadInput(f"window {text[:60]!r} cannot be used")
    return center, width, function


def _viewport(request: HttpRequest) -> tuple[int, int] | None:
    text = request.GET.get("viewport")
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2 or not all(map(_is_side, parts)):
        raise BadInput(f"viewport is width,height, each from 1 to {MAX_SIDE}")
    return int(parts[0]), int(parts[1])


def _is_side(text: str) -> bool:
    return is_number(text) and len(text) < 6 and 0 < int(text) <= MAX_SIDE


def _quality(request: HttpRequest) -> int:
    text = request.GET.get("quality", "90")
    if not is_number(text) or len(text) > 3 or not 1 <= int(text) <= 100:
        raise BadInput("quality is a number from 1 to 100")
    return int(text)
