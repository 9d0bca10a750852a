"""Quarantine for people: what waits, both objects side by side, and the decision."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from dicom_node.api.bodies import body_of, limit_of
from dicom_node.api.guard import allowed
from dicom_node.arrivals.studies import departments_of
from dicom_node.config import CONFIG
from dicom_node.custody import comparison, quarantine
from dicom_node.models import Quarantined, Study
from dicom_node.render.rendition import RenderOptions, rendered
from dicom_node.store.layout import Layout
from pacs_common.errors import ArgensError, BadInput

LAYOUT = Layout(CONFIG.data_dir)
MAX_ROWS = 500
SIDE = 512
_DECIDE = {"keep": quarantine.keep, "take": quarantine.take, "undo": quarantine.undo}
VERBS = tuple(_DECIDE)


@require_GET
@allowed("arrivals.read")
def every(request: HttpRequest) -> JsonResponse:
    """Answer what waits for a decision, the latest first; `decided=1`: what is settled."""
    found = quarantine.known(is_waiting=request.GET.get("decided") != "1")
    rows = list(found[: min(limit_of(request), MAX_ROWS)])
    wanted = Study.objects.filter(uid__in={row.study_uid for row in rows})
    studies = {study.uid: study for study in wanted}
    told = [_told(row, studies.get(row.study_uid)) for row in rows]
    return JsonResponse({"quarantined": told, "waiting": Quarantined.waiting.count()})


@require_GET
@allowed("arrivals.read")
def one(request: HttpRequest, row_id: int) -> JsonResponse:
    """Answer a quarantined object beside what is stored."""
    row = quarantine.named(row_id)
    came = comparison.object_in_quarantine(LAYOUT, row)
    stored = quarantine.stored_beside(row)
    beside = comparison.stored_object(LAYOUT, stored) if stored else None
    refusal = quarantine.why_not(LAYOUT, row)
    study = Study.objects.filter(uid=row.study_uid).first()
    return JsonResponse(
        {
            **_told(row, study),
            "object": comparison.facts(came),
            "stored": comparison.facts(beside) if beside is not None else None,
            "study": _study(study),
            "differences": comparison.differences(beside, came) if beside is not None else [],
            "may_take": not refusal,
            "why_not": refusal,
        }
    )


@require_GET
@allowed("arrivals.read")
def picture(request: HttpRequest, row_id: int) -> HttpResponse:
    """Answer the picture of a quarantined image (JPEG), 406 where it has none."""
    ds = comparison.object_in_quarantine(LAYOUT, quarantine.named(row_id))
    content = rendered(ds, 0, RenderOptions(viewport=(SIDE, SIDE)))
    return HttpResponse(content, content_type="image/jpeg", headers={"Cache-Control": "private"})


@csrf_exempt
@require_POST
@allowed("quarantine.decide")
def decide(request: HttpRequest, row_id: int, verb: str) -> JsonResponse:
    """Keep an object out, let it take the stored one's place, or undo either."""
    comment = body_of(request).get("comment", "")
    if not isinstance(comment, str):
        raise BadInput("comment is no text")
    row = quarantine.named(row_id)
    _DECIDE[verb](LAYOUT, row, request.ticket.subject, comment)
    return JsonResponse({"waiting": Quarantined.waiting.count()})


def _told(row: Quarantined, study: Study | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "sop_instance_uid": row.uid,
        "study_uid": row.study_uid,
        "received_sha256": row.received_sha256,
        "reason": row.reason,
        "detail": row.detail,
        "arrived_at": row.arrived_at.isoformat(),
        "source_ae": row.source_ae,
        "size_bytes": row.size_bytes,
        "decision": row.decision,
        "decided_by": row.decided_by,
        "decided_at": row.decided_at.isoformat() if row.decided_at else None,
        "comment": row.comment,
        "patient": _patient(row),
        "departments": departments_of(study) if study else [],
    }


def _patient(row: Quarantined) -> dict[str, str]:
    """Return whose a quarantined object says that it is."""
    try:
        found = comparison.facts(comparison.object_in_quarantine(LAYOUT, row))
    except ArgensError:
        return {"name": "", "id": ""}
    return {"name": found["patient_name"], "id": found["patient_id"]}


def _study(study: Study | None) -> dict[str, str] | None:
    if study is None:
        return None
    return {
        "patient_name": study.patient_name,
        "patient_id": study.patient_id,
        "issuer": study.issuer,
        "birth_date": study.birth_date,
        "sex": study.sex,
        "study_date": study.study_date,
        "study_description": study.description,
    }
