"""WADO-RS: objects and their metadata (PS3.18 10.4)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_GET
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.api.guard import allowed
from dicom_node.custody.stub import object_or_stub
from dicom_node.dicomweb import multipart
from dicom_node.dicomweb.accept import ANY, Accepted, accepted, require_json
from dicom_node.dicomweb.selection import (
    LAYOUT,
    file_chunks,
    read_object,
    require_online,
    selected,
)
from dicom_node.models import Instance
from dicom_node.render.transcode import to_uncompressed
from dicom_node.store import part10
from pacs_common.errors import CannotRender, NotAcceptable

DICOM = "application/dicom"
_UNCOMPRESSED = {str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)}
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
    choice = _for_objects(accepted(request), found, single=bool(sop_uid))
    require_online(found, request)
    parts = (_object_part(instance, choice.transfer_syntax) for instance in found)
    return multipart.response(DICOM, parts) if choice.multipart else multipart.single(next(parts))


@require_GET
@allowed("dicomweb")
def metadata(
    request: HttpRequest, study_uid: str, series_uid: str = "", sop_uid: str = ""
) -> HttpResponseBase:
    """Retrieve all elements but the pixels as DICOM JSON (PS3.18 F); evicted objects too."""
    require_json(request)
    found = selected(study_uid, series_uid, sop_uid)
    first = json.dumps(_as_json(found[0]))
    rest = (json.dumps(_as_json(instance)) for instance in found[1:])
    return StreamingHttpResponse(_json_array(first, rest), content_type="application/dicom+json")


def _for_objects(ranges: list[Accepted], found: list[Instance], *, single: bool) -> Accepted:
    """Choose how objects travel; a bare or any range means multipart (PS3.18 10.4.4)."""
    stored = {instance.transfer_syntax for instance in found}
    for choice in ranges:
        syntax = choice.transfer_syntax
        if syntax not in (None, ANY, *_UNCOMPRESSED) and stored != {syntax}:
            continue
        if choice.media_type == "*/*" and not choice.multipart:
            return Accepted(DICOM, True, syntax)
        if choice.takes(DICOM) and (choice.multipart or single):
            return Accepted(DICOM, choice.multipart, syntax)
    raise NotAcceptable(
        "objects are served as multipart/related; type=application/dicom, as stored or uncompressed"
    )


def _object_part(instance: Instance, asked: str | None) -> multipart.Part:
    stored = instance.transfer_syntax
    as_stored = multipart.Part(f"{DICOM}; transfer-syntax={stored}", file_chunks(instance))
    target = asked or (stored if stored in _LOSSY else str(ExplicitVRLittleEndian))
    if target in (ANY, stored):
        return as_stored
    ds = read_object(instance)
    try:
        encoded = to_uncompressed(ds, target)
    except (NotAcceptable, CannotRender):  # a video, for one: it exists compressed only
        if asked:
            raise
        return as_stored
    origin = part10.provenance(ds.file_meta, instance.arrived_at)
    meta = part10.meta_group(instance.sop_class, instance.uid, target, origin)
    return multipart.Part(f"{DICOM}; transfer-syntax={target}", [meta, encoded])


def _as_json(instance: Instance) -> dict[str, Any]:
    ds = object_or_stub(LAYOUT, instance)
    for tag in [tag for tag in ds.keys() if tag >= 0x7FE00000]:
        del ds[tag]
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.AvailableTransferSyntaxUID = instance.transfer_syntax
    ds.InstanceAvailability = instance.availability
    return dict(sorted(_finite(ds.to_json_dict(suppress_invalid_tags=True)).items()))


def _finite(value: Any) -> Any:
    """Return JSON without NaN and Infinity, which it does not know: null stands for them."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _json_array(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield "[" + first
    for item in rest:
        yield "," + item
    yield "]"
