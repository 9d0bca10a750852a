"""What was rejected: its list, its undoing, and its removal by approval (custody rule 8)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from dicom_node.api.guard import allowed
from dicom_node.arrivals.studies import departments_of
from dicom_node.commitment.receipts import copies_of, proven
from dicom_node.config import CONFIG
from dicom_node.custody import reject, reject_removal
from dicom_node.index import rejections
from dicom_node.models import Rejection, Study
from dicom_node.store.layout import Layout
from pacs_common.errors import BadInput, Refused

LAYOUT = Layout(CONFIG.data_dir)
LIMIT, MAX_LIMIT = 100, 500


@require_GET
@allowed("rejections.read", study_in_body=True)
def every(request: HttpRequest) -> JsonResponse:
    """Answer the rejections, newest first; `due=1`: those that wait for an approval."""
    study = request.ticket.study or request.GET.get("study", "")
    try:
        limit = min(MAX_LIMIT, max(1, int(request.GET.get("limit", LIMIT))))
    except ValueError:
        raise BadInput("limit is not a number") from None
    found = reject.known(is_due=request.GET.get("due") == "1", study_uid=study)
    rows = list(found[:limit])
    studies = {s.uid: s for s in Study.objects.filter(uid__in={row.study_uid for row in rows})}
    told = [_told(row, studies.get(row.study_uid)) for row in rows]
    return JsonResponse({"rejections": told})


@require_GET
@allowed("rejections.read", study_in_body=True)
def one(request: HttpRequest, note_uid: str) -> JsonResponse:
    """Answer a rejection with what a removal would do, and the copies that prove it."""
    rejection = _named(request, note_uid)
    hidden = {instance.uid for instance in rejections.hidden_by(rejection)}
    copies = copies_of(LAYOUT, hidden)
    plan = [
        {
            "sop_instance_uid": instance.uid,
            "series_uid": instance.series.uid,
            "modality": instance.series.modality,
            "number": instance.number,
            "stays": stays,
            "copies": copies.get((instance.uid, instance.stored_sha256), []),
        }
        for instance, stays in reject_removal.plan(LAYOUT, rejection, copies)
    ]
    study = Study.objects.filter(uid=rejection.study_uid).first()
    is_due = reject.due_at(rejection) <= timezone.now()
    return JsonResponse({"rejection": _told(rejection, study), "plan": plan, "due": is_due})


@csrf_exempt
@require_POST
@allowed("dicomweb.delete", study_in_body=True)
def undo(request: HttpRequest, note_uid: str) -> JsonResponse:
    """Bring back what a rejection hides."""
    done = reject.undo(LAYOUT, _named(request, note_uid), request.ticket.subject)
    return JsonResponse({"rejection": reject.account(done)})


@csrf_exempt
@require_POST
@allowed("rejections.approve", study_in_body=True)
def approve(request: HttpRequest, note_uid: str) -> JsonResponse:
    """Remove the node's files of a rejection that is due, as far as the archive holds them."""
    rejection = _named(request, note_uid)
    done = reject_removal.approve(LAYOUT, rejection, request.ticket.subject, proven)
    return JsonResponse({"rejection": reject.account(rejection), **done})


def _told(rejection: Rejection, study: Study | None) -> dict[str, Any]:
    """Return what is told of a rejection, with whose study it is as long as a row of it is here."""
    patient = {"name": study.patient_name, "id": study.patient_id} if study else None
    departments = departments_of(study) if study else []
    description = study.description if study else ""
    more = {"patient": patient, "departments": departments, "description": description}
    return {**reject.account(rejection), **more}


def _named(request: HttpRequest, note_uid: str):
    rejection = reject.named(note_uid)
    if request.ticket.study not in (None, rejection.study_uid):
        raise Refused("this ticket is for another study")
    return rejection
