"""Rejections: what is hidden and why, bringing it back, rejecting, and removal with its proof."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pacs_common.errors import ArgensError, BadInput
from pacs_common.resources import resource_path
from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.arrivals.asking import joined, open_to, own_node, own_nodes, with_times
from pacs_web.arrivals.reject_form import RejectForm
from pacs_web.audit.models import Action, Result
from pacs_web.audit.record import record
from pacs_web.dicomweb.rejection import rejected_everywhere
from pacs_web.federation import locate
from pacs_web.federation.opening import open_study
from pacs_web.studies.views import clients_for

UNPROCESSABLE = 422


@requires(Right.REJECT)
@require_safe
def rejections(request: HttpRequest) -> HttpResponse:
    """Show what is rejected, or what waits for the approval of its removal."""
    due = request.GET.get("show") == "due"
    nodes = own_nodes(request)
    found = joined(nodes, lambda node: node.rejections(due=due), "rejections", "at")
    rows = with_times(open_to(request, found.rows), "at", "due_at")
    record(request, Action.SEARCH, page="rejections")
    context = {"rows": rows, "failures": found.failures, "due": due}
    return render(request, "arrivals/rejections.html", context)


@requires(Right.REJECT)
@require_safe
def rejection(request: HttpRequest, node: str, note_uid: str) -> HttpResponse:
    """Show one rejection: what it hides, and what a removal would do, with its proof."""
    told = _opened(request, node, note_uid)
    plan = told["plan"]
    going = [one for one in plan if not one["stays"]]
    context = {
        "row": with_times([told["rejection"]], "at", "due_at")[0],
        "plan": plan,
        "going": len(going),
        "staying": len(plan) - len(going),
        "due": told["due"],
    }
    return render(request, "arrivals/rejection.html", context)


@requires(Right.REJECT)
@require_POST
def decide(request: HttpRequest, node: str, note_uid: str) -> HttpResponse:
    """Undo a rejection, or approve the removal of what it hides."""
    verb = request.POST.get("verb", "")
    if verb not in ("undo", "approve"):
        raise BadInput(_("this is no decision"))
    study_uid = _opened(request, node, note_uid)["rejection"]["study_uid"]
    result = Result.SUCCESS
    try:
        client = own_node(request, node)
        if verb == "undo":
            client.undo_rejection(note_uid)
            messages.success(request, _("It is shown again everywhere."))
        else:
            done = client.approve_removal(note_uid)
            counts = {"gone": done["removed"], "stay": len(done["kept"])}
            said = _("Removed from this server: %(gone)s. Stay hidden: %(stay)s.") % counts
            messages.success(request, said)
    except ArgensError as error:
        result = Result.FAILED
        messages.error(request, _("Nothing was changed: %(why)s") % {"why": error})
    locate.forget(study_uid)
    action = Action.REJECT if verb == "undo" else Action.DELETE
    told = {"rejection": verb, "note": note_uid, "node": node}
    record(request, action, study_uid=study_uid, result=result, **told)
    return redirect("rejection", node=node, note_uid=note_uid)


@requires(Right.REJECT)
@require_http_methods(["GET", "HEAD", "POST"])
def reject(
    request: HttpRequest, study_uid: str, series_uid: str = "", instance_uid: str = ""
) -> HttpResponse:
    """Ask what of an exam is rejected and why; POST rejects it on every server that holds it."""
    opened = open_study(clients_for(request), study_uid, config.NODE_TIMEOUT_S)
    image = (series_uid, instance_uid) if instance_uid else None
    form = RejectForm(request.POST or None, series=opened.series, image=image)
    status = 200
    if request.method == "POST":
        if form.is_valid():
            return _rejected(request, study_uid, form)
        status = UNPROCESSABLE
    context = {"study": opened.study, "form": form, "failures": opened.failures}
    return render(request, "arrivals/reject.html", context, status=status)


def _rejected(request: HttpRequest, study_uid: str, form: RejectForm) -> HttpResponse:
    said = form.cleaned_data
    path = resource_path(study_uid, *filter(None, said["what"].split("/")))
    params = {"reason": [said["reason"]], "comment": [said["comment"]]}
    response = rejected_everywhere(request, path, params)
    if response.status_code >= 300:
        why = _detail(response)
        messages.error(request, _("Nothing was rejected: %(why)s") % {"why": why})
        return redirect("study", study_uid=study_uid)
    messages.success(request, _("Rejected: it is hidden everywhere, and can be brought back."))
    return redirect("rejections")


def _detail(response: HttpResponse) -> str:
    try:
        return str(json.loads(response.content)["detail"])
    except (ValueError, KeyError, TypeError):
        return str(response.status_code)


def _opened(request: HttpRequest, node: str, note_uid: str) -> dict[str, Any]:
    told = own_node(request, node).rejection(note_uid)
    told["rejection"]["node"] = node
    if not open_to(request, [told["rejection"]]):
        raise Http404
    return told
