"""IT's groups: the built-in ones and the hospital's own; and the rule of each server."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import Group
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pacs_web.accounts.guard import requires
from pacs_web.accounts.models import GroupRule, NodeRule
from pacs_web.accounts.rights import GROUPS, Right
from pacs_web.people import keeping
from pacs_web.people.forms import GroupForm
from pacs_web.people.limits import as_typed
from pacs_web.people.separation import rights_of
from pacs_web.people.views import server_names

UNPROCESSABLE = 422


@requires(Right.MANAGE_ACCOUNTS)
@require_safe
def groups(request: HttpRequest) -> HttpResponse:
    """List the groups with their people and limits, and what holds where no department is named."""
    rows = Group.objects.annotate(people=Count("user")).prefetch_related("limits").order_by("name")
    closed = set(NodeRule.objects.filter(closed=True).values_list("node", flat=True))
    servers = [(name, name in closed) for name in server_names()]
    context = {"groups": rows, "servers": servers, "built_in": list(GROUPS)}
    return render(request, "people/groups.html", context)


@requires(Right.MANAGE_ACCOUNTS)
@require_http_methods(["GET", "HEAD", "POST"])
def new_group(request: HttpRequest) -> HttpResponse:
    """Make a group of the hospital's own."""
    return _edited(request, None, {})


@requires(Right.MANAGE_ACCOUNTS)
@require_http_methods(["GET", "HEAD", "POST"])
def group(request: HttpRequest, group_name: str) -> HttpResponse:
    """Show and change one group."""
    found = get_object_or_404(Group, name=group_name)
    rule = GroupRule.objects.filter(group=found, needs_two_steps=True).exists()
    told = {"name": found.name, "rights": sorted(rights_of([found])), "needs_two_steps": rule}
    return _edited(request, found, told | as_typed(found))


def _edited(request: HttpRequest, found: Group | None, told: dict[str, Any]) -> HttpResponse:
    posted = request.POST if request.method == "POST" else None
    form = GroupForm(posted, group=found, servers=server_names(), initial=told)
    if form.is_valid():
        keeping.change_group(request, found or Group(), form.cleaned_data, form.limits())
        messages.success(request, _("Saved. It holds from each person's next click on."))
        return redirect("groups")
    context = {"form": form, "group": found, "built_in": found is not None and found.name in GROUPS}
    status = UNPROCESSABLE if form.is_bound else 200
    return render(request, "people/group.html", context, status=status)


@requires(Right.MANAGE_ACCOUNTS)
@require_POST
def server_rules(request: HttpRequest) -> HttpResponse:
    """Keep on which servers an exam that names no department is closed to limited people."""
    closed = set(request.POST.getlist("closed"))
    for name in server_names():
        NodeRule.objects.update_or_create(node=name, defaults={"closed": name in closed})
    named = ", ".join(sorted(closed & set(server_names()))) or "none"
    keeping.tell(request, "servers", f"closed without a department: {named}")
    messages.success(request, _("Saved."))
    return redirect("groups")
