"""What the node tells the archive about its studies."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from django.db import models
from django.db.models import Q, QuerySet
from django.utils import timezone

from dicom_node.config import CONFIG, Keeping
from dicom_node.custody import incomplete, quarantine_files
from dicom_node.index import holds, journaled
from dicom_node.models import Instance, Quarantined, Series, Study, WithheldStudy
from dicom_node.store.journal import OFFERED, Journal
from pacs_common.availability import Availability
from pacs_common.errors import ArgensError, BadInput

LOG = logging.getLogger(__name__)
MAX_PAGE = 1000
Row = TypeVar("Row", Study, WithheldStudy)
OVERLAP = timedelta(seconds=60)  # a change may be committed that long after it was dated


def page(after: str, limit: int, since: str = "") -> dict[str, Any]:
    """Return the facts of up to `limit` studies, and `now`, from where to ask on the next time.

    All of them come by UID, those that changed since a moment (ISO 8601) in the order of their
    changes, so that one which changes meanwhile comes again. `after` is the `next` of the page
    before. Raises BadInput.
    """
    asked_at = (timezone.now() - OVERLAP).isoformat()
    limit = min(limit, MAX_PAGE)
    rows: list[Study | WithheldStudy] = []
    for model in (Study, WithheldStudy):
        every = model.objects.filter(uid__gt=after).order_by("uid")
        rows += (changed(since, after, model) if since else every)[:limit]
    rows = sorted(rows, key=_by_change if since else _by_uid)[:limit]
    following = None
    if len(rows) == limit:
        following = _place(rows[-1]) if since else rows[-1].uid
    return {"studies": studies(rows), "next": following, "now": asked_at}


def changed(since: str, after: str = "", model: type[Row] = Study) -> QuerySet[Row]:
    """Return the studies that changed since a moment, by an index in the order of the changes."""
    moment, uid = _moment(since), ""
    if after:
        at, _, uid = after.partition("/")
        moment = max(moment, _moment(at))
    found = model.objects.filter(changed_at__gte=moment).order_by("changed_at", "uid")
    return found.exclude(changed_at=moment, uid__lte=uid) if uid else found


def _by_uid(study: Study | WithheldStudy) -> str:
    return study.uid


def _by_change(study: Study | WithheldStudy) -> tuple[datetime, str]:
    return study.changed_at, study.uid


def _place(study: Study | WithheldStudy) -> str:
    """Return a study's place in the order of changes; as texts, later ones are greater."""
    return f"{study.changed_at.astimezone(UTC).isoformat(timespec='microseconds')}/{study.uid}"


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # a plus sign in an address
    except ValueError:
        raise BadInput(f"{text[:64]!r} is not a moment (ISO 8601)") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class _Beside(NamedTuple):
    """What other tables tell of some studies."""

    unready: set[int]
    waiting: Counter[str]
    in_quarantine: Counter[str]
    body_parts: dict[int, set[str]]
    incomplete: frozenset[str]


def studies(rows: Iterable[Study | WithheldStudy]) -> list[dict[str, Any]]:
    """Return the facts of each study."""
    found = list(rows)
    beside = _beside(found)
    return [
        _facts(study, beside) if isinstance(study, Study) else _withheld_facts(study, beside)
        for study in found
    ]


def _beside(found: Sequence[Study | WithheldStudy]) -> _Beside:
    ids = [study.id for study in found if isinstance(study, Study)]
    waiting = Q(stored_sha256="") | Q(damaged=True)
    unready = Instance.every.filter(waiting, series__study__in=ids)
    uids = [study.uid for study in found]
    parts: dict[int, set[str]] = {}
    for number, part in (
        Series.objects.filter(study__in=ids).exclude(body_part="").values_list("study", "body_part")
    ):
        parts.setdefault(number, set()).add(part)
    return _Beside(
        unready=set(unready.values_list("series__study_id", flat=True)),
        waiting=_counted(Quarantined.waiting, uids),
        in_quarantine=_counted(Quarantined.objects, uids),
        body_parts=parts,
        incomplete=incomplete.studies(),
    )


def _counted(rows: models.Manager[Quarantined], uids: list[str]) -> Counter[str]:
    return Counter(rows.filter(study_uid__in=uids).values_list("study_uid", flat=True))


def named(study_uid: str) -> Study | WithheldStudy | None:
    """Return a study that is stored here, or of which something lies in quarantine."""
    stored = Study.objects.filter(uid=study_uid).first()
    return stored or WithheldStudy.objects.filter(uid=study_uid).first()


def manifest(study: Study | WithheldStudy, journal: Journal) -> dict[str, Any]:
    """Return a study's facts with each file's digests, and its journal records."""
    rows = Instance.every.filter(series__study__uid=study.uid).select_related("series")
    told = studies([study])[0]
    records = journaled.of_study(journal, study.uid)
    if told["digests_ready"]:
        _note_offer(study, journal, records)
    return {
        **told,
        "instances": [_instance(row) for row in rows.order_by("arrived_at", "uid")],
        "quarantine": quarantine_files.told(study.uid),
        "journal": [record for record in records if record["kind"] != OFFERED],
    }


def _note_offer(
    study: Study | WithheldStudy, journal: Journal, records: list[dict[str, Any]]
) -> None:
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


def _facts(study: Study, beside: _Beside) -> dict[str, Any]:
    accessed = study.last_access_at
    held = holds.unpacked(study.holds)
    total, away = _counts(study)
    return {
        "study_uid": study.uid,
        "patient_key": {"issuer": study.issuer, "id": study.patient_id},
        "modalities": [m for m in study.modalities.split("\\") if m],
        "study_date": study.study_date,
        "description": study.description,
        "birth_date": study.birth_date,
        "department": study.requesting_service or study.department,
        "body_parts": sorted(beside.body_parts.get(study.id, ())),
        "instances": total,
        "online": total - away,
        "size_bytes": study.size_bytes,
        "online_bytes": study.online_bytes,
        "revision": study.revision,
        "recalls": study.recalls,
        "last_arrival_at": study.last_arrival_at.isoformat(),
        "last_access_at": accessed.isoformat() if accessed else None,
        "digests_ready": study.id not in beside.unready and not _is_to_be_compressed(study),
        "quarantined": beside.waiting[study.uid],
        "quarantine_files": beside.in_quarantine[study.uid],
        "incomplete": study.uid in beside.incomplete,
        "held": bool(held),
        "holds": [one._asdict() for one in held],
    }


def _withheld_facts(study: WithheldStudy, beside: _Beside) -> dict[str, Any]:
    return {
        "study_uid": study.uid,
        "patient_key": {"issuer": study.issuer, "id": study.patient_id},
        "modalities": [m for m in study.modalities.split("\\") if m],
        "study_date": study.study_date,
        "description": study.description,
        "birth_date": study.birth_date,
        "department": study.department,
        "body_parts": [],
        **dict.fromkeys(("instances", "online", "size_bytes", "online_bytes", "recalls"), 0),
        "revision": study.revision,
        "last_arrival_at": study.last_arrival_at.isoformat(),
        "last_access_at": None,
        "digests_ready": True,
        "quarantined": beside.waiting[study.uid],
        "quarantine_files": beside.in_quarantine[study.uid],
        "incomplete": study.uid in beside.incomplete,
        "held": False,
        "holds": [],
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
