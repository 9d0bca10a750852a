"""The archive's audit, onwards from a cursor, for the portal that collects it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse

from archive_node import trail
from archive_node.api import asked
from archive_node.api.guard import ticketed
from archive_node.models import AuditLine
from pacs_common.tickets import Ticket

OUTCOMES = ("job-done", "job-failed")
RULE = "rule"


@ticketed(GET="audit.read")
def lines(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """Answer the lines after a cursor, oldest first, each with its key."""
    limit = asked.number("limit", request.GET.get("limit", "500"), 1, asked.MOST)
    cursor = asked.number("after", request.GET.get("after") or "0", 0, 2**62)
    found, onwards = trail.after(cursor, limit)
    told = [_told(line) for line in found]
    more = len(found) == limit
    patients = trail.patients_of(found)
    return JsonResponse({"records": told, "patients": patients, "next": str(onwards), "more": more})


@ticketed(GET="archive.read")
def acts(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """Show what operators did, newest first."""
    rows = AuditLine.objects.exclude(kind__in=OUTCOMES).exclude(by=RULE).order_by("-id")
    return JsonResponse({"acts": [_act(row) for row in asked.page(rows, request.GET)]})


def _act(line: AuditLine) -> dict[str, Any]:
    told = {"at": line.at.isoformat(), "by": line.by, "kind": line.kind}
    return told | {"details": line.details}


def _told(line: AuditLine) -> dict[str, Any]:
    key = f"{line.id}:{line.at.timestamp():.6f}"  # another database has other times
    head = {"key": key, "at": line.at.isoformat(), "kind": line.kind, "by": line.by}
    return line.details | head
