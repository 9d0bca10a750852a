"""Several exams side by side: chosen from a list, opened together in the full viewer."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from pacs_common.errors import BadQuery, NotFound, NotOnline
from pacs_common.uids import Uid
from pacs_web import config, full_viewer
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import Action
from pacs_web.audit.record import record
from pacs_web.federation.opening import open_study
from pacs_web.federation.search import SearchResult, flag_conflicts, search
from pacs_web.federation.study import Study
from pacs_web.nodes.registry import clients
from pacs_web.studies import searches
from pacs_web.studies.views import clients_for

MOST_TOGETHER = 8


@requires(Right.VIEW)
@require_safe
def together(request: HttpRequest) -> HttpResponse:
    """Open the exams of `study=UID` (repeated) in the full viewer, in the order given.

    Where nothing shows that all are of one person, somebody has to say that this is meant.
    """
    _require_viewer()
    named = [Uid.parse(uid, "StudyInstanceUID") for uid in request.GET.getlist("study")]
    uids = list(dict.fromkeys(named))
    if not uids:
        messages.info(request, _("Choose the exams to be opened first."))
        return redirect("search")
    if len(uids) > MOST_TOGETHER:
        raise BadQuery(f"at most {MOST_TOGETHER} exams can be opened together, not {len(uids)}")
    exams = [_opened(request, uid) for uid in uids]
    address = full_viewer.address(uids)
    if of_one_person(exams):
        return redirect(address)
    context = {
        "exams": exams,
        "address": address,
        "latest_search": searches.latest(request.session),
    }
    return render(request, "studies/two_patients.html", context)


def exams_of_patient(request: HttpRequest, study: Study) -> SearchResult:
    """Return all exams with the patient key of `study`; none where its ID is a placeholder."""
    if study.patient_key is None:
        return SearchResult([], [], [])
    query = {"PatientID": study.patient_id}
    result = search(clients(request.user.get_username()), query, config.NODE_TIMEOUT_S)
    record(request, Action.SEARCH, query=query, found=len(result.studies))
    own = [one for one in result.studies if one.patient_key == study.patient_key]
    return SearchResult(own, result.failures, result.cut)


def of_one_person(exams: Sequence[Study]) -> bool:
    """Return whether all have one patient key, and no birth date, sex or family name differs."""
    keys = {exam.patient_key for exam in exams}
    alone = len(exams) == 1
    return alone or (
        len(keys) == 1
        and None not in keys
        and not any(one.conflict for one in flag_conflicts(list(exams)))
    )


def _opened(request: HttpRequest, study_uid: str) -> Study:
    study = open_study(clients_for(request), study_uid, config.NODE_TIMEOUT_S).study
    record(request, Action.STUDY, study_uid=study_uid, patient=(study.issuer, study.patient_id))
    if not study.online:
        raise NotOnline(f"the exam {study.description or study_uid} must first be recalled")
    return study


def _require_viewer() -> None:
    if not full_viewer.installed():
        raise NotFound("the full viewer is not installed here (manage.py web install-viewer)")
