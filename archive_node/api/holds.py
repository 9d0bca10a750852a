"""Holds: list them, put one on a study, release it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse

from archive_node import nodes
from archive_node.api import asked
from archive_node.api.guard import body, ticketed
from archive_node.models import Hold
from archive_node.policy import holds as kept
from pacs_common.tickets import Ticket
from pacs_common.uids import Uid


def as_json(hold: Hold) -> dict[str, Any]:
    """Return a hold as docs/interfaces.md shows it."""
    return {
        "id": hold.id,
        "node": hold.node,
        "study_uid": hold.study_uid,
        "kind": hold.kind,
        "reason": hold.reason,
        "held_at": hold.held_at.isoformat(),
        "held_by": hold.held_by,
    }


def of_study(study_uid: str) -> list[dict[str, Any]]:
    """Return the holds in force on a study, wherever it lies."""
    rows = Hold.objects.filter(study_uid=study_uid, released_at=None).order_by("id")
    return [as_json(row) for row in rows]


@ticketed(GET="archive.read", POST="archive.operate")
def holds(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """List the holds in force, newest first, or put one on a study."""
    if request.method == "POST":
        return _hold(ticket, body(request))
    rows = Hold.objects.filter(released_at=None).order_by("-id")
    return JsonResponse({"holds": [as_json(row) for row in asked.page(rows, request.GET)]})


@ticketed(POST="archive.operate")
def release(request: HttpRequest, ticket: Ticket, hold_id: int) -> JsonResponse:
    """End a hold."""
    return JsonResponse({"hold": as_json(kept.release(hold_id, ticket.subject))})


def _hold(ticket: Ticket, wanted: dict[str, Any]) -> JsonResponse:
    made = kept.hold(
        asked.choice(wanted, "node", nodes.names()),
        Uid.parse(wanted.get("study_uid"), "study_uid"),
        asked.choice(wanted, "kind", Hold.Kind.values),
        asked.text(wanted, "reason", 200, empty=True),
        ticket.subject,
    )
    return JsonResponse({"hold": as_json(made)}, status=201)
