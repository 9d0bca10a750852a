"""QIDO-RS: studies, series and instances, with and without parent (PS3.18 10.6)."""

from __future__ import annotations

import re

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET
from pydicom.datadict import dictionary_has_tag, keyword_for_tag, tag_for_keyword

from dicom_node.api.guard import allowed
from dicom_node.index.attributes import Level
from dicom_node.index.query import Query, find, known
from pacs_common.errors import BadQuery

MAX_ANSWERS = 5000
_CONTROLS = {"limit", "offset", "includefield", "fuzzymatching", "accept"}
_TAG = re.compile(r"[0-9A-Fa-f]{8}\Z")


@require_GET
@allowed("dicomweb")
def studies(request: HttpRequest) -> HttpResponse:
    """Search studies."""
    return _search(request, Level.STUDY, {})


@require_GET
@allowed("dicomweb")
def series(request: HttpRequest, study_uid: str = "") -> HttpResponse:
    """Search series, of one study or of all."""
    return _search(request, Level.SERIES, {"StudyInstanceUID": study_uid})


@require_GET
@allowed("dicomweb")
def instances(request: HttpRequest, study_uid: str = "", series_uid: str = "") -> HttpResponse:
    """Search instances, of one series, of one study or of all."""
    parents = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
    return _search(request, Level.IMAGE, parents)


def _search(request: HttpRequest, level: Level, parents: dict[str, str]) -> HttpResponse:
    keys, ignored = _keys(request, level)
    keys |= {keyword: uid for keyword, uid in parents.items() if uid}
    limit = min(_number(request, "limit", MAX_ANSWERS), MAX_ANSWERS)
    query = Query(level, keys, limit=limit, offset=_number(request, "offset", 0))
    found = [match.to_json_dict() for match in find(query)]
    if not found:
        answer = HttpResponse(status=204)
    else:
        answer = JsonResponse(found, safe=False, content_type="application/dicom+json")
    if ignored:
        answer["Warning"] = f'299 argens "not held by the index, ignored: {" ".join(ignored)}"'
    return answer


def _keys(request: HttpRequest, level: Level) -> tuple[dict[str, str], list[str]]:
    keys: dict[str, str] = {}
    ignored = []
    for name, values in request.GET.lists():
        if name in _CONTROLS:
            continue
        keyword = _keyword(name)
        if known(keyword, level) is None:
            ignored.append(keyword)
        keys[keyword] = values[0] if len(values) == 1 else "\\".join(values)
    return keys, ignored


def _keyword(name: str) -> str:
    """Return the keyword of a query parameter: a keyword or eight hex digits (PS3.18 8.3.4.1)."""
    last = name.rpartition(".")[2]
    if _TAG.match(last) and dictionary_has_tag(int(last, 16)):
        last = keyword_for_tag(int(last, 16))
    if tag_for_keyword(last) is None:
        raise BadQuery(f"{name[:64]!r} is neither a DICOM keyword nor a tag")
    return name if "." in name else last


def _number(request: HttpRequest, name: str, default: int) -> int:
    text = request.GET.get(name, str(default))
    if not text.isdigit() or len(text) > 9:
        raise BadQuery(f"{name} {text[:20]!r} is not a number")
    return int(text)
