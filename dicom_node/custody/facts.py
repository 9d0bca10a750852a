"""What the node tells the archive about its studies."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from django.db.models import Q

from dicom_node.config import CONFIG, Keeping
from dicom_node.models import Instance, Quarantined, Study
from dicom_node.store.journal import OFFERED, Journal
from pacs_common.availability import Availability
from pacs_common.errors import ArgensError

LOG = logging.getLogger(__name__)
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
        Instance.every.filter(waiting, series__study__in=ids).values_list(
            "series__study_id", flat=True
        )
    )
    uids = [study.uid for study in found]
    in_quarantine = list(
        Quarantined.waiting.filter(study_uid__in=uids).values_list("study_uid", flat=True)
    )
    return [
        _facts(
            study,
            study.id not in unready and not _is_to_be_compressed(study),
            in_quarantine.count(study.uid),
        )
        for study in found
    ]


def manifest(study: Study, journal: Journal) -> dict[str, Any]:
    """Return a study's facts with each instance's digests, and its journal records."""
    rows = Instance.every.filter(series__study=study).select_related("series")
    told = studies([study])[0]
    records = journal.of_study(study.uid)
    if told["digests_ready"]:
        _note_offer(study, journal, records)
    return {
        **told,
        "instances": [_instance(row) for row in rows.order_by("arrived_at", "uid")],
        "journal": [record for record in records if record["kind"] != OFFERED],
    }


def _note_offer(study: Study, journal: Journal, records: list[dict[str, Any]]) -> None:
    """Remember that the archive may copy these files: from now on they stay as they are."""
    if any(r["kind"] == OFFERED and r["revision"] >= study.revision for r in records):
        return
    try:
        journal.append(OFFERED, [{"study_uid": study.uid, "revision": study.revision}])
    except ArgensError as error:  # a full disk must not keep the archive from emptying it
        LOG.warning("not noted as offered: %s", error, extra={"study_uid": study.uid})


def _is_to_be_compressed(study: Study) -> bool:
    """Whether files may still change: the archive is to copy what they will be."""
    return CONFIG.renditions is Keeping.AT_REST and study.prepared_revision < study.revision


def _facts(study: Study, digests_ready: bool, quarantined: int) -> dict[str, Any]:
    accessed = study.last_access_at
    total, away = _counts(study)
    return {
        "study_uid": study.uid,
        "patient_key": {"issuer": study.issuer, "id": study.patient_id},
        "modalities": [m for m in study.modalities.split("\\") if m],
        "study_date": study.study_date,
        "description": study.description,
        "instances": total,
        "online": total - away,
        "size_bytes": study.size_bytes,
        "online_bytes": study.online_bytes,
        "revision": study.revision,
        "recalls": study.recalls,
        "last_arrival_at": study.last_arrival_at.isoformat(),
        "last_access_at": accessed.isoformat() if accessed else None,
        "digests_ready": digests_ready,
        "quarantined": quarantined,
    }


def _counts(study: Study) -> tuple[int, int]:
    """Return how many instances a study has and how many are away, what is rejected too."""
    if not study.rejected_count:
        return study.instance_count, study.evicted_count
    found = Instance.every.filter(series__study=study)
    return found.count(), found.exclude(availability=Availability.ONLINE).count()


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
