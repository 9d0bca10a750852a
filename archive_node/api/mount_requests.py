"""Volumes that jobs wait for until an operator puts them in."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse

from archive_node import library
from archive_node.api.guard import body, ticketed
from archive_node.api.job_json import iso
from archive_node.api.volumes import put_in
from archive_node.jobs import mounts
from archive_node.models import MountRequest
from archive_node.vault.base import Vault
from pacs_common import errors
from pacs_common.sentences import say
from pacs_common.tickets import Ticket

MOST_NAMES = 10


@ticketed(GET="archive.read")
def requests(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """List what is asked for, the oldest first."""
    found, _ = library.answering()
    vaults = {vault.name: vault for vault in found}
    opened = MountRequest.objects.filter(ended_at=None).order_by("asked_at", "id")
    return JsonResponse({"requests": [_shown(one, vaults.get(one.vault)) for one in opened]})


@ticketed(POST="archive.operate")
def confirm(request: HttpRequest, ticket: Ticket, request_id: int) -> JsonResponse:
    """Take a volume into the library on an operator's word; the jobs that wait for it go on."""
    asked = MountRequest.objects.filter(id=request_id).first()
    if asked is None:
        raise errors.NotFound(say("request-unknown", request=request_id))
    if asked.ended_at is not None:
        by = asked.ended_by or "somebody"
        raise errors.Conflict(say("request-ended", request=request_id, person=by))
    woken = put_in(asked.vault, asked.volume, body(request), ticket.subject)
    asked.refresh_from_db()
    return JsonResponse({"request": _shown(asked, None), "jobs": woken})


def _shown(asked: MountRequest, vault: Vault | None) -> dict[str, Any]:
    waiting = mounts.waiting_for(asked)
    names = waiting.order_by("requested_by").values_list("requested_by", flat=True).distinct()
    return {
        "id": asked.id,
        "vault": asked.vault,
        "volume": asked.volume,
        "drive": mounts.drive_for(vault) if vault is not None else None,
        "asked_at": iso(asked.asked_at),
        "jobs": waiting.count(),
        "for": list(names[:MOST_NAMES]),
        "restore_of": mounts.restore_waiting(asked),
    }
