"""The operator's page: vaults, volumes and jobs; no patient data."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pacs_common.errors import ArgensError
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.archive.asking import archive_for
from pacs_web.archive.forms import JobForm
from pacs_web.archive.jobs import shown, volume_shown
from pacs_web.audit.models import Action, Result
from pacs_web.audit.record import record
from pacs_web.nodes.registry import own_nodes

JOBS_SHOWN = "50"
UNPROCESSABLE = 422


@requires(Right.ARCHIVE)
@require_http_methods(["GET", "HEAD", "POST"])
def archive(request: HttpRequest) -> HttpResponse:
    """Show the archive; POST starts a job."""
    nodes = [node.name for node in own_nodes()]
    if request.method != "POST":
        return render(
            request, "archive/archive.html", {"form": JobForm(nodes=nodes), **_state(request)}
        )
    form = JobForm(request.POST, nodes=nodes)
    if not form.is_valid():
        context = {"form": form, **_state(request)}
        return render(request, "archive/archive.html", context, status=UNPROCESSABLE)
    _start(request, form.cleaned_data)
    return redirect("archive")


@requires(Right.ARCHIVE)
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Show what changes by itself: the page asks for it every three seconds."""
    return render(request, "archive/live.html", _state(request))


@requires(Right.ARCHIVE)
@require_POST
def retry(request: HttpRequest, job_id: int) -> HttpResponse:
    """Queue a failed job again."""
    try:
        job = archive_for(request).retry_job(job_id)
    except ArgensError as error:
        record(request, Action.ARCHIVE_JOB, result=Result.FAILED, retry=job_id, failed=str(error))
        messages.error(request, str(error))
    else:
        record(
            request, Action.ARCHIVE_JOB, study_uid=job["study_uid"], kind=job["kind"], retry=job_id
        )
        messages.success(request, _("Job %(id)s is queued again.") % {"id": job_id})
    return redirect("archive")


def _start(request: HttpRequest, said: dict[str, str]) -> None:
    kind, node, study_uid = said["kind"], said["node"], said["study_uid"]
    asked = partial(record, request, Action.ARCHIVE_JOB, study_uid=study_uid, kind=kind, node=node)
    try:
        job = archive_for(request).request_job(kind, node, study_uid)
    except ArgensError as error:
        asked(result=Result.FAILED, failed=str(error))
        messages.error(request, str(error))
        return
    asked()
    messages.success(request, _("Job %(id)s is queued.") % {"id": job["id"]})


def _state(request: HttpRequest) -> dict[str, Any]:
    try:
        client = archive_for(request)
        return {
            "status": client.status(),
            "volumes": [volume_shown(volume) for volume in client.volumes()],
            "jobs": [shown(job) for job in client.jobs(limit=JOBS_SHOWN)],
        }
    except ArgensError as error:
        return {"problem": str(error)}
