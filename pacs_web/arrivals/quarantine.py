"""Quarantine: what waits for a decision, both objects side by side, and the decision."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from pacs_common.errors import ArgensError, BadInput
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.arrivals.asking import joined, open_to, own_node, own_nodes, with_times
from pacs_web.arrivals.side_by_side import facts_of
from pacs_web.audit.models import Action, Result
from pacs_web.audit.record import record, record_once
from pacs_web.federation import locate

RIGHT_TO = {"keep": Right.REJECT, "take": Right.UPLOAD, "undo": Right.REJECT}
DONE = {
    "keep": gettext_lazy("It stays in quarantine; the stored image is right."),
    "take": gettext_lazy("It is stored now; what it replaced lies in quarantine."),
    "undo": gettext_lazy("The decision is undone."),
}


@requires(Right.ARRIVALS)
@require_safe
def quarantine(request: HttpRequest) -> HttpResponse:
    """Show what waits for a decision, or what was decided."""
    decided = request.GET.get("show") == "decided"
    order = "decided_at" if decided else "arrived_at"
    nodes = own_nodes(request)
    found = joined(nodes, lambda node: node.quarantine(decided=decided), "quarantined", order)
    rows = with_times(open_to(request, found.rows), "arrived_at", "decided_at")
    record(request, Action.SEARCH, page="quarantine")
    context = {"rows": rows, "failures": found.failures, "decided": decided}
    return render(request, "arrivals/quarantine.html", context)


@requires(Right.ARRIVALS)
@require_safe
def quarantined(request: HttpRequest, node: str, row_id: int) -> HttpResponse:
    """Show a quarantined object beside what is stored."""
    row = _opened(request, node, row_id)
    patient = (row["object"]["issuer"], row["object"]["patient_id"])
    record_once(request, Action.IMAGES, study_uid=row["study_uid"], patient=patient)
    stored = row["stored"] or row["study"]
    context = {
        "row": with_times([row], "arrived_at", "decided_at")[0],
        "facts": facts_of(stored, row["object"]),
        "may_see": request.user.has_right(Right.VIEW),
        "may_keep": request.user.has_right(RIGHT_TO["keep"]),
        "may_take": row["may_take"] and request.user.has_right(RIGHT_TO["take"]),
    }
    return render(request, "arrivals/quarantined.html", context)


@requires(Right.ARRIVALS)
@require_safe
def quarantined_picture(request: HttpRequest, node: str, row_id: int) -> HttpResponse:
    """Pass on the picture of a quarantined image, to those who may look at images."""
    if not request.user.has_right(Right.VIEW):
        raise PermissionDenied(Right.VIEW)
    _opened(request, node, row_id)
    try:
        with own_node(request, node).quarantined_picture(row_id) as answer:
            content = answer.read()
    except ArgensError as error:
        return HttpResponse(status=error.http_status)
    headers = {"Cache-Control": "private, no-store"}
    return HttpResponse(content, content_type="image/jpeg", headers=headers)


@requires(Right.ARRIVALS)
@require_POST
def decide(request: HttpRequest, node: str, row_id: int) -> HttpResponse:
    """Keep an object out, take it, or undo either."""
    verb = request.POST.get("verb", "")
    right = RIGHT_TO.get(verb)
    if right is None:
        raise BadInput(_("this is no decision"))
    if not request.user.has_right(right):
        raise PermissionDenied(right)
    row = _opened(request, node, row_id)
    comment = " ".join(request.POST.get("comment", "").split())[:1024]
    result = Result.SUCCESS
    try:
        own_node(request, node).decide(row_id, verb, comment)
        messages.success(request, DONE[verb])
    except ArgensError as error:
        result = Result.FAILED
        messages.error(request, _("Nothing was changed: %(why)s") % {"why": error})
    locate.forget(row["study_uid"])
    record(
        request,
        Action.STORE if verb == "take" else Action.REJECT,
        study_uid=row["study_uid"],
        patient=(row["object"]["issuer"], row["object"]["patient_id"]),
        result=result,
        quarantine=verb,
        instance=row["sop_instance_uid"],
        comment=comment,
        node=node,
    )
    return redirect("quarantine")


def _opened(request: HttpRequest, node: str, row_id: int) -> dict[str, Any]:
    """Return a quarantined object that is open to the person; 404 where it is not."""
    row = {**own_node(request, node).quarantined(row_id), "node": node}
    if not open_to(request, [row]):
        raise Http404
    return row
