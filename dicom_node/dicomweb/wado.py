"""WADO-RS: objects, metadata and frames (PS3.18 10.4)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_GET
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
)

from dicom_node.api.guard import allowed
from dicom_node.api.header import read as read_header_or_stub
from dicom_node.dicomweb import multipart
from dicom_node.dicomweb.accept import ANY, Accepted, accepted
from dicom_node.dicomweb.selection import LAYOUT, require_online, selected
from dicom_node.models import Instance
from dicom_node.render.pixels import encapsulated_frame, frame_count
from dicom_node.render.transcode import frame_as, to_uncompressed
from dicom_node.store import part10
from dicom_node.store.blobs import CHUNK_BYTES
from pacs_common.errors import BadInput, NotAcceptable, NotFound

DICOM, OCTETS, JPEG = "application/dicom", "application/octet-stream", "image/jpeg"
_UNCOMPRESSED = {str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)}
_NATIVE = {
    *_UNCOMPRESSED,
    str(ExplicitVRBigEndian),
    str(DeflatedExplicitVRLittleEndian),
}
_LOSSY = {
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.203",
}


@require_GET
@allowed("dicomweb")
def objects(
    request: HttpRequest, study_uid: str, series_uid: str = "", sop_uid: str = ""
) -> HttpResponseBase:
    """Retrieve the objects of a study, series or instance, whole or not at all."""
    found = selected(study_uid, series_uid, sop_uid)
    choice = _for_objects(accepted(request), single=bool(sop_uid))
    require_online(found, request)
    parts = (_object_part(instance, choice.transfer_syntax) for instance in found)
    if choice.multipart:
        return multipart.response(DICOM, parts)
    only = next(parts)
    return StreamingHttpResponse(only.body, content_type=only.content_type)


@require_GET
@allowed("dicomweb")
def metadata(
    request: HttpRequest, study_uid: str, series_uid: str = "", sop_uid: str = ""
) -> HttpResponseBase:
    """Retrieve all elements but the pixels as DICOM JSON (PS3.18 F); evicted objects too."""
    if not any(
        a.takes("application/dicom+json") or a.takes("application/json") for a in accepted(request)
    ):
        raise NotAcceptable("metadata is served as application/dicom+json")
    found = selected(study_uid, series_uid, sop_uid)
    first = json.dumps(_as_json(found[0]))
    rest = (json.dumps(_as_json(instance)) for instance in found[1:])
    return StreamingHttpResponse(_json_array(first, rest), content_type="application/dicom+json")


@require_GET
@allowed("dicomweb")
def frames(
    request: HttpRequest, study_uid: str, series_uid: str, sop_uid: str, numbers: str
) -> HttpResponseBase:
    """Retrieve frames (from 1), as stored or transcoded without loss."""
    found = selected(study_uid, series_uid, sop_uid)
    require_online(found, request)
    instance = found[0]
    ds = part10.read_object(LAYOUT.object(instance.hour, instance.uid))
    indexes = frame_indexes(numbers, ds)
    ranges = accepted(request)
    media_type, syntax = _for_frames(ranges, instance.transfer_syntax)
    content_type = f"{media_type}; transfer-syntax={syntax}"
    parts = (multipart.Part(content_type, [_frame(ds, index, syntax)]) for index in indexes)
    if any(a.multipart or a.media_type == "*/*" for a in ranges):
        return multipart.response(media_type, parts)
    if len(indexes) > 1:
        raise NotAcceptable("several frames are served as multipart/related only")
    only = next(parts)
    return StreamingHttpResponse(only.body, content_type=only.content_type)


def frame_indexes(numbers: str, ds: Dataset) -> list[int]:
    """Return the indexes (from 0) of a frame list; raises BadInput or NotFound."""
    wanted = numbers.replace("%2C", ",").split(",")
    if not all(number.isdigit() and 0 < len(number) < 9 for number in wanted):
        raise BadInput(f"{numbers[:60]!r} is not a list of frame numbers")
    indexes = [int(number) - 1 for number in wanted]
    if min(indexes) < 0 or max(indexes) >= frame_count(ds):
        raise NotFound(f"the image has frames 1 to {frame_count(ds)}")
    return indexes


def _for_objects(ranges: list[Accepted], *, single: bool) -> Accepted:
    """Choose how objects travel; a bare or any range means multipart (PS3.18 10.4.4)."""
    for choice in ranges:
        if choice.media_type == "*/*" and not choice.multipart:
            return Accepted(DICOM, True, choice.transfer_syntax)
        if choice.takes(DICOM) and (choice.multipart or single):
            return Accepted(DICOM, choice.multipart, choice.transfer_syntax)
    raise NotAcceptable("objects are served as multipart/related; type=application/dicom")


def _object_part(instance: Instance, asked: str | None) -> multipart.Part:
    stored = instance.transfer_syntax
    path = LAYOUT.object(instance.hour, instance.uid)
    target = asked or (stored if stored in _LOSSY else str(ExplicitVRLittleEndian))
    if target in (ANY, stored):
        return multipart.Part(f"{DICOM}; transfer-syntax={stored}", _file_chunks(path))
    if target not in _UNCOMPRESSED:
        raise NotAcceptable(f"objects are not transcoded to {target}")
    ds = part10.read_object(path)
    try:
        encoded = to_uncompressed(ds, target)
    except NotAcceptable:
        if asked:
            raise
        return multipart.Part(f"{DICOM}; transfer-syntax={stored}", _file_chunks(path))
    origin = part10.provenance(ds.file_meta, instance.arrived_at)
    meta = part10.meta_group(instance.sop_class, instance.uid, target, origin)
    return multipart.Part(f"{DICOM}; transfer-syntax={target}", [meta, encoded])


def _file_chunks(path: Any) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _for_frames(ranges: list[Accepted], stored: str) -> tuple[str, str]:
    """Choose media type and transfer syntax of frames (PS3.18 8.7.3.3)."""
    for choice in ranges:
        syntax = choice.transfer_syntax
        if choice.takes(OCTETS):
            if syntax == ANY:
                return OCTETS, _frame_syntax(stored)
            if syntax in (None, str(ExplicitVRLittleEndian)):
                return OCTETS, str(ExplicitVRLittleEndian)
            if syntax in (stored, str(JPEGLosslessSV1)):
                return OCTETS, str(syntax)
        if choice.takes(JPEG) and syntax in (None, str(JPEGLosslessSV1)):
            return JPEG, str(JPEGLosslessSV1)
        if choice.takes(JPEG) and syntax == stored:
            return JPEG, stored
    raise NotAcceptable("frames are served raw, as stored, or as lossless JPEG (…1.2.4.70)")


def _frame_syntax(stored: str) -> str:
    """Return the syntax in which a frame leaves as stored: uncompressed ones as raw LE."""
    return str(ExplicitVRLittleEndian) if stored in _NATIVE else stored


def _frame(ds: Dataset, index: int, syntax: str) -> bytes:
    if syntax == ds.file_meta.TransferSyntaxUID and syntax not in _NATIVE:
        return encapsulated_frame(ds, index)
    return frame_as(ds, index, syntax)


def _as_json(instance: Instance) -> dict[str, Any]:
    ds = read_header_or_stub(LAYOUT, instance)
    for tag in [tag for tag in ds.keys() if tag >= 0x7FE00000]:
        del ds[tag]
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.AvailableTransferSyntaxUID = instance.transfer_syntax
    ds.InstanceAvailability = instance.availability
    return ds.to_json_dict(suppress_invalid_tags=True)


def _json_array(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield "[" + first
    for item in rest:
        yield "," + item
    yield "]"
