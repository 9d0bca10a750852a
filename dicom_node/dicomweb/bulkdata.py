"""WADO-RS: bulk data, one value by its address or all of them (PS3.18 10.4.1.1.5, 10.4.1.1.4)."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import chain

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_GET

from dicom_node.api.guard import allowed
from dicom_node.dicomweb import frames, multipart
from dicom_node.dicomweb.accept import Offer, best
from dicom_node.dicomweb.conditional import not_modified, stamped, tag
from dicom_node.dicomweb.ranges import Extract, ranged
from dicom_node.dicomweb.selection import LAYOUT, require_online, selected
from dicom_node.metadata.encoded import Encoded, opened
from dicom_node.metadata.json_model import bulk_of
from dicom_node.metadata.json_values import little_endian
from dicom_node.metadata.walk import Bulk
from dicom_node.models import Instance
from dicom_node.prepared.contents import Content, content_of, is_film
from dicom_node.prepared.frames import OCTETS, RAW, Source, content_type_of, located
from dicom_node.prepared.metadata import address_of
from dicom_node.prepared.objects import require_whole
from pacs_common.errors import ArgensError, BadInput, CannotRender, NotDicom, NotFound, NotOnline

DOCUMENT = "00420011"
PIXELS = frozenset({"7FE00008", "7FE00009", "7FE00010"})
MAX_STEPS = 200
_ITEM_BYTES = 8  # of the head of each fragment (PS3.5 A.4)
_PATH = re.compile(r"[0-9A-F]{8}(?:/[1-9][0-9]{0,8}/[0-9A-F]{8})*\Z")


@require_GET
@allowed("dicomweb")
def value(
    request: HttpRequest, study_uid: str, series_uid: str, sop_uid: str, path: str
) -> HttpResponseBase:
    """Retrieve the value that a BulkDataURI names, whole or in ranges, single or multipart."""
    wanted = path.upper()
    if not _PATH.match(wanted) or wanted.count("/") > MAX_STEPS:
        raise BadInput("bulk data is named by tags of eight digits, with item numbers between them")
    (instance,) = selected(study_uid, series_uid, sop_uid)
    has_own_type = wanted == DOCUMENT or (wanted in PIXELS and is_film(instance.transfer_syntax))
    if not has_own_type:
        best(request, _offers(OCTETS))
    require_online([instance], request)
    if has_own_type:
        return _answer(request, instance, wanted, content_of(instance))
    encoded = _opened(instance)
    try:
        bulk = _found(encoded, wanted)
        if not bulk.is_encapsulated:
            content = _content(encoded, bulk)
            if content.file is not encoded.file:
                encoded.file.close()
            return _answer(request, instance, wanted, content)
    except BaseException:
        encoded.file.close()
        raise
    encoded.file.close()
    return _frames(request, instance)


@require_GET
@allowed("dicomweb")
def values(request: HttpRequest, **address: str) -> HttpResponseBase:
    """Retrieve every value of a study, series or instance that metadata names by address."""
    return _several(request, address, frozenset())


@require_GET
@allowed("dicomweb")
def pixels(request: HttpRequest, **address: str) -> HttpResponseBase:
    """Retrieve the pixel data of a study, series or instance."""
    return _several(request, address, PIXELS)


def _several(
    request: HttpRequest, address: dict[str, str], only: frozenset[str]
) -> HttpResponseBase:
    """Answer multipart; compressed pixels come uncompressed, a part a frame, a film as it is."""
    best(request, [Offer(OCTETS, multipart=True)])
    found = selected(**address)
    require_online(found, request)
    parts = (part for instance in found for part in _parts(instance, only))
    first = next(parts, None)
    if first is None:
        raise NotFound("there is no such bulk data in these objects")
    return multipart.response(OCTETS, chain([first], parts))


def _offers(media_type: str) -> list[Offer]:
    """Return the forms of a value; what takes anything gets one part, which has ranges."""
    own = [Offer(media_type), Offer(media_type, multipart=True)]
    return own if media_type == OCTETS else own + _offers(OCTETS)


def _answer(
    request: HttpRequest, instance: Instance, path: str, content: Content
) -> HttpResponseBase:
    extract = Extract(content.file, content.stretches)
    try:
        offer = best(request, _offers(content.media_type))
        etag = tag("bulk", offer, path, instance.received_sha256, instance.transfer_syntax)
        unchanged = not_modified(request, etag, instance.arrived_at)
    except BaseException:
        extract.close()
        raise
    if unchanged is not None:
        extract.close()
        return unchanged
    if offer.multipart:
        part = multipart.Part(offer.media_type, _all(extract), address_of(instance) + path)
        return stamped(multipart.response(offer.media_type, [part]), etag, instance.arrived_at)
    answer = ranged(
        request, extract, offer.media_type, etag=etag, last_modified=instance.arrived_at
    )
    return stamped(answer, etag, instance.arrived_at)


def _frames(request: HttpRequest, instance: Instance) -> HttpResponseBase:
    """Answer compressed pixels as the frames that they are."""
    series = instance.series
    count = _source(instance).count
    if count > instance.size_bytes // _ITEM_BYTES:
        raise CannotRender(f"the object claims {count} frames, more than its file can hold")
    numbers = ",".join(str(number + 1) for number in range(count))
    return frames.frames(
        request,
        study_uid=series.study.uid,
        series_uid=series.uid,
        sop_uid=instance.uid,
        numbers=numbers,
    )


def _parts(instance: Instance, only: frozenset[str]) -> Iterator[multipart.Part]:
    encoded = _opened(instance)
    try:
        found = [bulk for bulk in bulk_of(encoded) if not only or bulk.path in only]
        for bulk in found:
            location = address_of(instance) + bulk.path
            if not bulk.is_encapsulated:
                content = _content(encoded, bulk)
                extract = Extract(content.file, content.stretches)
                yield multipart.Part(OCTETS, extract.read(0, extract.size_bytes), location)
            elif is_film(instance.transfer_syntax):
                film = content_of(instance)
                yield multipart.Part(
                    film.media_type, _all(Extract(film.file, film.stretches)), location
                )
            else:
                yield from _frame_parts(instance, location)
    except NotDicom as error:
        raise ArgensError(f"the stored file is damaged: {error}") from None
    finally:
        encoded.file.close()


def _frame_parts(instance: Instance, location: str) -> Iterator[multipart.Part]:
    source = _source(instance)
    for index in range(source.count):
        body = source.frame(index, RAW).read()
        yield multipart.Part(content_type_of(RAW, OCTETS), [body], location)


def _source(instance: Instance) -> Source:
    image = located(instance.series.study.uid, instance.series.uid, instance.uid)
    if image is None:
        raise NotFound(f"{instance.uid} is not here")
    return Source(image)


def _opened(instance: Instance) -> Encoded:
    path = LAYOUT.object(instance.hour, instance.uid)
    require_whole(path, instance.received_sha256, instance.verified)
    try:
        return opened(path)
    except FileNotFoundError:
        raise NotOnline("the file is not on the node's disk") from None
    except NotDicom as error:
        raise ArgensError(f"the stored file is damaged: {error}") from None


def _found(encoded: Encoded, path: str) -> Bulk:
    try:
        found = {bulk.path: bulk for bulk in bulk_of(encoded)}
    except NotDicom as error:
        raise ArgensError(f"the stored file is damaged: {error}") from None
    if path not in found:
        raise NotFound("the metadata of this instance names no bulk data at this address")
    return found[path]


def _content(encoded: Encoded, bulk: Bulk) -> Content:
    """Return a value's bytes in Little Endian; those of a Big Endian object are held in memory."""
    if bulk.is_little_endian:
        return Content(encoded.file, list(bulk.stretches), OCTETS)
    ((offset, length),) = bulk.stretches
    turned = little_endian(bulk.vr, encoded.value(offset, length))
    return Content(io.BytesIO(turned), [(0, length)], OCTETS)


def _all(extract: Extract) -> Iterator[bytes]:
    try:
        yield from extract.read(0, extract.size_bytes)
    finally:
        extract.close()
