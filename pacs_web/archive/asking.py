"""A client of the archive for the person of a request."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest

from pacs_common.archive_client import ArchiveClient
from pacs_common.errors import ArgensError, NotFound, PeerUnreachable
from pacs_web import config
from pacs_web.archive.telling import refusal
from pacs_web.nodes.registry import archive_url, ticket_issuer

_CLIENTS: dict[tuple[str, float], ArchiveClient] = {}


def archive_for(request: HttpRequest) -> ArchiveClient:
    """Return the archive's client; PeerUnreachable where this hospital has no archive."""
    url = archive_url()
    if not url:
        raise PeerUnreachable("no archive is registered (IT does it, or PACS_ARCHIVE_URL)")
    return archive_at(url, request.user.get_username())


def told(request: HttpRequest, gather: Callable[[ArchiveClient], dict[str, Any]]) -> dict[str, Any]:
    """Return what the archive tells for a page, or what the page says instead; never raises.

    `problem` is why nothing is told; `is_away` is whether the archive did not answer at all.
    """
    try:
        return gather(archive_for(request))
    except ArgensError as error:
        missing = isinstance(error, NotFound)
        away = isinstance(error, PeerUnreachable)
        return {"problem": refusal(error), "is_away": away, "is_missing": missing}


def archive_at(url: str, subject: str) -> ArchiveClient:
    """Return a client of the archive at `url` for a person, or for the portal itself."""
    client = copy.copy(_shared_client(url, config.NODE_TIMEOUT_S))
    client.subject = subject
    return client


def close_clients() -> None:
    """Let go of every connection to the archive."""
    while _CLIENTS:
        _CLIENTS.popitem()[1].http.close()


def _shared_client(url: str, read_s: float) -> ArchiveClient:
    client = _CLIENTS.get((url, read_s))
    if client is None:
        made = ArchiveClient(url, ticket_issuer(), subject="", read_s=read_s)
        client = _CLIENTS.setdefault((url, read_s), made)
    return client
