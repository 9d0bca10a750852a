"""The image page, and the page of its header."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from pacs_common.errors import ArgensError, NotFound
from pacs_common.node_client import NodeClient
from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import Action
from pacs_web.audit.record import record_once
from pacs_web.federation.dicom_json import Attributes
from pacs_web.federation.opening import OpenStudy, instances, open_study
from pacs_web.federation.study import Series
from pacs_web.nodes.registry import clients
from pacs_web.studies.views import clients_for
from pacs_web.viewer.header import count, rows_of
from pacs_web.viewer.pictures import Picture, pictures_of
from pacs_web.viewer.presets import presets


@requires(Right.VIEW)
@require_safe
def series(request: HttpRequest, study_uid: str, series_uid: str) -> HttpResponse:
    """Open the viewer at the first image of a series."""
    opened = open_study(clients_for(request), study_uid, config.NODE_TIMEOUT_S)
    pictures = _pictures(request, opened, opened.one_series(series_uid))
    if not pictures:
        raise NotFound("this series holds no instances")
    return redirect("image", study_uid, series_uid, pictures[0]["uid"])


@requires(Right.VIEW)
@require_safe
def image(request: HttpRequest, study_uid: str, series_uid: str, instance_uid: str) -> HttpResponse:
    """Show one image among those of its series."""
    opened = open_study(clients_for(request), study_uid, config.NODE_TIMEOUT_S)
    shown = opened.one_series(series_uid)
    pictures = _pictures(request, opened, shown)
    place = _place(pictures, instance_uid, request.GET.get("frame", ""))
    exam = opened.study
    patient = (exam.issuer, exam.patient_id)
    record_once(request, Action.IMAGES, study_uid=study_uid, patient=patient)
    context = {
        "study": exam,
        "series": shown,
        "all_series": opened.series,
        "failures": opened.failures,
        "picture": pictures[place],
        "pictures": pictures,
        "position": place + 1,
        "previous": pictures[place - 1] if place else None,
        "next": pictures[place + 1] if place + 1 < len(pictures) else None,
        "presets": presets(_metadata(request, shown, study_uid, instance_uid), shown.modality),
        "window": request.GET.get("window", ""),
    }
    return render(request, "viewer/image.html", context)


@requires(Right.VIEW)
@require_http_methods(["GET", "HEAD", "POST"])
def header(
    request: HttpRequest, study_uid: str, series_uid: str, instance_uid: str
) -> HttpResponse:
    """Show every element of an image's header; a posted `q` keeps those that hold the words.

    It is posted because it may be a patient's name, which stands in no address.
    """
    opened = open_study(clients_for(request), study_uid, config.NODE_TIMEOUT_S)
    exam = opened.study
    told = _node_of(request, opened.one_series(series_uid)).header(instance_uid)
    if told["study_uid"] != study_uid:
        raise NotFound("this exam has no such image")
    record_once(
        request,
        Action.HEADER,
        study_uid=study_uid,
        patient=(exam.issuer, exam.patient_id),
    )
    asked = request.POST.get("q", "").strip()
    rows = rows_of(told["elements"], asked)
    return render(
        request,
        "viewer/header.html",
        {
            "study": exam,
            "series_uid": series_uid,
            "instance_uid": instance_uid,
            "told": told,
            "rows": rows,
            "found": count(rows),
            "total": count(rows_of(told["elements"])),
            "asked": asked,
        },
    )


def _node_of(request: HttpRequest, shown: Series) -> NodeClient:
    return clients(request.user.get_username(), {shown.node})[0]


def _pictures(request: HttpRequest, opened: OpenStudy, shown: Series) -> list[Picture]:
    answers = instances(_node_of(request, shown), opened.study.uid, shown.uid)
    return pictures_of(answers, shown.modality)


def _place(pictures: list[Picture], instance_uid: str, frame: str) -> int:
    for place, picture in enumerate(pictures):
        if picture["uid"] == instance_uid and frame in {"", str(picture["frame"] or "")}:
            return place
    raise NotFound("this series has no such image")


def _metadata(request: HttpRequest, shown: Series, study_uid: str, instance_uid: str) -> Attributes:
    """Return the image's own metadata, for the names of its windows; {} where it is not told."""
    path = f"studies/{study_uid}/series/{shown.uid}/instances/{instance_uid}/metadata"
    try:
        found: list[dict[str, Any]] = _node_of(request, shown).qido(path, {})
    except ArgensError:
        return {}
    return found[0] if found else {}
