"""The jobs: their list with filters, one of them, and what an operator does to one or many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pacs_common.archive_client import ArchiveClient
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.archive.asking import told
from pacs_web.archive.doing import back, done, tried
from pacs_web.archive.forms import JobForm
from pacs_web.archive.jobs import JOBS_A_PAGE, JobFilters, Pages, shown
from pacs_web.archive.showing import Question, asked, live_page
from pacs_web.archive.telling import in_language, refusal
from pacs_web.archive.words import JOB_ACTIONS, JOB_KINDS, JOB_STATES, said
from pacs_web.audit.models import Action
from pacs_web.nodes.registry import own_nodes

MOST_PICKED = 1000
HIGHEST = 1000  # priority, up or down


@requires(Right.ARCHIVE, exam=False)
@require_http_methods(["GET", "HEAD", "POST"])
def jobs(request: HttpRequest) -> HttpResponse:
    """Show the jobs that the filters ask for; POST starts one by hand."""
    nodes = [node.name for node in own_nodes()]
    form = JobForm(request.POST if request.method == "POST" else None, nodes=nodes)
    if request.method == "POST" and form.is_valid():
        _start(request, form.cleaned_data)
        return redirect("archive-jobs")
    filters = JobFilters.of(request.GET)
    context = told(request, lambda archive: _listed(archive, filters))
    more = {
        "form": form,
        "filters": filters,
        "nodes": nodes,
        "states": JOB_STATES,
        "kinds": JOB_KINDS,
    }
    response = live_page(request, "jobs", {**context, **more})
    if form.errors:
        response.status_code = 422
    return response


@requires(Right.ARCHIVE, exam=False)
@require_safe
def job(request: HttpRequest, job_id: int) -> HttpResponse:
    """Show one job."""
    context = told(request, lambda archive: {"job": shown(archive.job(job_id))})
    return live_page(request, "job", {"job_id": job_id, **context})


@requires(Right.ARCHIVE, exam=False)
@require_POST
def act(request: HttpRequest, job_id: int, job_action: str) -> HttpResponse:
    """Do to a job what its state allows."""
    given = _priority(request) if job_action == "priority" else {}
    if job_action not in {*JOB_ACTIONS, "priority"} or given is None:
        raise Http404
    done(
        request,
        Action.ARCHIVE_JOB,
        lambda archive: archive.act_on_job(job_id, job_action, **given),
        _("Job %(id)s: %(done)s.") % {"id": job_id, "done": _done(job_action)},
        job=job_id,
        act=job_action,
        **given,
    )
    return back(request, "archive-jobs")


@requires(Right.ARCHIVE, exam=False)
@require_POST
def act_on_many(request: HttpRequest) -> HttpResponse:
    """Do the same to all that were ticked, or that match; asks first where much hangs on it."""
    action = request.POST.get("act", "")
    if action not in JOB_ACTIONS:
        raise Http404
    filters = JobFilters.of(request.POST)
    whole = request.POST.get("all") == "1" and filters.are_of_all
    picked = [int(one) for one in request.POST.getlist("picked") if one.isdecimal()][:MOST_PICKED]
    if not picked and not whole:
        messages.warning(request, _("No job is ticked."))
        return back(request, "archive-jobs")
    if request.POST.get("sure") != "1" and (whole or action == "cancel"):
        return asked(request, _question(request.POST, action, len(picked), whole))
    answer, error = tried(
        request,
        Action.ARCHIVE_JOB,
        lambda archive: (
            archive.act_on_jobs(action, **filters.told)
            if whole
            else archive.act_on_jobs(action, picked)
        ),
        act=action,
        **(filters.told | {"all": True} if whole else {"jobs": picked}),
    )
    _tell(request, action, answer, error)
    return back(request, "archive-jobs")


def _listed(archive: ArchiveClient, filters: JobFilters) -> dict[str, Any]:
    page = archive.jobs_page(**filters.page_asked())
    return {
        "jobs": [shown(one) for one in page["jobs"]],
        "total": page["total"],
        "pages": Pages(filters.page, JOBS_A_PAGE, page["total"]),
    }


def _start(request: HttpRequest, given: Mapping[str, str]) -> None:
    kind, node, study_uid = given["kind"], given["node"], given["study_uid"]
    answer, error = tried(
        request,
        Action.ARCHIVE_JOB,
        lambda archive: archive.request_job(kind, node, study_uid),
        study_uid=study_uid,
        kind=kind,
        node=node,
    )
    if error is None:
        messages.success(request, _("Job %(id)s is queued.") % {"id": answer["id"]})
    else:
        messages.error(request, refusal(error))


def _priority(request: HttpRequest) -> dict[str, int] | None:
    try:
        wanted = int(request.POST.get("priority", ""))
    except ValueError:
        return None
    return {"priority": max(-HIGHEST, min(HIGHEST, wanted))}


def _done(action: str) -> str:
    return {
        "retry": _("queued again"),
        "now": _("starts as soon as it can"),
        "pause": _("paused"),
        "resume": _("goes on"),
        "cancel": _("cancelled"),
        "priority": _("has another priority"),
    }[action]


def _question(posted: QueryDict, action: str, picked: int, whole: bool) -> Question:
    happens = []
    if whole:
        total = posted.get("total", "")
        happens.append(
            _("This is done to every job that matches the filters, on all pages: %(total)s now.")
            % {"total": total if total.isdecimal() else "?"}
        )
    if action == "cancel":
        happens.append(
            _(
                "What runs stops at its next step, and what was half done is swept away. No image "
                "is lost: what is on a server stays there, what is on a volume too."
            )
        )
    title = (
        _("%(action)s: all that match?") % {"action": said(JOB_ACTIONS, action)}
        if whole
        else ngettext("Cancel %(n)d job?", "Cancel %(n)d jobs?", picked) % {"n": picked}
    )
    sent = [(name, one) for name in posted for one in posted.getlist(name)]
    kept = [pair for pair in sent if pair[0] != "csrfmiddlewaretoken"]
    action_text = _("Yes, cancel") if action == "cancel" else str(said(JOB_ACTIONS, action))
    where = {"action": reverse("archive-jobs-act"), "back": reverse("archive-jobs")}
    danger = action == "cancel"
    return Question(
        title, happens, action_text, danger=danger, fields=[*kept, ("sure", "1")], **where
    )


def _tell(request: HttpRequest, action: str, answer: Any, error: Exception | None) -> None:
    if error is not None:
        messages.error(request, refusal(error))
        return
    count, refused = len(answer["done"]), answer["refused"]
    if count:
        said_then = ngettext("%(n)d job: %(done)s.", "%(n)d jobs: %(done)s.", count)
        messages.success(request, said_then % {"n": count, "done": _done(action)})
    if refused:
        said_then = ngettext(
            "%(n)d job was left as it is: %(why)s", "%(n)d jobs were left as they are: %(why)s",
            len(refused),
        )  # fmt: skip
        why = in_language(refused[0]["reason"])
        messages.warning(request, said_then % {"n": len(refused), "why": why})
