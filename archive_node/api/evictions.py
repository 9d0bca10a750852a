"""Eviction lists: print them study by study, approve or refuse them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse

from archive_node.api import asked
from archive_node.api.guard import ticketed
from archive_node.api.jobs import as_json as job_as_json
from archive_node.models import EvictionList, ListedStudy
from archive_node.policy import evictions as kept
from pacs_common.tickets import Ticket


def as_json(row: EvictionList) -> dict[str, Any]:
    """Return a list, counted, as docs/interfaces.md shows it."""
    return {
        "id": row.id,
        "node": row.node,
        "state": row.state,
        "why": row.why,
        "wanted_bytes": row.wanted_bytes,
        "listed_bytes": row.listed_bytes or 0,
        "studies": row.number,
        "made_at": row.made_at.isoformat(),
        "decided_at": row.decided_at.isoformat() if row.decided_at else None,
        "decided_by": row.decided_by,
    }


@ticketed(GET="archive.read")
def lists(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """List the lists, newest first, in one state or in all."""
    rows = kept.counted(EvictionList.objects.all()).order_by("-id")
    if request.GET.get("state"):
        rows = rows.filter(state=asked.choice(request.GET, "state", EvictionList.State.values))
    return JsonResponse({"lists": [as_json(row) for row in asked.page(rows, request.GET)]})


@ticketed(GET="archive.read")
def one(request: HttpRequest, ticket: Ticket, list_id: int) -> JsonResponse:
    """Show a list with its studies, in the order in which they were listed."""
    row = kept.found(list_id)
    studies = row.studies.select_related("job").order_by("id")
    page = asked.page(studies, request.GET, default=asked.MOST)
    return JsonResponse({"list": as_json(row), "studies": [_study(study) for study in page]})


@ticketed(POST="archive.operate")
def approve(request: HttpRequest, ticket: Ticket, list_id: int) -> JsonResponse:
    """Let what is listed go, as far as it still may."""
    kept.found(list_id)
    return JsonResponse({"list": as_json(kept.approve(list_id, ticket.subject))})


@ticketed(POST="archive.operate")
def refuse(request: HttpRequest, ticket: Ticket, list_id: int) -> JsonResponse:
    """Let nothing of it go."""
    kept.found(list_id)
    return JsonResponse({"list": as_json(kept.refuse(list_id, ticket.subject))})


def _study(study: ListedStudy) -> dict[str, Any]:
    return {
        "study_uid": study.study_uid,
        "instances": study.instances,
        "size_bytes": study.size_bytes,
        "last_used_at": study.last_used_at.isoformat(),
        "why": study.why,
        "job": job_as_json(study.job) if study.job else None,
    }
