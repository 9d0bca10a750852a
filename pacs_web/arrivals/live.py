"""Parts of pages that ask for themselves every three seconds, and change only where they must."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

UNCHANGED = 204  # HTMX leaves the page as it is: focus, selection and scrolling stay
DIGEST_CHARS = 24


def written(request: HttpRequest, template: str, context: dict[str, Any]) -> SafeString:
    """Return a part of a page with its own digest in a hidden field `seen`."""
    text = mark_safe(render_to_string(template, context, request))  # noqa: S308 - a template's
    return text + _mark(sha256(text.encode()).hexdigest()[:DIGEST_CHARS])


def part(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """Answer a part of a page, or that it is what the page shows already."""
    text = written(request, template, context)
    seen = request.GET.get("seen", "")
    if len(seen) == DIGEST_CHARS and text.endswith(_mark(seen)):
        return HttpResponse(status=UNCHANGED)
    return HttpResponse(text)


def _mark(digest: str) -> SafeString:
    return format_html('<input type="hidden" name="seen" value="{}">', digest)
