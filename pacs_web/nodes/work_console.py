"""IT's page of what the roles do by themselves: what waits, since when, and what needs a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit.delivering import SYSLOG
from pacs_web.audit.models import AuditEvent, AuditSource, AuditTarget
from pacs_web.federation.fan_out import fan_out
from pacs_web.nodes.registry import own_nodes, registered_archive, state_clients
from pacs_web.nodes.servers.archive import ArchiveServer
from pacs_web.nodes.servers.own import OwnServer

CHORES = {
    "digests": gettext_lazy("Digests of what arrived"),
    "renditions": gettext_lazy("Pictures made beforehand"),
    "forwarding": gettext_lazy("Forwarding"),
    "commitment": gettext_lazy("Storage commitment"),
}
WHERE = {"forwarding": "forwarding"}  # the page on which a person can do something about it


@dataclass(frozen=True)
class Work:
    """One kind of work of one role: how much waits since when, how much was given up, and why."""

    name: str
    waiting: int = 0
    since: datetime | None = None
    failing: int = 0
    why: str = ""
    page: str = ""


@dataclass(frozen=True)
class Card:
    """A role's work; `running` is false where nobody does it."""

    name: str
    works: list[Work]
    running: bool = True


@requires(Right.MANAGE_NODES)
@require_safe
def work(request: HttpRequest) -> HttpResponse:
    """Show what each role does by itself."""
    return render(request, "nodes/work.html", _gathered(request))


@requires(Right.MANAGE_NODES)
@require_safe
def work_live(request: HttpRequest) -> HttpResponse:
    """Show what changes by itself: the page asks for it every three seconds."""
    return render(request, "nodes/work_live.html", _gathered(request))


def _gathered(request: HttpRequest) -> dict[str, Any]:
    rows = [*own_nodes(), *registered_archive()]
    clients = state_clients(request.user.get_username(), rows)
    gathered = fan_out(clients, _told, config.NODE_TIMEOUT_S)
    cards = [_card(name, told) for name, told in gathered.answers.items()]
    return {"cards": [*cards, _portals()], "failures": gathered.failures}


def _told(client: OwnServer | ArchiveServer) -> dict[str, Any]:
    return client.status() if isinstance(client, ArchiveServer) else client.chores()


def _card(name: str, told: Mapping[str, Any]) -> Card:
    if "jobs" in told:
        jobs = told["jobs"]
        waiting = jobs.get("queued", 0) + jobs.get("running", 0)
        job = Work(_("Archive jobs"), waiting, None, jobs.get("failed", 0), "", reverse("archive"))
        return Card(name, [job])
    works = [
        Work(
            str(CHORES.get(one["name"], one["name"])),
            one["waiting"],
            datetime.fromisoformat(one["since"]) if one["since"] else None,
            one["failing"],
            "",
            reverse(WHERE[one["name"]]) if one["name"] in WHERE else "",
        )
        for one in told["chores"]
    ]
    return Card(name, works, told["running"])


def _portals() -> Card:
    """Return what the portal does: it collects the others' audit, and sends it all on."""
    page = reverse("audit")
    works = [
        Work(
            _("Collecting the audit of %(server)s") % {"server": source.name},
            since=source.at if source.problem else None,
            failing=int(bool(source.problem)),
            why=source.problem,
            page=page,
        )
        for source in AuditSource.objects.order_by("name")
    ]
    if config.AUDIT_SYSLOG_HOST:
        target = AuditTarget.objects.filter(name=SYSLOG).first() or AuditTarget()
        waiting = AuditEvent.objects.filter(id__gt=target.row).count()
        said = _("Sending the audit on")
        failing = int(bool(target.problem))
        works.append(Work(said, waiting, target.at, failing, target.problem, page))
    return Card(_("This portal"), works)
