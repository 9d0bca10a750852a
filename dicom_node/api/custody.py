"""The archive's door: facts, files, eviction and recall (custody rule 7)."""

from __future__ import annotations

import json
from datetime import timedelta

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dicom_node import measures
from dicom_node.api.guard import allowed
from dicom_node.config import CONFIG
from dicom_node.custody import facts, quarantine_files
from dicom_node.custody.evict import Eviction
from dicom_node.custody.recall import put_back
from dicom_node.models import Instance, RecallRequest
from dicom_node.store.journal import Journal
from dicom_node.store.layout import Layout
from pacs_common.availability import Availability
from pacs_common.errors import BadInput, NotFound, NotOnline
from pacs_common.uids import Uid

LAYOUT = Layout(CONFIG.data_dir)


@require_GET
@allowed("custody.read")
def studies(request: HttpRequest) -> JsonResponse:
    """Answer one page of study facts, of those alone that changed `since` where it is given."""
    try:
        limit = max(1, int(request.GET.get("limit", facts.MAX_PAGE)))
    except ValueError:
        raise BadInput("limit is not a number") from None
    given = request.GET
    return JsonResponse(facts.page(given.get("after", ""), limit, given.get("since", "")))


@require_GET
@allowed("custody.read")
def study(request: HttpRequest, study_uid: str) -> JsonResponse:
    """Answer a study's manifest."""
    found = facts.named(study_uid)
    if found is None:
        raise NotFound(f"study {study_uid[:64]!r} is not here")
    return JsonResponse(facts.manifest(found, Journal(LAYOUT.journal)))


@csrf_exempt
@require_http_methods(["GET", "PUT"])
def instance(request: HttpRequest, study_uid: str, sop_uid: str) -> HttpResponseBase:
    """GET the stored file, byte for byte; PUT it back after an eviction."""
    handler = _put if request.method == "PUT" else _get
    return handler(request, study_uid=study_uid, sop_uid=sop_uid)


@csrf_exempt
@require_POST
@allowed("custody.evict", study_in_body=True)
def evictions(request: HttpRequest) -> HttpResponse:
    """Execute an eviction plan that is proven by its receipts."""
    try:
        plan = json.loads(request.body)
    except (ValueError, RecursionError):
        raise BadInput("the plan is not JSON") from None
    if not isinstance(plan, dict):
        raise BadInput("the plan is not a JSON object")
    request.ticket.require("custody.evict", str(plan.get("study_uid")))
    eviction = Eviction(LAYOUT, timedelta(seconds=CONFIG.in_use_s))
    return JsonResponse(eviction.execute(plan, request.ticket))


@require_GET
@allowed("custody.read")
def recall_requests(request: HttpRequest) -> JsonResponse:
    """Answer which studies were wanted while they were away."""
    wanted = [
        {
            "study_uid": row.study_uid,
            "requested_at": row.requested_at.isoformat(),
            "requested_by": row.requested_by,
        }
        for row in RecallRequest.objects.order_by("requested_at")
    ]
    return JsonResponse({"requests": wanted})


@require_GET
@allowed("custody.read", study_in_body=True)
def quarantined(request: HttpRequest, sop_uid: str, digest: str) -> FileResponse:
    """Answer a quarantined file, byte for byte; a ticket for a study opens those of it alone."""
    found = quarantine_files.named(Uid.parse(sop_uid), digest)
    request.ticket.require("custody.read", found.study_uid if found else None)
    if found is None:
        raise NotFound(f"no object {sop_uid} of this digest is in quarantine")
    path = quarantine_files.path_of(found)
    answer = FileResponse(path.open("rb"), content_type="application/dicom")
    answer["ETag"] = f'"{found.stored_sha256}"'
    return answer


@allowed("custody.read")
def _get(request: HttpRequest, study_uid: str, sop_uid: str) -> FileResponse:
    found = _instance(study_uid, sop_uid)
    if found.availability != Availability.ONLINE:
        raise NotOnline(f"instance {sop_uid} is {found.availability}")
    path = LAYOUT.object(found.hour, found.uid)
    answer = FileResponse(path.open("rb"), content_type="application/dicom")
    answer["ETag"] = f'"{found.stored_sha256}"'
    return answer


@allowed("custody.recall")
def _put(request: HttpRequest, study_uid: str, sop_uid: str) -> JsonResponse:
    found = _instance(study_uid, sop_uid)
    size = request.headers.get("Content-Length", "")
    if not (size.isascii() and size.isdigit()):
        raise BadInput("Content-Length is missing")
    restored = put_back(LAYOUT, found, request, int(size), reserve_bytes=CONFIG.reserve_bytes)
    measures.received(measures.RECALL, "stored" if restored else "duplicate", int(size) * restored)
    return JsonResponse({"restored": restored}, status=201 if restored else 200)


def _instance(study_uid: str, sop_uid: str) -> Instance:
    found = Instance.every.filter(uid=Uid.parse(sop_uid), series__study__uid=Uid.parse(study_uid))
    instance = found.select_related("series__study").first()
    if instance is None:
        raise NotFound(f"instance {sop_uid} is not here")
    return instance
