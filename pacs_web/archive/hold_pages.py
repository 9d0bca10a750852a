"""Holds: exams that nobody evicts until somebody lets them go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.archive.asking import told
from pacs_web.archive.doing import done
from pacs_web.archive.forms import HoldForm
from pacs_web.archive.jobs import page_of
from pacs_web.archive.moments import moment
from pacs_web.archive.showing import Question, asked
from pacs_web.archive.words import HOLD_KINDS, said
from pacs_web.audit.models import Action
from pacs_web.nodes.registry import own_nodes

HOLDS_A_PAGE = 200
UNPROCESSABLE = 422


@requires(Right.ARCHIVE, exam=False)
@require_http_methods(["GET", "HEAD", "POST"])
def holds(request: HttpRequest) -> HttpResponse:
    """Show the holds in force; POST holds one exam."""
    nodes = [node.name for node in own_nodes()]
    if request.method == "POST":
        form = HoldForm(request.POST, nodes=nodes)
        if form.is_valid():
            _hold(request, form.cleaned_data)
            return redirect("archive-holds")
    else:
        named = {"node": request.GET.get("node", ""), "study_uid": request.GET.get("study", "")}
        form = HoldForm(initial=named, nodes=nodes)
    page = page_of(request.GET)
    asked_for = {"limit": HOLDS_A_PAGE + 1, "offset": (page - 1) * HOLDS_A_PAGE}
    context = told(request, lambda archive: {"holds": archive.holds(**asked_for)})
    rows = context.get("holds", [])
    context |= {
        "holds": [_shown(row) for row in rows[:HOLDS_A_PAGE]],
        "page": page,
        "older": page + 1 if len(rows) > HOLDS_A_PAGE else 0,
        "form": form,
    }
    status = UNPROCESSABLE if form.errors else 200
    return render(request, "archive/holds.html", context, status=status)


@requires(Right.ARCHIVE, exam=False)
@require_http_methods(["GET", "HEAD", "POST"])
def release(request: HttpRequest, hold_id: int) -> HttpResponse:
    """GET: say what a release does. POST: let the exam go."""
    if request.method != "POST":
        return asked(request, _question(hold_id))
    about = {"what": "hold", "act": "release", "hold": hold_id}
    text = _("The hold is released.")
    done(request, Action.ARCHIVE, lambda archive: archive.release_hold(hold_id), text, **about)
    return redirect("archive-holds")


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "kind_text": said(HOLD_KINDS, row.get("kind", "")),
        "held": moment(row.get("held_at")),
    }


def _hold(request: HttpRequest, given: Mapping[str, str]) -> None:
    node, study_uid = given["node"], given["study_uid"]
    kind, reason = given["kind"], given["reason"]
    done(
        request,
        Action.ARCHIVE,
        lambda archive: archive.hold(node, study_uid, kind, reason),
        _("The exam is held: nobody evicts it until it is released."),
        study_uid=study_uid,
        what="hold",
        act="hold",
        node=node,
        kind=kind,
        reason=reason,
    )


def _question(hold_id: int) -> Question:
    return Question(
        _("Release this hold?"),
        [
            _("Rules and watermarks count for the exam again: its images may leave the disk."),
            _("Its copies in the archive stay."),
        ],
        _("Release"),
        action=reverse("archive-release", args=[hold_id]),
        back=reverse("archive-holds"),
        danger=True,
    )
