"""Brings an exam back from the archive, and shows how far that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from pacs_common.availability import Availability
from pacs_common.errors import ArgensError, PeerUnreachable
from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.archive.asking import archive_for
from pacs_web.archive.jobs import shown
from pacs_web.archive.telling import refusal
from pacs_web.archive.waiting import volume_waited_for
from pacs_web.audit.models import Action
from pacs_web.audit.record import record
from pacs_web.federation.opening import open_study
from pacs_web.federation.study import Study
from pacs_web.nodes.registry import clients


@dataclass(frozen=True)
class RecallState:
    """What the archive says about bringing an exam back; `job` as a page shows it."""

    job: dict[str, Any] | None = None
    volumes: tuple[str, ...] = ()
    problem: str = ""

    @property
    def under_way(self) -> bool:
        """Whether a recall has not ended yet."""
        return self.job is not None and self.job["open"]

    @property
    def wanted_volume(self) -> str:
        """The volume that an operator must insert first, "" where none must."""
        return volume_waited_for(self.job.get("waits_for") or "") if self.job else ""


def recall_state(request: HttpRequest, study: Study) -> RecallState:
    """Return the latest recall of a study and the volumes of its copies; never raises."""
    try:
        told = archive_for(request).study(study.uid)
    except ArgensError as error:
        return RecallState(problem=_said(error))
    jobs = [job for job in told.get("jobs", []) if job["kind"] == "recall"]
    newest = max(jobs, key=lambda job: job["id"], default=None)
    volumes = tuple(sorted({copy["volume"] for copy in told.get("copies", [])}))
    return RecallState(shown(newest) if newest else None, volumes)


@requires(Right.RECALL)
@require_http_methods(["GET", "POST"])
def recall(request: HttpRequest, study_uid: str) -> HttpResponse:
    """POST: ask for the recall. GET: the panel that the exam's page polls while it runs."""
    study = open_study(
        lambda names: clients(request.user.get_username(), names), study_uid, config.NODE_TIMEOUT_S
    ).study
    problem = _request_recall(request, study) if request.method == "POST" else ""
    if "HX-Request" not in request.headers:
        return redirect("study", study_uid)
    response = HttpResponse()
    if study.availability is Availability.ONLINE:
        messages.success(request, _("The images are back: you can look at them."))
        response["HX-Refresh"] = "true"
        return response
    state = RecallState(problem=problem) if problem else recall_state(request, study)
    return render(request, "archive/recall.html", {"study": study, "recall": state})


def _request_recall(request: HttpRequest, study: Study) -> str:
    """Queue the recall and return "", or what hinders it."""
    patient = (study.issuer, study.patient_id)
    record(request, Action.RECALL, study_uid=study.uid, patient=patient, node=study.nodes[0])
    try:
        archive_for(request).request_job("recall", study.nodes[0], study.uid)
    except ArgensError as error:
        return _said(error)
    return ""


def _said(error: ArgensError) -> str:
    if isinstance(error, PeerUnreachable):
        return _("The archive does not answer. Please try again in a few minutes.")
    return _("The archive refused: %(why)s") % {"why": refusal(error)}
