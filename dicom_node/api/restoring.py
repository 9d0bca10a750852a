"""The archive's door into a node that lost its disk: files, and what the journal said of them."""

from __future__ import annotations

import json
import re
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from dicom_node import measures
from dicom_node.api.bodies import body_of
from dicom_node.api.guard import allowed
from dicom_node.config import CONFIG
from dicom_node.custody import replacing, restore_quarantined
from dicom_node.custody.given import Given
from dicom_node.custody.restore import restore
from dicom_node.custody.restore_quarantined import Why
from dicom_node.custody.restored_journal import checked, restore_records
from dicom_node.models import Quarantined, Study, WithheldStudy
from dicom_node.store.layout import Layout
from pacs_common.errors import BadInput
from pacs_common.uids import Uid

LAYOUT = Layout(CONFIG.data_dir)
MAX_DETAIL_CHARS = 4096
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@csrf_exempt
@require_http_methods(["PUT"])
@allowed("custody.restore")
def instance(request: HttpRequest, study_uid: str, sop_uid: str) -> JsonResponse:
    """Take the exact file of an instance that this node does not know, or lost."""
    copies = _copies(request.headers.get("X-Evicted-To"))
    given = _given(request, study_uid, sop_uid, copies)
    is_new = restore(LAYOUT, given, request, reserve_bytes=CONFIG.reserve_bytes)
    return _taken(given, is_new=is_new)


@csrf_exempt
@require_http_methods(["PUT"])
@allowed("custody.restore")
def quarantined(request: HttpRequest, study_uid: str, sop_uid: str) -> JsonResponse:
    """Take the exact file of an object that lay in quarantine."""
    why = _why(request.headers.get("X-Quarantined-For"))
    given = _given(request, study_uid, sop_uid, None)
    reserve_bytes = CONFIG.reserve_bytes
    is_new = restore_quarantined.restore(LAYOUT, given, why, request, reserve_bytes=reserve_bytes)
    return _taken(given, is_new=is_new)


@csrf_exempt
@require_POST
@allowed("custody.restore")
def records(request: HttpRequest, study_uid: str) -> JsonResponse:
    """Take the journal's records of a study, once, and show what they tell."""
    told = body_of(request)
    uid = Uid.parse(study_uid, "Study Instance UID")
    revision = told.get("revision", 0)
    if not isinstance(revision, int) or isinstance(revision, bool):
        raise BadInput("revision is not a number")
    given = checked(told.get("records"), uid)
    added = restore_records(LAYOUT, uid, given, revision, request.ticket.subject)
    shown = Study.objects.filter(uid=uid).values_list("revision", flat=True).first()
    if shown is None:
        shown = WithheldStudy.objects.filter(uid=uid).values_list("revision", flat=True).first()
    return JsonResponse({"study_uid": uid, "added": added, "revision": shown})


def _taken(given: Given, *, is_new: bool) -> JsonResponse:
    size_bytes = given.size_bytes if is_new else 0
    measures.received(measures.RESTORE, "stored" if is_new else "duplicate", size_bytes)
    return JsonResponse({"restored": is_new}, status=201 if is_new else 200)


def _given(
    request: HttpRequest, study_uid: str, sop_uid: str, copies: list[dict[str, Any]] | None
) -> Given:
    """Return what a request says of its file; raises BadInput."""
    size, digest = request.headers.get("Content-Length", ""), request.headers.get("X-Stored-SHA256")
    if not (size.isascii() and size.isdigit()):
        raise BadInput("Content-Length is missing")
    if not _SHA256.match(digest or ""):
        raise BadInput("X-Stored-SHA256 is not a SHA-256 in lower-case hexadecimal digits")
    return Given(
        study_uid=Uid.parse(study_uid, "Study Instance UID"),
        sop_uid=Uid.parse(sop_uid, "SOP Instance UID"),
        size_bytes=int(size),
        stored_sha256=str(digest),
        copies=copies,
        by=request.ticket.subject,
    )


def _why(text: str | None) -> Why:
    """Return why an object lay in quarantine, as a header tells it; raises BadInput."""
    try:
        told = json.loads(text or "")
    except (ValueError, RecursionError):
        raise BadInput("X-Quarantined-For is not JSON") from None
    if not isinstance(told, dict) or told.get("reason") not in Quarantined.Reason.values:
        raise BadInput("X-Quarantined-For names no reason to quarantine an object")
    detail = told.get("detail", "")
    if not isinstance(detail, str) or len(detail) > MAX_DETAIL_CHARS:
        raise BadInput(f"detail is not a text of at most {MAX_DETAIL_CHARS} characters")
    return Why(told["reason"], detail)


def _copies(text: str | None) -> list[dict[str, Any]] | None:
    """Return the verified copies that a header names, None without it; raises BadInput."""
    if text is None:
        return None
    try:
        copies = json.loads(text)
    except (ValueError, RecursionError):
        raise BadInput("X-Evicted-To is not JSON") from None
    if not isinstance(copies, list) or not all(isinstance(copy, dict) for copy in copies):
        raise BadInput("X-Evicted-To is not a list of copies")
    if not any(copy.get("verified_at") for copy in copies):
        raise BadInput("X-Evicted-To names no verified copy")
    return copies


@csrf_exempt
@require_POST
@allowed("custody.restore")
def end_take_over(request: HttpRequest, take_over_id: str) -> JsonResponse:
    """Take the archive's word that this node, in the place of a lost one, lacks nothing more."""
    missing = body_of(request).get("missing", 0)
    if not isinstance(missing, int) or isinstance(missing, bool) or missing < 0:
        raise BadInput("missing is not a number of studies")
    ended = replacing.end(LAYOUT, take_over_id, missing, request.ticket.subject)
    return JsonResponse({"ended": ended})
