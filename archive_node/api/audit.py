"""The archive's audit, onwards from a cursor, for the portal that collects it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse

from archive_node import trail
from archive_node.api.guard import ticketed
from archive_node.models import AuditLine
from pacs_common import errors
from pacs_common.tickets import Ticket

MOST = 1000


@ticketed(GET="audit.read")
def lines(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """Answer the lines after a cursor, oldest first, each with its key."""
    limit = _number("limit", request.GET.get("limit", "500"), 1, MOST)
    cursor = _number("after", request.GET.get("after") or "0", 0, 2**62)
    found, onwards = trail.after(cursor, limit)
    told = [_told(line) for line in found]
    more = len(found) == limit
    patients = trail.patients_of(found)
    return JsonResponse({"records": told, "patients": patients, "next": str(onwards), "more": more})


def _told(line: AuditLine) -> dict[str, Any]:
    key = f"{line.id}:{line.at.timestamp():.6f}"  # another database has other times
    head = {"key": key, "at": line.at.isoformat(), "kind": line.kind, "by": line.by}
    return line.details | head


def _number(name: str, text: str, low: int, high: int) -> int:
    short = text.isascii() and text.isdecimal() and len(text) <= len(str(high))
    if not short or not low <= int(text) <= high:
        raise errors.BadInput(f"{name} is a number from {low} to {high}")
    return int(text)
