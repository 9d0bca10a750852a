"""IT's room: its front page, and the registry of servers."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Max, ProtectedError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import Action
from pacs_web.audit.record import record
from pacs_web.menu import console_cards
from pacs_web.nodes.forms import FORMS
from pacs_web.nodes.models import Kind, Node
from pacs_web.nodes.order import moved
from pacs_web.nodes.testing import tested

UNPROCESSABLE = 422


@requires(Right.OPERATE_SERVERS)
@require_safe
def front(request: HttpRequest) -> HttpResponse:
    """Show what IT does, a card each."""
    return render(request, "nodes/console.html", {"cards": console_cards(request.user)})


@requires(Right.MANAGE_NODES)
@require_safe
def nodes(request: HttpRequest) -> HttpResponse:
    """List the registered servers by site."""
    rows = Node.objects.order_by("site", "position", "name")
    context = {"nodes": rows, "kinds": [Kind(kind) for kind in FORMS]}
    return render(request, "nodes/nodes.html", context)


@requires(Right.MANAGE_NODES)
@require_http_methods(["GET", "HEAD", "POST"])
def new_node(request: HttpRequest, server_kind: str) -> HttpResponse:
    """Register a server of a kind."""
    if server_kind not in FORMS:
        raise Http404
    last = Node.objects.aggregate(last=Max("position"))["last"]
    return _edited(request, Node(kind=server_kind, position=0 if last is None else last + 1))


@requires(Right.MANAGE_NODES)
@require_http_methods(["GET", "HEAD", "POST"])
def node(request: HttpRequest, name: str) -> HttpResponse:
    """Show one server and change it."""
    return _edited(request, get_object_or_404(Node, name=name))


@requires(Right.MANAGE_NODES)
@require_POST
def test_node(request: HttpRequest, name: str) -> HttpResponse:
    """Try a server, from its name to its first answer."""
    row = get_object_or_404(Node, name=name)
    steps = tested(row, request.user.get_username())
    passed = all(step.passed for step in steps)
    _note(request, "test", name, passed=passed)
    return render(request, "nodes/tested.html", {"node": row, "steps": steps, "passed": passed})


@requires(Right.MANAGE_NODES)
@require_POST
def move_node(request: HttpRequest, name: str) -> HttpResponse:
    """Put a server before or behind its neighbour."""
    moved(get_object_or_404(Node, name=name), up=request.POST.get("to") == "up")
    _note(request, "move", name)
    return redirect("nodes")


@requires(Right.MANAGE_NODES)
@require_POST
def enable_node(request: HttpRequest, name: str) -> HttpResponse:
    """Ask a server again, or ask it no more."""
    row = get_object_or_404(Node, name=name)
    row.enabled = request.POST.get("enabled") == "yes"
    row.save(update_fields=["enabled"])
    _note(request, "enable" if row.enabled else "disable", name)
    said = _("%(name)s is asked again.") if row.enabled else _("%(name)s is not asked any more.")
    messages.success(request, said % {"name": name})
    return redirect("nodes")


@requires(Right.MANAGE_NODES)
@require_http_methods(["GET", "HEAD", "POST"])
def remove_node(request: HttpRequest, name: str) -> HttpResponse:
    """Ask whether a server is to be removed from the registry, and do it."""
    row = get_object_or_404(Node, name=name)
    if request.method != "POST":
        return render(request, "nodes/remove.html", {"node": row, "fixed": _is_fixed(row)})
    try:
        row.delete()
    except ProtectedError as error:
        others = ", ".join(sorted(str(one) for one in error.protected_objects))
        said = _("%(name)s is needed by %(others)s: change that first.")
        messages.error(request, said % {"name": name, "others": others})
        return redirect("node", name)
    _note(request, "remove", name)
    messages.success(request, _("%(name)s is removed from the registry.") % {"name": name})
    return redirect("nodes")


def _edited(request: HttpRequest, row: Node) -> HttpResponse:
    is_new, named = row.pk is None, row.name
    form = FORMS[row.kind](request.POST or None, instance=row)
    if request.method == "POST" and form.is_valid():
        saved = form.save()
        _note(request, "add" if is_new else "change", saved.name, fields=sorted(form.changed_data))
        messages.success(request, _("%(name)s is saved. Test it now.") % {"name": saved.name})
        return redirect("node", saved.name)
    context: dict[str, Any] = {
        "form": form,
        "kind": Kind(row.kind),
        "named": named,
        "is_new": is_new,
        "fixed": not is_new and _is_fixed(row),
    }
    status = UNPROCESSABLE if form.errors else 200
    return render(request, "nodes/node.html", context, status=status)


def _is_fixed(row: Node) -> bool:
    """Whether the portal's settings name the server, and bring it back at each start."""
    return row.kind == Kind.OWN and row.name in config.NODES


def _note(request: HttpRequest, act: str, name: str, **detail: Any) -> None:
    record(request, Action.CONFIGURE, what="node", act=act, node=name, **detail)
