"""WADO-RS: metadata of studies, series and instances as JSON or XML (PS3.18 10.4.1.1.2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_GET

from dicom_node.api.guard import allowed
from dicom_node.dicomweb import multipart
from dicom_node.dicomweb.accept import JSON_TYPES, Offer, best
from dicom_node.dicomweb.compression import preferred
from dicom_node.dicomweb.conditional import coded, not_modified, stamped, tag, unkept
from dicom_node.dicomweb.selection import parents, selected
from dicom_node.prepared import metadata as prepared
from dicom_node.prepared.metadata import Prepared
from pacs_common.errors import NotFound
from pacs_common.native_xml import native_xml

XML = "application/dicom+xml"
_OFFERS = (*map(Offer, JSON_TYPES), Offer(XML, multipart=True))


@require_GET
@allowed("dicomweb")
def metadata(
    request: HttpRequest, study_uid: str, series_uid: str = "", sop_uid: str = ""
) -> HttpResponseBase:
    """Retrieve all attributes, bulk data by address; of what is evicted too."""
    offer = best(request, _OFFERS)
    parents(study_uid, series_uid, sop_uid)  # refuses what is no UID
    if sop_uid:
        (instance,) = selected(study_uid, series_uid, sop_uid)
        tags = {sop_uid: prepared.revision_of(instance)}
    else:
        tags = prepared.revisions(study_uid, series_uid)
    if not tags:
        raise NotFound(f"{series_uid or study_uid} is not here")
    etag = tag(offer, *tags.values())
    unchanged = not_modified(request, etag)
    if unchanged is not None:
        return unchanged
    if sop_uid:
        answer = _answer(offer, [lambda: f"[{prepared.written(instance)}]".encode()])
    else:
        found = [prepared.of(study_uid, uid, revision) for uid, revision in tags.items()]
        if not all(one.etag for one in found):
            return unkept(_answer(offer, [one.text for one in found]))
        if _goes_as_it_is(request, offer, found):
            return stamped(_as_it_is(offer, found[0]), coded(etag, "gzip"))
        answer = _answer(offer, [one.text for one in found])
    return stamped(answer, etag)


def _goes_as_it_is(request: HttpRequest, offer: Offer, found: list[Prepared]) -> bool:
    liked = preferred(request.headers.get("Accept-Encoding", ""), ("gzip", "br"))
    return len(found) == 1 and not offer.multipart and liked == "gzip"


def _as_it_is(offer: Offer, one: Prepared) -> HttpResponse:
    headers = {"Content-Encoding": "gzip", "Content-Length": str(len(one.gzipped))}
    return HttpResponse(one.gzipped, content_type=offer.media_type, headers=headers)


def _answer(offer: Offer, arrays: list[Callable[[], bytes]]) -> HttpResponseBase:
    """Answer JSON arrays as one, or the XML of their objects; the first is made at once."""
    first, rest = arrays[0](), arrays[1:]
    if offer.multipart:
        return multipart.response(XML, _xml_parts(first, rest))
    return StreamingHttpResponse(_joined(first, rest), content_type=offer.media_type)


def _joined(first: bytes, rest: list[Callable[[], bytes]]) -> Iterator[bytes]:
    yield first[:-1]
    for make in rest:
        yield b",\n" + make()[1:-1]
    yield b"]"


def _xml_parts(first: bytes, rest: list[Callable[[], bytes]]) -> Iterator[multipart.Part]:
    for make in (lambda: first, *rest):
        for attributes in json.loads(make()):
            yield multipart.Part(XML, [native_xml(attributes)])
