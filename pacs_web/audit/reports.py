"""The reports: who saw a patient, and what a person saw."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min, Q

from pacs_web.audit.filters import Filters
from pacs_web.audit.models import Action, AuditEvent, AuditRows

MOST_STUDIES = 1000
MOST_LINES = 500
NOT_SEEING = (Action.AUDIT,)  # who reads a report sees the report


@dataclass(frozen=True)
class Seen:
    """What a person saw: a line for each exam, and whether there were more."""

    lines: list[dict[str, Any]]
    cut: bool


def rows_of_patient(
    issuer: str, patient_id: str, since: datetime | None = None, until: datetime | None = None
) -> AuditRows:
    """Return every act with a patient's data, newest first.

    A row that names a study alone counts, where another row says that the study is the patient's.
    """
    own = AuditEvent.objects.filter(patient_id=patient_id, patient_issuer=issuer)
    named = own.exclude(study_uid="").order_by().values_list("study_uid", flat=True).distinct()
    studies = list(named[:MOST_STUDIES])
    theirs = Q(patient_id=patient_id, patient_issuer=issuer)
    rows = AuditEvent.objects.filter(theirs | Q(study_uid__in=studies, patient_id=""))
    rows = rows.exclude(action__in=NOT_SEEING)
    if since is not None:
        rows = rows.filter(at__gte=since)
    if until is not None:
        rows = rows.filter(at__lt=until)
    return rows.order_by("-at", "-id")


def people_of(rows: AuditRows) -> list[dict[str, Any]]:
    """Return who did something in these rows: how often, first and last."""
    people = rows.order_by().values("who")
    counted = people.annotate(acts=Count("id"), first=Min("at"), last=Max("at"))
    return list(counted.order_by("-last")[:MOST_LINES])


def seen_by(filters: Filters) -> Seen:
    """Return whose exams the person of the filters had before the eyes, the last first."""
    rows = filters.rows().exclude(study_uid="").exclude(action__in=NOT_SEEING)
    exams = rows.order_by().values("patient_issuer", "patient_id", "study_uid")
    counted = exams.annotate(acts=Count("id"), first=Min("at"), last=Max("at"))
    lines = list(counted.order_by("-last")[: MOST_LINES + 1])
    return Seen(lines[:MOST_LINES], len(lines) > MOST_LINES)
