"""Lists of what a node shall free: looked at study by study, approved or refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.archive.asking import told
from pacs_web.archive.doing import done
from pacs_web.archive.jobs import Pages, page_of, shown
from pacs_web.archive.moments import moment
from pacs_web.archive.showing import Question, asked, live_page
from pacs_web.archive.telling import in_language
from pacs_web.archive.words import LIST_STATES, said
from pacs_web.audit.models import Action

LISTS_A_PAGE = 50
STUDIES_SHOWN = 1000  # the most that the archive tells at once
DECISIONS = {
    "approve": gettext_lazy("The list is approved: its jobs are queued."),
    "refuse": gettext_lazy("The list is refused: nothing is removed."),
}


def list_shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a list with its words and its times as times."""
    return {
        **row,
        "state_text": said(LIST_STATES, row.get("state", "")),
        "why": in_language(row.get("why")),
        "made": moment(row.get("made_at")),
        "decided": moment(row.get("decided_at")),
    }


@requires(Right.ARCHIVE, exam=False)
@require_safe
def evictions(request: HttpRequest) -> HttpResponse:
    """Show the lists, the latest first."""
    state = request.GET.get("state", "")
    state = state if state in LIST_STATES else ""
    page = page_of(request.GET)
    wanted: dict[str, str | int] = {"state": state} if state else {}
    wanted |= {"limit": LISTS_A_PAGE + 1, "offset": (page - 1) * LISTS_A_PAGE}
    context = told(request, lambda archive: {"lists": archive.evictions(**wanted)})
    lists = context.get("lists", [])
    context["lists"] = [list_shown(row) for row in lists[:LISTS_A_PAGE]]
    total = (page - 1) * LISTS_A_PAGE + len(lists)
    more = {"state": state, "states": LIST_STATES, "pages": Pages(page, LISTS_A_PAGE, total)}
    return live_page(request, "evictions", {**context, **more})


@requires(Right.ARCHIVE, exam=False)
@require_safe
def eviction(request: HttpRequest, list_id: int) -> HttpResponse:
    """Show one list study by study, to be read or printed before it is decided."""
    context = told(request, lambda archive: archive.eviction(list_id, limit=STUDIES_SHOWN))
    if "list" in context:
        context["row"] = list_shown(context.pop("list"))
        context["studies"] = [
            {
                **study,
                "why": in_language(study.get("why")),
                "last_used": moment(study.get("last_used_at")),
                "job": shown(study["job"]) if study.get("job") else None,
            }
            for study in context["studies"]
        ]
        context["unlisted"] = context["row"]["studies"] - len(context["studies"])
    return render(request, "archive/eviction.html", {"list_id": list_id, **context})


@requires(Right.ARCHIVE, exam=False)
@require_http_methods(["GET", "HEAD", "POST"])
def decide(request: HttpRequest, list_id: int, decision: str) -> HttpResponse:
    """GET: say what approval or refusal does. POST: decide."""
    if decision not in DECISIONS:
        raise Http404
    if request.method != "POST":
        return asked(request, _question(list_id, decision))
    about = {"what": "eviction list", "list": list_id, "decision": decision}
    said_then = str(DECISIONS[decision])
    done(
        request,
        Action.ARCHIVE,
        lambda archive: archive.decide_eviction(list_id, decision),
        said_then,
        **about,
    )
    return redirect("archive-eviction", list_id)


def _question(list_id: int, decision: str) -> Question:
    where = {
        "action": reverse("archive-decide", args=[list_id, decision]),
        "back": reverse("archive-eviction", args=[list_id]),
    }
    if decision == "approve":
        return Question(
            _("Approve list %(id)s?") % {"id": list_id},
            [
                _("The server removes the images of these exams from its own disk."),
                _(
                    "Each is checked again at that moment: only what has a verified copy in every "
                    "required vault goes, and nothing that is held, open or in use."
                ),
                _("They stay in the archive, and anybody may bring them back."),
            ],
            _("Approve"),
            danger=True,
            **where,
        )
    return Question(
        _("Refuse list %(id)s?") % {"id": list_id},
        [
            _("Nothing is removed, and this list can no longer be approved."),
            _("If the disk goes on filling, a new list is made."),
        ],
        _("Refuse"),
        **where,
    )
