"""WADO-RS: frames of one instance, raw, as stored, or lossless (PS3.18 10.4.1.1.6).

A stored or kept frame is a range of a file: it is sent from there, by sendfile or by the web
server in front, and the object is not parsed.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.http import require_GET
from pydicom.dataset import Dataset

from dicom_node.api.guard import allowed
from dicom_node.config import CONFIG
from dicom_node.dicomweb import multipart
from dicom_node.dicomweb.accept import ANY, ANYTHING, Accepted, ranges_of, told_by
from dicom_node.dicomweb.selection import parents
from dicom_node.index import wanted
from dicom_node.index.values import is_number
from dicom_node.prepared import kept
from dicom_node.prepared.frames import (
    CODESTREAMS,
    OCTETS,
    RAW,
    Frame,
    Located,
    Source,
    content_type_of,
    located,
)
from dicom_node.render.image_format import NATIVE
from dicom_node.render.pixels import frame_count
from dicom_node.render.transcode import COMPRESSED
from pacs_common.availability import Availability
from pacs_common.errors import BadInput, CannotRender, NotAcceptable, NotFound

_OFFERS_REMEMBERED = 256
Offer = tuple[str, str, bool]  # media type, transfer syntax, as multipart


@require_GET
@allowed("dicomweb")
def frames(
    request: HttpRequest, study_uid: str, series_uid: str, sop_uid: str, numbers: str
) -> HttpResponseBase:
    """Retrieve frames (from 1), as stored or transcoded without loss."""
    asked = frame_numbers(numbers)
    keys = parents(study_uid, series_uid, sop_uid)
    image = located(*keys.values())
    if image is None:
        raise NotFound(f"{sop_uid} is not here")
    offers = _offered(*told_by(request), image.transfer_syntax, len(asked) > 1)
    if not offers:
        raise NotAcceptable(
            "frames are served raw, as stored, or losslessly compressed; several of them as "
            "multipart/related only"
        )
    _require_online(image, study_uid, request)
    source = Source(image)
    indexes = _indexes(asked, source.count)
    (media_type, syntax, is_multipart), first = _first_frame(source, indexes[0], offers)
    if len(indexes) > 1:
        parts = _parts(source, content_type_of(syntax, media_type), syntax, first, indexes[1:])
        return multipart.response(media_type, parts)
    return (_multipart if is_multipart else _single)(media_type, syntax, first)


def frame_numbers(text: str) -> list[int]:
    """Return the numbers (from 1) of a frame list; raises BadInput."""
    numbers = text.replace("%2C", ",").split(",")
    if not all(is_number(number) and len(number) < 9 and int(number) for number in numbers):
        raise BadInput(f"{text[:60]!r} is not a list of frame numbers, which begin at 1")
    return [int(number) for number in numbers]


def frame_indexes(numbers: Sequence[int], ds: Dataset) -> list[int]:
    """Return the indexes (from 0) of frame numbers; raises NotFound beyond the last."""
    return _indexes(numbers, frame_count(ds))


def _indexes(numbers: Sequence[int], count: int) -> list[int]:
    if max(numbers) > count:
        raise NotFound(f"the image has frames 1 to {count}")
    return [number - 1 for number in numbers]


def _require_online(image: Located, study_uid: str, request: HttpRequest) -> None:
    """Raise NotOnline, and ask for the recall, unless the image's bytes are here."""
    if image.availability != Availability.ONLINE:
        wanted.ask_for([study_uid], f"WADO-RS by {request.ticket.subject}")
        raise wanted.not_online([image.availability])
    wanted.note_access([image.study_id])


@lru_cache(_OFFERS_REMEMBERED)
def _offered(text: str, in_query: bool, stored: str, several: bool) -> tuple[Offer, ...]:
    """Return what would please the caller, best first; a viewer says the same each time."""
    return tuple(_offers(ranges_of(text, in_query), stored, several=several))


def _offers(ranges: Iterable[Accepted], stored: str, *, several: bool) -> Iterator[Offer]:
    """Yield what would please the caller, best first (PS3.18 8.7.4)."""
    for choice in ranges:
        is_multipart = choice.multipart or choice.media_type == ANYTHING
        if several and not is_multipart:
            continue
        for media_type, syntax in _offers_of(choice, stored):
            if choice.takes(media_type, syntax) or (syntax == RAW and stored in NATIVE):
                yield media_type, syntax, is_multipart


def _offers_of(choice: Accepted, stored: str) -> Iterator[tuple[str, str]]:
    """Yield media types and syntaxes; one that cannot hold the pixels is left out by its making."""
    own = RAW if stored in NATIVE else stored
    asked = own if choice.transfer_syntax in (ANY, stored) else choice.transfer_syntax
    if choice.takes(OCTETS):
        if asked is None or asked in (own, RAW, *COMPRESSED):
            yield OCTETS, asked or RAW
        if choice.transfer_syntax == ANY:
            yield OCTETS, RAW
    for media_type, syntaxes in CODESTREAMS.items():
        if not choice.takes(media_type):
            continue
        if asked in syntaxes and asked in (own, *COMPRESSED):
            yield media_type, asked
        elif choice.transfer_syntax in (None, ANY):
            if syntaxes[0] in COMPRESSED:
                yield media_type, syntaxes[0]
            if own in syntaxes:
                yield media_type, own


def _first_frame(source: Source, index: int, offers: Sequence[Offer]) -> tuple[Offer, Frame]:
    """Return the first offer that the frame can be made into, and that frame."""
    *others, last = offers
    for offer in others:
        try:
            return offer, source.frame(index, offer[1])
        except (NotAcceptable, CannotRender):
            continue
    return last, source.frame(index, last[1])


def _single(media_type: str, syntax: str, frame: Frame) -> HttpResponseBase:
    content_type = content_type_of(syntax, media_type)
    window = frame.window()
    if window is None:
        return HttpResponse(frame.read(), content_type=content_type)
    answer = FileResponse(window, content_type=content_type)
    answer["Content-Length"] = str(window.size_bytes)
    return answer


def _multipart(media_type: str, syntax: str, frame: Frame) -> HttpResponseBase:
    """Answer one frame as multipart: the file that is its whole answer, where there is one."""
    content_type = content_type_of(syntax, media_type)
    whole = frame.kept if content_type == content_type_of(syntax) else None
    boundary = whole.boundary if whole else f"argens-{secrets.token_hex(16)}"
    if whole and CONFIG.accel_prefix:
        frame.close()
        answer = HttpResponse()
        place = whole.path.relative_to(kept.FRAMES.root).as_posix()
        answer["X-Accel-Redirect"] = CONFIG.accel_prefix + place
    elif whole:
        answer = FileResponse(frame.whole_answer())
        answer["Content-Length"] = str(whole.size_bytes)
    else:
        answer = multipart.Pieces(kept.enveloped(boundary, content_type, frame.read()))
    answer["Content-Type"] = f'multipart/related; type="{media_type}"; boundary={boundary}'
    return answer


def _parts(
    source: Source, content_type: str, syntax: str, first: Frame, rest: Sequence[int]
) -> Iterator[multipart.Part]:
    yield multipart.Part(content_type, [first.read()])
    for index in rest:
        yield multipart.Part(content_type, [source.frame(index, syntax).read()])
