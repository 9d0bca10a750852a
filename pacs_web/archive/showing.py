"""Pages of the archive that follow by themselves, and the question before what cannot be undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

UNCHANGED = 204  # HTMX leaves the page as it is: focus, selection and scrolling stay
DIGEST_CHARS = 24


def live_page(request: HttpRequest, name: str, context: Mapping[str, Any]) -> HttpResponse:
    """Return the page `archive/NAME.html`; to HTMX only its live part, `archive/NAME_live.html`.

    The page asks for its own address every three seconds; what it shows already is not sent again.
    """
    part = _written(request, f"archive/{name}_live.html", context)
    if request.method == "POST" or "HX-Request" not in request.headers:  # a form's answer is a page
        return render(request, f"archive/{name}.html", {**context, "live": part})
    seen = request.GET.get("seen", "")
    if len(seen) == DIGEST_CHARS and part.endswith(_mark(seen)):
        return HttpResponse(status=UNCHANGED)
    return HttpResponse(part)


@dataclass(frozen=True)
class Question:
    """What is asked before it is done: what happens then, and what is sent with a yes."""

    title: str
    happens: Sequence[str]
    yes: str
    action: str
    back: str
    danger: bool = False
    fields: Sequence[tuple[str, str]] = field(default=())


def asked(request: HttpRequest, question: Question) -> HttpResponse:
    """Return the question as a page, or to HTMX as the content of the page's dialogue."""
    alone = "HX-Request" in request.headers
    template = "archive/question.html" if alone else "archive/ask.html"
    return render(request, template, {"question": question})


def _written(request: HttpRequest, template: str, context: Mapping[str, Any]) -> SafeString:
    text = mark_safe(render_to_string(template, dict(context), request))  # noqa: S308 - a template's
    return text + _mark(sha256(text.encode()).hexdigest()[:DIGEST_CHARS])


def _mark(digest: str) -> SafeString:
    return format_html('<input type="hidden" name="seen" value="{}">', digest)
