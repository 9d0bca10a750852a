"""Storage commitment over HTTP: what was asked and answered, and the archive's receipts."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from dicom_node.api.bodies import body_of, limit_of
from dicom_node.api.guard import allowed
from dicom_node.commitment import overview, queue
from dicom_node.commitment.receipts import note_copies
from dicom_node.config import CONFIG
from dicom_node.dimse.scp.commit import ask_for_study
from dicom_node.models import Commitment
from dicom_node.store.layout import Layout
from pacs_common.errors import BadInput, Conflict, NotFound

LAYOUT = Layout(CONFIG.data_dir)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def commitments(request: HttpRequest) -> HttpResponseBase:
    """GET the requests, peers' and ours; POST one of ours: a peer is to commit a study."""
    return _ask(request) if request.method == "POST" else _overview(request)


@csrf_exempt
@require_POST
@allowed("forwarding.write")
def retry(request: HttpRequest, request_id: int) -> JsonResponse:
    """Try an open or given-up request again at once; 409 where it is done."""
    row = Commitment.objects.filter(id=request_id).first()
    if row is None:
        raise NotFound(f"there is no commitment request {request_id}")
    if not queue.retry(row):
        raise Conflict("the request is done, or being worked on")
    return JsonResponse(overview.request(Commitment.objects.get(id=row.id)), status=202)


@csrf_exempt
@require_POST
@allowed("custody.receipt", study_in_body=True)
def receipts(request: HttpRequest) -> JsonResponse:
    """Take the archive's word for verified copies of a study's instances."""
    told = body_of(request)
    request.ticket.require("custody.receipt", str(told.get("study_uid")))
    answer = note_copies(LAYOUT, told)
    queue.copies_came()
    return JsonResponse(answer)


@allowed("forwarding.read")
def _overview(request: HttpRequest) -> JsonResponse:
    found = overview.requests(
        state=request.GET.get("state", ""),
        peer_ae=request.GET.get("peer", ""),
        side=request.GET.get("side", ""),
        limit=limit_of(request),
    )
    return JsonResponse({"requests": found, "at": timezone.now().isoformat()})


@allowed("forwarding.write", study_in_body=True)
def _ask(request: HttpRequest) -> JsonResponse:
    told = body_of(request)
    study_uid, peer_ae = told.get("study_uid"), told.get("peer_ae")
    if not isinstance(study_uid, str) or not isinstance(peer_ae, str):
        raise BadInput("peer_ae or study_uid is missing")
    request.ticket.require("forwarding.write", study_uid)
    row = ask_for_study(peer_ae, study_uid, requested_by=request.ticket.subject)
    return JsonResponse(overview.request(row), status=202)
