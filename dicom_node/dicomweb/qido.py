"""QIDO-RS: studies, series and instances, with and without parent (PS3.18 10.6)."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET
from pydicom.datadict import dictionary_has_tag, keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset

from dicom_node.api.guard import allowed
from dicom_node.dicomweb.accept import require_json
from dicom_node.dicomweb.selection import parents
from dicom_node.index.attributes import ATTRIBUTES, Level, is_number
from dicom_node.index.query import Query, find, unmatched
from pacs_common.errors import BadQuery

MAX_ANSWERS = 5000
_CONTROLS = {"limit", "offset", "includefield", "fuzzymatching", "accept"}
_NOT_FUZZY = (
    "The fuzzymatching parameter is not supported. Only literal matching has been performed."
)
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
    return _search(request, Level.SERIES, parents(study_uid))


@require_GET
@allowed("dicomweb")
def instances(request: HttpRequest, study_uid: str = "", series_uid: str = "") -> HttpResponse:
    """Search instances, of one series, of one study or of all."""
    return _search(request, Level.IMAGE, parents(study_uid, series_uid))


def _search(request: HttpRequest, level: Level, above: dict[str, Any]) -> HttpResponse:
    require_json(request)
    keys = _keys(request)
    twice = keys.keys() & above.keys()
    if twice:
        raise BadQuery(f"{min(twice)} is in the address already")
    asked = _number(request, "limit", MAX_ANSWERS + 1)
    offset = _number(request, "offset", 0)
    query = Query(level, keys | above, limit=min(asked, MAX_ANSWERS + 1), offset=offset)
    matches = find(query)
    found = [_as_json(match) for match in islice(matches, MAX_ANSWERS)]
    is_cut = next(matches, None) is not None
    if found:
        answer = JsonResponse(found, safe=False, content_type="application/dicom+json")
    else:
        answer = HttpResponse(status=204)
    warnings = _warnings(request, unmatched(query), is_cut)
    if warnings:
        answer["Warning"] = ", ".join(f'299 argens "{text}"' for text in warnings)
    return answer


def _as_json(match: Dataset) -> dict[str, Any]:
    """Return an answer as DICOM JSON, without what only some images have and this one has not."""
    for keyword in [e.keyword for e in match if e.is_empty and _is_optional(e.keyword)]:
        delattr(match, keyword)
    return dict(sorted(match.to_json_dict().items()))  # PS3.18 F.2.2: in ascending order


def _is_optional(keyword: str) -> bool:
    attribute = ATTRIBUTES.get(keyword)
    return attribute is not None and (attribute.is_shown_only or not attribute.required)


def _warnings(request: HttpRequest, ignored: list[str], is_cut: bool) -> list[str]:
    """Return what PS3.18 8.3.4 wants the caller to be told about the answer."""
    found = []
    if ignored:
        found.append(f"not matched by this index: {' '.join(ignored)}")
    if request.GET.get("fuzzymatching", "").lower() == "true":
        found.append(_NOT_FUZZY)
    if is_cut:
        found.append(
            f"There are more than {MAX_ANSWERS} results. Further ones can be asked for by offset."
        )
    return found


def _keys(request: HttpRequest) -> dict[str, str]:
    keys: dict[str, list[str]] = {}
    for name, values in request.GET.lists():
        if name not in _CONTROLS:
            keys.setdefault(_keyword(name), []).extend(values)
    return {keyword: "\\".join(values) for keyword, values in keys.items()}


def _keyword(name: str) -> str:
    """Return a query parameter, a path of keywords or tags (PS3.18 8.3.4.1), as keywords."""
    return ".".join(_known(step, name) for step in name.split("."))


def _known(step: str, name: str) -> str:
    if _TAG.match(step):  # a tag outside the dictionary is a private one
        tag = int(step, 16)
        return (keyword_for_tag(tag) if dictionary_has_tag(tag) else "") or step
    if tag_for_keyword(step) is None:
        raise BadQuery(f"{name[:64]!r} is neither a DICOM keyword nor a tag")
    return step


def _number(request: HttpRequest, name: str, default: int) -> int:
    text = request.GET.get(name, str(default))
    if not is_number(text) or len(text) > 9:
        raise BadQuery(f"{name} {text[:20]!r} is not a number")
    return int(text)
