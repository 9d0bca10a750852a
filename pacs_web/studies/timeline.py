"""The time line of one patient: every exam on every server, by year, to compare and to open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pacs_web import config, full_viewer
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.federation.opening import open_study
from pacs_web.federation.search import LIMIT_A_NODE
from pacs_web.federation.study import Study
from pacs_web.studies import searches
from pacs_web.studies.together import exams_of_patient
from pacs_web.studies.views import clients_for


@dataclass(frozen=True)
class Year:
    """The exams of one year, newest first; `name` is empty for those without a date."""

    name: str
    exams: list[Study]


@requires(Right.VIEW)
@require_safe
def timeline(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Show all exams of this exam's patient, or those of one modality (`modality=CT`).

    An exam whose patient ID is a placeholder stands alone: the ID names nobody.
    """
    opened = open_study(clients_for(request), study_uid, config.NODE_TIMEOUT_S)
    here = opened.study
    result = exams_of_patient(request, here)
    exams = result.studies or [here]
    modality = request.GET.get("modality", "")
    shown = [one for one in exams if not modality or modality in one.modalities]
    pictured = next((one for one in opened.series if one.pictured), None)
    context = {
        "study": here,
        "series": pictured if here.online else None,
        "years": by_year(shown),
        "number": len(shown),
        "modality": modality,
        "modalities": sorted({one for exam in exams for one in exam.modalities}),
        "choosable": full_viewer.installed(),
        "failures": result.failures,
        "cut": result.cut,
        "limit": LIMIT_A_NODE,
        "nobody": here.patient_key is None,
        "latest_search": searches.latest(request.session),
    }
    return render(request, "studies/timeline.html", context)


def by_year(exams: Iterable[Study]) -> list[Year]:
    """Return the exams, which come newest first, under their years."""
    return [Year(name, list(some)) for name, some in groupby(exams, lambda exam: exam.date[:4])]
