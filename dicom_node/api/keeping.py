"""What the archive tells the node to keep: holds, where evicted files lie, space for recalls."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from dicom_node.api.bodies import body_of
from dicom_node.api.guard import allowed
from dicom_node.config import CONFIG
from dicom_node.custody import reservations
from dicom_node.custody.hold import checked, hold
from dicom_node.custody.shelve import shelve
from dicom_node.index.holds import unpacked
from dicom_node.models import Study
from dicom_node.store.layout import Layout
from pacs_common.errors import BadInput, NotFound

LAYOUT = Layout(CONFIG.data_dir)


@csrf_exempt
@require_http_methods(["PUT"])
@allowed("custody.hold")
def holds(request: HttpRequest, study_uid: str) -> JsonResponse:
    """Let exactly the holds of the body be in force for a study."""
    wanted = checked(body_of(request).get("holds"))
    study = hold(LAYOUT, study_uid, wanted, request.ticket.subject)
    found = [one._asdict() for one in unpacked(study.holds)]
    return JsonResponse({"study_uid": study.uid, "holds": found, "revision": study.revision})


@csrf_exempt
@require_http_methods(["PUT"])
@allowed("custody.availability")
def availability(request: HttpRequest, study_uid: str) -> JsonResponse:
    """Note that evicted instances are NEARLINE or OFFLINE."""
    told = body_of(request)
    uids = told.get("instances")
    if uids is not None and not (isinstance(uids, list) and all(isinstance(u, str) for u in uids)):
        raise BadInput("instances is not a list of SOP Instance UIDs")
    return JsonResponse(shelve(LAYOUT, study_uid, str(told.get("availability")), uids))


@csrf_exempt
@require_POST
@allowed("custody.recall", study_in_body=True)
def reserve(request: HttpRequest) -> JsonResponse:
    """Keep space for the recall of a study; 507 where it does not fit."""
    told = body_of(request)
    study_uid, size_bytes = str(told.get("study_uid")), told.get("bytes")
    request.ticket.require("custody.recall", study_uid)
    if not Study.objects.filter(uid=study_uid).exists():
        raise NotFound(f"study {study_uid} is not here")
    if not isinstance(size_bytes, int) or isinstance(size_bytes, bool):
        raise BadInput("bytes is not a number")
    found = reservations.reserve(LAYOUT, study_uid, size_bytes, reserve_bytes=CONFIG.reserve_bytes)
    answer = {"study_uid": study_uid, "bytes": found.size_bytes}
    return JsonResponse(answer | {"expires_at": found.expires_at.isoformat()}, status=201)
