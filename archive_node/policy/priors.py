"""The same patient's earlier exams, back on their nodes before somebody compares with them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from archive_node import nodes
from archive_node.jobs import dispatch
from archive_node.models import Job, StudyFacts
from pacs_common.patient_ids import is_placeholder

PRIORITY = 15  # below a person's recall, and below an eviction: nobody waits for it yet
ARRIVED_WITHIN = timedelta(hours=24)  # an archive's first scan finds old exams: none is new
MOST_LOOKED_AT = 500  # exams of one patient
NOT_IMAGES = {"PR", "KO", "SR", "AU", "DOC", "FID", "HC", "PLAN", "REG", "RWV", "SEG", "STAIN"}


def recall_for_arrivals(node: str, arrived: Iterable[StudyFacts]) -> int:
    """Ask for the priors of studies that have just arrived at a node; return how many jobs.

    Repeating it asks for nothing twice: an arrival asks for each prior once, whatever becomes of
    it. Studies whose last arrival is old are passed over.
    """
    if not settings.ARCHIVE.priors:
        return 0
    now = timezone.now()
    return sum(_recall_priors(study) for study in arrived if _is_new(study, now))


def priors_of(study: StudyFacts, most: int) -> list[StudyFacts]:
    """Return the last `most` earlier exams of the study's patient that one would compare it with.

    They have its modality or its body part, on whichever node. None where its patient key names
    nobody. An exam that lies on several nodes stands once, online where it is.
    """
    if _names_nobody(study.patient_id) or not study.study_date:
        return []
    rows = StudyFacts.objects.filter(
        node__in=nodes.names(),
        patient_issuer=study.patient_issuer,
        patient_id=study.patient_id,
        study_date__lte=study.study_date,
    ).exclude(study_uid=study.study_uid)
    found: dict[str, StudyFacts] = {}
    for row in rows.exclude(study_date="").order_by("-study_date", "study_uid")[:MOST_LOOKED_AT]:
        if _is_comparable(row, study):
            known = found.get(row.study_uid)
            if known is None or row.online == row.instances:
                found[row.study_uid] = row
    return list(found.values())[:most]


def _recall_priors(study: StudyFacts) -> int:
    requested_by = f"prior of {study.study_uid}"
    away = [row for row in priors_of(study, settings.ARCHIVE.priors) if row.online < row.instances]
    asked = Job.objects.filter(
        kind=Job.Kind.RECALL,
        study_uid__in=[row.study_uid for row in away],
        requested_by=requested_by,
    )
    before = set(asked.values_list("study_uid", flat=True))
    wanted = [row for row in away if row.study_uid not in before]
    for row in wanted:
        dispatch.request("recall", row.node, row.study_uid, requested_by, priority=PRIORITY)
    return len(wanted)


def _is_new(study: StudyFacts, now: datetime) -> bool:
    return study.last_arrival_at is not None and now - study.last_arrival_at < ARRIVED_WITHIN


def _is_comparable(row: StudyFacts, study: StudyFacts) -> bool:
    modalities = _values(row.modalities) & _values(study.modalities) - NOT_IMAGES
    return bool(modalities or _values(row.body_parts) & _values(study.body_parts))


def _values(text: str) -> set[str]:
    return {value.strip().upper() for value in text.split("\\") if value.strip()}


def _names_nobody(patient_id: str) -> bool:
    """Whether an ID is empty or a placeholder: such match nothing, not even each other."""
    wanted = patient_id.strip().upper()
    return not wanted or is_placeholder(wanted)
