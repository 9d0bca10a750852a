"""WADO-URI: one object or picture, all said in the query (PS3.18 9).

Pictures are made by the same view as WADO-RS's, of a query in its words.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Mapping

from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.views.decorators.http import require_safe

from dicom_node.api.guard import allowed
from dicom_node.dicomweb import as_they_are, rendered
from dicom_node.dicomweb.accept import Accepted, accepted
from dicom_node.dicomweb.encoded_objects import is_possible
from dicom_node.dicomweb.selection import require_online, selected
from dicom_node.dicomweb.wado import DICOM, Travel, one_object
from dicom_node.models import Instance
from dicom_node.render.placement import MAX_SIDE
from dicom_node.render.presentation import is_state
from pacs_common.errors import BadInput, NotAcceptable

UIDS = ("studyUID", "seriesUID", "objectUID")
_SAME = {"imageQuality": "quality", "annotation": "annotation", "imageAnnotation": "annotation"}
_DECIMAL = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})\Z")
_picture = inspect.unwrap(rendered.picture)  # its caller is let in here


@require_safe
def retrieve(request: HttpRequest) -> HttpResponseBase:
    """Retrieve an instance as it is encoded, or rendered (`requestType=WADO`)."""
    return _retrieve(request, study_uid=request.GET.get("studyUID", ""))


@allowed("dicomweb")
def _retrieve(request: HttpRequest, study_uid: str) -> HttpResponseBase:
    _require_known(request.GET)
    uids = (study_uid, request.GET["seriesUID"], request.GET["objectUID"])
    found = selected(*uids)
    asked = _negotiated(request)
    if _wants_dicom(asked, found[0]):
        return _as_dicom(asked, request.GET, found)
    asked.GET = _rendered_query(request.GET, asked.GET, found[0])
    number = request.GET.get("frameNumber", "")
    if "," in number:
        raise BadInput("frameNumber names one frame")
    return _picture(asked, *uids, number)


def _require_known(query: QueryDict) -> None:
    """Raise BadInput or NotAcceptable for what cannot be asked so."""
    if query.get("requestType", "").upper() != "WADO":
        raise BadInput("requestType is WADO")
    missing = [name for name in UIDS if not query.get(name)]
    if missing:
        raise BadInput(f"{missing[0]} is missing")
    if query.get("anonymize", "no") == "yes":
        raise NotAcceptable("objects are not de-identified here: anonymize is not served")


def _negotiated(request: HttpRequest) -> HttpRequest:
    """Return the request with its `contentType`, which counts before Accept, as `accept`."""
    asked = copy.copy(request)
    asked.GET = QueryDict(mutable=True)
    content_type = request.GET.get("contentType") or request.GET.get("accept")
    if content_type:
        asked.GET["accept"] = content_type
    return asked


def _wants_dicom(asked: HttpRequest, instance: Instance) -> bool:
    """Return whether the object itself is asked for, or all that can be had (9.1.2.2.1)."""
    ranges = accepted(asked)
    if ranges and ranges[0].media_type == DICOM:
        return True
    is_shown = (
        instance.rows or as_they_are.is_sent_as_it_is(instance) or is_state(instance.sop_class)
    )
    return not is_shown and any(one.takes(DICOM) and not one.multipart for one in ranges)


def _as_dicom(request: HttpRequest, query: QueryDict, found: list[Instance]) -> HttpResponseBase:
    syntax = query.get("transferSyntax") or None
    if not is_possible(syntax, {found[0].transfer_syntax}):
        raise NotAcceptable(f"objects are not served in transfer syntax {syntax!r:.70}")
    require_online(found, request)
    return one_object(request, found, Travel(one_object, [Accepted(DICOM, False, syntax)]))


def _rendered_query(
    query: QueryDict, negotiated: Mapping[str, str], instance: Instance
) -> QueryDict:
    """Return the query of a rendered picture in the words of PS3.18 8.3.5."""
    said = QueryDict(mutable=True)
    said.update(negotiated)
    said.update({new: query[old] for old, new in _SAME.items() if old in query})
    window = [query.get("windowCenter"), query.get("windowWidth")]
    if any(window):
        if not all(window):
            raise BadInput("windowCenter and windowWidth are given together")
        said["window"] = ",".join(map(str, window))
    if query.get("presentationUID"):
        if "region" in query:
            raise BadInput("a region of a presentation cannot be asked for")
        said["presentation"] = query["presentationUID"]
    elif query.get("presentationSeriesUID"):
        raise BadInput("presentationUID is missing")
    viewport = _viewport(query, instance)
    if viewport:
        said["viewport"] = viewport
    return said


def _viewport(query: QueryDict, instance: Instance) -> str:
    """Return rows, columns and region as a viewport; one side alone leaves the other free."""
    sides = [query.get("columns"), query.get("rows")]
    region = _region(query["region"], instance) if "region" in query else []
    if not any(sides) and not region:
        return ""
    own = region[2:] or [MAX_SIDE, MAX_SIDE]
    free = own if not any(sides) else [MAX_SIDE, MAX_SIDE]
    size = [side or other for side, other in zip(sides, free, strict=True)]
    return ",".join(map(str, [*size, *region]))


def _region(text: str, instance: Instance) -> list[int]:
    """Return left, top, width and height in pixels of a region in fractions (9.5.1.2.5)."""
    parts = text.split(",")
    if len(parts) != 4 or not all(map(_DECIMAL.match, parts)):
        raise BadInput("region is xmin,ymin,xmax,ymax, each from 0 to 1")
    left, top, right, bottom = map(float, parts)
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise BadInput("region is xmin,ymin,xmax,ymax, each from 0 to 1")
    columns, rows = instance.columns or 1, instance.rows or 1
    x, y = int(left * columns), int(top * rows)
    return [x, y, max(1, round(right * columns) - x), max(1, round(bottom * rows) - y)]
