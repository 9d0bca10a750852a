"""The servers' page: which nodes answer, and how they are."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.federation.fan_out import fan_out
from pacs_web.nodes.registry import clients, enabled_nodes
from pacs_web.nodes.state import server_cards


@requires(Right.SERVERS)
@require_safe
def servers(request: HttpRequest) -> HttpResponse:
    """Show each node's state, or why it does not answer."""
    asked = clients(request.user.get_username())
    gathered = fan_out(asked, lambda client: client.status(), config.NODE_TIMEOUT_S)
    cards = server_cards(enabled_nodes(), gathered)
    return render(
        request,
        "nodes/servers.html",
        {
            "cards": cards,
            "unreachable": sum(not card.reachable for card in cards),
            "full": request.user.has_right(Right.OPERATE_SERVERS),
        },
    )
