"""WADO-RS: whole objects, in parts, as a ZIP archive, or one alone (PS3.18 10.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from django.http import FileResponse, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_safe
from zipstream import ZIP_STORED, ZipStream

from dicom_node.api.guard import allowed
from dicom_node.dicomweb import multipart
from dicom_node.dicomweb.accept import ANY, ANYTHING, Accepted, accepted
from dicom_node.dicomweb.conditional import not_modified, stamped, tag
from dicom_node.dicomweb.encoded_objects import EncodedObject, encoded_object, is_possible
from dicom_node.dicomweb.ranges import Extract, ranged
from dicom_node.dicomweb.selection import require_online, selected
from dicom_node.models import Instance
from dicom_node.overlay.chain import revision_of
from pacs_common.errors import CannotRender, NotAcceptable
from pacs_common.resources import resource_path

DICOM, ZIP = "application/dicom", "application/zip"
Answer = Callable[[HttpRequest, list[Instance], "Travel"], HttpResponseBase]


@dataclass(frozen=True)
class Travel:
    """How objects travel: in which container, and for which ranges, the best one first."""

    answer: Answer
    ranges: Sequence[Accepted]

    def encoded(self, instance: Instance) -> EncodedObject:
        """Return an object in the best syntax; raises NotAcceptable or CannotRender."""
        syntaxes = [one.transfer_syntax for one in self.ranges if _takes_stored(one, instance)]
        return encoded_object(instance, syntaxes)


@require_safe
@allowed("dicomweb")
def objects(
    request: HttpRequest, study_uid: str, series_uid: str = "", sop_uid: str = ""
) -> HttpResponseBase:
    """Retrieve the objects of a study, series or instance, whole or not at all."""
    found = selected(study_uid, series_uid, sop_uid)
    *others, last = _travels(accepted(request), found, is_one=bool(sop_uid))
    require_online(found, request)
    for travel in others:
        try:
            return travel.answer(request, found, travel)
        except (NotAcceptable, CannotRender):
            continue
    return last.answer(request, found, last)


def one_object(request: HttpRequest, found: list[Instance], travel: Travel) -> HttpResponseBase:
    """Answer one object alone; as it is stored, its file is sent as it lies, or ranges of it."""
    (instance,) = found
    address = _address(request, instance)
    one = travel.encoded(instance)
    overlay = revision_of(instance.series.study.overlay)
    syntaxes = (instance.transfer_syntax, one.transfer_syntax, one.is_stored_file)
    etag = tag(DICOM, instance.received_sha256, *syntaxes, overlay)
    known = not_modified(request, etag)
    if known is not None:
        one.file.close()
        return known
    content_type = _content_type(one)
    if "Range" in request.headers:
        extract = Extract(one.file, [(0, one.size_bytes)])
        return stamped(ranged(request, extract, content_type, etag=etag), etag)
    answer = FileResponse(one.file, content_type=content_type, filename=f"{instance.uid}.dcm")
    answer["Content-Length"] = str(one.size_bytes)
    answer["Accept-Ranges"] = "bytes"
    answer["Content-Location"] = address
    return stamped(answer, etag)


def _travels(ranges: list[Accepted], found: list[Instance], *, is_one: bool) -> list[Travel]:
    """Return how objects may travel, the best way first (PS3.18 10.4.4).

    A bare or any range means in parts. Ranges of one container say which syntaxes will do in it.
    """
    stored = {instance.transfer_syntax for instance in found}
    ways: dict[Answer, list[Accepted]] = {}
    for one in ranges:
        container = _container(one, is_one=is_one)
        if container is not None and is_possible(one.transfer_syntax, stored):
            ways.setdefault(container, []).append(one)
    if not ways:
        raise NotAcceptable(
            f'objects are served as multipart/related; type="{DICOM}" or as {ZIP}, one of them as '
            f"{DICOM} too, each as stored, uncompressed or compressed without loss"
        )
    return [Travel(container, of_it) for container, of_it in ways.items()]


def _takes_stored(range_: Accepted, instance: Instance) -> bool:
    """Return whether `*`, as it is stored, may be that; a named syntax is what it is."""
    media_type = ZIP if range_.media_type == ZIP else DICOM
    return range_.transfer_syntax != ANY or range_.takes(media_type, instance.transfer_syntax)


def _container(range_: Accepted, *, is_one: bool) -> Answer | None:
    if range_.multipart or range_.media_type == ANYTHING:
        return _parts if range_.takes(DICOM) else None
    if is_one and range_.takes(DICOM):
        return one_object
    return _archive if range_.takes(ZIP) else None


def _parts(request: HttpRequest, found: list[Instance], travel: Travel) -> HttpResponseBase:
    etag = _tag_of_all(request, found, travel)
    known = not_modified(request, etag)
    if known is not None:
        return known

    def parts() -> Iterator[multipart.Part]:
        for instance in found:
            address = _address(request, instance)
            one = travel.encoded(instance)
            yield multipart.Part(_content_type(one), one.chunks(), address)

    return stamped(multipart.response(DICOM, parts()), etag)


def _archive(request: HttpRequest, found: list[Instance], travel: Travel) -> HttpResponseBase:
    """Answer a ZIP archive with a folder for each series, streamed."""
    etag = _tag_of_all(request, found, travel)
    known = not_modified(request, etag)
    if known is not None:
        return known

    def content() -> Iterator[bytes]:
        archive = ZipStream(compress_type=ZIP_STORED)
        for instance in found:
            one = travel.encoded(instance)
            archive.add(one.chunks(), f"{instance.series.uid}/{instance.uid}.dcm")
            yield from archive.all_files()
        yield from archive.finalize()

    chunks = content()
    answer = StreamingHttpResponse(chain([next(chunks)], chunks), content_type=ZIP)
    name = request.path.rstrip("/").rpartition("/")[2]
    answer["Content-Disposition"] = f'attachment; filename="{name}.zip"'
    return stamped(answer, etag)


def _tag_of_all(request: HttpRequest, found: list[Instance], travel: Travel) -> str:
    """Return a weak tag of several objects: boundaries and times of a ZIP differ each time."""
    overlay = revision_of(found[0].series.study.overlay)
    how = [(one.media_type, one.transfer_syntax, one.multipart) for one in travel.ranges]
    each = [(one.uid, one.received_sha256, one.transfer_syntax) for one in found]
    return f"W/{tag(request.build_absolute_uri(), travel.answer.__name__, how, each, overlay)}"


def _content_type(one: EncodedObject) -> str:
    return f"{DICOM}; transfer-syntax={one.transfer_syntax}"


def _address(request: HttpRequest, instance: Instance) -> str:
    series = instance.series
    path = resource_path(series.study.uid, series.uid, instance.uid)
    return request.build_absolute_uri(f"/dicom-web/{path}")
