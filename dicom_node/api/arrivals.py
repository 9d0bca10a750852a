"""What arrived, and what did not, for the technologists' page."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from dicom_node.api.bodies import body_of, limit_of
from dicom_node.api.guard import allowed
from dicom_node.arrivals import lost, studies
from dicom_node.models import RejectedCaller, Transfer
from pacs_common.errors import BadInput

MAX_HOURS = 24 * 366
MAX_TRANSFERS = 500
TROUBLED = ~Q(why_ended="") | Q(refused__gt=0) | Q(quarantined__gt=0) | Q(unfinished__gt=0)


@require_GET
@allowed("arrivals.read")
def arrived(request: HttpRequest) -> JsonResponse:
    """Answer the studies of which something arrived in the last `hours`, the latest first."""
    since = _since(request)
    found = studies.arrived(
        since=since,
        modality=request.GET.get("modality", ""),
        source=request.GET.get("source", ""),
        limit=limit_of(request),
    )
    return JsonResponse({"studies": found, "sources": studies.sources(since)})


@require_GET
@allowed("arrivals.read")
def doubtful(request: HttpRequest) -> JsonResponse:
    """Answer the latest exams whose patient is nobody, or was never here before."""
    return JsonResponse({"studies": lost.lost(since=_since(request), limit=limit_of(request))})


@csrf_exempt
@require_POST
@allowed("arrivals.read")
def known(request: HttpRequest) -> JsonResponse:
    """Answer of each patient and moment whether the patient had been here before."""
    asked = body_of(request).get("patients")
    if not isinstance(asked, list) or len(asked) > lost.MAX_TOLD:
        raise BadInput(f"patients is not a list of at most {lost.MAX_TOLD}")
    return JsonResponse({"known": lost.known([_asked(one) for one in asked])})


@require_GET
@allowed("arrivals.read")
def transfers(request: HttpRequest) -> JsonResponse:
    """Answer the associations that brought objects, the latest first, and who was not let in.

    With `troubled=1`, those alone of which something did not arrive as it should.
    """
    rows = Transfer.objects.order_by("-id")
    if request.GET.get("troubled") == "1":
        rows = rows.filter(TROUBLED)
    if source := request.GET.get("source", ""):
        rows = rows.filter(source_ae=source)
    found = rows[: min(limit_of(request), MAX_TRANSFERS)]
    callers = RejectedCaller.objects.order_by("-last_at", "-id")[:50]
    return JsonResponse(
        {
            "transfers": [_transfer(row) for row in found],
            "rejected_callers": [_caller(row) for row in callers],
        }
    )


def _since(request: HttpRequest) -> timedelta:
    try:
        hours = int(request.GET.get("hours", 24))
    except ValueError:
        hours = 0
    if not 0 < hours <= MAX_HOURS:
        raise BadInput(f"hours is not a number from 1 to {MAX_HOURS}")
    return timedelta(hours=hours)


def _asked(told: Any) -> dict[str, Any]:
    """Return a patient of whom somebody asks; raises BadInput."""
    keys = ("issuer", "id", "study_uid", "before")
    if not isinstance(told, dict) or not all(isinstance(told.get(key), str) for key in keys):
        raise BadInput(f"a patient is an object of {', '.join(keys)}")
    try:
        before = datetime.fromisoformat(told["before"])
    except ValueError:
        before = None
    if before is None or before.tzinfo is None:
        raise BadInput("before is not a moment with its offset")
    return {**{key: told[key] for key in keys}, "before": before}


def _transfer(row: Transfer) -> dict[str, Any]:
    return {
        "id": row.id,
        "source_ae": row.source_ae,
        "address": row.address,
        "called_ae": row.called_ae,
        "began_at": row.began_at.isoformat(),
        "last_at": row.last_at.isoformat(),
        "ended_at": _iso(row.ended_at),
        "why_ended": row.why_ended,
        "stored": row.stored,
        "duplicates": row.duplicates,
        "quarantined": row.quarantined,
        "refused": row.refused,
        "unfinished": row.unfinished,
        "size_bytes": row.size_bytes,
        "refusals": row.refusals,
        "studies": row.studies,
    }


def _caller(row: RejectedCaller) -> dict[str, Any]:
    return {
        "ae_title": row.ae_title,
        "address": row.address,
        "cause": row.cause,
        "why": row.why,
        "count": row.count,
        "last_at": row.last_at.isoformat(),
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
