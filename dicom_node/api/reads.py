"""What is read over HTTP, in the audit: queries with their keys, and who read which study."""

from __future__ import annotations

from hashlib import sha256

from django.core.cache import cache
from django.http import HttpRequest

from dicom_node import audit
from pacs_common.tickets import Ticket

NOTED_S = 60  # a viewer asks for hundreds of frames: one line a minute tells as much


def note_read(request: HttpRequest, ticket: Ticket, scope: str, study_uid: str | None) -> None:
    """Note that a study was read (once a minute for each reader), or that a query was asked."""
    reader = {
        "by": ticket.subject,
        "issuer": ticket.issuer,
        "token": "ticket" if ticket.jti else "API token",
        "address": request.META.get("REMOTE_ADDR", ""),
    }
    if study_uid is not None:
        if cache.add(f"read:{_key(reader, study_uid)}", 1, NOTED_S):
            audit.note("read", study_uid=study_uid, scope=scope, **reader)
    elif scope == "dicomweb":
        keys = {name: request.GET.getlist(name) for name in request.GET}
        audit.note("query", path=request.path, keys=keys, **reader)


def _key(reader: dict[str, str], study_uid: str) -> str:
    return sha256(repr((sorted(reader.items()), study_uid)).encode()).digest()[:16].hex()
