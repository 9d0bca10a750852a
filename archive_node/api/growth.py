"""How vaults and disks filled, day by day: `/api/growth`."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from archive_node import library, nodes
from archive_node.api import asked
from archive_node.api.guard import ticketed
from archive_node.policy import forecast
from pacs_common.tickets import Ticket

MOST_DAYS = 3660


@ticketed(GET="archive.read")
def growth(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """Show the bytes written to each vault, and each node's disk, on the last `days` days (UTC)."""
    days = asked.number("days", request.GET.get("days", "30"), 1, MOST_DAYS)
    today = timezone.now().date()
    since = today - timedelta(days=days - 1)
    return JsonResponse(
        {
            "vaults": {name: forecast.vault_days(name, since, today) for name in library.specs()},
            "nodes": {name: forecast.disk_days(name, since) for name in nodes.names()},
        }
    )
