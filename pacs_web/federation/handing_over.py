"""Lets nginx fetch from the node what the portal would only pass on (X-Accel-Redirect).

nginx is told the place, the node's ticket and what to ask for, none of which it shows the browser.
It says of itself, by a header that only PACS_TRUSTED_PROXIES are believed, that it can do so; what
a node refuses it asks for again without that header, and the portal passes it on by itself:
another node may have it, or a page has a picture for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from pacs_web import config
from pacs_web.federation.server import Server

ABLE = "X-Argens-Hands-Over"
UNKNOWN = "application/octet-stream"  # a charset would stay with the node's own type
PLACE = "X-Accel-Redirect"
TICKET, ACCEPT, BASE = "X-Argens-Ticket", "X-Argens-Accept", "X-Argens-Base"
CACHE = "X-Argens-Cache"


def handed_over(
    request: HttpRequest,
    nodes: Sequence[Server],
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    study: str | None = None,
) -> HttpResponse | None:
    """Return the answer that lets nginx fetch `/dicom-web/<path>` from the first node.

    None where the portal must pass it on: nobody in front can, or the node is none of ours. A
    ticket for `study` opens no other.
    """
    is_able = config.ACCEL_PREFIX and request.headers.get(ABLE) == "yes"
    place = nodes[0].place if is_able and request.method == "GET" and nodes else None
    if place is None:
        return None
    asked = dict(headers or {})
    query = f"?{urlencode(params, doseq=True)}" if params else ""
    target = "wado" if path == "wado" else f"dicom-web/{path}"
    response = HttpResponse(content_type=UNKNOWN)
    response[PLACE] = f"{config.ACCEL_PREFIX}{place.id}/{target}{query}"
    response[TICKET] = f"Bearer {place.ticket(study)}"
    response[ACCEPT] = asked.get("Accept", "*/*")
    if "X-Forwarded-Base" in asked:
        response[BASE] = asked["X-Forwarded-Base"]
    return response


def set_cache_apart(response: HttpResponseBase) -> None:
    """Tell nginx how long the node's answer may be kept, not how long this one may.

    A Cache-Control here would stay in whatever is answered in the end, an explanation too.
    """
    if PLACE in response and "Cache-Control" in response:
        response[CACHE] = response["Cache-Control"]
        del response["Cache-Control"]
