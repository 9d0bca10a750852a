"""Step four: see the exam."""

from __future__ import annotations

from functools import partial

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.archive.recall import recall_state
from pacs_web.audit.models import Action
from pacs_web.audit.record import record
from pacs_web.federation.opening import Clients, open_study
from pacs_web.nodes.fetch_panel import fetch_state
from pacs_web.nodes.registry import clients
from pacs_web.studies import recent, searches


def clients_for(request: HttpRequest) -> Clients:
    """Return how the nodes are asked on behalf of the person of `request`."""
    return partial(clients, request.user.get_username())


@requires(Right.VIEW)
@require_safe
def study(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Show one exam: the patient, its series, and where its images are."""
    opened = open_study(clients_for(request), study_uid, config.NODE_TIMEOUT_S)
    exam = opened.study
    patient = (exam.issuer, exam.patient_id)
    record(request, Action.STUDY, study_uid=study_uid, patient=patient)
    recent.note(request, exam)
    fetching = fetch_state(exam)
    return render(
        request,
        "studies/study.html",
        {
            "study": exam,
            "series": opened.series,
            "failures": opened.failures,
            "latest_search": searches.latest(request.session),
            "fetching": fetching,
            "recall": None if exam.online or fetching else recall_state(request, exam),
        },
    )
