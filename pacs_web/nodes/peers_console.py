"""IT's pages of the DICOM peers of each node: who may call, who was not let in, and letting in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pacs_common.errors import ArgensError, BadInput
from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import Action, Result
from pacs_web.audit.record import record
from pacs_web.federation.fan_out import fan_out
from pacs_web.nodes.console import UNPROCESSABLE
from pacs_web.nodes.peer_form import RIGHTS, USUAL, PeerForm
from pacs_web.nodes.registry import own_clients
from pacs_web.nodes.servers.own import OwnServer

MOST_SHOWN = 50
CAUSES = {
    "unknown-ae": gettext_lazy("Unknown AE title"),
    "new-address": gettext_lazy("Known AE title, new address"),
    "certificate": gettext_lazy("Wrong certificate, or none"),
    "called-ae": gettext_lazy("Calls the node by another AE title"),
    "user": gettext_lazy("User name or passcode refused"),
}


@requires(Right.MANAGE_NODES)
@require_safe
def peers(request: HttpRequest) -> HttpResponse:
    """Show each node's peers, and the callers that it did not let in."""
    clients = own_clients(request.user.get_username())
    gathered = fan_out(clients, _asked, config.NODE_TIMEOUT_S)
    cards = [_card(name, told) for name, told in gathered.answers.items()]
    context = {
        "cards": cards,
        "failures": gathered.failures,
        "rights": RIGHTS,
        "usual": USUAL,
        "no_node": not clients,
    }
    return render(request, "nodes/peers.html", context)


@requires(Right.MANAGE_NODES)
@require_http_methods(["GET", "HEAD", "POST"])
def peer(request: HttpRequest, node: str) -> HttpResponse:
    """Add a peer to a node, or change the one that `ae_title` names."""
    client, title = _client(request, node), request.GET.get("ae_title", "")
    known = _known(client, title) if title else None
    form = PeerForm(request.POST or None, known=known)
    if request.method == "POST" and form.is_valid():
        try:
            saved = client.put_peer(form.peer())
        except ArgensError as error:
            form.add_error(None, str(error))
        else:
            _note(request, "change" if known else "add", node, saved["ae_title"])
            said = _("%(peer)s is saved; it counts at once.") % {"peer": saved["ae_title"]}
            messages.success(request, said)
            return redirect("peers")
    context = {"form": form, "node": node, "known": known}
    status = UNPROCESSABLE if form.errors else 200
    return render(request, "nodes/peer.html", context, status=status)


@requires(Right.MANAGE_NODES)
@require_POST
def remove_peer(request: HttpRequest, node: str) -> HttpResponse:
    """Take a peer out of a node."""
    client, title = _client(request, node), request.POST.get("ae_title", "")
    try:
        client.delete_peer(title)
    except ArgensError as error:
        return _unchanged(request, "remove", node, title, error)
    _note(request, "remove", node, title)
    messages.success(request, _("%(peer)s is not let in any more.") % {"peer": title})
    return redirect("peers")


@requires(Right.MANAGE_NODES)
@require_POST
def echo_peer(request: HttpRequest, node: str) -> HttpResponse:
    """Let a node C-ECHO a peer, and say what came of it."""
    client, title = _client(request, node), request.POST.get("ae_title", "")
    context: dict[str, Any] = {"passed": True}
    try:
        context["told"] = client.scu_echo(title)
    except ArgensError as error:
        context = {"passed": False, "why": str(error)}
    result = Result.SUCCESS if context["passed"] else Result.FAILED
    _note(request, "test", node, title, result)
    return render(request, "nodes/peer_tested.html", context | {"title": title})


@requires(Right.MANAGE_NODES)
@require_POST
def decide_caller(request: HttpRequest, node: str, caller_id: int) -> HttpResponse:
    """Let a caller in from now on, or forget it until it calls again."""
    act, client = request.POST.get("act", ""), _client(request, node)
    if act not in ("approve", "forget"):
        raise BadInput(_("this is no decision"))
    try:
        if act == "forget":
            client.forget_caller(caller_id)
            title, said = str(caller_id), _("The caller is forgotten until it calls again.")
        else:
            let_in = client.approve_caller(caller_id, request.POST.getlist("may") or None)
            title = let_in["ae_title"]
            said = _("%(peer)s is let in from now on.") % {"peer": title}
    except ArgensError as error:
        return _unchanged(request, act, node, str(caller_id), error)
    _note(request, act, node, title)
    messages.success(request, said)
    return redirect("peers")


def _asked(client: OwnServer) -> dict[str, Any]:
    return client.peers() | {"callers": client.rejected_callers()}


def _card(name: str, told: dict[str, Any]) -> dict[str, Any]:
    """Return what a node's card shows: peers with their rights in words, the latest callers."""
    words = dict(RIGHTS)
    found = [
        one | {"rights": [words.get(right, right) for right in one["may"]]} for one in told["peers"]
    ]
    known = {one["ae_title"]: one["may"] for one in found}
    callers = [
        one
        | {
            "last_at": datetime.fromisoformat(one["last_at"]),
            "reason": CAUSES.get(one["cause"], one["cause"]),
            "needs_rights": not known.get(one["ae_title"]),
            "approvable": one["cause"] in ("unknown-ae", "new-address")
            or (one["cause"] == "certificate" and one["certificate"] is not None),
        }
        for one in told["callers"][:MOST_SHOWN]
    ]
    hidden = max(0, len(told["callers"]) - MOST_SHOWN)
    card = {"name": name, "peers": found, "problem": told["problem"]}
    return card | {"callers": callers, "hidden": hidden}


def _client(request: HttpRequest, node: str) -> OwnServer:
    for client in own_clients(request.user.get_username()):
        if client.name == node:
            return client
    raise Http404


def _known(client: OwnServer, title: str) -> dict[str, Any]:
    for one in client.peers()["peers"]:
        if one["ae_title"] == title:
            return one
    raise Http404


def _unchanged(
    request: HttpRequest, act: str, node: str, title: str, error: ArgensError
) -> HttpResponse:
    messages.error(request, _("Nothing was changed: %(why)s") % {"why": error})
    _note(request, act, node, title, Result.FAILED)
    return redirect("peers")


def _note(
    request: HttpRequest, act: str, node: str, title: str, result: Result = Result.SUCCESS
) -> None:
    said = {"what": "peer", "act": act, "node": node, "peer": title[:64]}
    record(request, Action.CONFIGURE, result=result, **said)
