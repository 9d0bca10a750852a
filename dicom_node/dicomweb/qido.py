"""QIDO-RS: studies, series and instances, with and without parent (PS3.18 10.6)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.http import require_safe

from dicom_node.api.guard import allowed
from dicom_node.custody import replacing
from dicom_node.dicomweb import multipart, search_request
from dicom_node.dicomweb.accept import JSON_TYPES, Offer, best
from dicom_node.dicomweb.search_answers import Writer
from dicom_node.dicomweb.selection import LAYOUT, parents
from dicom_node.index.answers import find
from dicom_node.index.attributes import Level
from dicom_node.index.query import Query, count, unmatched
from pacs_common.availability import BEING_REFILLED
from pacs_common.native_xml import native_xml

MAX_ANSWERS = 5000
MAX_COUNTED = 10_000  # some milliseconds
MAX_NAMED = 20
XML = "application/dicom+xml"
FORMS = [*map(Offer, JSON_TYPES), Offer(XML, multipart=True)]


@require_safe
@allowed("dicomweb")
def studies(request: HttpRequest) -> HttpResponseBase:
    """Search studies."""
    return _search(request, Level.STUDY, {})


@require_safe
@allowed("dicomweb")
def series(request: HttpRequest, study_uid: str = "") -> HttpResponseBase:
    """Search series, of one study or of all."""
    return _search(request, Level.SERIES, parents(study_uid))


@require_safe
@allowed("dicomweb")
def instances(request: HttpRequest, study_uid: str = "", series_uid: str = "") -> HttpResponseBase:
    """Search instances, of one series, of one study or of all."""
    return _search(request, Level.IMAGE, parents(study_uid, series_uid))


def _search(request: HttpRequest, level: Level, above: Mapping[str, str]) -> HttpResponseBase:
    form = best(request, FORMS)
    asked = search_request.read(request.GET)
    size = MAX_ANSWERS if asked.limit is None else min(asked.limit, MAX_ANSWERS)
    query = asked.query(level, above, limit=size + 1)
    writer = Writer(level, request.build_absolute_uri("/dicom-web"))
    matches = find(query)
    write = writer.as_json if form.multipart else writer.as_text
    found = [write(match) for match in islice(matches, size)]
    is_cut = next(matches, None) is not None
    total = _total(query, len(found), is_cut=is_cut)
    answer = _answer(form, found)
    if total is not None:
        answer["X-Total-Count"] = str(total)
    warnings = _ignored(unmatched(query), asked.not_held(level))
    if is_cut and size == MAX_ANSWERS and asked.limit != size:
        warnings.append(_left(total, query.offset + size))
    if replacing.under_way(LAYOUT) is not None:
        warnings.append(BEING_REFILLED)
    if warnings:
        answer["Warning"] = ", ".join(f'299 argens "{text}"' for text in warnings)
    return answer


def _answer(form: Offer, found: list[Any]) -> HttpResponseBase:
    """Return the matches: none is an empty list in JSON, and 204 in XML, which knows no list."""
    if not form.multipart:
        return HttpResponse(f"[{', '.join(found)}]", content_type=form.media_type)
    if not found:
        return HttpResponse(status=204)
    return multipart.response(XML, (multipart.Part(XML, [native_xml(one)]) for one in found))


def _total(query: Query, found: int, *, is_cut: bool) -> int | None:
    """Return how many match in all; None where counting costs too much, or was done before."""
    if query.after is not None:
        return None
    if not is_cut and (found or not query.offset):
        return query.offset + found
    return count(query, MAX_COUNTED)


def _ignored(unmatched_keys: list[str], not_held: list[str]) -> list[str]:
    """Return the warnings for what is asked and cannot be done (PS3.18 8.3.4)."""
    found = []
    for names, what in ((unmatched_keys, "not matched"), (not_held, "not in answers")):
        if names:
            more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
            found.append(f"{what} of this index: {' '.join(names[:MAX_NAMED])}{more}")
    return found


def _left(total: int | None, upto: int) -> str:
    number = "many" if total is None else total - upto
    return f"There are {number} additional results that can be requested"
