"""The servers' page: which servers answer, and how they are."""

from __future__ import annotations

from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.federation.fan_out import fan_out
from pacs_web.nodes.models import Kind, Node
from pacs_web.nodes.registry import WithState, state_clients
from pacs_web.nodes.state import server_cards

FOREIGN_KNOWN_S = 15  # a foreign server is not asked every three seconds for its sake


@requires(Right.SERVERS)
@require_safe
def servers(request: HttpRequest) -> HttpResponse:
    """Show each server's state, or why it does not answer."""
    return render(request, "nodes/servers.html", _states(request))


@requires(Right.SERVERS)
@require_safe
def servers_live(request: HttpRequest) -> HttpResponse:
    """Show what changes by itself: the page asks for it every three seconds."""
    return render(request, "nodes/servers_live.html", _states(request))


def _states(request: HttpRequest) -> dict[str, Any]:
    enabled = Node.objects.filter(enabled=True).select_related("through")
    rows = {node.name: node for node in enabled}
    asked = state_clients(request.user.get_username(), list(rows.values()))
    gathered = fan_out(asked, lambda one: _state(one, rows[one.name]), config.NODE_TIMEOUT_S)
    cards = server_cards(rows.values(), gathered)
    return {
        "cards": cards,
        "unreachable": sum(not card.reachable for card in cards),
        "full": request.user.has_right(Right.OPERATE_SERVERS),
    }


def _state(server: WithState, node: Node) -> dict[str, Any]:
    if node.kind in {Kind.OWN, Kind.ARCHIVE}:
        return server.status()
    return cache.get_or_set(f"state:{node.name}:{node.pk}", server.status, FOREIGN_KNOWN_S)
