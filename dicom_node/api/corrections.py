"""Corrections of a patient's identity: tried, applied, listed, undone, sent again (rule 10)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dicom_node import audit
from dicom_node.api.bodies import body_of
from dicom_node.api.guard import allowed
from dicom_node.config import CONFIG
from dicom_node.custody import correct
from dicom_node.custody.correct_values import Asked, current
from dicom_node.dimse.scu import remote
from dicom_node.forwarding import queue, receivers
from dicom_node.models import Correction, Instance, Study
from dicom_node.store.layout import Layout
from pacs_common.errors import BadInput, NotFound, Refused
from pacs_common.uids import Uid

LAYOUT = Layout(CONFIG.data_dir)
READ, WRITE = "corrections.read", "corrections.write"


@csrf_exempt
@require_http_methods(["GET", "POST"])
def corrections(request: HttpRequest) -> HttpResponseBase:
    """GET a study's corrections and what it shows; POST one, or with `preview` try it."""
    return _correct(request) if request.method == "POST" else _list(request)


@csrf_exempt
@require_POST
@allowed(WRITE, study_in_body=True)
def undo(request: HttpRequest, correction_id: str) -> JsonResponse:
    """Show again what was shown before a correction."""
    done = correct.undo(LAYOUT, _named(request, correction_id), request.ticket.subject)
    return JsonResponse({"correction": correct.account(done), "received": _received(done)})


@require_GET
@allowed(READ, study_in_body=True)
def received(request: HttpRequest, correction_id: str) -> JsonResponse:
    """Answer who was sent the study as it was before a correction, or before its undoing."""
    return JsonResponse({"received": _received(_named(request, correction_id))})


@csrf_exempt
@require_POST
@allowed(WRITE, study_in_body=True)
def resend(request: HttpRequest, correction_id: str) -> JsonResponse:
    """Queue the study as it is shown now for destinations that have it as it was."""
    correction, by = _named(request, correction_id), request.ticket.subject
    asked = body_of(request).get("destinations")
    if not isinstance(asked, list) or not asked or not all(isinstance(one, str) for one in asked):
        raise BadInput("destinations is a list of AE titles")
    titles = [remote.known(one).ae_title for one in asked]
    found = Instance.objects.filter(series__study__uid=correction.study_uid)
    found = found.select_related("series__study").order_by("series__number", "number", "id")
    queued = {title: queue.enqueue(title, found, by) for title in titles}
    audit.note("queued", by=by, again=True, study_uid=correction.study_uid, destinations=queued)
    return JsonResponse({"queued": queued}, status=202)


@allowed(READ, study_in_body=True)
def _list(request: HttpRequest) -> JsonResponse:
    study_uid = Uid.parse(request.GET.get("study", ""), "study")
    request.ticket.require(READ, study_uid)
    study = Study.objects.filter(uid=study_uid).first()
    if study is None:
        raise NotFound(f"study {study_uid} is not here")
    return JsonResponse(
        {
            "shown": current(study),
            "latest": correct.latest_of(study_uid),
            "corrections": [correct.account(one) for one in correct.of_study(study_uid)],
        }
    )


@allowed(WRITE, study_in_body=True)
def _correct(request: HttpRequest) -> JsonResponse:
    told = body_of(request)
    study_uid = Uid.parse(_text(told, "study_uid"), "study_uid")
    request.ticket.require(WRITE, study_uid)
    asked = Asked(_text(told, "id"), _text(told, "kind"), _text(told, "why"), _values(told))
    latest = _text(told, "latest") if "latest" in told else None
    if told.get("preview") is True:
        found = correct.preview(study_uid, asked, latest)
        return JsonResponse({"preview": True, "correction": correct.account(found)})
    done = correct.correct(LAYOUT, study_uid, asked, latest, request.ticket.subject)
    return JsonResponse({"correction": correct.account(done), "received": _received(done)})


def _received(correction: Correction) -> list[dict[str, Any]]:
    since = correction.undone_at or correction.at
    return [
        one | {"can_resend": remote.is_known(one["destination"])}
        for one in receivers.of(LAYOUT, correction.study_uid, since)
    ]


def _named(request: HttpRequest, correction_id: str) -> Correction:
    found = correct.named(correction_id)
    if request.ticket.study not in (None, found.study_uid):
        raise Refused("this ticket is for another study")
    return found


def _text(told: dict[str, Any], key: str) -> str:
    value = told.get(key, "")
    if not isinstance(value, str):
        raise BadInput(f"{key} is no text")
    return value


def _values(told: dict[str, Any]) -> dict[str, str]:
    values = told.get("values")
    if not isinstance(values, dict) or not all(isinstance(one, str) for one in values.values()):
        raise BadInput("values is an object of texts by keyword")
    return values
