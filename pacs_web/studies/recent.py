"""The exams that a person opened lately."""

from __future__ import annotations

import hashlib

from django.http import HttpRequest
from django.utils import timezone

from pacs_web.accounts.reach import reach_of
from pacs_web.federation.study import Study
from pacs_web.studies.models import RecentExam

KEPT, LISTED = 30, 8
SHOWN = ["opened_at", "terms", "patient_name", "date", "modalities", "description"]


def note(request: HttpRequest, exam: Study) -> None:
    """Note that the person of `request` opened an exam; the oldest of KEPT gives way."""
    row = RecentExam(
        owner=request.user,
        study_uid=exam.uid,
        opened_at=timezone.now(),
        terms=_terms(request, exam.uid),
        patient_name=exam.patient_name,
        date=exam.date,
        modalities="/".join(exam.modalities),
        description=exam.description,
    )
    RecentExam.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["owner", "study_uid"], update_fields=SHOWN
    )
    mine = RecentExam.objects.filter(owner=request.user)
    mine.exclude(pk__in=mine.values("pk")[:KEPT]).delete()


def of_person(request: HttpRequest) -> list[RecentExam]:
    """Return the latest exams that the person opened and whose terms still hold."""
    mine = RecentExam.objects.filter(owner=request.user)[:KEPT]
    return [one for one in mine if one.terms == _terms(request, one.study_uid)][:LISTED]


def _terms(request: HttpRequest, study_uid: str) -> str:
    """Return a digest of the person's limits, and whether glass is broken for the exam."""
    reach = reach_of(request.user.get_username())
    if reach.whole:
        return ""
    limits = [sorted(reach.nodes or ()), sorted(reach.departments or ()), sorted(reach.closed)]
    told = repr([*limits, study_uid in reach.granted])
    return hashlib.sha256(told.encode()).hexdigest()
