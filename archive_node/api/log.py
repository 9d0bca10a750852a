"""The last lines of the archive's log, for IT: `/api/log`."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, JsonResponse

from archive_node.api.guard import ticketed
from pacs_common.recent_log import answered
from pacs_common.tickets import Ticket


@ticketed(GET="log.read")
def lines(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """Answer the newest lines of a level and above, with some words in them."""
    return JsonResponse(answered(settings.ARCHIVE.log_dir, request.GET.dict()))
