"""Studies in the order of their last arrival, with where they came from and how far they are."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, Max, Min, OuterRef, QuerySet
from django.utils import timezone

from dicom_node.config import CONFIG
from dicom_node.models import Instance, Quarantined, Series, Study

MAX_STUDIES = 200
_REMEMBERED = 2000
_ORIGINS: OrderedDict[tuple[int, int], Origins] = OrderedDict()  # by study and revision


@dataclass(frozen=True)
class Origins:
    """Who sent a study's instances, and when the first one came."""

    first_at: datetime | None
    sources: tuple[str, ...]


def arrived(
    *, since: timedelta, modality: str = "", source: str = "", limit: int = 100
) -> list[dict[str, Any]]:
    """Return the studies of which something arrived within `since`, the latest first."""
    chosen = _chosen(timezone.now() - since, modality, source)
    return told_of(list(chosen.order_by("-last_arrival_at", "-id")[: min(limit, MAX_STUDIES)]))


def told_of(studies: Sequence[Study]) -> list[dict[str, Any]]:
    """Return what people are told of studies, in their order."""
    origins = _origins_of(studies)
    waiting = _waiting_in_quarantine([study.uid for study in studies])
    return [_told(study, origins[study.id], waiting.get(study.uid, 0)) for study in studies]


def sources(since: timedelta) -> list[str]:
    """Return the AE titles that sent something within `since`."""
    wanted = Study.objects.filter(last_arrival_at__gte=timezone.now() - since)
    studies = list(wanted.order_by("-last_arrival_at")[:MAX_STUDIES])
    found = {name for one in _origins_of(studies).values() for name in one.sources}
    return sorted(found)


def departments_of(study: Study) -> list[str]:
    """Return the departments that a study names, by which the portal opens it to people."""
    return [name for name in (study.requesting_service, study.department) if name]


def _chosen(after: datetime, modality: str, source: str) -> QuerySet[Study]:
    studies = Study.objects.filter(last_arrival_at__gte=after)
    if modality:
        made = Series.objects.filter(study=OuterRef("pk"), modality=modality.upper())
        studies = studies.filter(Exists(made))
    if source:
        sent = Instance.every.filter(series__study=OuterRef("pk"), source_ae=source)
        studies = studies.filter(Exists(sent))
    return studies


def _origins_of(studies: Sequence[Study]) -> dict[int, Origins]:
    """Return each study's origins; those of a revision never change, so they are remembered."""
    found = {s.id: _ORIGINS[s.id, s.revision] for s in studies if (s.id, s.revision) in _ORIGINS}
    unknown = [study for study in studies if study.id not in found]
    asked = _asked({study.id for study in unknown})
    for study in unknown:
        found[study.id] = _ORIGINS[study.id, study.revision] = asked.get(
            study.id, Origins(None, ())
        )
    while len(_ORIGINS) > _REMEMBERED:
        _ORIGINS.popitem(last=False)
    return found


def _asked(study_ids: Collection[int]) -> dict[int, Origins]:
    rows = (
        Instance.every.filter(series__study__in=study_ids)
        .values("series__study_id", "source_ae")
        .annotate(first_at=Min("arrived_at"), last_at=Max("arrived_at"))
        .order_by("-last_at")
    )
    found: dict[int, Origins] = {}
    for row in rows:
        known = found.get(row["series__study_id"], Origins(row["first_at"], ()))
        names = (row["source_ae"],) if row["source_ae"] else ()
        first_at = min(filter(None, (known.first_at, row["first_at"])))
        found[row["series__study_id"]] = Origins(first_at, known.sources + names)
    return found


def _waiting_in_quarantine(uids: Collection[str]) -> dict[str, int]:
    rows = Quarantined.waiting.filter(study_uid__in=uids).values("study_uid")
    return {row["study_uid"]: row["n"] for row in rows.annotate(n=Count("id")).order_by()}


def _told(study: Study, origins: Origins, quarantined: int) -> dict[str, Any]:
    first_at = origins.first_at or study.last_arrival_at
    return {
        "study_uid": study.uid,
        "patient": {
            "issuer": study.issuer,
            "id": study.patient_id,
            "name": study.patient_name,
            "birth_date": study.birth_date,
            "sex": study.sex,
        },
        "study_date": study.study_date,
        "study_time": study.study_time,
        "accession_number": study.accession_number,
        "description": study.description,
        "departments": departments_of(study),
        "modalities": [name for name in study.modalities.split("\\") if name],
        "sources": list(origins.sources),
        "first_arrival_at": first_at.isoformat(),
        "last_arrival_at": study.last_arrival_at.isoformat(),
        "series": study.series_count,
        "instances": study.instance_count,
        "rejected": study.rejected_count,
        "evicted": study.evicted_count,
        "quarantined": quarantined,
        "size_bytes": study.size_bytes,
        "state": _state(study),
    }


def _state(study: Study) -> str:
    """Return how far a study is: "arriving", "quiet", "prepared" or "archived" (off the disk)."""
    quiet_at = study.last_arrival_at + timedelta(seconds=CONFIG.prepare_after_s)
    if timezone.now() < quiet_at:
        return "arriving"
    if study.evicted_count:
        return "archived"
    return "prepared" if study.prepared_revision >= study.revision else "quiet"
