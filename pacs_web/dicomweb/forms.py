"""The forms of a merged search answer: DICOM JSON, or XML in parts (PS3.18 10.6.4)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from pacs_common.errors import NotAcceptable
from pacs_common.native_xml import native_xml

JSON, XML = "application/dicom+json", "application/dicom+xml"
XML_PARTS = f'multipart/related; type="{XML}"'
FORMS = (JSON, "application/json", XML_PARTS)


def form_for(request: HttpRequest) -> str:
    """Return the form that the caller likes best; NotAcceptable where it takes none of them.

    `accept` in the query stands for the header (PS3.18 8.3.3.1).
    """
    asked = HttpRequest()
    asked.META["HTTP_ACCEPT"] = request.GET.get("accept") or request.headers.get("Accept", "*/*")
    form = asked.get_preferred_type(FORMS)
    if form is None:
        raise NotAcceptable(f"search results are told as {JSON} or as {XML_PARTS}")
    return form


def written(found: Sequence[dict[str, Any]], form: str) -> HttpResponseBase:
    """Return the results in a form: none is an empty list in JSON, and 204 in XML."""
    if form != XML_PARTS:
        return JsonResponse(found, safe=False, content_type=form)
    if not found:
        return HttpResponse(status=204)
    boundary = f"argens-{secrets.token_hex(16)}"
    return StreamingHttpResponse(
        _parts(found, boundary), content_type=f"{XML_PARTS}; boundary={boundary}"
    )


def _parts(found: Sequence[dict[str, Any]], boundary: str) -> Iterator[bytes]:
    for one in found:
        head = f"--{boundary}\r\nContent-Type: {XML}\r\n\r\n"
        yield head.encode() + native_xml(one) + b"\r\n"
    yield f"--{boundary}--\r\n".encode()
