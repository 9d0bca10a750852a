"""What people see: rendered frames, documents, films, thumbnails (PS3.18 8.3.5, 10.4.1.1.3)."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.http import require_GET

from dicom_node.api.guard import allowed
from dicom_node.dicomweb import as_they_are, multipart
from dicom_node.dicomweb.accept import Offer, best
from dicom_node.dicomweb.conditional import not_modified, stamped, tag, unkept
from dicom_node.dicomweb.picture_query import presentation_of, render_options, viewport_of
from dicom_node.dicomweb.picture_targets import Target, targets
from dicom_node.dicomweb.selection import LAYOUT, require_online
from dicom_node.models import Instance
from dicom_node.prepared.images import require_frames
from dicom_node.prepared.moving import Moving
from dicom_node.prepared.pictures import THUMBNAIL_SIDE, Wanted, thumbnail_wanted
from dicom_node.render.encodings import MEDIA_TYPES
from dicom_node.store.layout import THUMBNAIL
from pacs_common.availability import Availability
from pacs_common.errors import BadInput, CannotRender

MAX_AGE_S = 3600
MAX_FRAMES = 1000  # of one answer
_FORMATS = {media_type: format_ for format_, media_type in MEDIA_TYPES.items()}


def draw(
    request: HttpRequest,
    study_uid: str,
    series_uid: str = "",
    sop_uid: str = "",
    numbers: str = "",
) -> HttpResponseBase:
    """Render a frame (the first unless named) as JPEG, PNG or GIF, several ones as multipart.

    Documents and films are answered as they are.
    """
    options = render_options(request, "jpeg")  # nonsense is told before anything is looked up
    found = targets(study_uid, series_uid, sop_uid, numbers, presentation_of(request))
    require_online(_involved(found), request)
    if as_they_are.is_sent_as_it_is(found[0].instance):
        return as_they_are.answer(request, found[0].instance)
    several = len(found) > 1
    if len(found) > MAX_FRAMES:
        raise BadInput(f"an answer has at most {MAX_FRAMES} pictures")
    choice = best(request, [Offer(media_type, several) for media_type in _FORMATS])
    options = render_options(request, _FORMATS[choice.media_type])
    wanted = [Wanted(one.instance, one.number, options, one.state) for one in found]
    if options.format == "gif" and _moves(found):
        return _one(request, Moving(found[0].instance, options))
    if not several:
        return _one(request, wanted[0])
    for instance in {one.instance.uid: one.instance for one in found}.values():
        numbers_of = [one.number or 1 for one in found if one.instance.uid == instance.uid]
        require_frames(instance, numbers_of)  # while it can still be said
    return multipart.response(choice.media_type, _parts(wanted))


def draw_small(
    request: HttpRequest,
    study_uid: str,
    series_uid: str = "",
    sop_uid: str = "",
    numbers: str = "",
) -> HttpResponseBase:
    """Render a thumbnail; an evicted instance still has one, a document or a film has none."""
    best(request, [Offer(MEDIA_TYPES["jpeg"])])
    size, region = viewport_of(request)
    if region is not None:
        raise BadInput("a thumbnail shows the whole image: its viewport is width,height")
    found = targets(study_uid, series_uid, sop_uid, numbers, "")
    if len(found) > 1:
        raise BadInput("one frame makes one thumbnail")
    (target,) = found
    if target.instance.availability != Availability.ONLINE:
        return _kept_at_eviction(request, target)
    if as_they_are.is_sent_as_it_is(target.instance):
        raise CannotRender("this object is a document or a film: it has no thumbnail")
    size = size or (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return _one(request, thumbnail_wanted(target.instance, target.number, size, target.state))


picture = require_GET(allowed("dicomweb")(draw))
small_picture = require_GET(allowed("dicomweb")(draw_small))


def _moves(found: list[Target]) -> bool:
    """Return whether all frames of one image are asked for: none was named, and it has several."""
    first = found[0]
    return first.number is None and first.state is None and (first.instance.frames or 1) > 1


def _involved(found: list[Target]) -> list[Instance]:
    return [one for target in found for one in (target.instance, target.state) if one]


def _one(request: HttpRequest, wanted: Wanted | Moving) -> HttpResponse:
    """Answer one picture, or that the caller has it."""
    etag = tag(wanted.key)
    max_age_s = 0 if wanted.options.annotation else MAX_AGE_S  # a burned-in name may be corrected
    unchanged = not_modified(request, etag, max_age_s=max_age_s)
    if unchanged is not None:
        return unchanged
    made = wanted.made()
    answer = HttpResponse(made.content, content_type=made.media_type, headers=made.facts)
    return stamped(answer, etag, max_age_s=max_age_s) if made.lasts else unkept(answer)


def _parts(wanted: list[Wanted]) -> Iterator[multipart.Part]:
    for one in wanted:
        made = one.made()
        yield multipart.Part(made.media_type, [made.content])


def _kept_at_eviction(request: HttpRequest, target: Target) -> HttpResponse:
    instance = target.instance
    kept = LAYOUT.object(instance.hour, instance.uid, THUMBNAIL)
    try:
        content = kept.read_bytes()
    except FileNotFoundError:
        raise CannotRender("this object has no picture") from None
    answer = HttpResponse(content, content_type=MEDIA_TYPES["jpeg"])
    answer["X-Picture-Instance"] = instance.uid
    answer["X-Picture-Lossy"] = "1"
    return stamped(answer, tag("kept", instance.received_sha256), max_age_s=MAX_AGE_S)
