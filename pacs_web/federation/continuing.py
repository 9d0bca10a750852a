"""Remembers for minutes where a list was read to, for those who can only ask by offset.

DICOMweb knows no other way; asked by offset alone, each node would be read from its first exam.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone

from pacs_common.errors import BadQuery
from pacs_web.federation.bookmark import Bookmark, opened
from pacs_web.federation.models import Continuation

REMEMBERED = timedelta(minutes=10)


def remember(subject: str, query: Mapping[str, Any], offset: int, bookmark: Bookmark) -> None:
    """Note where the list of a question goes on behind its first `offset` answers."""
    now = timezone.now()
    Continuation.objects.filter(made_at__lt=now - REMEMBERED).delete()
    key = _key(subject, query, offset)
    kept = {"token": bookmark.token(key), "made_at": now}
    Continuation.objects.update_or_create(key=key, defaults=kept)


def recalled(subject: str, query: Mapping[str, Any], offset: int) -> Bookmark | None:
    """Return where the list goes on behind `offset`; None where that page was not read lately."""
    key = _key(subject, query, offset)
    since = timezone.now() - REMEMBERED
    row = Continuation.objects.filter(key=key, made_at__gt=since).first()
    try:
        return opened(row.token, key) if row else None
    except BadQuery:  # the portal's key is another one by now
        return None


def _key(subject: str, query: Mapping[str, Any], offset: int) -> str:
    asked = json.dumps([subject, sorted(query.items()), offset])
    return hashlib.sha256(asked.encode()).hexdigest()
