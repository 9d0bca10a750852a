"""Where evicted instances lie: in the library, or on a shelf, so that an operator must act."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dicom_node.index.durable import durable_transaction
from dicom_node.index.study_counts import count_offline
from dicom_node.models import Instance, Study
from dicom_node.store.journal import SHELVED, Journal
from dicom_node.store.layout import Layout
from pacs_common.availability import Availability
from pacs_common.errors import BadInput, NotFound

PLACES = (Availability.NEARLINE, Availability.OFFLINE)
UIDS_AT_ONCE = 500  # within what one statement of SQLite may name


def shelve(
    layout: Layout, study_uid: str, availability: str, uids: Collection[str] | None = None
) -> dict[str, Any]:
    """Note where evicted instances of a study lie, all of them or those named; durable.

    Returns which moved, and which of those named are not evicted. Raises BadInput, NotFound.
    """
    if availability not in PLACES:
        raise BadInput(f"availability is one of {', '.join(PLACES)}")
    with durable_transaction():
        study = Study.objects.select_for_update().filter(uid=study_uid).first()
        if study is None:
            raise NotFound(f"study {study_uid} is not here")
        away = Instance.every.filter(series__study=study).exclude(availability=Availability.ONLINE)
        known = dict(away.values_list("uid", "availability"))
        named = sorted(known if uids is None else set(uids))
        moved = [uid for uid in named if known.get(uid, availability) != availability]
        if moved:
            _move(layout, study, availability, moved)
    refused = [uid for uid in named if uid not in known]
    return {"study_uid": study_uid, "moved": moved, "not_evicted": refused}


def _move(layout: Layout, study: Study, availability: str, uids: list[str]) -> None:
    record = {"study_uid": study.uid, "availability": str(availability), "sop_instance_uids": uids}
    Journal(layout.journal).append(SHELVED, [record])
    for start in range(0, len(uids), UIDS_AT_ONCE):
        some = Instance.every.filter(uid__in=uids[start : start + UIDS_AT_ONCE])
        some.update(availability=availability)
    count_offline(study.id)
