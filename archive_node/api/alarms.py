"""Alarms: list them, say that one was seen."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse

from archive_node import alarms as kept
from archive_node import trail
from archive_node.alarms.webhook import as_json
from archive_node.api import asked
from archive_node.api.guard import ticketed
from archive_node.models import Alarm
from pacs_common.tickets import Ticket


@ticketed(GET="archive.read")
def alarms(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """List the alarms that last, newest first; with `ended=1` those that are over, too."""
    with_ended = asked.number("ended", request.GET.get("ended") or "0", 0, 1)
    rows = Alarm.objects.all() if with_ended else Alarm.objects.filter(ended_at=None)
    return JsonResponse(
        {"alarms": [as_json(row) for row in asked.page(rows.order_by("-id"), request.GET)]}
    )


@ticketed(POST="archive.operate")
def acknowledge(request: HttpRequest, ticket: Ticket, alarm_id: int) -> JsonResponse:
    """Note who has seen an alarm."""
    row = kept.acknowledge(alarm_id, ticket.subject)
    trail.note("alarm-seen", ticket.subject, alarm=row.kind, about=row.subject)
    return JsonResponse({"alarm": as_json(row)})
