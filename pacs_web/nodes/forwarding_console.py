"""IT's page of what each node sends on: its rules, its queue, and another try for what failed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from pacs_common.errors import ArgensError, BadInput
from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import Action, Result
from pacs_web.audit.record import record
from pacs_web.federation.fan_out import fan_out
from pacs_web.nodes.registry import own_clients
from pacs_web.nodes.servers.own import OwnServer

CONDITIONS = {
    "source_ae": gettext_lazy("from"),
    "called_ae": gettext_lazy("called as"),
    "modality": gettext_lazy("modality"),
    "description": gettext_lazy("description"),
}
PRIORITIES = {
    "high": gettext_lazy("before others"),
    "normal": "",
    "low": gettext_lazy("after others"),
}
MOMENTS = ("waiting_since", "away_since", "next_try_at", "last_sent_at")
_DAYS = dict(zip(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), range(7), strict=True))


@requires(Right.MANAGE_NODES)
@require_safe
def forwarding(request: HttpRequest) -> HttpResponse:
    """Show the forwarding rules of each node, and how much waits for each destination."""
    clients = own_clients(request.user.get_username())
    gathered = fan_out(clients, _asked, config.NODE_TIMEOUT_S)
    cards = [{"name": name, **_card(told)} for name, told in gathered.answers.items()]
    context = {"cards": cards, "failures": gathered.failures, "no_node": not clients}
    return render(request, "nodes/forwarding.html", context)


@requires(Right.MANAGE_NODES)
@require_POST
def retry(request: HttpRequest, node: str) -> HttpResponse:
    """Queue again what a node gave up for a destination."""
    destination, result = request.POST.get("destination", ""), Result.SUCCESS
    for client in own_clients(request.user.get_username()):
        if client.name == node:
            break
    else:
        raise Http404
    try:
        count = client.resend(destination=destination, state="given-up")
    except ArgensError as error:
        result = Result.FAILED
        messages.error(request, _("Nothing was changed: %(why)s") % {"why": error})
    else:
        said = ngettext("%(n)s image is sent again.", "%(n)s images are sent again.", count)
        messages.success(request, said % {"n": count})
    told = {"what": "forwarding", "act": "retry", "node": node, "destination": destination[:64]}
    record(request, Action.CONFIGURE, result=result, **told)
    return redirect("forwarding")


def _asked(client: OwnServer) -> dict[str, Any]:
    """Ask for queue and rules; a file of rules that is broken does not hide the queue."""
    told = {"destinations": client.forwarding(limit=1)["destinations"]}
    try:
        return told | client.forwarding_rules()
    except BadInput as error:
        return told | {"rules": [], "problem": str(error)}


def _card(told: Mapping[str, Any]) -> dict[str, Any]:
    queues = [
        one | {name: datetime.fromisoformat(one[name]) if one[name] else None for name in MOMENTS}
        for one in told["destinations"]
    ]
    rules = [_rule(one) for one in told["rules"]]
    zone, problem = told.get("time_zone", ""), told.get("problem", "")
    return {"queues": queues, "rules": rules, "time_zone": zone, "problem": problem}


def _rule(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule in words: what it takes, when it is sent."""
    return {
        "name": told["name"],
        "destination": told["destination"],
        "enabled": told.get("enabled", True),
        "takes": [(CONDITIONS[key], _values(told[key])) for key in CONDITIONS if key in told],
        "arrived": _windows(told.get("hours", [])),
        "sent": _windows(told.get("send_hours", [])),
        "quiet_s": told.get("quiet_s", 0),
        "priority": PRIORITIES.get(told.get("priority", "normal"), ""),
        "commit": told.get("commit", False),
    }


def _values(told: str | list[str]) -> str:
    return told if isinstance(told, str) else ", ".join(told)


def _windows(told: list[Mapping[str, Any]]) -> str:
    """Return windows of the day as people write them: "18:30-08:00 Mon Tue, ..."."""
    return ", ".join(
        " ".join(
            [
                f"{one['from']}–{one['to']}",  # noqa: RUF001 - people's dash between times
                *(str(WEEKDAYS_ABBR[_DAYS[day]]) for day in one.get("days", []) if day in _DAYS),
            ]
        )
        for one in told
    )
