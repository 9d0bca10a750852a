"""What the node tells the archive about its studies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Q

from dicom_node.models import Instance, Quarantined, Study
from dicom_node.store.journal import Journal

MAX_PAGE = 1000


def page(after: str, limit: int) -> dict[str, Any]:
    """Return the facts of up to `limit` studies whose UID follows `after`, in UID order."""
    rows = list(Study.objects.filter(uid__gt=after).order_by("uid")[: min(limit, MAX_PAGE)])
    last = rows[-1].uid if len(rows) == min(limit, MAX_PAGE) else None
    return {"studies": studies(rows), "next": last}


def studies(rows: Iterable[Study]) -> list[dict[str, Any]]:
    """Return the facts of each study."""
    found = list(rows)
    ids = [study.id for study in found]
    waiting = Q(stored_sha256="") | Q(damaged=True)
    unready = set(
        Instance.objects.filter(waiting, series__study__in=ids).values_list(
            "series__study_id", flat=True
        )
    )
    uids = [study.uid for study in found]
    in_quarantine = list(
        Quarantined.objects.filter(study_uid__in=uids).values_list("study_uid", flat=True)
    )
    return [
        _facts(study, study.id not in unready, in_quarantine.count(study.uid)) for study in found
    ]


def manifest(study: Study, journal: Journal) -> dict[str, Any]:
    """Return a study's facts with each instance's digests, and its journal records."""
    rows = Instance.objects.filter(series__study=study).select_related("series")
    return {
        **studies([study])[0],
        "instances": [_instance(row) for row in rows.order_by("arrived_at", "uid")],
        "journal": journal.of_study(study.uid),
    }


def _facts(study: Study, digests_ready: bool, quarantined: int) -> dict[str, Any]:
    accessed = study.last_access_at
    return {
        "study_uid": study.uid,
        "patient_key": {"issuer": study.issuer, "id": study.patient_id},
        "modalities": [m for m in study.modalities.split("\\") if m],
        "study_date": study.study_date,
        "description": study.description,
        "instances": study.instance_count,
        "online": study.instance_count - study.evicted_count,
        "size_bytes": study.size_bytes,
        "online_bytes": study.online_bytes,
        "revision": study.revision,
        "recalls": study.recalls,
        "last_arrival_at": study.last_arrival_at.isoformat(),
        "last_access_at": accessed.isoformat() if accessed else None,
        "digests_ready": digests_ready,
        "quarantined": quarantined,
    }


def _instance(row: Instance) -> dict[str, Any]:
    return {
        "sop_instance_uid": row.uid,
        "sop_class_uid": row.sop_class,
        "series_uid": row.series.uid,
        "transfer_syntax_uid": row.transfer_syntax,
        "size_bytes": row.size_bytes,
        "received_sha256": row.received_sha256,
        "stored_sha256": row.stored_sha256,
        "pixel_sha256": row.pixel_sha256,
        "arrived_at": row.arrived_at.isoformat(),
        "availability": row.availability,
    }
