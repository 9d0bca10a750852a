"""Exams that may be filed under nobody, or under a patient who does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from dicom_node.arrivals.studies import told_of
from dicom_node.models import Study
from pacs_common.patient_ids import is_placeholder

MAX_LOOKED_AT = 2000  # of the latest exams
MAX_TOLD = 200
_ORDERLY = re.compile(r"(?=.*[0-9])[^\W_](?:[-./_ ]?[^\W_])*\Z")


def lost(*, since: timedelta, limit: int = 100) -> list[dict[str, Any]]:
    """Return the exams within `since` whose patient is doubtful, the latest first, with `why`."""
    whys = {row.pk: why for row in looked_at(since) if (why := doubt(row))}
    wanted = list(whys)[: min(limit, MAX_TOLD)]
    found = Study.objects.in_bulk(wanted)
    told = told_of([found[pk] for pk in wanted if pk in found])
    return [{**one, "why": whys[pk]} for pk, one in zip(wanted, told, strict=False)]


def looked_at(since: timedelta) -> QuerySet[Study]:
    """Return the latest exams, each with whether its patient had an earlier one here."""
    earlier = Study.objects.filter(
        patient_id=OuterRef("patient_id"), issuer=OuterRef("issuer"), id__lt=OuterRef("id")
    )
    arrived = Study.objects.filter(last_arrival_at__gte=timezone.now() - since)
    named = arrived.only("id", "patient_id").annotate(is_known=Exists(earlier))
    return named.order_by("-last_arrival_at", "-id")[:MAX_LOOKED_AT]


def doubt(study: Study) -> str:
    """Return "empty", "placeholder", "malformed" or "new", "" where the patient is not doubtful."""
    patient_id = study.patient_id.strip()
    if not patient_id:
        return "empty"
    if is_placeholder(patient_id):
        return "placeholder"
    if not _ORDERLY.match(patient_id):
        return "malformed"
    return "" if study.is_known else "new"


def known(asked: Iterable[Mapping[str, Any]]) -> list[bool]:
    """Return of each {issuer, id, study_uid, before} whether the patient was here before then.

    The exam itself, of which a part may lie here, does not count.
    """
    return [_others(**one).exists() for one in asked]


def _others(issuer: str, id: str, study_uid: str, before: datetime) -> QuerySet[Study]:
    same = Study.objects.filter(patient_id=id, issuer=issuer, last_arrival_at__lt=before)
    return same.exclude(uid=study_uid)
