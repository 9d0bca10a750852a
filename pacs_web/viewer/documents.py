"""Objects that are read, not looked at: reports, clinical documents, PDF, and films."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from pacs_common.errors import CannotRender, NotFound
from pacs_common.http import guarded
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import Action
from pacs_web.audit.record import record_once
from pacs_web.federation.dicom_json import Attributes, items, text
from pacs_web.federation.metadata import image_metadata
from pacs_web.federation.passing import passed, passed_on
from pacs_web.federation.server import Server
from pacs_web.middleware import CONTENT_SECURITY_POLICY
from pacs_web.viewer.asking import node_of, opened
from pacs_web.viewer.kinds import Kind, kind_of
from pacs_web.viewer.markup import lines_of
from pacs_web.viewer.report import Item, tree_of

FRAMED = CONTENT_SECURITY_POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
SHOWN_AS = (
    "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'"
)
TYPES = {"pdf": "application/pdf", "video": "video/mp4, video/mpeg;q=0.9, video/*;q=0.8"}
MOST_TEXT_BYTES = 8 << 20


@requires(Right.VIEW)
@require_safe
@xframe_options_sameorigin
def document(
    request: HttpRequest, study_uid: str, series_uid: str, instance_uid: str
) -> HttpResponse:
    """Show a structured report's content, or a clinical document's words, as a page."""
    found = opened(request, study_uid)
    shown = found.one_series(series_uid)
    node = node_of(request, shown)
    metadata = image_metadata(node, study_uid, series_uid, instance_uid)
    patient = (found.study.issuer, found.study.patient_id)
    record_once(request, Action.IMAGES, study_uid=study_uid, patient=patient)
    context = {"study": found.study, "series": shown, "told": metadata}
    match kind_of(metadata):
        case Kind.REPORT:
            root = linked(tree_of(metadata), places_of(metadata))
            flags = (text(metadata, "CompletionFlag"), text(metadata, "VerificationFlag"))
            context |= {"root": root, "flags": [flag for flag in flags if flag]}
        case Kind.TEXT:
            path = f"studies/{study_uid}/series/{series_uid}/instances/{instance_uid}/rendered"
            context |= {"lines": lines_of(_text_at(node, path))}
        case _:
            raise CannotRender("this object holds no text")
    response = render(request, "viewer/document.html", context)
    response["Content-Security-Policy"] = FRAMED
    return response


@requires(Right.VIEW)
@require_safe
@xframe_options_sameorigin
def content(
    request: HttpRequest, study_uid: str, series_uid: str, instance_uid: str, kind: str
) -> HttpResponse | StreamingHttpResponse:
    """Pass on a PDF or a film as it is, whole or the range that the browser asks for."""
    if kind not in TYPES:
        raise NotFound("an object's content is its pdf or its video")
    node = node_of(request, opened(request, study_uid).one_series(series_uid))
    record_once(request, Action.IMAGES, study_uid=study_uid)
    path = f"studies/{study_uid}/series/{series_uid}/instances/{instance_uid}/rendered"
    accept = {"Accept": TYPES[kind]}
    headers = {**passed_on(request.headers), **accept}
    response = passed(node.dicomweb(path, headers=headers), node.name)
    if response.status_code >= 400 or not _is(kind, response["Content-Type"]):
        response.close()
        raise CannotRender(f"the server has no {kind} of this object")
    response["Content-Security-Policy"] = SHOWN_AS
    response["Content-Disposition"] = "inline"
    response["Cache-Control"] = "private, no-cache"
    return response


def _is(kind: str, content_type: str) -> bool:
    """Whether an answer is what was asked for: anything else may be a page of a stranger's."""
    sent = content_type.partition(";")[0].strip().lower()
    return sent.startswith("video/") if kind == "video" else sent == TYPES[kind]


def places_of(report: Attributes) -> dict[str, tuple[str, str]]:
    """Return where the images lie that a report names: UID -> (study, series)."""
    places = {}
    for evidence in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence"):
        for study in items(report, evidence):
            for series in items(study, "ReferencedSeriesSequence"):
                for image in items(series, "ReferencedSOPSequence"):
                    places[text(image, "ReferencedSOPInstanceUID")] = (
                        text(study, "StudyInstanceUID"),
                        text(series, "SeriesInstanceUID"),
                    )
    return places


def linked(item: Item, places: dict[str, tuple[str, str]]) -> Item:
    """Give every image that a report names the address of its page, where it is known."""
    for named in item.images:
        place = places.get(named["uid"])
        if place and all(place):
            frame = f"?frame={named['frames'][0]}" if named["frames"] else ""
            named["series"] = place[1]
            named["url"] = _address(*place, named["uid"], frame)
    for child in item.items:
        linked(child, places)
    return item


def _address(study_uid: str, series_uid: str, uid: str, query: str) -> str:
    """Return an image's page; "" where a report names what can be no UID."""
    try:
        return reverse("image", args=[study_uid, series_uid, uid]) + query
    except NoReverseMatch:
        return ""


def _text_at(node: Server, path: str) -> str:
    with node.dicomweb(path, headers={"Accept": "text/xml, text/*;q=0.9"}, passing=False) as answer:
        kept = bytearray()
        for block in guarded(answer.iter_bytes(), node.name):
            kept += block
            if len(kept) > MOST_TEXT_BYTES:
                raise CannotRender("the document is too long to be shown")
    return kept.decode("utf-8", "replace")
