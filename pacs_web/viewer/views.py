"""The image page, and the page of its header."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from pacs_common.errors import NotFound
from pacs_common.resources import resource_path
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import Action
from pacs_web.audit.record import record_once
from pacs_web.federation.dicom_json import text
from pacs_web.federation.metadata import image_metadata, revision_of
from pacs_web.federation.opening import OpenStudy
from pacs_web.federation.study import Series
from pacs_web.full_viewer import address, installed
from pacs_web.middleware import CONTENT_SECURITY_POLICY
from pacs_web.viewer.asking import node_of, opened
from pacs_web.viewer.captions import captions_of
from pacs_web.viewer.frames import frames_of
from pacs_web.viewer.header import count, rows_of
from pacs_web.viewer.kinds import Kind
from pacs_web.viewer.pictures import Picture, pictures_of_one, rate_of
from pacs_web.viewer.presets import presets
from pacs_web.viewer.words import words

FRAMING = f"{CONTENT_SECURITY_POLICY}; frame-src 'self'; media-src 'self'"  # reports, PDF, films
FIRST_SIDE = 1024  # of the picture that the page itself brings; scripts ask for the stage's size


@requires(Right.VIEW)
@require_safe
def series(request: HttpRequest, study_uid: str, series_uid: str) -> HttpResponse:
    """Open the viewer at the first image of a series."""
    found = opened(request, study_uid)
    shown = found.one_series(series_uid)
    path = f"{resource_path(study_uid, shown.uid)}/instances"
    held = node_of(request, shown).qido(path, {"limit": 1})  # they come by Instance Number
    if not held:
        raise NotFound("this series holds no instances")
    return redirect("image", study_uid, series_uid, text(held[0], "SOPInstanceUID"))


@requires(Right.VIEW)
@require_safe
def image(request: HttpRequest, study_uid: str, series_uid: str, instance_uid: str) -> HttpResponse:
    """Show one image; the page asks the node for this one alone, so that it comes at once.

    The other pictures of its series are told to the page's scripts afterwards.
    """
    found = opened(request, study_uid)
    shown = found.one_series(series_uid)
    metadata = image_metadata(node_of(request, shown), study_uid, series_uid, instance_uid)
    frames = pictures_of_one(metadata, shown.modality, shown.availability)
    picture = _chosen(frames, request.GET.get("frame", ""))
    exam = found.study
    patient = (exam.issuer, exam.patient_id)
    record_once(request, Action.IMAGES, study_uid=study_uid, patient=patient)
    told = captions_of(exam, shown)
    context = {
        "study": exam,
        "series": shown,
        "rail": found.series,
        "marked": any(one.modality in {"KO", "PR"} for one in found.series),
        "failures": found.failures,
        "picture": picture,
        "source_query": _source(request, picture, _revision(found, shown)),
        "presets": presets(next(frames_of(metadata)), shown.modality),
        "window": request.GET.get("window", ""),
        "full_viewer": address([study_uid], series_uid, instance_uid) if installed() else "",
        "told": {**told, "rate": rate_of(metadata), "picture": picture, "shown": _shown(picture)},
        "words": words(),
    }
    response = render(request, "viewer/image.html", context)
    response["Content-Security-Policy"] = FRAMING
    return response


def _chosen(pictures: list[Picture], frame: str) -> Picture:
    for picture in pictures:
        if frame in {"", str(picture["frame"] or "")}:
            return picture
    raise NotFound("this image has no such frame")


def _shown(picture: Picture) -> dict[str, Any] | None:
    """Return what is known of the page's own picture before a script has asked for one."""
    if picture["kind"] != Kind.IMAGE.value or not picture["online"]:
        return None
    whole = max(picture["columns"], picture["rows"])
    part = min(1.0, FIRST_SIDE / whole)
    size = [round(picture["columns"] * part), round(picture["rows"] * part)]
    return {"lossy": True, "size": size, "window": picture["window"]}


def _revision(found: OpenStudy, shown: Series) -> str:
    return revision_of(repr((found.study, shown)).encode())


def _source(request: HttpRequest, picture: Picture, revision: str) -> str:
    """Return the parameters of the first picture, "" where there is nothing to show."""
    if picture["kind"] not in {Kind.IMAGE.value, Kind.STATE.value} or not picture["online"]:
        return ""
    asked = {"revision": revision}
    if request.GET.get("window"):
        asked["window"] = request.GET["window"]
    if max(picture["columns"], picture["rows"]) > FIRST_SIDE:
        asked["viewport"] = f"{FIRST_SIDE},{FIRST_SIDE}"
    return urlencode(asked)


@requires(Right.VIEW)
@require_http_methods(["GET", "HEAD", "POST"])
def header(
    request: HttpRequest, study_uid: str, series_uid: str, instance_uid: str
) -> HttpResponse:
    """Show every element of an image's header; a posted `q` keeps those that hold the words.

    It is posted because it may be a patient's name, which stands in no address.
    """
    found = opened(request, study_uid)
    exam = found.study
    told = node_of(request, found.one_series(series_uid)).header(instance_uid)
    if told.get("study_uid") != study_uid:
        raise NotFound("this exam has no such image")
    record_once(
        request,
        Action.HEADER,
        study_uid=study_uid,
        patient=(exam.issuer, exam.patient_id),
    )
    asked = request.POST.get("q", "").strip()
    rows = rows_of(told["elements"], asked)
    context: dict[str, Any] = {
        "study": exam,
        "series_uid": series_uid,
        "instance_uid": instance_uid,
        "told": told,
        "rows": rows,
        "found": count(rows),
        "total": count(rows_of(told["elements"])),
        "asked": asked,
    }
    return render(request, "viewer/header.html", context)
