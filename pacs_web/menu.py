"""The menu: what the person at the screen may open, in the order of the hospital's work."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from pacs_web.accounts.rights import Right

ENTRIES = [
    (Right.SEARCH, "search", _("Exams")),
    (Right.SERVERS, "servers", _("Servers")),
    (Right.ARCHIVE, "archive", _("Archive")),
    (Right.AUDIT, "audit", _("Audit")),
]


def entries(user: Any) -> list[dict[str, Any]]:
    """Return the pages that `user` may open: address, route name and title."""
    return [
        {"route": route, "url": reverse(route), "title": title}
        for right, route, title in ENTRIES
        if user.is_authenticated and user.has_right(right)
    ]


def menu(request: HttpRequest) -> dict[str, Any]:
    """Put the menu into every page."""
    user = getattr(request, "user", None)
    return {"menu": entries(user) if user is not None else []}
