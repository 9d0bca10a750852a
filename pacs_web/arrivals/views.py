"""What arrived from which modality, and what did not arrive as it should."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.arrivals.asking import joined, open_to, own_nodes, with_times
from pacs_web.arrivals.forms import ArrivalsForm, TransfersForm
from pacs_web.arrivals.live import part, written
from pacs_web.audit.models import Action
from pacs_web.audit.record import record

SHOWN = 100


@requires(Right.ARRIVALS)
@require_safe
def arrivals(request: HttpRequest) -> HttpResponse:
    """Show the studies that arrived, the latest first."""
    form = ArrivalsForm(request.GET, servers=_names(request))
    context = _arrived(request, form)
    record(request, Action.SEARCH, page="arrivals", **form.asked())
    live = written(request, "arrivals/live.html", context)
    shown = {"form": form, "sources": context["sources"], "live": live}
    return render(request, "arrivals/arrivals.html", shown)


@requires(Right.ARRIVALS)
@require_safe
def arrivals_live(request: HttpRequest) -> HttpResponse:
    """Show what changes by itself: the page asks for it every three seconds."""
    form = ArrivalsForm(request.GET, servers=_names(request))
    return part(request, "arrivals/live.html", _arrived(request, form))


@requires(Right.ARRIVALS)
@require_safe
def transfers(request: HttpRequest) -> HttpResponse:
    """Show the transfers: incomplete, refused and rejected ones with the reason."""
    form = TransfersForm(request.GET, servers=_names(request))
    context = _transferred(request, form)
    live = written(request, "arrivals/transfers_live.html", context)
    return render(request, "arrivals/transfers.html", {"form": form, "live": live})


@requires(Right.ARRIVALS)
@require_safe
def transfers_live(request: HttpRequest) -> HttpResponse:
    """Show the transfers as they are now."""
    form = TransfersForm(request.GET, servers=_names(request))
    return part(request, "arrivals/transfers_live.html", _transferred(request, form))


def _names(request: HttpRequest) -> list[str]:
    return [node.name for node in own_nodes(request)]


def _arrived(request: HttpRequest, form: ArrivalsForm) -> dict[str, Any]:
    asked = {**form.asked(), "limit": str(SHOWN)}
    nodes = own_nodes(request, form.server_named())
    found = joined(nodes, lambda node: node.arrivals(**asked), "studies", "last_arrival_at")
    rows = with_times(open_to(request, found.rows)[:SHOWN], "first_arrival_at", "last_arrival_at")
    return {
        "studies": rows,
        "failures": found.failures,
        "sources": sorted({name for told in found.answers.values() for name in told["sources"]}),
        "cut": len(found.rows) > SHOWN,
        "shown": SHOWN,
        "filtered": bool(form.server_named() or {"source", "modality"} & set(form.asked())),
    }


def _transferred(request: HttpRequest, form: TransfersForm) -> dict[str, Any]:
    asked = {**form.asked(), "limit": str(SHOWN)}
    nodes = own_nodes(request, form.server_named())
    found = joined(nodes, lambda node: node.transfers(**asked), "transfers", "began_at")
    callers = [
        {**row, "node": name}
        for name, told in found.answers.items()
        for row in told["rejected_callers"]
    ]
    callers.sort(key=lambda row: row["last_at"], reverse=True)
    return {
        "transfers": with_times(found.rows[:SHOWN], "began_at", "last_at", "ended_at"),
        "callers": with_times(callers, "last_at"),
        "failures": found.failures,
        "troubled": "troubled" in asked,
    }
