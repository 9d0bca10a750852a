"""WADO-RS: frames of one instance, raw, as stored, or as lossless JPEG (PS3.18 10.4.1.1.6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_GET
from pydicom import uid
from pydicom.dataset import Dataset

from dicom_node.api.guard import allowed
from dicom_node.dicomweb import multipart
from dicom_node.dicomweb.accept import ANY, Accepted, accepted
from dicom_node.dicomweb.selection import read_object, require_online, selected
from dicom_node.index.attributes import is_number
from dicom_node.render.pixels import frame_count
from dicom_node.render.transcode import frame_as
from pacs_common.errors import BadInput, CannotRender, NotAcceptable, NotFound

OCTETS, JPEG = "application/octet-stream", "image/jpeg"
RAW, LOSSLESS_JPEG = str(uid.ExplicitVRLittleEndian), str(uid.JPEGLosslessSV1)
_NATIVE = {
    RAW,
    str(uid.ImplicitVRLittleEndian),
    str(uid.ExplicitVRBigEndian),
    str(uid.DeflatedExplicitVRLittleEndian),
}
# The media types of codestreams (PS3.18 table 8.7.3-5); these can only leave as they are stored.
_CODESTREAMS = {
    JPEG: {f"1.2.840.10008.1.2.4.{last}" for last in (50, 51, 57, 70)},
    "image/jls": {f"1.2.840.10008.1.2.4.{last}" for last in (80, 81)},
    "image/jp2": {f"1.2.840.10008.1.2.4.{last}" for last in (90, 91)},
    "image/jphc": {f"1.2.840.10008.1.2.4.{last}" for last in (201, 202, 203)},
    "image/dicom-rle": {str(uid.RLELossless)},
}
Offer = tuple[str, str]  # media type and transfer syntax


@require_GET
@allowed("dicomweb")
def frames(
    request: HttpRequest, study_uid: str, series_uid: str, sop_uid: str, numbers: str
) -> HttpResponseBase:
    """Retrieve frames (from 1), as stored or transcoded without loss."""
    asked = frame_numbers(numbers)
    (instance,) = selected(study_uid, series_uid, sop_uid)
    offers = list(_offers(accepted(request), instance.transfer_syntax, several=len(asked) > 1))
    if not offers:
        raise NotAcceptable(
            "frames are served raw, as stored, or as lossless JPEG (…1.2.4.70); several of them "
            "as multipart/related only"
        )
    require_online([instance], request)
    ds = read_object(instance)
    indexes = frame_indexes(asked, ds)
    (media_type, syntax), is_multipart, first = _first_frame(ds, indexes[0], offers)
    content_type = f"{media_type}; transfer-syntax={syntax}"
    if not is_multipart:
        return multipart.single(multipart.Part(content_type, [first]))
    rest = (frame_as(ds, index, syntax) for index in indexes[1:])
    return multipart.response(media_type, _parts(content_type, first, rest))


def frame_numbers(text: str) -> list[int]:
    """Return the numbers (from 1) of a frame list; raises BadInput."""
    numbers = text.replace("%2C", ",").split(",")
    if not all(is_number(number) and len(number) < 9 and int(number) for number in numbers):
        raise BadInput(f"{text[:60]!r} is not a list of frame numbers, which begin at 1")
    return [int(number) for number in numbers]


def frame_indexes(numbers: Sequence[int], ds: Dataset) -> list[int]:
    """Return the indexes (from 0) of frame numbers; raises NotFound beyond the last."""
    count = frame_count(ds)
    if max(numbers) > count:
        raise NotFound(f"the image has frames 1 to {count}")
    return [number - 1 for number in numbers]


def _offers(ranges: list[Accepted], stored: str, *, several: bool) -> Iterator[tuple[Offer, bool]]:
    """Yield what would please the caller, best first, and whether as multipart (8.7.4)."""
    for choice in ranges:
        is_multipart = choice.multipart or choice.media_type == "*/*"
        if several and not is_multipart:
            continue
        for offer in _offers_of(choice, stored):
            yield offer, is_multipart


def _offers_of(choice: Accepted, stored: str) -> Iterator[Offer]:
    syntax = choice.transfer_syntax
    own = RAW if stored in _NATIVE else stored
    if choice.takes(OCTETS):
        if syntax == ANY or (syntax == stored and own != RAW):
            yield OCTETS, own
        if syntax in (None, RAW, ANY) or (syntax == stored and own == RAW):
            yield OCTETS, RAW
        elif syntax == LOSSLESS_JPEG:
            yield OCTETS, LOSSLESS_JPEG
    for media_type, syntaxes in _CODESTREAMS.items():
        if choice.takes(media_type) and stored in syntaxes and syntax in (ANY, stored):
            yield media_type, stored
    if choice.takes(JPEG) and syntax in (None, ANY, LOSSLESS_JPEG):
        yield JPEG, LOSSLESS_JPEG
    for media_type, syntaxes in _CODESTREAMS.items():
        if choice.takes(media_type) and stored in syntaxes and syntax is None:
            yield media_type, stored


def _first_frame(
    ds: Dataset, index: int, offers: list[tuple[Offer, bool]]
) -> tuple[Offer, bool, bytes]:
    """Return the first offer that the frame can be made into, and that frame."""
    *others, (last, is_multipart) = offers
    for offer, as_multipart in others:
        try:
            return offer, as_multipart, frame_as(ds, index, offer[1])
        except (NotAcceptable, CannotRender):
            continue
    return last, is_multipart, frame_as(ds, index, last[1])


def _parts(content_type: str, first: bytes, rest: Iterator[bytes]) -> Iterator[multipart.Part]:
    yield multipart.Part(content_type, [first])
    for frame in rest:
        yield multipart.Part(content_type, [frame])
