"""What callers of the node's own API write: JSON bodies, and how many rows they want."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest

from pacs_common.errors import BadInput

MOST_ENTRIES = 10_000


def body_of(request: HttpRequest) -> dict[str, Any]:
    """Return a request's JSON object; raises BadInput."""
    try:
        told = json.loads(request.body)
        json.dumps(told, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        raise BadInput("the body is not JSON") from None
    if not isinstance(told, dict):
        raise BadInput("the body is not a JSON object")
    return told


def limit_of(request: HttpRequest) -> int:
    """Return how many entries are asked for, at most MOST_ENTRIES; raises BadInput."""
    try:
        return max(1, min(int(request.GET.get("limit", 100)), MOST_ENTRIES))
    except ValueError:
        raise BadInput("limit is not a number") from None
