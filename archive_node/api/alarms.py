"""Alarms: list them, say that one was seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import HttpRequest, JsonResponse

from archive_node import alarms as kept
from archive_node import trail
from archive_node.alarms.webhook import as_json
from archive_node.api import asked
from archive_node.api.guard import ticketed
from archive_node.api.job_json import iso
from archive_node.models import Alarm
from pacs_common.tickets import Ticket

STATES = {"lasting": Q(ended_at=None), "ended": Q(ended_at__isnull=False), "all": Q()}
MOST_CHARS = 32  # of a kind


@ticketed(GET="archive.read")
def alarms(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """List the alarms that last, newest first, or those in another state, or of one kind."""
    rows = asked.page(_chosen(request.GET).order_by("-id"), request.GET)
    config = settings.ARCHIVE
    told_by = {"mail": bool(config.alarm_mail_to), "webhook": bool(config.alarm_webhook)}
    return JsonResponse({"alarms": [_shown(row) for row in rows], "told_by": told_by})


@ticketed(POST="archive.operate")
def acknowledge(request: HttpRequest, ticket: Ticket, alarm_id: int) -> JsonResponse:
    """Note who has seen an alarm."""
    row = kept.acknowledge(alarm_id, ticket.subject)
    trail.note("alarm-seen", ticket.subject, alarm=row.kind, about=row.subject)
    return JsonResponse({"alarm": _shown(row)})


def _chosen(wanted: Mapping[str, Any]) -> QuerySet[Alarm]:
    with_ended = asked.number("ended", wanted.get("ended") or "0", 0, 1)
    state = "all" if with_ended else "lasting"
    if wanted.get("state"):
        state = asked.choice(wanted, "state", list(STATES))
    rows = Alarm.objects.filter(STATES[state])
    return rows.filter(kind=asked.text(wanted, "kind", MOST_CHARS)) if wanted.get("kind") else rows


def _shown(row: Alarm) -> dict[str, Any]:
    """Return an alarm as its webhook gets it, and when mail server and webhook last took it."""
    return as_json(row) | {"mailed_at": iso(row.mailed_at), "posted_at": iso(row.posted_at)}
