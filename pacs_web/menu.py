"""The menu: what the person at the screen may open, in the order of the hospital's work."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from pacs_web.accounts.reach import lasting_glass
from pacs_web.accounts.rights import Right

ENTRIES = [
    (Right.SEARCH, "search", _("Exams")),
    (Right.ARRIVALS, "arrivals", _("Arrivals")),
    (Right.SERVERS, "servers", _("Servers")),
    (Right.ARCHIVE, "archive", _("Archive")),
    (Right.AUDIT, "audit", _("Audit")),
    (Right.OPERATE_SERVERS, "console", _("Administration")),
]

CONSOLE = [  # what IT does, each a card on the front page of /admin-console/
    (
        Right.MANAGE_NODES,
        "nodes",
        _("Servers"),
        _("Register nodes, foreign DICOMweb servers and the archive; order, test, disable them."),
    ),
    (
        Right.MANAGE_NODES,
        "peers",
        _("DICOM peers"),
        _("Who may call each node, and who was not let in: approve, change and test them."),
    ),
    (
        Right.MANAGE_NODES,
        "forwarding",
        _("Forwarding"),
        _("What each node sends on by its rules, what waits, and another try for what failed."),
    ),
    (
        Right.MANAGE_NODES,
        "placing",
        _("Where new exams go"),
        _("Rules by modality, station and department for what is uploaded or stored by DICOMweb."),
    ),
    (
        Right.MANAGE_NODES,
        "work",
        _("Background work"),
        _("What nodes, archive and portal do by themselves: what waits, and what needs a person."),
    ),
    (
        Right.MANAGE_NODES,
        "log",
        _("Log"),
        _("The last lines of every server's log, with warnings and errors first at hand."),
    ),
    (
        Right.MANAGE_NODES,
        "certificates",
        _("Certificates"),
        _("What servers, nodes and the portal show over TLS, by the day on which it ends."),
    ),
    (
        Right.MANAGE_ACCOUNTS,
        "people",
        _("People and groups"),
        _("Accounts and their first login, groups, limits to servers and departments."),
    ),
]


def entries(user: Any) -> list[dict[str, Any]]:
    """Return the pages that `user` may open: address, route name and title."""
    return [
        {"route": route, "url": reverse(route), "title": title}
        for right, route, title in ENTRIES
        if user.is_authenticated and user.has_right(right)
    ]


def console_cards(user: Any) -> list[dict[str, Any]]:
    """Return the cards of IT's room that `user` may open: address, title and text."""
    return [
        {"url": reverse(route), "title": title, "text": text}
        for right, route, title, text in CONSOLE
        if user.has_right(right)
    ]


def menu(request: HttpRequest) -> dict[str, Any]:
    """Put the menu into every page, and the banner of an exam whose glass was broken."""
    user = getattr(request, "user", None)
    found = entries(user) if user is not None else []
    context: dict[str, Any] = {"menu": [{**one, "here": _is_here(request, one)} for one in found]}
    if studies := getattr(request, "glass_broken_for", None):
        glass = lasting_glass(user.get_username()).filter(study_uid__in=studies)
        context["broken_glass"] = glass.order_by("until").first()
    return context


def _is_here(request: HttpRequest, entry: dict[str, Any]) -> bool:
    """Whether the page belongs to an entry: the page itself, or one below it."""
    url = entry["url"]
    return request.path == url or (url != "/" and request.path.startswith(url))
