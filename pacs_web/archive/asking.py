"""A client of the archive for the person of a request."""

from __future__ import annotations

import copy
from functools import lru_cache

from django.http import HttpRequest

from pacs_common.archive_client import ArchiveClient
from pacs_common.errors import PeerUnreachable
from pacs_web import config
from pacs_web.nodes.registry import ticket_issuer


def archive_for(request: HttpRequest) -> ArchiveClient:
    """Return the archive's client; PeerUnreachable where this hospital has no archive."""
    if not config.ARCHIVE_URL:
        raise PeerUnreachable("no archive is configured (PACS_ARCHIVE_URL)")
    client = copy.copy(_shared_client(config.ARCHIVE_URL, config.NODE_TIMEOUT_S))
    client.subject = request.user.get_username()
    return client


@lru_cache(maxsize=4)
def _shared_client(url: str, read_s: float) -> ArchiveClient:
    return ArchiveClient(url, ticket_issuer(), subject="", read_s=read_s)
